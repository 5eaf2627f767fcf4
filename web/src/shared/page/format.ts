// Numbers as people read them.

import type { Scale } from "../protocol";

/** A score: two digits say more than the model knows, but neighbours should not look equal. */
export function score(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

/** A score as near as the scale has one: a scorer may go past its ends, and where those were only observed, rightly. */
export function within(value: number | null, { min, max, auto }: Scale): number | null {
  return value === null || auto === true ? value : Math.min(Math.max(value, min), max);
}

/** From where to where scores go. */
export function ends({ min, max }: Scale): string {
  const [low, high] = [min, max].map((end) => String(Number(end.toFixed(2))));
  return `${low} to ${high}`;
}

/** As `ends`, and the steps where there are grades. */
export function scale(scale: Scale): string {
  return scale.step === undefined ? ends(scale) : `${ends(scale)} by ${Number(scale.step.toFixed(4))}`;
}

/** A grade of the scale. */
export function grade(value: number | null): string {
  return value === null ? "–" : String(Number(value.toFixed(4)));
}

export function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
