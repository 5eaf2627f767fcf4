// The answer of a scorer of one trait: its number as a figure, and where it lies among the training scores.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { drawHistogram } from "./histogram";
import { nearestList } from "./nearest";
import { apart, likely, type Rated } from "./rated";

export class Figures {
  show(one: Rated): void {
    const { scale, raw } = one;
    const value = byId("score-value", HTMLElement);
    value.textContent = format.score(format.within(raw.score, scale), scale);
    // The exact number, for whoever compares it.
    value.dataset["exact"] = String(raw.score);
    setText("grade-value", format.grade(raw.grade));
    byId("raw-grade", HTMLElement).hidden = raw.grade === null;
    if (raw.calibrated !== null) this.showCalibrated(one);
    const band = one.interval === null ? "" : likely(one.interval, scale);
    setText("band", band === "" || one.grade === null ? band : `, ${band}`);
    setText("scale-value", format.onScale(scale));
    setText("exact-value", raw.score === null ? "–" : format.decimals(raw.score, format.digits(scale) + 2));
    setText("raters", apart(one));
    byId("nearest", HTMLElement).replaceChildren(...nearestList(one, "Graded documents that resemble it most"));
    drawHistogram(byId("histogram", HTMLElement), one);
  }

  clear(): void {
    setText("score-value", "");
    byId("nearest", HTMLElement).replaceChildren();
    delete byId("score-value", HTMLElement).dataset["exact"];
  }

  /** The calibrated score and grade are the answer, the raw ones details. */
  private showCalibrated({ score, grade, scale }: Rated): void {
    setText("calibrated-value", format.score(score, scale));
    setText("calibrated-grade-value", format.grade(grade));
    byId("raw-score-value", HTMLElement).append(byId("score-value", HTMLElement));
    byId("raw-grade-value", HTMLElement).append(byId("grade-value", HTMLElement));
    for (const id of ["raw", "raw-grade"]) byId(id, HTMLElement).hidden = true;
    for (const id of ["calibrated", "raw-score"]) byId(id, HTMLElement).hidden = false;
    for (const id of ["calibrated-grade", "raw-nearest"]) byId(id, HTMLElement).hidden = grade === null;
  }
}
