// The log of the annotation page as a pure function: no browser.

import { expect, test } from "@playwright/test";
import { exportLines, historyOf, pace, replay, sittingSince } from "../src/annotation/log";
import { KEYS, withKey } from "../src/annotation/keys";
import type { Choice, Draft, LogEvent, Showing } from "../src/shared/judging";

const START = Date.parse("2026-05-01T10:00:00.000Z");

/** Entries with ids e1, e2, …, a minute apart. */
function log(...drafts: Draft[]): LogEvent[] {
  return drafts.map((draft, index) => ({
    ...draft,
    project: "p",
    n: index + 1,
    id: `e${index + 1}`,
    at: new Date(START + index * 60_000).toISOString(),
  }));
}

const showing = (left: string, right: string, kind: Showing["kind"] = "regular"): Showing => ({ left, right, kind });
const answered = (left: string, right: string, choice: Choice, milliseconds = 9000): Draft => ({
  kind: "answered",
  showing: showing(left, right),
  choice,
  milliseconds,
  judge: "me",
});

test("undo goes to the start, and what was taken back comes again in order", () => {
  const drafts: Draft[] = [
    answered("x", "y", "left"),
    answered("y", "z", "right"),
    { kind: "undone", of: "e2" },
    { kind: "undone", of: "e1" },
  ];
  const undone = replay(log(...drafts));
  expect(undone.answers).toEqual([]);
  expect(undone.pending).toEqual([showing("x", "y"), showing("y", "z")]);
  const again = replay(log(...drafts, answered("x", "y", "tie")));
  expect(again.pending).toEqual([showing("y", "z")]);
  expect(again.answers.map(({ choice }) => choice)).toEqual(["tie"]);
});

test("a grade is the last one that was given, and can be taken back", () => {
  const graded = (...grades: [string, number | null][]): Draft => ({ kind: "graded", grades, judge: "me" });
  const session = replay(log(graded(["x", 2], ["y", 3]), graded(["x", 4]), graded(["y", null])));
  expect([...session.grades]).toEqual([["x", 4]]);
  expect(exportLines(session, "quality")).toBe("");
});

test("taking back twice, as two tabs may, is taking back once", () => {
  const session = replay(log(answered("x", "y", "left"), answered("y", "z", "left"), { kind: "undone", of: "e1" }, { kind: "undone", of: "e1" }));
  expect(session.answers.map(({ id }) => id)).toEqual(["e2"]);
  expect(session.pending).toEqual([showing("x", "y")]);
});

test("replaying a log piece by piece or at once says the same, and leaves the entries alone", () => {
  const drafts: Draft[] = [];
  for (let index = 0; index < 300; index++) {
    // A few of everything, in an order that looks like chance.
    const sort = (index * 7919) % 11;
    if (sort < 7) drafts.push(answered(`d${index % 5}`, `d${(index % 5) + 1}`, (["left", "right", "tie", "skip"] as const)[index % 4] ?? "tie"));
    else if (sort < 9) drafts.push({ kind: "undone", of: `e${Math.max(1, index - (index % 3))}` });
    else if (sort < 10) drafts.push({ kind: "flagged", document: `d${index % 5}`, note: index % 2 ? "?" : null, judge: "me" });
    else drafts.push({ kind: "merged", file: "f", lines: `${index}\n`, count: 1 });
  }
  const entries = log(...drafts);
  const frozen = JSON.stringify(entries);
  const answers = (count: number) => replay(entries.slice(0, count)).answers.length;
  for (let count = 1; count <= entries.length; count++) expect(Math.abs(answers(count) - answers(count - 1))).toBeLessThanOrEqual(1);
  expect(replay(entries)).toEqual(replay(structuredClone(entries)));
  expect(JSON.stringify(entries)).toBe(frozen);
});

test("an export names documents in the order of their ids, and leaves skips out", () => {
  const session = replay(
    log(answered("z", "a", "left", 1500), answered("a", "z", "left"), answered("a", "b", "tie"), answered("a", "c", "skip"), {
      kind: "merged",
      file: "f",
      lines: '{"of":"others"}\n',
      count: 1,
    }),
  );
  const lines = exportLines(session, "quality").trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toHaveLength(4);
  expect(lines[0]).toEqual({
    run: 0,
    trait: "quality",
    split: "train",
    index: 0,
    a: "a",
    b: "z",
    y: 0,
    judge: "me",
    shown_left: "z",
    ms: 1500,
    at: "2026-05-01T10:00:00.000Z",
  });
  expect(lines.slice(1, 3).map(({ y }) => y)).toEqual([1, 0.5]);
});

test("history in numbers: left, right, kind, answer, and the open pair without one", () => {
  const places = new Map([["x", 0], ["y", 1]]);
  const { answers } = replay(log(answered("y", "x", "right"), answered("x", "y", "tie"), answered("x", "gone", "left")));
  expect([...historyOf(answers, showing("x", "y", "gold"), places)]).toEqual([1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 2, 3]);
});

test("flags: the last word counts", () => {
  const flag = (note: string | null): Draft => ({ kind: "flagged", document: "x", note, judge: "me" });
  expect(replay(log(flag("odd"), flag("very odd"))).flags.get("x")?.note).toBe("very odd");
  expect(replay(log(flag("odd"), flag(null))).flags.size).toBe(0);
});

test("a sitting ends with a pause, not with a long text", () => {
  const minute = 60_000;
  const { answers } = replay(log(answered("x", "y", "left"), answered("y", "z", "left"), answered("x", "z", "left", 30_000)));
  expect(sittingSince(answers, START + 3 * minute)).toBe(START - 9000);
  expect(sittingSince(answers, START + 20 * minute)).toBeNull();
  const slow = replay(log(answered("x", "y", "left", 600_000))).answers;
  expect(sittingSince(slow, START + minute)).toBe(START - 600_000);
  expect(pace(answers)).toBe(9000);
  expect(pace([])).toBeNull();
});

test("a key that is taken is exchanged", () => {
  expect(withKey(KEYS, "left", "T")).toEqual({ ...KEYS, left: "T", tie: "ArrowLeft" });
  expect(withKey(KEYS, "left", "1")).toEqual({ ...KEYS, left: "1" });
});
