// A class as a whole: in each trait the mean of its scores, how far they reach, and how many texts have which grade.

import type { ScorerInfo } from "@pair2score/scorer";
import * as format from "../shared/page/format";
import { drawBars, tally } from "./histogram";
import { rated } from "./rated";
import type { ClassRow } from "./results";

/** A figure for each trait; none before a text has a score. */
export function summaryOf(rows: readonly ClassRow[], info: ScorerInfo): HTMLElement[] {
  const all = rows.flatMap(({ result }) => (result ? [rated(info, result)] : []));
  return info.traits.flatMap(({ target, scale }, place) => {
    const of = all.flatMap((traits) => traits[place] ?? []);
    const scores = of.flatMap(({ score }) => (score === null ? [] : [score]));
    if (scores.length === 0) return [];
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const [lowest, highest] = [Math.min(...scores), Math.max(...scores)].map((score) => format.score(score, scale));
    const name = info.traits.length > 1 ? `${format.title(target)}: mean` : "Mean";
    const summary = `${name} ${format.score(mean, scale)}, from ${lowest} to ${highest}, of ${format.count(scores.length, "text")}.`;
    const figure = document.createElement("figure");
    drawBars(figure, tally(of.flatMap(({ grade, score }) => grade ?? score ?? []), scale), scale, mean, summary);
    return [figure];
  });
}
