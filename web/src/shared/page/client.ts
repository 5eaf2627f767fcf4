// The page's side of the worker: promises instead of messages.

import { PageError, asFailure } from "../failure";
import type { Backend, PairResult, Reply, Request, ScorerInfo, TextResult } from "../protocol";

/** A result and how long the worker took for it. */
export interface Timed<T> {
  result: T;
  milliseconds: number;
}

export interface LoadEvents {
  progress(loaded: number, total: number, fetched: number): void;
  notice(code: string, message: string): void;
}

export interface Ready {
  backend: Backend;
  info: ScorerInfo;
  /** Files that a visit without network needs beside the page's own. */
  keep: string[];
  /** Peak of the wasm's memory, in bytes. */
  memory: number;
}

type AnyResult = TextResult | PairResult | Float32Array | null;

interface Waiting {
  request: Request;
  resolve: (timed: Timed<AnyResult>) => void;
  reject(error: unknown): void;
}

const startWorker = () => new Worker(new URL("../../worker/main.ts", import.meta.url), { type: "module" });

export class ScorerClient {
  private worker = startWorker();
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  /** Loads the scorer; to be called once. */
  load(bundle: URL, backend: Backend | null, events: LoadEvents): Promise<Ready> {
    return new Promise((resolve, reject) => {
      const begin = (backend: Backend | null) => {
        // A worker goes on after an error that nothing caught, as of wasm whose device is gone: it has the reason for
        // whoever asks next.
        this.worker.onerror = ({ message }) => {
          const error = new PageError("crashed", message || "The worker could not be started. Reload the page.");
          reject(error);
          this.fail(error);
        };
        this.worker.onmessage = ({ data }: MessageEvent<Reply>) => hear(data);
        this.send({ kind: "load", bundle: bundle.href, backend });
      };
      const hear = (data: Reply) => {
        switch (data.kind) {
          case "progress":
            return events.progress(data.loaded, data.total, data.fetched);
          case "notice":
            return events.notice(data.notice.code, data.notice.message);
          case "abandoned":
            events.notice(data.notice.code, data.notice.message);
            this.replaceWorker();
            begin("cpu");
            for (const { request } of this.waiting.values()) this.send(request);
            return;
          case "ready":
            return resolve(data);
          case "failed": {
            const error = new PageError(data.error.code, data.error.message);
            if (data.id !== null) return this.settle(data.id)?.reject(error);
            // Nothing else frees what was loaded.
            this.close();
            this.fail(error);
            return reject(error);
          }
          default:
            return this.settle(data.id)?.resolve(data);
        }
      };
      begin(backend);
    });
  }

  score(text: string, signal: AbortSignal): Promise<Timed<TextResult>> {
    return this.ask((id) => ({ kind: "score", id, text }), signal);
  }

  compare(a: string, b: string, signal: AbortSignal): Promise<Timed<PairResult>> {
    return this.ask((id) => ({ kind: "compare", id, a, b }), signal);
  }

  /** The embedding of a text, and last what the scorer says of it in each trait, unless it is a backbone alone. */
  embed(text: string, signal: AbortSignal): Promise<Timed<Float32Array>> {
    return this.ask((id) => ({ kind: "embed", id, text }), signal);
  }

  /** Keeps a scorer with other heads for the trait at a place at an address; this one is gone afterwards. */
  async judge(heads: string, place: number, address: URL, signal: AbortSignal): Promise<void> {
    await this.ask<null>((id) => ({ kind: "judge", id, heads, place, address: address.href }), signal);
  }

  /** Frees the worker and everything in it. */
  close(): void {
    this.worker.terminate();
  }

  /** A worker that gave up holds a device and memory that nothing else can free. */
  private replaceWorker(): void {
    this.worker.terminate();
    this.worker = startWorker();
  }

  private ask<T extends AnyResult>(request: (id: number) => Request, signal: AbortSignal): Promise<Timed<T>> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const id = this.next++;
      const message = request(id);
      // The worker answers a request with a result of its kind.
      this.waiting.set(id, { request: message, resolve: resolve as Waiting["resolve"], reject });
      signal.addEventListener("abort", () => {
        // What is being computed is finished and thrown away; what waits is never begun.
        this.settle(id)?.reject(signal.reason);
        this.send({ kind: "cancel", id });
      });
      this.send(message);
    });
  }

  private settle(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private fail(error: PageError): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  private send(request: Request): void {
    this.worker.postMessage(request);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function messageOf(error: unknown): string {
  return asFailure(error).message;
}
