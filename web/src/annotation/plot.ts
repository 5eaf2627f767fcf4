// The ranking: documents from worst to best, each with the interval of its utility.

import type { DocumentStats } from "../shared/judging-protocol";
import { svg } from "../shared/page/dom";

const WIDTH = 720;
const HEIGHT = 260;
const LEFT = 34;
const BOTTOM = 22;
/** Normal quantile of 95 % intervals. */
const Z = 1.96;

export function drawRanking(figure: HTMLElement, documents: readonly DocumentStats[]): void {
  const ranked = [...documents].sort((a, b) => a.utility - b.utility);
  const first = ranked[0];
  const last = ranked.at(-1);
  figure.hidden = !first || !last;
  if (!first || !last) return;
  const low = Math.min(...extent(ranked, -Z));
  const high = Math.max(...extent(ranked, Z), low + 1e-9);
  const slot = (WIDTH - LEFT) / ranked.length;
  const x = (place: number) => LEFT + (place + 0.5) * slot;
  const y = (utility: number) => 6 + ((high - utility) / (high - low)) * (HEIGHT - 12);
  const summary =
    `${ranked.length} documents from the worst, ${first.id}, to the best, ${last.id}, each with the range where its place ` +
    `probably is. The table below has them all.`;
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + BOTTOM}`, role: "img", "aria-label": summary });
  for (const tick of ticks(low, high)) {
    chart.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick) }));
    chart.append(svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick).replace("-", "−")));
  }
  // One path each for bars and dots: thousands of documents are still two elements.
  const bars = ranked.map(({ utility, se }, place) => `M${at(x(place))} ${at(y(utility - Z * se))}V${at(y(utility + Z * se))}`);
  const dots = ranked.map(({ utility }, place) => `M${at(x(place))} ${at(y(utility))}h0`);
  const thick = Math.max(1, Math.min(6, slot * 0.5));
  chart.append(svg("path", { class: "interval", d: bars.join(""), "stroke-width": thick }));
  chart.append(svg("path", { class: "place", d: dots.join(""), "stroke-width": Math.max(2, Math.min(8, slot * 0.7)) }));
  chart.append(svg("text", { x: LEFT, y: HEIGHT + 16 }, "worst"));
  chart.append(svg("text", { x: WIDTH, y: HEIGHT + 16, "text-anchor": "end" }, "best"));
  const caption = document.createElement("figcaption");
  caption.textContent = "Each document from worst to best. A bar is where it probably belongs (95\u00a0%): the shorter, the surer.";
  figure.replaceChildren(chart, caption);
}

function extent(documents: readonly DocumentStats[], z: number): number[] {
  const ends = documents.map(({ utility, se }) => utility + z * se);
  return [ends.reduce((a, b) => Math.min(a, b)), ends.reduce((a, b) => Math.max(a, b))];
}

/** Round numbers, about five. */
function ticks(low: number, high: number): number[] {
  const step = [0.5, 1, 2, 5, 10].find((size) => (high - low) / size <= 6) ?? 20;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

function at(value: number): string {
  return value.toFixed(1);
}
