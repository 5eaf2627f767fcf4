// A scorer of 600 MB: shards go to the device one at a time, and the wasm never holds the whole.

import { createHash } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { ready, Served } from "./site";

const MIB = 2 ** 20;
const SHARD = 32 * MIB;
const [D, FF, HEADS, KV, HEAD_DIM, LAYERS, VOCABULARY] = [768, 3072, 12, 4, 64, 18, 32_768];

/** Names and shapes of the tensors of a scorer without adapters, in order. */
function tensors(): [string, number[]][] {
  const layer = (i: number): [string, number[]][] => [
    ["input_layernorm", [D]],
    ["post_attention_layernorm", [D]],
    ["self_attn.q_proj", [HEADS * HEAD_DIM, D]],
    ["self_attn.k_proj", [KV * HEAD_DIM, D]],
    ["self_attn.v_proj", [KV * HEAD_DIM, D]],
    ["self_attn.o_proj", [D, HEADS * HEAD_DIM]],
    ["mlp.gate_proj", [FF, D]],
    ["mlp.up_proj", [FF, D]],
    ["mlp.down_proj", [D, FF]],
  ].map(([name, shape]) => [`backbone/layers.${i}.${name as string}.weight`, shape as number[]]);
  return [
    ["backbone/embed_tokens.weight", [VOCABULARY, D]],
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
    ["backbone/norm.weight", [D]],
    ["score/head/0.weight", [D / 2, D]],
    ["score/head/0.bias", [D / 2]],
    ["score/head/2.weight", [1, D / 2]],
    ["score/head/2.bias", [1]],
  ];
}

/** Replaces the bundle by one whose weights are zeros, and gives its size. All full shards are one file. */
function writeLargeBundle(folder: string): number {
  const path = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown> & { scorer: object; config: object };
  let total = 0;
  const entries = tensors().map(([name, shape]) => {
    const bytes = shape.reduce((n, dim) => n * dim, 4);
    const entry = { name, dtype: "f32", shape, shard: Math.floor(total / SHARD), offset: total % SHARD, bytes };
    total += bytes;
    return entry;
  });
  rmSync(join(folder, "weights-000.bin"));
  const hashes = new Map<number, string>();
  const shards: { file: string; bytes: number; sha256: string | undefined }[] = [];
  for (let start = 0; start < total; start += SHARD) {
    const bytes = Math.min(SHARD, total - start);
    const file = `weights-${String(shards.length).padStart(3, "0")}.bin`;
    if (hashes.has(bytes)) linkSync(join(folder, "weights-000.bin"), join(folder, file));
    else {
      const zeros = Buffer.alloc(bytes);
      writeFileSync(join(folder, file), zeros);
      hashes.set(bytes, createHash("sha256").update(zeros).digest("hex"));
    }
    shards.push({ file, bytes, sha256: hashes.get(bytes) });
  }
  const config = {
    hidden_size: D,
    intermediate_size: FF,
    num_attention_heads: HEADS,
    num_key_value_heads: KV,
    head_dim: HEAD_DIM,
    num_hidden_layers: LAYERS,
    vocab_size: VOCABULARY,
  };
  const files = { adapters: [], fusion: false, head: "score/head", link: { kind: "identity" } };
  const large = {
    ...manifest,
    // Anchors lie among embeddings of another width.
    scorer: { ...manifest.scorer, anchors: undefined, relative: null, score: files },
    config: { ...manifest.config, ...config },
    adapters: {},
    shards,
    tensors: entries,
    golden: [],
  };
  writeFileSync(path, JSON.stringify(large));
  return total;
}

test("600 MB go through a wasm that stays small", async ({ page }) => {
  test.setTimeout(900_000);
  const site = await Served.start({ copy: true });
  try {
    const total = writeLargeBundle(join(site.folder, "bundle"));
    expect(total).toBeGreaterThan(600e6);
    await page.goto(`${site.url}?backend=webgpu`);
    await expect(page.getByTestId("load-progress")).toHaveAttribute("max", String(total));
    await ready(page, "webgpu", 600_000);
    // Nothing is scored: a software adapter takes minutes for one text of this size, and scores.spec.ts has the numbers.
    const peak = Number(await page.locator("#about").getAttribute("data-memory"));
    const table = VOCABULARY * D * 4;
    console.log(`bundle ${(total / 1e6).toFixed(0)} MB, of it ${(table / 1e6).toFixed(0)} MB table on the host; peak of the wasm ${(peak / 1e6).toFixed(0)} MB`);
    // The table, its last shard, and what is on its way to the device.
    expect(peak).toBeLessThan(table + 6 * SHARD);
  } finally {
    await site.stop();
  }
});
