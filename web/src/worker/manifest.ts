// The parts of `manifest.json` that the page needs. The wasm has checked the whole of it before this reads it.

import { PageError } from "../shared/failure";
import type { Scale, ScorerInfo } from "../shared/protocol";

/** A file of the bundle. */
export interface BundleFile {
  file: string;
  bytes: number;
  sha256: string;
}

export interface Golden {
  text: string;
  score: number | null;
  utility: number | null;
}

export interface Manifest {
  scorer: {
    target: string;
    scale: Scale;
    max_length: number;
    label_counts?: number[];
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
    throw new PageError("manifest", "manifest.json is not JSON. Export the scorer again, or copy the whole folder.");
  }
}

export function totalBytes(manifest: Manifest): number {
  return manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
}

/** `hash` is that of the manifest. */
export function scorerInfo(manifest: Manifest, hash: string): ScorerInfo {
  const { target, scale, max_length, label_counts, relative, score } = manifest.scorer;
  return {
    target,
    scale,
    maxLength: max_length,
    labelCounts: label_counts ?? null,
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
