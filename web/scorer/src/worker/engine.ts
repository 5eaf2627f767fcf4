// The wasm: files with one interface, of which one is loaded.

import type { Backend, PairResult, Prompt, TextResult } from "../protocol.ts";

// Bundlers find files that are written so.
const PLAIN_WASM = new URL("../../wasm/cpu/pair2score_cpu_bg.wasm", import.meta.url);
const RELAXED_WASM = new URL("../../wasm/cpu/pair2score_cpu_relaxed_bg.wasm", import.meta.url);
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
  /** What the worker at a place of several reads of a text; undefined where there are too few tokens for so many. */
  share(text: string, prompt: Prompt, place: number, workers: number): Share | undefined;
  pass(share: Share, earlier: Float32Array[]): Promise<Float32Array>;
  /** Afterwards the share is gone. */
  score_shared(share: Share, earlier: Float32Array[]): Promise<TextResult>;
  compare(a: string, b: string, prompt: Prompt): Promise<PairResult>;
  embed(text: string, prompt: Prompt): Promise<Float32Array>;
  /** Afterwards the scorer is gone. */
  judged(heads: string, place: number, manifest: string, shard: Uint8Array): Promise<JudgedBundle>;
  free(): void;
}

/** What one of several workers reads of a text. */
export interface Share {
  /** Layers that it has not passed. */
  left(): number;
  /** Place of the first worker that reads something of the text. */
  first(): number;
  free(): void;
}

/** What replaces the end of a bundle. */
export interface JudgedBundle {
  manifest(): string;
  shards(): string[];
  shard(place: number): Uint8Array | undefined;
  free(): void;
}

/** A module of one function, which is `i32x4.relaxed_dot_i8x16_i7x16_add` of three zeros. */
const RELAXED_SIMD = Uint8Array.from(
  [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    // A function without arguments that gives a vector.
    [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
    [0x03, 0x02, 0x01, 0x00],
    [0x0a, 0x13, 0x01, 0x11, 0x00, ...[0, 0, 0].flatMap(() => [0x41, 0x00, 0xfd, 0x0f]), 0xfd, 0x93, 0x02, 0x0b],
  ].flat(),
);

/** The processor's file: where a browser has relaxed SIMD, the one whose products use it. */
const cpuWasm = (): URL => (WebAssembly.validate(RELAXED_SIMD) ? RELAXED_WASM : PLAIN_WASM);

export async function loadEngine(backend: Backend): Promise<Engine> {
  const [module, wasm] = backend === "webgpu" ? await webgpu() : await cpu();
  const { memory } = await module.default({ module_or_path: wasm });
  return {
    open: (manifest) => module.PageLoader.open(manifest),
    headsShard: (manifest) => module.heads_shard(manifest),
    wasm: [...new Set([wasm, cpuWasm()].map(({ href }) => href))],
    memory: () => memory.buffer.byteLength,
  };
}

async function cpu() {
  return [await import("../../wasm/cpu/pair2score_cpu.js"), cpuWasm()] as const;
}

async function webgpu() {
  return [await import("../../wasm/webgpu/pair2score_webgpu.js"), WEBGPU_WASM] as const;
}
