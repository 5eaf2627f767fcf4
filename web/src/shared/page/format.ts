// Numbers as people read them.

import type { Scale } from "@pair2score/scorer";

/** Decimals that tell a hundredth of a scale: more than a scorer knows, but neighbours should not look equal. */
export function digits({ min, max }: Scale): number {
  return Math.min(Math.max(Math.ceil(Math.log10(100 / (max - min)) - 1e-9), 0), 6);
}

/** A number with so many decimals; what rounds to zero has no sign. */
export function decimals(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

export function score(value: number | null, scale: Scale): string {
  return value === null ? "–" : decimals(value, digits(scale));
}

/** A score as near as the scale has one: a scorer may go past its ends, and where those were only observed, rightly. */
export function within(value: number | null, { min, max, auto }: Scale): number | null {
  return value === null || auto === true ? value : Math.min(Math.max(value, min), max);
}

/** From where to where scores go. */
export function ends(scale: Scale): string {
  const [low, high] = [scale.min, scale.max].map((end) => Number(decimals(end, Math.max(2, digits(scale)))));
  return `${low} to ${high}`;
}

/** What the ends of a scale are, as the end of a sentence about a score. */
export function onScale(scale: Scale): string {
  return scale.auto === true ? `where the training labels go from ${ends(scale)}` : `on a scale from ${ends(scale)}`;
}

/** The name of a trait as a title. */
export function title(target: string): string {
  return target.charAt(0).toUpperCase() + target.slice(1);
}

/** Names as a sentence lists them. */
export function list(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}

/** As `ends`, and the steps where there are grades. */
export function scale(scale: Scale): string {
  return scale.step === undefined ? ends(scale) : `${ends(scale)} by ${Number(scale.step.toFixed(4))}`;
}

/** A grade of the scale. */
export function grade(value: number | null): string {
  return value === null ? "–" : String(Number(value.toFixed(4)));
}

/** Between which labels an interval lies, as what follows "likely". */
export function band([low, high]: [number, number], scale: Scale): string {
  const [from, to] = [low, high].map((end) => (scale.step === undefined ? score(end, scale) : grade(end)));
  return from === to ? `${from}` : `${from} to ${to}`;
}

export function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** How long the rest takes, as the end of a sentence, once that can be told. */
export function timeLeft(milliseconds: number, done: number, all: number): string {
  return milliseconds < 2000 || done === all ? "" : `, about ${roughly((milliseconds / done) * (all - done))} left`;
}

function roughly(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 90 * 60 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
