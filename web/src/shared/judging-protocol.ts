// What the annotation page and its two workers say to each other: calls with a number, and answers to them.

import type { GoldPair, Proposal, Strategy } from "./judging";
import type { Failure, Scale } from "@pair2score/scorer";

/** What a scorer read in documents, and where: the worker takes it from the database. */
export interface Reading {
  project: string;
  scorer: string;
  /** Grows whenever documents are imported or changed; what was read before then may be of other texts. */
  state: number;
  says: boolean;
  /** How many traits it rates, and the place of the one that counts. */
  traits: number;
  place: number;
}

/** What the worker needs to choose pairs; see `Settings` in `crates/web`. */
export interface PlanSettings {
  documents: string[];
  judge: string;
  seed: number;
  strategy: Strategy;
  list: Proposal[];
  perDocument: number;
  repeats: number;
  goldShare: number;
  gold: GoldPair[];
  others: string;
}

export interface SplitHalf {
  correlation: number;
  sd: number;
  reliability: number | null;
  divisions: number;
}

export interface JudgeStats {
  judge: string;
  judgements: number;
  ties: number;
  sided: number;
  left: number;
  repeats: number;
  consistent: number;
  compared: number;
  agreed: number;
  gold: number;
  gold_right: number;
  median_ms: number | null;
  infit: number | null;
}

export interface DocumentStats {
  id: string;
  utility: number;
  se: number;
  n: number;
  wins: number;
  ties: number;
  losses: number;
  infit: number | null;
}

/** The account of a log, in the words of `pair2score judgements stats --json`. */
export interface Stats {
  judgements: number;
  pairs: number;
  ties: number;
  nu: number;
  /** How far the order can be trusted, in one sentence. */
  trust: string;
  unconnected_parts: number;
  scale_separation: number | null;
  split_half: SplitHalf | null;
  split_half_judges: SplitHalf | null;
  sided: number;
  left: number;
  median_ms: number | null;
  agreement: {
    shared_pairs: number;
    percentage: number | null;
    cohen_kappa: number | null;
    alpha_nominal: number | null;
    alpha_ordinal: number | null;
  };
  judges: JudgeStats[];
  documents: DocumentStats[];
}

/** What judgements, texts and grades say of a document that was judged or not. */
export interface InferredDocument extends DocumentStats {
  /** On the scale, with the ends of the interval that holds 90 %; null without enough grades. */
  score: number | null;
  low: number | null;
  high: number | null;
  /**
   * How far the judges place it from what its text tells, in standard deviations of what is usual; null without a reader,
   * and for a document that was not judged.
   */
  surprise: number | null;
}

/** What follows for all documents; see `Account` in `crates/web`. */
export interface Inference {
  /** In the order of the project. */
  documents: InferredDocument[];
  /** Share of the spread of the places that is known: with what the texts tell, and from judgements alone. */
  told: number | null;
  alone: number | null;
  /** How far the order can be trusted, in one sentence. */
  trust: string;
  /** Judgements until that share is 0.8, and until intervals are half as wide; null where they tell nothing. */
  enough: number | null;
  half: number | null;
  /** Why there are no scores although there are grades. */
  problem: string | null;
  /** What to check about the grades; null for nothing. */
  caution: string | null;
}

/** What to infer from. */
export interface InferenceInput {
  log: string;
  documents: string[];
  reading: Reading | null;
  /** Documents by their places. */
  grades: [number, number][];
  scale: Scale;
}

/** The calls of the worker of judgements: what goes in and what comes out. */
export interface JudgementCalls {
  /** Begins a plan; gives the number of its regular pairs. */
  plan: { in: { settings: PlanSettings; reading: Reading | null }; out: number };
  /** The next pair as left, right and kind; null at the end of the plan. */
  next: { in: { history: Uint32Array; taken: Uint32Array }; out: [number, number, number] | null };
  /** Chooses ahead what takes long; nobody waits for it. */
  prepare: { in: { history: Uint32Array }; out: void };
  statistics: { in: { log: string; gold: GoldPair[] }; out: Stats };
  fit: { in: { log: string }; out: string };
  infer: { in: InferenceInput; out: Inference };
  /** The same as a table. */
  table: { in: InferenceInput; out: string };
  /** Heads that score texts to come, for the worker of the scorer. */
  heads: { in: InferenceInput & { target: string }; out: string };
  merge: {
    in: { existing: string; name: string; text: string; target: string; documents: string[] };
    out: { lines: string; added: number; duplicates: number };
  };
  list: { in: { name: string; text: string }; out: Proposal[] };
  gold: { in: { name: string; text: string }; out: GoldPair[] };
}

/** What an import found. */
export interface Imported {
  added: number;
  /** Documents that were here already. */
  known: number;
  /** What the reader should know. */
  notes: string[];
  /** Grades that the files have. */
  grades: [string, number][];
}

/** The calls of the worker of documents. */
export interface DocumentCalls {
  import: { in: { project: string; files: File[] }; out: Imported };
  /** All documents of a project as CSV. */
  export: { in: { project: string }; out: Blob };
}

export type Call<C, K extends keyof C = keyof C> = { [P in K]: { id: number; kind: P; input: In<C, P> } }[K];
export type In<C, K extends keyof C> = C[K] extends { in: infer I } ? I : never;
export type Out<C, K extends keyof C> = C[K] extends { out: infer O } ? O : never;
export type Answer = { id: number; output: unknown } | { id: number; error: Failure };
