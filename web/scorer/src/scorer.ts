// A scorer that was loaded from the files of a site, and computes in a worker of its own.

import { Connection, type Ready } from "./connection.ts";
import { howMany, inOrder, neighbours, type Helper } from "./crew.ts";
import { asFailure, ScorerError, type Failure } from "./failure.ts";
import type { Backend, PairResult, ScorerInfo, TextResult, TraitResult } from "./protocol.ts";

export interface LoadOptions {
  /** What computes. By default the graphics card, where there is one that holds the scorer, else the processor. */
  backend?: Backend | null | undefined;
  /** Hears how far loading is. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Hears what a reader should know that stops nothing, such as why the processor computes. */
  onNotice?: ((notice: Failure) => void) | undefined;
  /** Ends loading. */
  signal?: AbortSignal | undefined;
}

/** Bytes of the weights. */
export interface Progress {
  /** On the device. */
  loaded: number;
  total: number;
  /** Of those loaded, how many came over the network; the others were kept by the browser. */
  fetched: number;
}

export interface CallOptions {
  /**
   * What the text or texts answer, where the scorer reads prompts (`info.prompts`): it may be blank, and without it the
   * question is refused, as one with a prompt is by a scorer that reads none.
   */
  prompt?: string | null | undefined;
  /** Takes the question back: the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Asks a scorer about an item; what it asks has to end with the signal. */
export type Ask<T, R> = (item: T, scorer: Scorer, signal: AbortSignal) => Promise<R>;

/** What the scorer says about a text in one trait. */
export interface TraitScore extends TraitResult {
  /** The name of the trait. */
  target: string;
}

/** What it says about a text; beside `traits`, what it says in the first, which often is the only one. */
export interface TextScore extends TraitScore {
  traits: TraitScore[];
  /** Tokens that were read, and tokens of the whole text: more, where the end of it did not count. */
  tokens: number;
  fullLength: number;
}

/** What it says about two texts. */
export interface PairScore {
  texts: [TextScore, TextScore];
  /** Probability that the first is better: in the first trait, and in each; null without stage 1. */
  preference: number | null;
  preferences: (number | null)[];
}

/** Workers that share one text at most: each has less of it to read, and all of the scorer in memory. */
const MOST_SHARES = 4;

export class Scorer {
  /** Hired workers. */
  private readonly crew: Scorer[] = [];
  private hiring: Promise<number> | null = null;
  private readonly end = new AbortController();

  private constructor(
    private readonly connection: Connection,
    /** What it rates, on which scales, and how much of a text it reads. */
    readonly info: ScorerInfo,
    /** What computes. */
    readonly backend: Backend,
    /** Addresses of the program's files: whoever keeps them, for example a service worker, can load without network. */
    readonly files: readonly string[],
    /** Peak of the memory that loading took beside the device's, in bytes. */
    readonly memory: number,
    private readonly folder: URL,
  ) {}

  /**
   * Loads the scorer of a folder that `pair2score export --format web` wrote: a site or its folder `bundle`. Its files are
   * checked by their SHA-256, and kept by the browser for the next visit.
   */
  static load(url: string | URL, options: LoadOptions = {}): Promise<Scorer> {
    return Scorer.open(folderOf(url), options, false);
  }

  private static async open(folder: URL, options: LoadOptions, kept: boolean): Promise<Scorer> {
    const { backend = null, onProgress, onNotice, signal } = options;
    signal?.throwIfAborted();
    const connection = new Connection();
    let stop = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => {
        connection.close(new ScorerError("aborted", "Loading was ended."));
        reject(signal?.reason);
      };
    });
    signal?.addEventListener("abort", stop);
    try {
      const loading = connection.load(folder, backend, kept, {
        progress: (loaded, total, fetched) => onProgress?.({ loaded, total, fetched }),
        notice: (code, message) => onNotice?.({ code, message }),
      });
      const { info, backend: chosen, keep, memory }: Ready = await Promise.race([loading, aborted]);
      return new Scorer(connection, info, chosen, keep, memory, folder);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Scores a text in all traits, with one pass through the backbone. */
  async score(text: string, { prompt = null, signal }: CallOptions = {}): Promise<TextScore> {
    const shared = this.crew.length > 0 ? await this.shared(text, prompt, signal) : null;
    return this.named(shared ?? (await this.connection.ask<TextResult>((id) => ({ kind: "score", id, text, prompt }), signal)));
  }

  /**
   * Loads further workers on the processor, with which this one then shares every text that it scores, and the items of
   * `each`: the scores are the same, sooner. Each holds the scorer once more, until `dispose`; all of them and this one take a
   * quarter of the memory at most. Gives their number, which is 0 on a graphics card, where one core or little memory is all
   * there is, where the browser keeps no files, and for a scorer without stage 2.
   */
  hire(): Promise<number> {
    this.hiring ??= this.hireMissing().finally(() => (this.hiring = null));
    return this.hiring;
  }

  private async hireMissing(): Promise<number> {
    if (this.backend !== "cpu" || !this.info.canScore) return 0;
    const wanted = howMany(2 * this.memory, MOST_SHARES) - 1 - this.crew.length;
    const hire = async () => {
      const worker = await this.helper(this.end.signal);
      if (this.end.signal.aborted) worker.dispose();
      else this.crew.push(worker);
    };
    await Promise.allSettled(Array.from({ length: Math.max(wanted, 0) }, hire));
    return this.crew.length;
  }

  /** The score of a text from this worker and its crew; null where something failed, which this worker alone then says. */
  private async shared(text: string, prompt: string | null, signal: AbortSignal | undefined): Promise<TextResult | null> {
    const end = new AbortController();
    const abort = () => end.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    const workers = [...this.crew, this];
    const ways = neighbours(workers.length);
    const asked = ways.map(({ before, behind }, place) => {
      const request = (id: number) => ({ kind: "share" as const, id, text, prompt, before, behind });
      return workers[place]?.connection.ask<TextResult | null>(request, end.signal, [...before, ...behind]) ?? null;
    });
    try {
      return (await Promise.all(asked)).at(-1) ?? null;
    } catch (error) {
      signal?.throwIfAborted();
      this.dismissAfter(error);
      return null;
    } finally {
      signal?.removeEventListener("abort", abort);
      end.abort();
      await Promise.allSettled(asked);
    }
  }

  /** Dismisses the crew after an error that may be a worker's own, and not that of what it was asked. */
  private dismissAfter(error: unknown): void {
    if (["crashed", "device", "disposed", "unexpected"].includes(asFailure(error).code)) this.dismiss();
  }

  private dismiss(): void {
    for (const worker of this.crew.splice(0)) worker.dispose();
  }

  /** Scores two texts, which answer one prompt, and says which is better. */
  async compare(a: string, b: string, { prompt = null, signal }: CallOptions = {}): Promise<PairScore> {
    const { texts, preferences } = await this.connection.ask<PairResult>((id) => ({ kind: "compare", id, a, b, prompt }), signal);
    return { texts: [this.named(texts[0]), this.named(texts[1])], preference: preferences[0] ?? null, preferences };
  }

  /** The embedding of a text. */
  async embed(text: string, options: CallOptions = {}): Promise<Float32Array> {
    const row = await this.embedAndSay(text, options);
    const { canScore, canRank, traits } = this.info;
    return canScore || canRank ? row.slice(0, row.length - traits.length) : row;
  }

  /**
   * The embedding of a text, and last what the scorer says of it in each trait, from one pass: its score, or its utility
   * without stage 2; of a backbone alone, the embedding.
   */
  embedAndSay(text: string, { prompt = null, signal }: CallOptions = {}): Promise<Float32Array> {
    return this.connection.ask<Float32Array>((id) => ({ kind: "embed", id, text, prompt }), signal);
  }

  /**
   * Asks about many items and gives the answers in their order, as they come. On the processor several workers answer, as
   * many as cores and memory allow, each with the scorer that this one has: the answers are those of one. But for hired
   * ones they are there for these items only. An error, the signal, or an end of reading before the last answer ends all of them.
   */
  async *each<T, R>(items: readonly T[], ask: Ask<T, R>, { signal }: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<R, void> {
    // What is being loaded counts too.
    await this.hiring;
    const helpers = this.backend === "cpu" ? howMany(this.memory, items.length) - 1 : 0;
    const hired = this.crew.slice(0, helpers).map((worker): Helper<Scorer> => async () => ({ worker, done: () => undefined }));
    const loaded: Helper<Scorer> = async (signal) => {
      const worker = await this.helper(signal);
      return { worker, done: () => worker.dispose() };
    };
    const all = [...hired, ...Array<typeof loaded>(helpers - hired.length).fill(loaded)];
    try {
      yield* inOrder(items, ask, this.alone(), all, signal);
    } catch (error) {
      this.dismissAfter(error);
      throw error;
    }
  }

  /** This worker without its crew. */
  private alone(): Scorer {
    if (this.crew.length === 0) return this;
    const { connection, info, backend, files, memory, folder } = this;
    return new Scorer(connection, info, backend, files, memory, folder);
  }

  /** Another worker with this scorer, from the files that this one has kept. */
  private async helper(signal: AbortSignal): Promise<Scorer> {
    const helper = await Scorer.open(this.folder, { backend: "cpu", signal }, true);
    if (helper.info.hash === this.info.hash) return helper;
    helper.dispose();
    throw new ScorerError("manifest", "The scorer was replaced meanwhile. Reload the page.");
  }

  /**
   * Puts heads that came from judgements in the place of the heads of the trait at a place, and keeps what it becomes in the
   * browser, as the bundle of an address. This one is of no more use afterwards.
   */
  async keepJudged(heads: string, place: number, address: URL): Promise<void> {
    await this.hiring;
    await this.connection.ask<null>((id) => ({ kind: "judge", id, heads, place, address: address.href }), undefined);
    this.dismiss();
  }

  /** Frees the worker and what it holds. Questions that are open are rejected, and later ones too. */
  dispose(): void {
    this.end.abort();
    this.dismiss();
    this.connection.close(new ScorerError("disposed", "The scorer was disposed of. Load it again."));
  }

  private named({ traits, tokens, fullLength }: TextResult): TextScore {
    const named = this.info.traits.flatMap(({ target }, place) => {
      const result = traits[place];
      return result ? [{ target, ...result }] : [];
    });
    const [first] = named;
    if (!first) throw new ScorerError("unexpected", "The scorer rates no trait. Export it again.");
    return { ...first, traits: named, tokens, fullLength };
  }
}

/** The address of a folder, which may be given with its manifest. */
function folderOf(url: string | URL): URL {
  const folder = new URL(url, self.location.href);
  folder.pathname = folder.pathname.replace(/manifest\.json$/, "").replace(/\/*$/, "/");
  return folder;
}
