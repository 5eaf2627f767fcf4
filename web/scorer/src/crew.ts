// Several workers: how many, how they share many items, and the ways between those that share one.

/** Workers beyond which a page gains little: they share memory and its bandwidth. */
const MOST = 8;

/** What a machine is taken to have where the browser does not say, in GiB. */
const MEMORY = 4;

/** How many workers to use, of which each takes so many bytes: one a core, and half of the memory for all of them. */
export function howMany(bytes: number, items: number): number {
  // Only some browsers say it, and only in secure contexts.
  const { deviceMemory = MEMORY } = navigator as { deviceMemory?: number };
  const fit = Math.floor((deviceMemory * 2 ** 30) / 2 / Math.max(bytes, 1));
  return Math.max(1, Math.min(navigator.hardwareConcurrency, fit, items, MOST));
}

/** Another worker, and what to do with it afterwards. */
export interface Hired<W> {
  worker: W;
  done(): void;
}

/** Brings a worker; ends with the signal. */
export type Helper<W> = (signal: AbortSignal) => Promise<Hired<W>>;

/** For each of several workers in a row, ports to those before it and to those behind it, in their order. */
export function neighbours(workers: number): { before: MessagePort[]; behind: MessagePort[] }[] {
  const all = Array.from({ length: workers }, () => ({ before: [] as MessagePort[], behind: [] as MessagePort[] }));
  all.forEach(({ behind }, place) => {
    for (const { before } of all.slice(place + 1)) {
      const { port1, port2 } = new MessageChannel();
      behind.push(port1);
      before.push(port2);
    }
  });
  return all;
}

/**
 * The answers of the items, in their order. Whoever is free takes the next item; a helper that cannot be loaded, as for want
 * of memory, is done without, and the answers do not depend on it. The first error ends everything.
 */
export async function* inOrder<T, R, W>(
  items: readonly T[],
  ask: (item: T, worker: W, signal: AbortSignal) => Promise<R>,
  first: W,
  helpers: readonly Helper<W>[],
  signal: AbortSignal | undefined,
): AsyncGenerator<R, void> {
  signal?.throwIfAborted();
  const end = new AbortController();
  const answers = new Map<number, R>();
  let next = 0;
  let wake = (): void => undefined;
  const fail = (reason: unknown): void => {
    end.abort(reason);
    wake();
  };
  const aborted = (): void => fail(signal?.reason);
  signal?.addEventListener("abort", aborted);
  const work = async (worker: W): Promise<void> => {
    while (next < items.length && !end.signal.aborted) {
      const place = next++;
      answers.set(place, await ask(items[place] as T, worker, end.signal));
      wake();
    }
  };
  const help = async (load: Helper<W>): Promise<void> => {
    const helper = await load(end.signal).catch(() => null);
    if (helper === null) return;
    try {
      await work(helper.worker);
    } finally {
      helper.done();
    }
  };
  void work(first).catch(fail);
  for (const helper of helpers) void help(helper).catch(fail);
  try {
    for (let place = 0; place < items.length; place++) {
      while (!answers.has(place) && !end.signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
      end.signal.throwIfAborted();
      yield answers.get(place) as R;
      answers.delete(place);
    }
  } finally {
    signal?.removeEventListener("abort", aborted);
    // Helpers that are being loaded, or read a text that nobody waits for.
    end.abort();
  }
}
