// What makes a score doubtful before anything is computed: a scorer has a number for whatever it is given.
//
// The tests know no words and no language; one knows how letters follow each other in the texts that the scorer learned
// from. The limits of the others lie outside of what 2,001 essays of learners (ELLIPSE) have, and
// were then tried on other texts: docs/web.md has the rates.

import type { Letters } from "@pair2score/scorer";
import { strangeness } from "./letters";

/** A reason to doubt, as a sentence and as a note in a table. */
export interface Doubt {
  note: string;
  sentence: string;
}

/** Words below which a text is short: the shortest essays have 27. */
const SHORT = 20;
/** Letters from which on their shares mean something. */
const LETTERS = 60;
/** Share of vowels among Latin letters: 0.35 to 0.53 in essays, 0.23 where keys are pressed at random. */
const VOWELS = [0.33, 0.56] as const;
/** Chance that two letters of a text are the same: 0.057 to 0.082 in essays, 0.04 where keys are pressed at random. */
const COINCIDENCE = [0.05, 0.1] as const;
/** Share of letters among what is no space: 0.91 and more in essays. */
const LETTER_SHARE = 0.7;
/** Words from which on repetition is looked for, and how many are looked at. */
const [SOME, FIRST] = [30, 100];
/** Share of different words among these: 0.32 and more in essays. */
const DIFFERENT = 0.25;

/** Standard deviations above what is usual: less than one essay in a thousand, and of other languages a few sentences. */
const STRANGE = 4;

const UNLIKE: Doubt = {
  note: "unlike a text",
  sentence: "This does not look like a written text. The scorer gives a number for anything; do not trust this one.",
};

const FOREIGN: Doubt = {
  note: "unlike what was learned",
  sentence:
    "Its letters do not follow each other as in the texts that the scorer learned from: it may be in another language, or in none. Do not trust this score.",
};

const NO_PROMPT: Doubt = {
  note: "no prompt",
  sentence: "There is no prompt, so the text was read alone. Give the prompt that it answers, if it answers one.",
};

/**
 * Why the score of a text should be doubted; nothing for most. `prompt` is null where the scorer reads none, `letters` where
 * it says nothing of them.
 */
export function doubts(text: string, prompt: string | null = null, letters: Letters | null = null): Doubt[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  const found: Doubt[] = [];
  if (words.length < SHORT) {
    const sentence = `The text has ${words.length === 1 ? "one word" : `${words.length} words`}. So little says hardly anything about its writer.`;
    found.push({ note: "short", sentence });
  }
  if (isOdd(text) || repeats(words)) found.push(UNLIKE);
  else if (letters && (strangeness(text, letters) ?? 0) > STRANGE) found.push(FOREIGN);
  if (prompt?.trim() === "") found.push(NO_PROMPT);
  return found;
}

/** Whether letters are few, or not distributed as any language distributes them. */
function isOdd(text: string): boolean {
  const visible = text.replace(/\s/gu, "").length;
  if (visible < LETTERS) return false;
  const letters = text.match(/\p{L}\p{M}*/gu) ?? [];
  if (letters.length < LETTER_SHARE * visible && letters.join("").length < LETTER_SHARE * visible) return true;
  // Vowels with accents are vowels.
  const latin = letters.map((letter) => letter.normalize("NFD").charAt(0).toLowerCase()).filter((letter) => letter >= "a" && letter <= "z");
  if (latin.length < LETTERS || latin.length < letters.length / 2) return false;
  const vowels = latin.filter((letter) => "aeiouy".includes(letter)).length / latin.length;
  return isOutside(vowels, VOWELS) || isOutside(coincidence(latin), COINCIDENCE);
}

function isOutside(value: number, [low, high]: readonly [number, number]): boolean {
  return value < low || value > high;
}

/** The chance that two letters, drawn without putting back, are the same. */
function coincidence(letters: string[]): number {
  const counts = new Map<string, number>();
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const same = [...counts.values()].reduce((sum, n) => sum + n * (n - 1), 0);
  return same / (letters.length * (letters.length - 1));
}

/** Whether the same few words come again and again. */
function repeats(words: string[]): boolean {
  const first = words.slice(0, FIRST);
  return first.length >= SOME && new Set(first).size < DIFFERENT * first.length;
}
