// The page's side of a worker that answers calls.

import { PageError } from "../shared/failure";
import type { Answer, In, Out } from "../shared/judging-protocol";

interface Waiting {
  resolve: (output: unknown) => void;
  reject: (error: PageError) => void;
}

export class Caller<C> {
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new PageError(data.error.code, data.error.message));
      else waiting?.resolve(data.output);
    };
    worker.onerror = (event) => {
      const error = new PageError("crashed", event.message || "A part of the page could not be started. Reload the page.");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
  }

  call<K extends keyof C>(kind: K, input: In<C, K>): Promise<Out<C, K>> {
    return new Promise((resolve, reject) => {
      const id = this.next++;
      // The worker answers a call with what its kind promises.
      this.waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      this.worker.postMessage({ id, kind, input });
    });
  }
}
