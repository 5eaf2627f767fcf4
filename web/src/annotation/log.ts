// What a log means: a pure function of its entries.

import type { Choice, Kind, LogEvent, Showing } from "../shared/judging";

/** An answer that was not taken back. */
export interface Answered {
  id: string;
  at: string;
  showing: Showing;
  choice: Choice;
  milliseconds: number;
  judge: string;
}

/** When an answer was given, and how long it took. */
export type Timing = Pick<Answered, "choice" | "at" | "milliseconds">;

/** What a judge noted about a document. */
export interface Flag {
  document: string;
  note: string;
  judge: string;
  at: string;
}

export interface Session {
  /** In the order they were given. */
  answers: readonly Answered[];
  /** Pairs whose answer was taken back and that were not answered since; the first is to be shown first. */
  pending: readonly Showing[];
  flags: ReadonlyMap<string, Flag>;
  /** Documents whose grade is known. */
  grades: ReadonlyMap<string, number>;
  /** Judgements from files, JSONL. */
  merged: string;
  /** How often a document was changed. */
  changes: number;
}

export function replay(log: readonly LogEvent[]): Session {
  const answers = new Map<string, Answered>();
  const flags = new Map<string, Flag>();
  const grades = new Map<string, number>();
  let pending: Showing[] = [];
  let merged = "";
  let changes = 0;
  for (const event of log) {
    switch (event.kind) {
      case "answered": {
        const { id, at, showing, choice, milliseconds, judge } = event;
        const waiting = pending.findIndex((other) => isSame(other, showing));
        if (waiting >= 0) pending = pending.filter((_, index) => index !== waiting);
        answers.set(id, { id, at, showing, choice, milliseconds, judge });
        break;
      }
      case "undone": {
        // Two tabs may take back the same answer; once is enough.
        const answer = answers.get(event.of);
        if (answer) pending = [answer.showing, ...pending];
        answers.delete(event.of);
        break;
      }
      case "flagged": {
        const { document, note, judge, at } = event;
        if (note === null) flags.delete(document);
        else flags.set(document, { document, note, judge, at });
        break;
      }
      case "graded":
        for (const [document, grade] of event.grades) {
          if (grade === null) grades.delete(document);
          else grades.set(document, grade);
        }
        break;
      case "merged":
        merged += event.lines;
        break;
      case "corrected":
        changes += 1;
        break;
      case "renamed":
      case "removed": {
        changes += 1;
        const becomes = event.kind === "renamed" ? event.to : null;
        const of = (id: string) => (id === event.document ? becomes : id);
        for (const [id, answer] of answers) {
          const showing = shownAs(answer.showing, of);
          if (showing === null) answers.delete(id);
          else answer.showing = showing;
        }
        pending = pending.flatMap((showing) => shownAs(showing, of) ?? []);
        merged = linesAs(merged, of);
        const [flag, grade] = [flags.get(event.document), grades.get(event.document)];
        flags.delete(event.document);
        grades.delete(event.document);
        if (becomes !== null && flag) flags.set(becomes, { ...flag, document: becomes });
        if (becomes !== null && grade !== undefined) grades.set(becomes, grade);
        break;
      }
    }
  }
  return { answers: [...answers.values()], pending, flags, grades, merged, changes };
}

/** What a document is called now; null where it is no more. */
type Names = (id: string) => string | null;

/** A pair under the names that its documents have now; null where one is no more. */
export function shownAs<P extends { left: string; right: string }>(pair: P, of: Names): P | null {
  const [left, right] = [of(pair.left), of(pair.right)];
  return left === null || right === null ? null : { ...pair, left, right };
}

/** As `shownAs`, of a pair of a list; who is shown left is one of the two. */
export function pairAs<P extends { a: string; b: string; shown_left?: string }>(pair: P, of: Names): P | null {
  const [a, b] = [of(pair.a), of(pair.b)];
  if (a === null || b === null) return null;
  const shown = pair.shown_left === undefined ? null : of(pair.shown_left);
  return { ...pair, a, b, ...(shown !== null && { shown_left: shown }) };
}

/** As `pairAs`, of judgements as JSONL. */
function linesAs(lines: string, of: Names): string {
  const kept = lines.split("\n").filter(Boolean).flatMap((line) => {
    const pair = pairAs(JSON.parse(line) as { a: string; b: string }, of);
    return pair ? [JSON.stringify(pair) + "\n"] : [];
  });
  return kept.join("");
}

export function isSame(one: Showing, other: Showing): boolean {
  return one.left === other.left && one.right === other.right && one.kind === other.kind;
}

export function isJudgement(answer: Pick<Answered, "choice">): boolean {
  return answer.choice !== "skip";
}

/** The judgements as JSONL, this page's first. `a` and `b` are in the order of their ids: nothing shows who was first. */
export function exportLines(session: Session, target: string): string {
  const lines = session.answers.filter(isJudgement).map(({ showing: { left, right }, choice, milliseconds, judge, at }, index) => {
    const [a, b] = left < right ? [left, right] : [right, left];
    const y = choice === "tie" ? 0.5 : Number((choice === "left" ? left : right) === a);
    return JSON.stringify({ run: 0, trait: target, split: "train", index, a, b, y, judge, shown_left: left, ms: milliseconds, at });
  });
  return lines.map((line) => line + "\n").join("") + session.merged;
}

const KINDS: Kind[] = ["regular", "repeat", "gold"];
const ANSWERS: Choice[] = ["right", "tie", "left", "skip"];

/** What was shown, as the numbers that the wasm takes; `open` is on the screen and has no answer yet. */
export function historyOf(answers: readonly Answered[], open: Showing | null, places: ReadonlyMap<string, number>): Uint32Array {
  const numbers: number[] = [];
  const add = ({ left, right, kind }: Showing, choice: Choice) => {
    const [a, b] = [places.get(left), places.get(right)];
    if (a !== undefined && b !== undefined) numbers.push(a, b, KINDS.indexOf(kind), ANSWERS.indexOf(choice));
  };
  for (const { showing, choice } of answers) add(showing, choice);
  if (open) add(open, "skip");
  return Uint32Array.from(numbers);
}

/** The numbers of a pair, as documents. */
export function showingOf([left, right, kind]: [number, number, number], ids: readonly string[]): Showing | null {
  const [a, b] = [ids[left], ids[right]];
  return a === undefined || b === undefined ? null : { left: a, right: b, kind: KINDS[kind] ?? "regular" };
}

/** Longer pauses end a sitting. */
const PAUSE = 5 * 60_000;

/** When the sitting began that is going on at `now`; null when none is. */
export function sittingSince(answers: readonly Timing[], now: number): number | null {
  let since: number | null = null;
  let later = now;
  for (let index = answers.length - 1; index >= 0; index--) {
    const answer = answers[index];
    if (!answer) break;
    const at = Date.parse(answer.at);
    if (later - at > PAUSE + answer.milliseconds) break;
    // A pair that was read for long was read in this sitting.
    since = at - answer.milliseconds;
    later = at;
  }
  return since;
}

/** The median time of the last judgements, milliseconds. */
export function pace(answers: readonly Timing[]): number | null {
  const times = answers.filter(isJudgement).slice(-20).map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)];
  return middle === undefined ? null : middle;
}
