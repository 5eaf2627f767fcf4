// Makes a scorer of judgements: the bundle of the one that is loaded, with other heads, kept in the browser.

import { ScorerError } from "../failure.ts";
import type { Engine, Scorer } from "./engine.ts";
import { parseManifest, type Manifest } from "../manifest.ts";
import { BundleStore } from "./store.ts";

/** What a scorer was loaded from. */
export interface Source {
  engine: Engine;
  store: BundleStore;
  /** Of the manifest. */
  text: string;
  manifest: Manifest;
}

/** Keeps the whole of the new bundle at an address of its own, where the scoring page finds it without network. */
export async function keepJudged(scorer: Scorer, source: Source, heads: string, place: number, address: URL): Promise<void> {
  const { engine, store, text, manifest } = source;
  const entry = manifest.shards[engine.headsShard(text)];
  if (!entry) throw new ScorerError("manifest", "manifest.json names no shard with heads. Export the scorer again.");
  const bundle = await scorer.judged(heads, place, text, await store.bytes(entry));
  try {
    const target = await BundleStore.open(address, (code, message) => {
      // Nothing but what is kept is left of it.
      throw new ScorerError(code, message);
    });
    const made = parseManifest(bundle.manifest());
    const fresh = new Map(bundle.shards().map((file, place) => [file, bundle.shard(place)]));
    for (const file of [...made.shards, made.tokenizer]) {
      await target.put(file, fresh.get(file.file) ?? (await store.bytes(file)));
    }
    await target.putManifest(bundle.manifest());
    await target.tidy([...made.shards, made.tokenizer]);
  } finally {
    bundle.free();
  }
}
