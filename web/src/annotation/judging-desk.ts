// What the judging view works with, whoever chooses the pairs and keeps the answers: a project of this browser
// (`desk.ts`) or a collection on a server (`collection.ts`).

import type { Choice, Keys } from "../shared/judging";
import type { Timing } from "./log";

/** What is asked, and how it is answered. */
export interface Task {
  question: string;
  rubric: string;
  keys: Keys;
  /** Minutes after which a break is suggested; 0 for never. */
  breakAfter: number;
}

/** How far the judge is. */
export interface Standing {
  judged: number;
  skipped: number;
  /** Pairs to answer, where their number is known. */
  total: number | null;
  /** The answers by which pace and breaks are reckoned, in their order. */
  timings: readonly Timing[];
  canUndo: boolean;
  /** What the judge should know about how pairs are chosen; empty for nothing. */
  note: string;
}

/** Where judging stands. */
export type Screen = { kind: "no-documents" } | { kind: "pair"; texts: [string, string] } | { kind: "finished" };

export interface DeskEvents {
  /** The pair on the screen, anew for each. */
  screen(screen: Screen): void;
  /** Something else has changed. */
  change(): void;
  error(error: unknown): void;
}

export type Side = "left" | "right";

/** The notes about the two texts of a pair, also when another pair is on the screen by then. */
export interface Notes {
  read(side: Side): string | null;
  /** Without a note the flag goes away. */
  write(side: Side, note: string | null): Promise<unknown>;
}

export interface JudgingDesk {
  readonly task: Task;
  readonly standing: Standing;
  /** Notes on the texts of the pair on the screen; null where there is no pair. */
  readonly notes: Notes | null;
  answer(choice: Choice, milliseconds: number): Promise<unknown>;
  /** Takes the last answer back and shows its pair again. */
  undo(): Promise<unknown>;
}
