// Promises over the messages of the worker.

import { ScorerError } from "./failure.ts";
import type { Backend, PairResult, Reply, Request, TextResult } from "./protocol.ts";

export interface LoadEvents {
  progress(loaded: number, total: number, fetched: number): void;
  notice(code: string, message: string): void;
}

export type Ready = Extract<Reply, { kind: "ready" }>;

export type AnyResult = TextResult | PairResult | Float32Array | null;

interface Waiting {
  request: Request;
  resolve: (result: AnyResult) => void;
  reject(error: unknown): void;
}

// Bundlers find the worker's file when it is written so.
const startWorker = () => new Worker(new URL("./worker/main.js", import.meta.url), { type: "module" });

export class Connection {
  private worker = startWorker();
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;
  /** Why nothing is answered any more. */
  private closed: ScorerError | null = null;

  /** Loads the scorer, from kept files alone where `kept`; to be called once. */
  load(bundle: URL, backend: Backend | null, kept: boolean, events: LoadEvents): Promise<Ready> {
    return new Promise((resolve, reject) => {
      const begin = (backend: Backend | null) => {
        // The worker itself hears of errors that come later.
        this.worker.onerror = ({ message }) => {
          const error = new ScorerError("crashed", message || "The worker could not be started. Reload the page.");
          reject(error);
          this.fail(error);
        };
        this.worker.onmessage = ({ data }: MessageEvent<Reply>) => hear(data);
        this.send({ kind: "load", bundle: bundle.href, backend, kept });
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
            const error = new ScorerError(data.error.code, data.error.message);
            if (data.id !== null) return this.settle(data.id)?.reject(error);
            // Nothing else frees what was loaded.
            this.close(error);
            return reject(error);
          }
          default:
            return this.settle(data.id)?.resolve(data.result);
        }
      };
      begin(backend);
    });
  }

  /** Asks the worker, which answers a request with a result of its kind. */
  ask<T extends AnyResult>(request: (id: number) => Request, signal: AbortSignal | undefined, transfer: Transferable[] = []): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(this.closed);
      if (signal?.aborted) return reject(signal.reason as Error);
      const id = this.next++;
      const message = request(id);
      const abort = () => {
        // What is being computed is finished and thrown away, and what waits, for its turn or for other workers, ends.
        this.settle(id)?.reject(signal?.reason);
        this.send({ kind: "cancel", id });
      };
      const settled = <V>(settle: (value: V) => void) => (value: V) => {
        signal?.removeEventListener("abort", abort);
        settle(value);
      };
      signal?.addEventListener("abort", abort);
      this.waiting.set(id, { request: message, resolve: settled(resolve as Waiting["resolve"]), reject: settled(reject) });
      this.send(message, transfer);
    });
  }

  /** Frees the worker and everything in it. */
  close(reason: ScorerError): void {
    this.closed ??= reason;
    this.worker.terminate();
    this.fail(reason);
  }

  /** A worker that gave up holds a device and memory that nothing else can free. */
  private replaceWorker(): void {
    this.worker.terminate();
    this.worker = startWorker();
  }

  private settle(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private fail(error: ScorerError): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  private send(request: Request, transfer: Transferable[] = []): void {
    this.worker.postMessage(request, transfer);
  }
}
