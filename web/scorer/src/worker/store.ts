// Fetches the files of a bundle and keeps them by their hash, so that a second visit needs no network.
//
// Whether a file is the right one is decided by the wasm, which hashes every byte it takes, kept or fetched: what lies
// in the cache is as little trusted as what comes from the network. Only files that were accepted are kept, whole, and the
// manifest after all of them; a download that stops halfway leaves nothing, and the files before it need not be fetched
// again.

import { ScorerError } from "../failure.ts";
import { BUNDLE_CACHE, isJudged } from "../judged.ts";
import type { BundleFile } from "../manifest.ts";

/** Hears how many bytes of a file have arrived. */
export type OnBytes = (arrived: number) => void;

export class BundleStore {
  private keeping = true;

  private constructor(
    private readonly base: URL,
    private readonly cache: Cache | null,
    private readonly onNotice: (code: string, message: string) => void,
    private readonly keptOnly: boolean,
  ) {}

  /** With `keptOnly` what is not kept is not fetched, but refused. */
  static async open(base: URL, onNotice: (code: string, message: string) => void, keptOnly = false): Promise<BundleStore> {
    // Absent outside secure contexts, refused in some private windows.
    const cache = "caches" in self ? await caches.open(BUNDLE_CACHE).catch(() => null) : null;
    if (!cache) {
      onNotice("not-kept", "This browser keeps no files for the page, so the scorer is fetched on every visit.");
    }
    return new BundleStore(base, cache, onNotice, keptOnly);
  }

  /** The text of `manifest.json`; the kept one when the network is away. */
  async manifest(): Promise<string> {
    const url = new URL("manifest.json", this.base);
    if (this.keptOnly || isJudged(this.base)) {
      const kept = await this.cache?.match(url.href);
      if (kept) return kept.text();
      throw new ScorerError("no-bundle", "This browser has no such scorer. Make it again on the page for judging, under Results.");
    }
    try {
      const response = await fetch(url, { cache: "no-cache" });
      if (response.ok) return await response.text();
      throw new ScorerError(
        "no-bundle",
        `The scorer's manifest.json could not be fetched (status ${response.status}). Check that the folder "bundle" of its site is at ${this.base.href}.`,
      );
    } catch (error) {
      const kept = await this.cache?.match(url.href);
      if (kept) return await kept.text();
      throw error instanceof ScorerError ? error : offline("manifest.json");
    }
  }

  /** Gives a file to `accept`, which throws a `damaged` failure when it is not the right one; then it is fetched, once. */
  async supply(entry: BundleFile, onBytes: OnBytes, accept: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    const key = this.key(entry);
    const kept = await this.cache?.match(key).catch(() => undefined);
    if (kept) {
      try {
        await accept(new Uint8Array(await kept.arrayBuffer()));
        return;
      } catch (error) {
        if (!isDamaged(error)) throw error;
        await this.cache?.delete(key);
      }
    }
    if (this.keptOnly) throw new ScorerError("missing", `${entry.file} is not kept by this browser. Load the scorer again.`);
    try {
      await this.fetched(entry, "default", onBytes, accept);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      // Perhaps an older file in the browser's own cache, or a fault on the way.
      onBytes(0);
      await this.fetched(entry, "reload", onBytes, accept);
    }
  }

  private async fetched(
    entry: BundleFile,
    mode: RequestCache,
    onBytes: OnBytes,
    accept: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const bytes = await download(new URL(entry.file, this.base), entry, mode, onBytes);
    await accept(bytes);
    await this.keep(this.key(entry), new Response(bytes));
  }

  private async keep(key: string, response: Response): Promise<void> {
    if (!this.cache || !this.keeping) return;
    try {
      await this.cache.put(key, response);
    } catch {
      this.keeping = false;
      this.onNotice(
        "quota",
        "There is not enough room to keep the scorer for the next visit. It works now; free some disk space to avoid fetching it again.",
      );
    }
  }

  /** A file, kept or fetched, that was accepted before. */
  async bytes(entry: BundleFile): Promise<Uint8Array> {
    let taken: Uint8Array | null = null;
    await this.supply(entry, () => undefined, async (bytes) => {
      taken = bytes;
    });
    if (!taken) throw offline(entry.file);
    return taken;
  }

  /** Keeps a file that was made here. */
  async put(entry: BundleFile, bytes: Uint8Array): Promise<void> {
    await this.keep(this.key(entry), new Response(bytes as Uint8Array<ArrayBuffer>));
  }

  /** Keeps the manifest of files that were accepted or made here; once it is there, so are they. */
  async putManifest(text: string): Promise<void> {
    await this.keep(new URL("manifest.json", this.base).href, new Response(text));
  }

  /** Forgets files that the manifest no longer names. */
  async tidy(entries: BundleFile[]): Promise<void> {
    if (!this.cache) return;
    const wanted = new Set(entries.map((entry) => this.key(entry)));
    // Other bundles may have folders in this one.
    const own = new URL("sha256/", this.base).href;
    for (const request of await this.cache.keys()) {
      if (request.url.startsWith(own) && !wanted.has(request.url)) await this.cache.delete(request);
    }
  }

  private key(entry: BundleFile): string {
    return new URL(`sha256/${entry.sha256}`, this.base).href;
  }
}

async function download(url: URL, entry: BundleFile, cache: RequestCache, onBytes: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, { cache }).catch(() => {
    throw offline(entry.file);
  });
  if (!response.ok || !response.body) {
    throw new ScorerError(
      "missing",
      `${entry.file} could not be fetched (status ${response.status}). The site is incomplete: export it again or copy the whole folder.`,
    );
  }
  // The manifest was checked: no file is larger than 32 MiB.
  const bytes = new Uint8Array(entry.bytes);
  let arrived = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw offline(entry.file);
    });
    if (done) break;
    if (arrived + value.length > bytes.length) {
      void reader.cancel();
      throw damaged(entry, "is longer than the manifest says");
    }
    bytes.set(value, arrived);
    arrived += value.length;
    onBytes(arrived);
  }
  if (arrived < bytes.length) throw damaged(entry, `ended after ${arrived} of ${bytes.length} bytes`);
  return bytes;
}

function damaged(entry: BundleFile, problem: string): ScorerError {
  return new ScorerError("damaged", `${entry.file} ${problem}. Reload the page to fetch it again.`);
}

function isDamaged(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "damaged";
}

function offline(file: string): ScorerError {
  return new ScorerError(
    "offline",
    `${file} could not be fetched: the network or the server is away. What has arrived is kept; reload the page to go on.`,
  );
}
