// How far the letters of a text follow each other otherwise than in the texts that a scorer learned from: what
// `crates/data/src/letters.rs` counts is compared here with one text.

import type { Letters } from "@pair2score/scorer";

/** Signs of a text below which its mean says nothing. */
const SHORTEST = 60;
/** Each stands for so many quarters of a bit. */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Standard deviations by which a text's bits per sign are above the usual; null of a text that is too short. */
export function strangeness(text: string, { alphabet, bits, mean, spread, deviation }: Letters): number | null {
  const signs = signsOf(text);
  if (signs.length <= SHORTEST) return null;
  const rows = new Map([" ", ...alphabet].map((sign, place) => [sign, place]));
  const place = (sign: string | undefined) => rows.get(sign ?? " ") ?? rows.size;
  let quarters = 0;
  for (let at = 1; at < signs.length; at++) quarters += DIGITS.indexOf(bits[place(signs[at - 1])]?.charAt(place(signs[at])) ?? "A");
  const pairs = signs.length - 1;
  return (quarters / 4 / pairs - mean) / Math.sqrt(deviation ** 2 + spread ** 2 / pairs);
}

/** The letters of a text in lower case, with a gap for whatever stands between them and at both ends. */
function signsOf(text: string): string[] {
  return [...` ${text.toLowerCase()} `.replace(/\P{Alphabetic}+/gu, " ")];
}
