// Scorers of other traits and scales, made of the ready one: a head whose last layer is scaled and shifted gives scores that
// follow from the ready scorer's by arithmetic.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Served } from "./site";

/** A trait that is scored `factor * score + shift`, and ranked by `factor * utility`, of the ready scorer's. */
export interface Derived {
  target: string;
  scale: { min: number; max: number; step?: number; auto?: boolean };
  factor: number;
  shift: number;
  label_counts?: number[];
  intervals?: { level: number; documents: number; thresholds: number[]; half_widths: number[] };
  raters?: { documents: number; difference: number; same?: number; neighbours?: number };
  /** Whether the scorer has anchors, if all of its traits say so; their texts stay out. */
  anchors?: boolean;
  calibration?: { method: "linear"; documents: number; knots: [number, number][]; thresholds: number[] };
}

const GRADES = { min: 1, max: 5, step: 0.5 };

/** A trait as the ready scorer has it, one that is its opposite and has a calibration, and one on a continuous scale. */
export const THREE: [Derived, Derived, Derived] = [
  { target: "grammar", scale: GRADES, factor: 1, shift: 0, label_counts: [16, 16, 37, 52, 55, 37, 30, 17, 12] },
  {
    target: "vocabulary",
    scale: GRADES,
    factor: -1,
    shift: 6,
    calibration: { method: "linear", documents: 100, knots: [[2, 1], [4, 5]], thresholds: [2.25, 2.5, 2.75, 3, 3.25, 3.5, 3.75, 4] },
  },
  { target: "task response", scale: { min: 0, max: 100 }, factor: 25, shift: -25, label_counts: [5, 9, 20, 31, 40, 38, 30, 21, 10, 4] },
];

/** Six traits on one scale, as essays are often rated. */
export const SIX: Derived[] = ["cohesion", "syntax", "vocabulary", "phraseology", "grammar", "conventions"].map((target, place) => ({
  target,
  scale: GRADES,
  factor: place % 2 === 0 ? 1 : -0.8,
  shift: place % 2 === 0 ? 0.1 * place : 5.5,
}));

interface Tensor {
  name: string;
  dtype: string;
  shape: number[];
  shard: number;
  offset: number;
  bytes: number;
}

const HEADS = ["relative/head/weight", "score/head/0.weight", "score/head/0.bias", "score/head/2.weight", "score/head/2.bias"];

const ANCHORS = "anchors/";

/** Serves a site whose scorer has these traits. */
export async function serveTraits(traits: Derived[]): Promise<Served> {
  const served = await Served.start({ copy: true });
  const folder = join(served.folder, "bundle");
  const path = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  const shard = manifest.shards[0];
  const weights = readFileSync(join(folder, shard.file));
  const heads = (manifest.tensors as Tensor[]).filter(({ name }) => HEADS.includes(name));
  const anchors = (manifest.tensors as Tensor[]).filter(({ name }) => name.startsWith(ANCHORS));
  manifest.tensors = (manifest.tensors as Tensor[]).filter(({ name }) => !HEADS.includes(name) && !name.startsWith(ANCHORS));
  const begin = Math.min(...heads.map(({ offset }) => offset));
  const parts: Uint8Array[] = [weights.subarray(0, begin)];
  let offset = begin;
  // As an export orders them: all heads of stage 1, then those of stage 2.
  for (const stage of ["relative", "score"]) {
    traits.forEach((trait, place) => {
      for (const head of heads.filter(({ name }) => name.startsWith(stage))) {
        const bytes = changed(weights.subarray(head.offset, head.offset + head.bytes), head.name, trait);
        manifest.tensors.push({ ...head, name: head.name.replace("/head/", `/${named(place)}/`), offset });
        parts.push(bytes);
        offset += bytes.length;
      }
    });
  }
  if (traits.every(({ anchors }) => anchors ?? true)) {
    for (const tensor of anchors) {
      manifest.tensors.push({ ...tensor, offset });
      parts.push(weights.subarray(tensor.offset, tensor.offset + tensor.bytes));
      offset += tensor.bytes;
    }
    for (const anchor of manifest.scorer.anchors.documents) {
      anchor.labels = traits.map(({ factor, shift }) => factor * anchor.labels[0] + shift);
      delete anchor.text;
    }
  } else delete manifest.scorer.anchors;
  const content = Buffer.concat(parts);
  writeFileSync(join(folder, shard.file), content);
  manifest.shards = [{ ...shard, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") }];
  manifest.scorer = settings(manifest.scorer, traits);
  manifest.golden = manifest.golden.map(({ text, score, utility }: { text: string; score: number; utility: number }) => {
    const numbers = (number: number, shifted: boolean) => {
      const all = traits.map(({ factor, shift }) => factor * number + (shifted ? shift : 0));
      return traits.length === 1 ? all[0] : all;
    };
    return { text, score: numbers(score, true), utility: numbers(utility, false) };
  });
  writeFileSync(path, JSON.stringify(manifest));
  return served;
}

const named = (place: number) => (place === 0 ? "head" : `head-${place}`);

/** The tensor of a head as the trait has it. */
function changed(bytes: Buffer, name: string, { factor, shift }: Derived): Buffer {
  const last = ["relative/head/weight", "score/head/2.weight", "score/head/2.bias"].includes(name);
  const copy = Buffer.from(bytes);
  for (let at = 0; last && at < copy.length; at += 4) {
    copy.writeFloatLE(factor * copy.readFloatLE(at) + (name.endsWith("2.bias") ? shift : 0), at);
  }
  return copy;
}

/** What changes in `scorer` of the manifest. */
interface Ready {
  target: string;
  scale: object;
  label_counts: number[];
  intervals: object;
  relative: { head: string };
  score: { head: string; link: object };
}

/** `scorer` of the manifest: format 1 for one trait, 2 for several. */
function settings(ready: Ready, traits: Derived[]): object {
  const { target: _target, scale: _scale, label_counts: _counts, intervals: _intervals, relative, score, ...rest } = ready;
  const written = ({ target, scale, label_counts, intervals, raters, calibration }: Derived) => ({
    target,
    scale,
    ...(label_counts && { label_counts }),
    ...(intervals && { intervals }),
    ...(raters && { raters }),
    ...(calibration && { calibration }),
  });
  const [one] = traits;
  if (traits.length === 1 && one) return { ...rest, ...written(one), relative, score };
  const { head: _relative, ...relativeFiles } = relative;
  const { head: _score, link, ...scoreFiles } = score;
  return {
    ...rest,
    format: 2,
    traits: traits.map((trait, place) => ({ ...written(trait), relative: `relative/${named(place)}`, score: { head: `score/${named(place)}`, link } })),
    relative: relativeFiles,
    score: scoreFiles,
  };
}
