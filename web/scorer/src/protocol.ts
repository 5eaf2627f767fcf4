// What a user of the package and its worker say to each other: two unions keyed by `kind`.

import type { Failure } from "./failure.ts";

/** Which implementation computes. */
export type Backend = "cpu" | "webgpu";

/** What the scorer says about a text in one trait. */
export interface TraitResult {
  /** In rubric units; null without stage 2. */
  score: number | null;
  /** Nearest grade; null without stage 2, and where the scale has no grades. */
  grade: number | null;
  /** The score as documents that did not decide it correct it, and the grade by their thresholds; null without calibration. */
  calibrated: number | null;
  calibratedGrade: number | null;
  /** The lowest and the highest label that people are likely to give; null without intervals. */
  interval: [number, number] | null;
  /** Utility by stage 1; null where there is none or it was not asked for. */
  utility: number | null;
  /** The places of the scorer's anchors that resemble the text most, the nearest first; none in comparisons. */
  nearest: number[];
}

/** What the scorer says about a text. */
export interface TextResult {
  /** In the order of the scorer's traits. */
  traits: TraitResult[];
  /** Tokens that were read. */
  tokens: number;
  /** Tokens of the whole text. */
  fullLength: number;
}

/** Two texts and, in each trait, the probability that the first is better (null without stage 1). */
export interface PairResult {
  texts: [TextResult, TextResult];
  preferences: (number | null)[];
}

/** What a score can be. */
export interface Scale {
  min: number;
  max: number;
  /** Distance of neighbouring grades; a continuous scale has none. */
  step?: number;
  /** Whether the ends are only those of the training labels. */
  auto?: boolean;
}

/** What is rated. */
export interface TraitInfo {
  /** Its name. */
  target: string;
  scale: Scale;
  /** Training documents of each grade, or of each of equal intervals of the scale, where the bundle knows. */
  labelCounts: number[] | null;
  /** Whether its scores have intervals. */
  hasIntervals: boolean;
  /** How far two people who label the same text lie apart, where training knew. */
  raters: Raters | null;
}

/** How far two people lie apart who label the same text. */
export interface Raters {
  /** Texts that say so. */
  documents: number;
  /** Mean distance of two labels of a text. */
  difference: number;
  /** Shares of the texts that got the same grade twice, and the same or a neighbouring one; absent where it is not known. */
  same?: number;
  neighbours?: number;
}

/** A document whose labels are known, with which texts are compared. */
export interface AnchorDocument {
  id: string;
  /** In the order of the traits; null in one that it is no anchor of. */
  labels: (number | null)[];
  /** Absent unless training was asked to keep texts. */
  text?: string;
}

/** How letters follow each other in the texts that a scorer was trained on, as `manifest.json` has it. */
export interface Letters {
  /** The most frequent letters; signs are the gap between words, these, and any other letter. */
  alphabet: string;
  /** For each sign what each sign after it is worth: a digit of Base64 for so many quarters of a bit. */
  bits: string[];
  /** Mean of texts in bits per sign, standard deviation of single signs, and that of texts beside it. */
  mean: number;
  spread: number;
  deviation: number;
}

/** What is known about a scorer. */
export interface ScorerInfo {
  /** At least one. */
  traits: TraitInfo[];
  maxLength: number;
  /** By which texts of another language are known; null in scorers of older versions. */
  letters: Letters | null;
  /** Whether a text is read with the prompt that it answers. */
  prompts: boolean;
  /** None in scorers of older versions. */
  anchors: AnchorDocument[];
  canScore: boolean;
  canRank: boolean;
  /** SHA-256 of the manifest: which scorer it is. */
  hash: string;
  /** Size of the weights. */
  bytes: number;
}

/** What a text answers, which may be blank; null for a scorer that reads no prompts. */
export type Prompt = string | null;

export type Request =
  /** `kept`: only files that the browser keeps are read, and nothing is fetched. */
  | { kind: "load"; bundle: string; backend: Backend | null; kept: boolean }
  | { kind: "score"; id: number; text: string; prompt: Prompt }
  /**
   * A share of a text that several workers score, in an order. What it comes to, layer by layer, goes to the workers behind it,
   * and the last of them answers with the score.
   */
  | { kind: "share"; id: number; text: string; prompt: Prompt; before: MessagePort[]; behind: MessagePort[] }
  | { kind: "compare"; id: number; a: string; b: string; prompt: Prompt }
  | { kind: "embed"; id: number; text: string; prompt: Prompt }
  /**
   * Puts heads that came from judgements in the place of the scorer's own, those of the trait at this place, as a bundle
   * that is kept at this address.
   */
  | { kind: "judge"; id: number; heads: string; place: number; address: string }
  | { kind: "cancel"; id: number };

export type Reply =
  /** Bytes of the weights that are on the device, and how many of them had to be fetched. */
  | { kind: "progress"; loaded: number; total: number; fetched: number }
  /** Something the reader should know that does not stop anything. */
  | { kind: "notice"; notice: Failure }
  /** The graphics device failed while loading. This worker is of no more use; another one can load on the processor. */
  | { kind: "abandoned"; notice: Failure }
  /** `memory` is the peak of the wasm's, in bytes. */
  | { kind: "ready"; backend: Backend; info: ScorerInfo; keep: string[]; memory: number }
  | { kind: "scored"; id: number; result: TextResult }
  /** A share that is not the last has been read. */
  | { kind: "shared"; id: number; result: null }
  | { kind: "compared"; id: number; result: PairResult }
  /** The embedding of a text, and last what the scorer says of it in each trait, unless it is a backbone alone. */
  | { kind: "embedded"; id: number; result: Float32Array }
  | { kind: "judged"; id: number; result: null }
  /** `id` is null when loading failed. */
  | { kind: "failed"; id: number | null; error: Failure };
