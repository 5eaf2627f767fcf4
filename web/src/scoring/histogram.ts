// Where a score lies among the grades that the scorer was trained on.

import type { ScorerInfo } from "../shared/protocol";
import { svg } from "../shared/page/dom";

const WIDTH = 420;
const HEIGHT = 96;
const TOP = 12;

/** Share of the training documents below a score, in percent. A document of the score's own grade counts half. */
export function percentBelow(score: number, counts: number[], scale: ScorerInfo["scale"]): number {
  const total = counts.reduce((sum, n) => sum + n, 0);
  const nearest = Math.round((Math.min(Math.max(score, scale.min), scale.max) - scale.min) / scale.step);
  const below = counts.reduce((sum, n, index) => sum + (index < nearest ? n : index === nearest ? n / 2 : 0), 0);
  return Math.round((100 * below) / total);
}

/** Draws the histogram with a marker at the score. */
export function drawHistogram(figure: HTMLElement, score: number, info: ScorerInfo): void {
  const { labelCounts: counts, scale } = info;
  const total = counts?.reduce((sum, n) => sum + n, 0) ?? 0;
  figure.hidden = total === 0;
  if (!counts || total === 0) return;
  const most = Math.max(...counts);
  const slot = WIDTH / counts.length;
  const x = (value: number) => ((value - scale.min) / scale.step + 0.5) * slot;
  const summary = `Among the ${total} texts the scorer was trained on, about ${percentBelow(score, counts, scale)}\u00a0% have a lower grade.`;
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + TOP + 20}`, role: "img", "aria-label": summary });
  counts.forEach((n, index) => {
    const height = (n / most) * HEIGHT;
    const attributes = { class: "bar", x: index * slot + 3, y: TOP + HEIGHT - height, width: slot - 6, height, rx: 2 };
    chart.append(svg("rect", attributes));
    // A long scale has no room for every grade, and a narrow screen for every other one.
    const every = Math.ceil(counts.length / 12);
    if (index % every !== 0) return;
    const parity = (index / every) % 2 === 1 ? "odd" : "even";
    const label = { class: parity, x: (index + 0.5) * slot, y: TOP + HEIGHT + 16, "text-anchor": "middle" };
    chart.append(svg("text", label, grade(scale, index)));
  });
  const place = Math.min(Math.max(x(score), 0), WIDTH);
  chart.append(svg("line", { class: "marker", x1: place, x2: place, y1: TOP - 4, y2: TOP + HEIGHT }));
  chart.append(svg("circle", { class: "dot", cx: place, cy: TOP - 5, r: 4.5 }));
  const caption = document.createElement("figcaption");
  caption.textContent = summary;
  figure.replaceChildren(chart, caption);
}

function grade(scale: ScorerInfo["scale"], index: number): string {
  return String(Number((scale.min + index * scale.step).toFixed(6)));
}
