// What is shown of a text in each trait.

import type { ScorerInfo, TextResult, TraitInfo, TraitResult } from "@pair2score/scorer";
import * as format from "../shared/page/format";

export interface Rated extends TraitInfo {
  /**
   * As calibrated, where the scorer holds a calibration, for raw scores are spread less than the grades of people; within
   * the scale. Null without stage 2.
   */
  score: number | null;
  /** Its grade; null where the scale has none. */
  grade: number | null;
  /** As the scorer gave it. */
  raw: TraitResult;
}

/** The traits of a scorer with what it says of a text. */
export function rated({ traits }: ScorerInfo, result: TextResult): Rated[] {
  return traits.flatMap((trait, place) => {
    const raw = result.traits[place];
    if (!raw) return [];
    const score = format.within(raw.calibrated ?? raw.score, trait.scale);
    return [{ ...trait, score, grade: raw.calibratedGrade ?? raw.grade, raw }];
  });
}

/** The words for a score and what it means, as the end of a sentence. */
export function inWords({ score, grade, scale }: Rated): string {
  const words = [`score ${format.score(score, scale)}`, format.onScale(scale)];
  if (grade !== null) words.splice(1, 0, `grade ${format.grade(grade)}`);
  return words.join(", ");
}

/** Whether a text is longer than what was read of it. */
export function isCut(result: TextResult): boolean {
  return result.fullLength > result.tokens;
}

/** Whether all traits have one scale, which then need not be said of each. */
export function shareScale(traits: readonly TraitInfo[]): boolean {
  const [first, ...others] = traits.map(({ scale: { min, max, step, auto } }) => JSON.stringify([min, max, step, auto]));
  return others.every((other) => other === first);
}
