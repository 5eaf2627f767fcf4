// The wasm: two files with one interface, of which one is loaded.

import type { Backend, PairResult, Prompt, TextResult } from "../protocol.ts";

// Bundlers find files that are written so.
const CPU_WASM = new URL("../../wasm/cpu/pair2score_cpu_bg.wasm", import.meta.url);
const WEBGPU_WASM = new URL("../../wasm/webgpu/pair2score_webgpu_bg.wasm", import.meta.url);

/** What both files offer, with the results that the Rust side promises. */
export interface Engine {
  open(manifest: string): Promise<Loader>;
  /** The shard in which a scorer's heads begin. */
  headsShard(manifest: string): number;
  /** Addresses of wasm files to keep for visits without network: its own, and that of the processor, which takes over. */
  wasm: string[];
  /** Bytes of the wasm's memory, which grows and never shrinks. */
  memory(): number;
}

export interface Loader {
  put(shard: Uint8Array): Promise<void>;
  put_tokenizer(tokenizer: Uint8Array): void;
  finish(): Scorer;
  free(): void;
}

export interface Scorer {
  score(text: string, prompt: Prompt): Promise<TextResult>;
  compare(a: string, b: string, prompt: Prompt): Promise<PairResult>;
  embed(text: string, prompt: Prompt): Promise<Float32Array>;
  /** Afterwards the scorer is gone. */
  judged(heads: string, place: number, manifest: string, shard: Uint8Array): Promise<JudgedBundle>;
  free(): void;
}

/** What replaces the end of a bundle. */
export interface JudgedBundle {
  manifest(): string;
  shards(): string[];
  shard(place: number): Uint8Array | undefined;
  free(): void;
}

export async function loadEngine(backend: Backend): Promise<Engine> {
  const [module, wasm] = backend === "webgpu" ? await webgpu() : await cpu();
  const { memory } = await module.default({ module_or_path: wasm });
  return {
    open: (manifest) => module.PageLoader.open(manifest),
    headsShard: (manifest) => module.heads_shard(manifest),
    wasm: [...new Set([wasm, CPU_WASM].map(({ href }) => href))],
    memory: () => memory.buffer.byteLength,
  };
}

async function cpu() {
  return [await import("../../wasm/cpu/pair2score_cpu.js"), CPU_WASM] as const;
}

async function webgpu() {
  return [await import("../../wasm/webgpu/pair2score_webgpu.js"), WEBGPU_WASM] as const;
}
