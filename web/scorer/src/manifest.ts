// The parts of `manifest.json` that the page needs. The wasm has checked the whole of it before this reads it.

import { ScorerError } from "./failure.ts";
import type { AnchorDocument, Letters, Raters, Scale, ScorerInfo, TraitInfo } from "./protocol.ts";

/** A file of the bundle. */
export interface BundleFile {
  file: string;
  bytes: number;
  sha256: string;
}

/** A number for each trait; the number alone where there is one trait. */
type PerTrait = number | number[];

export interface Golden {
  text: string;
  score: PerTrait | null;
  utility: PerTrait | null;
}

/** What training learned of a trait. */
interface Learned {
  label_counts?: number[];
  intervals?: object;
  raters?: Raters;
}

interface WrittenTrait extends Learned {
  target: string;
  scale: Scale;
}

export interface Manifest {
  /** The values of a single trait stand beside those of the scorer, those of several in `traits`. */
  scorer: Learned & {
    target?: string;
    scale?: Scale;
    traits?: WrittenTrait[];
    max_length: number;
    /** How a prompt and a text are read; of a scorer that reads texts alone, absent. */
    prompt_template?: string;
    letters?: Letters;
    anchors?: { documents: AnchorDocument[] };
    relative: object | null;
    score: object | null;
  };
  tokenizer: BundleFile;
  shards: BundleFile[];
  tensors: { name: string; dtype: "f32" | "f16" | "q8"; shape: number[]; bytes: number }[];
  golden: Golden[];
}

export function parseManifest(text: string): Manifest {
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    throw new ScorerError("manifest", "manifest.json is not JSON. Export the scorer again, or copy the whole folder.");
  }
}

export function totalBytes(manifest: Manifest): number {
  return manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
}

/** What a scorer rates, in the order of its heads. */
export function traitsOf({ scorer }: Manifest): TraitInfo[] {
  const { target, scale, traits = [] } = scorer;
  const written: WrittenTrait[] = target !== undefined && scale ? [{ ...scorer, target, scale }] : traits;
  return written.map(({ target, scale, label_counts, intervals, raters }) => ({
    target,
    scale,
    labelCounts: label_counts ?? null,
    hasIntervals: intervals !== undefined,
    raters: raters ?? null,
  }));
}

/** The numbers of a golden text, in the order of the traits. */
export function perTrait(numbers: PerTrait): number[] {
  return typeof numbers === "number" ? [numbers] : numbers;
}

/** `hash` is that of the manifest. */
export function scorerInfo(manifest: Manifest, hash: string): ScorerInfo {
  const { max_length, prompt_template, letters, anchors, relative, score } = manifest.scorer;
  return {
    traits: traitsOf(manifest),
    maxLength: max_length,
    letters: letters ?? null,
    prompts: prompt_template !== undefined,
    anchors: anchors?.documents ?? [],
    canScore: score !== null,
    canRank: relative !== null,
    hash,
    bytes: totalBytes(manifest),
  };
}

/** Bytes of the largest tensor that goes to the device: the embedding table stays on the host. */
export function largestBuffer(manifest: Manifest): number {
  const onDevice = manifest.tensors.filter((tensor) => !tensor.name.endsWith("/embed_tokens.weight"));
  // A device without f16 gets f32; packed weights stay packed.
  const size = ({ dtype, shape, bytes }: Manifest["tensors"][number]) =>
    dtype === "q8" ? bytes : shape.reduce((n, dim) => n * dim, 4);
  const sizes = onDevice.map(size);
  return Math.max(0, ...sizes);
}
