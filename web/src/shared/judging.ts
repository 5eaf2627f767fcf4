// What the annotation page keeps: projects, documents, what a scorer read in them, and an append-only log of what a judge
// did.

import type { Scale } from "@pair2score/scorer";

/** Where regular pairs come from. */
export type Strategy = "balanced" | "adaptive" | "assisted" | "given";
/** Why a pair is shown: to learn about its documents, about the judge's consistency, or about the judge's care. */
export type Kind = "regular" | "repeat" | "gold";
export type Choice = "left" | "right" | "tie" | "skip";

/** A pair of a list, as `pair2score pairs propose` writes it. */
export interface Proposal {
  a: string;
  b: string;
  shown_left?: string;
  kind?: Kind;
}

/** A pair whose answer is known, as files of pairs have it. */
export interface GoldPair {
  a: string;
  b: string;
  /** 1 when `a` is better, 0 when `b` is, 0.5 for a tie. */
  y: number;
}

/** What is known about the scorer that has read the documents, also without network. */
export interface Reader {
  /** SHA-256 of its manifest; of one that reads prompts, of that and the prompt of the project. */
  scorer: string;
  /** Whether it says something of a text beside embedding it; a backbone alone does not. */
  says: boolean;
  /** The names of its traits, where there are several. */
  traits?: string[];
}

export interface Project {
  id: string;
  name: string;
  created: string;
  /** Who judges here, as exports say it. */
  judge: string;
  /** What is judged, the `trait` of exports; of a scorer of several traits, that of this name is asked. */
  target: string;
  question: string;
  rubric: string;
  /** What the texts answer that have no prompt of their own; absent until somebody says it. */
  prompt?: string;
  strategy: Strategy;
  /** Pairs that each document should be in. */
  perDocument: number;
  /** Shares of all pairs, in percent. */
  repeats: number;
  goldShare: number;
  gold: GoldPair[];
  goldName: string;
  list: Proposal[];
  listName: string;
  /** Minutes after which a break is suggested; 0 for never. */
  breakAfter: number;
  /** What a grade can be. */
  scale: Scale;
  /** Whether the page says when enough is judged. */
  advice: boolean;
  /** The scorer that has read all documents there were; null before one has. */
  reader: Reader | null;
  keys: Keys;
  /** Seed of what is left to chance. */
  seed: number;
}

export type Action = "left" | "tie" | "right" | "skip" | "undo" | "flag";
/** `KeyboardEvent.key` of each action. */
export type Keys = Record<Action, string>;

export interface StoredDocument {
  project: string;
  id: string;
  /** In the order of import, from 0. */
  place: number;
  text: string;
  /** What the text answers, which may be blank, where its file says so. */
  prompt?: string;
}

/** What becomes of a document: another id, another text, or nothing any more. */
export type DocumentChange = Extract<Draft, { kind: "renamed" | "removed" }> | (Extract<Draft, { kind: "corrected" }> & { text: string });

/** Two documents as they are shown. */
export interface Showing {
  left: string;
  right: string;
  kind: Kind;
}

/** An entry of the log before it has its place. */
export type Draft =
  | { kind: "answered"; showing: Showing; choice: Choice; milliseconds: number; judge: string }
  /** Takes the answer with this id back. */
  | { kind: "undone"; of: string }
  /** Marks a document; without a note the mark goes away. */
  | { kind: "flagged"; document: string; note: string | null; judge: string }
  /** Says what grades documents have; null takes one back. */
  | { kind: "graded"; grades: [document: string, grade: number | null][]; judge: string }
  /** Gives a document another id, with all that was said of it. */
  | { kind: "renamed"; document: string; to: string; judge: string }
  /** Gives a document another text; what was said of it stays. */
  | { kind: "corrected"; document: string; judge: string }
  /** Takes a document away, with all that was said of it. */
  | { kind: "removed"; document: string; judge: string }
  /** Judgements from a file, those that were not here, as JSONL. */
  | { kind: "merged"; file: string; lines: string; count: number };

/** An entry of the log: never changed, never removed. */
export type LogEvent = Draft & {
  project: string;
  /** From 1, without gaps. */
  n: number;
  /** The same on every device. */
  id: string;
  /** ISO 8601, UTC. */
  at: string;
};

/** What a scorer read in a document: its embedding, and last what it says of it in each trait, unless it is a backbone alone. */
export interface ReadDocument {
  project: string;
  /** As `Reader.scorer`. */
  scorer: string;
  id: string;
  row: Float32Array;
}
