// The answer of a scorer of several traits: a table with a row for each.

import type { TraitInfo } from "@pair2score/scorer";
import { byId, meter, small, tableCell } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { drawHistogram } from "./histogram";
import { nearestList } from "./nearest";
import { apart, likely, shareScale, type Rated } from "./rated";

export class TraitTable {
  private readonly rows = byId("trait-rows", HTMLTableSectionElement);
  private readonly details = byId("trait-details", HTMLTableSectionElement);
  private readonly histograms = byId("histograms", HTMLElement);
  private readonly nearest = byId("trait-nearest", HTMLElement);

  constructor(private readonly traits: TraitInfo[]) {
    byId("trait-grades", HTMLElement).hidden = !this.hasGrades;
    byId("trait-scales", HTMLElement).hidden = this.isShared;
    byId("trait-raters", HTMLElement).replaceChildren(...traits.flatMap(ratersOf));
  }

  show(traits: Rated[]): void {
    this.rows.replaceChildren(...traits.map((one) => this.row(one)));
    this.details.replaceChildren(...traits.map(detail));
    this.histograms.replaceChildren(
      ...traits.map((one) => {
        const figure = document.createElement("figure");
        drawHistogram(figure, one, format.title(one.target));
        return figure;
      }),
    );
    this.nearest.replaceChildren(...traits.flatMap((one) => nearestList(one, `${format.title(one.target)}: graded documents that resemble it most`)));
    byId("trait-scale", HTMLElement).textContent = this.isShared && traits[0] ? `All traits ${format.onScale(traits[0].scale)}.` : "";
  }

  clear(): void {
    for (const part of [this.rows, this.details, this.histograms, this.nearest]) part.replaceChildren();
  }

  private get isShared(): boolean {
    return shareScale(this.traits);
  }

  private get hasGrades(): boolean {
    return this.traits.some(({ scale }) => scale.step !== undefined);
  }

  private row(one: Rated): HTMLTableRowElement {
    const { target, scale, score, grade, interval, raw } = one;
    const row = document.createElement("tr");
    row.dataset["testid"] = "trait";
    const name = tableCell("th", format.title(target));
    if (score !== null) name.append(meter((score - scale.min) / (scale.max - scale.min)));
    row.append(name);
    const isRaw = raw.calibrated === null;
    if (this.hasGrades) row.append(tableCell("td", format.grade(grade), { number: true, testid: isRaw ? "grade-value" : "calibrated-grade-value" }));
    const shown = tableCell("td", format.score(score, scale), { number: true, testid: isRaw ? "score-value" : "calibrated-value" });
    shown.classList.add("result-value");
    if (isRaw) shown.dataset["exact"] = String(raw.score);
    if (interval !== null) {
      const band = small(likely(interval, scale));
      band.dataset["testid"] = "band";
      shown.append(band);
    }
    row.append(shown);
    if (!this.isShared) row.append(tableCell("td", format.ends(scale), { number: true }));
    return row;
  }
}

/** How far people lie apart in a trait, where training knew. */
function ratersOf(trait: TraitInfo): HTMLElement[] {
  const sentence = apart(trait);
  return sentence === "" ? [] : [Object.assign(document.createElement("p"), { textContent: `${format.title(trait.target)}: ${sentence}` })];
}

/** What a trait was given before calibration, with more decimals than mean something. */
function detail({ target, scale, raw }: Rated): HTMLTableRowElement {
  const row = document.createElement("tr");
  const exact = raw.score === null ? "–" : format.decimals(raw.score, format.digits(scale) + 2);
  row.append(tableCell("th", format.title(target)), tableCell("td", exact, { number: true, testid: "exact-value" }));
  row.append(tableCell("td", format.grade(raw.grade), { number: true }));
  return row;
}
