// How many texts have which grade: of those the scorer was trained on, with the place of a score among them, and of a class.

import type { Scale } from "@pair2score/scorer";
import { svg } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Rated } from "./rated";

const WIDTH = 420;
const HEIGHT = 96;
const TOP = 12;
/** Bars of a continuous scale. */
const INTERVALS = 10;

/**
 * Share of the training documents below a score, in percent. A document of the score's own grade counts half; of an
 * interval of a continuous scale, the part below the score counts.
 */
export function percentBelow(score: number, counts: number[], scale: Scale): number {
  const total = counts.reduce((sum, n) => sum + n, 0);
  const place = Math.min(Math.max(slots(score, counts, scale), 0), counts.length);
  const own = Math.min(Math.floor(place), counts.length - 1);
  const part = scale.step === undefined ? place - own : 0.5;
  const below = counts.reduce((sum, n, index) => sum + (index < own ? n : index === own ? n * part : 0), 0);
  return Math.round((100 * below) / total);
}

/** Where a value lies, in bars from the left: a grade is in the middle of its bar. */
function slots(value: number, counts: readonly number[], { min, max, step }: Scale): number {
  return step === undefined ? ((value - min) / (max - min)) * counts.length : (value - min) / step + 0.5;
}

/** How many of these grades, or scores where there are no grades, are in each bar. */
export function tally(values: readonly number[], scale: Scale): number[] {
  const { min, max, step } = scale;
  const counts = Array.from({ length: step === undefined ? INTERVALS : Math.round((max - min) / step) + 1 }, () => 0);
  for (const value of values) {
    const place = Math.min(Math.max(Math.floor(slots(value, counts, scale)), 0), counts.length - 1);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

/** Draws where a score lies among the training documents, under a name where there are several. */
export function drawHistogram(figure: HTMLElement, { score, labelCounts: counts, scale }: Rated, name = ""): void {
  const total = counts?.reduce((sum, n) => sum + n, 0) ?? 0;
  figure.hidden = total === 0 || score === null;
  if (!counts || total === 0 || score === null) return;
  const of = name === "" ? "" : `${name}. `;
  const summary = `${of}Among the ${total} texts the scorer was trained on, about ${percentBelow(score, counts, scale)}\u00a0% have a lower ${scale.step === undefined ? "label" : "grade"}.`;
  drawBars(figure, counts, scale, score, summary);
}

/** Draws a bar for each count and a marker at a value; the summary is the caption. */
export function drawBars(figure: HTMLElement, counts: readonly number[], scale: Scale, marked: number, summary: string): void {
  const most = Math.max(...counts, 1);
  const slot = WIDTH / counts.length;
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + TOP + 20}`, role: "img", "aria-label": summary });
  counts.forEach((n, index) => {
    const height = (n / most) * HEIGHT;
    const attributes = { class: "bar", x: index * slot + 3, y: TOP + HEIGHT - height, width: Math.max(slot - 6, 1), height, rx: 2 };
    chart.append(svg("rect", attributes));
    // A long scale has no room for every grade, and a narrow screen for every other one.
    const every = Math.ceil(counts.length / 12);
    if (index % every !== 0) return;
    const parity = (index / every) % 2 === 1 ? "odd" : "even";
    const label = { class: parity, x: (index + 0.5) * slot, y: TOP + HEIGHT + 16, "text-anchor": "middle" };
    chart.append(svg("text", label, named(scale, index, counts.length)));
  });
  const place = Math.min(Math.max(slots(marked, counts, scale) * slot, 0), WIDTH);
  chart.append(svg("line", { class: "marker", x1: place, x2: place, y1: TOP - 4, y2: TOP + HEIGHT }));
  chart.append(svg("circle", { class: "dot", cx: place, cy: TOP - 5, r: 4.5 }));
  const caption = document.createElement("figcaption");
  caption.textContent = summary;
  figure.replaceChildren(chart, caption);
}

/** A grade, or the middle of an interval. */
function named({ min, max, step }: Scale, index: number, n: number): string {
  if (step !== undefined) return String(Number((min + index * step).toFixed(4)));
  // One decimal less than scores have is enough to tell intervals apart.
  return format.decimals(min + ((index + 0.5) * (max - min)) / n, Math.max(format.digits({ min, max }) - 1, 0));
}
