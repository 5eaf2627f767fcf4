// What is shown of a text in each trait.

import type { Scale, ScorerInfo, TextResult, TraitInfo, TraitResult } from "@pair2score/scorer";
import * as format from "../shared/page/format";

/** A graded document. */
export interface Near {
  id: string;
  label: number;
  /** Null unless training was asked to keep texts. */
  text: string | null;
}

export interface Rated extends TraitInfo {
  /**
   * As calibrated, where the scorer holds a calibration, for raw scores are spread less than the grades of people; within
   * the scale. Null without stage 2.
   */
  score: number | null;
  /** Its grade; null where the scale has none. */
  grade: number | null;
  /** Between which labels people would likely say; null where the scorer has no intervals. */
  interval: [number, number] | null;
  /** The graded documents that resemble the text most, the nearest first. */
  nearest: Near[];
  /** As the scorer gave it. */
  raw: TraitResult;
}

/** The traits of a scorer with what it says of a text. */
export function rated({ traits, anchors }: ScorerInfo, result: TextResult): Rated[] {
  const near = (anchor: number, place: number): Near[] => {
    const { id = "", labels = [], text = null } = anchors[anchor] ?? {};
    const label = labels[place] ?? null;
    return label === null ? [] : [{ id, label, text }];
  };
  return traits.flatMap((trait, place) => {
    const raw = result.traits[place];
    if (!raw) return [];
    const score = format.within(raw.calibrated ?? raw.score, trait.scale);
    const nearest = raw.nearest.flatMap((anchor) => near(anchor, place));
    return [{ ...trait, score, grade: raw.calibratedGrade ?? raw.grade, interval: raw.interval ?? null, nearest, raw }];
  });
}

/** The words for a score and what it means, as the end of a sentence. */
export function inWords({ score, grade, interval, scale }: Rated): string {
  const words = [`score ${format.score(score, scale)}`];
  if (grade !== null) words.push(`grade ${format.grade(grade)}`);
  if (interval !== null) words.push(likely(interval, scale));
  return [...words, format.onScale(scale)].join(", ");
}

/** The words for an interval. */
export function likely(interval: [number, number], scale: Scale): string {
  return `likely ${format.band(interval, scale)}`;
}

/** What two people who label the same text would differ by, as a sentence; empty where training did not know. */
export function apart({ raters, scale }: TraitInfo): string {
  if (raters === null) return "";
  const { documents, difference, same, neighbours } = raters;
  const by = `differ by about ${format.score(difference, scale)}`;
  const texts = format.count(documents, "text");
  if (same === undefined || neighbours === undefined) return `Two people who rate the same text ${by}, as ${texts} say.`;
  const percent = (share: number) => `${(100 * share).toFixed(0)}\u00a0%`;
  return `Two people who grade the same text ${by}: of ${texts}, ${percent(same)} got the same grade twice, and ${percent(neighbours)} the same or a neighbouring one.`;
}

/** Whether a text is longer than what was read of it. */
export function isCut(result: TextResult): boolean {
  return result.fullLength > result.tokens;
}

/** What to know of a text that was not read to its end. */
export function cutSentence({ tokens, fullLength }: TextResult): string {
  const share = (100 * tokens) / fullLength;
  const percent = share < 1 ? "less than 1" : share.toFixed(0);
  return `Only ${percent}\u00a0% of the text was read: it has ${format.count(fullLength, "token")} and the scorer reads ${tokens.toLocaleString("en")}, so the end of it did not count.`;
}

/** Whether all traits have one scale, which then need not be said of each. */
export function shareScale(traits: readonly TraitInfo[]): boolean {
  const [first, ...others] = traits.map(({ scale: { min, max, step, auto } }) => JSON.stringify([min, max, step, auto]));
  return others.every((other) => other === first);
}
