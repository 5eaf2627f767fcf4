// The figure of the results: texts from worst to best, each with the interval of its place or score.

import { svg } from "../shared/page/dom";

const WIDTH = 720;
const HEIGHT = 260;
const LEFT = 34;
const BOTTOM = 22;

/** What a value rests on: judgements, the text alone, or a grade that somebody gave. */
export type Basis = "judged" | "inferred" | "graded";

export interface Plotted {
  id: string;
  value: number;
  low: number;
  high: number;
  basis: Basis;
}

const LEGEND: Record<Basis, string> = { judged: "● judged", inferred: "○ from its text alone", graded: "◆ your grade" };

/** `scale` is that of scores; null where values are places on a scale of their own. */
export function drawRanking(figure: HTMLElement, documents: readonly Plotted[], scale: { min: number; max: number } | null): void {
  const ranked = [...documents].sort((a, b) => a.value - b.value);
  const first = ranked[0];
  const last = ranked.at(-1);
  figure.hidden = !first || !last;
  if (!first || !last) return;
  const low = scale?.min ?? ranked.reduce((least, one) => Math.min(least, one.low), Infinity);
  const high = Math.max(scale?.max ?? ranked.reduce((most, one) => Math.max(most, one.high), -Infinity), low + 1e-9);
  const slot = (WIDTH - LEFT) / ranked.length;
  const x = (place: number) => LEFT + (place + 0.5) * slot;
  const y = (value: number) => 8 + ((high - value) / (high - low)) * (HEIGHT - 16);
  const summary =
    `${ranked.length} texts from the worst, ${first.id}, to the best, ${last.id}, each with the range where it ` +
    `probably belongs. The table below has them all.`;
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + BOTTOM}`, role: "img", "aria-label": summary });
  for (const tick of ticks(low, high)) {
    chart.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick) }));
    // Places have no unit that says something to everybody.
    if (scale) chart.append(svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick).replace("-", "−")));
  }
  // A few paths for each basis: thousands of texts are still a handful of elements.
  const thick = Math.max(1, Math.min(6, slot * 0.5));
  const size = Math.max(1.5, Math.min(5, slot * 0.4));
  const marks: Record<Basis, (x: number, y: number) => string> = {
    judged: (x, y) => circle(x, y, size),
    inferred: (x, y) => circle(x, y, size),
    graded: (x, y) => `M${at(x)} ${at(y - 1.4 * size)}l${at(1.4 * size)} ${at(1.4 * size)}l${at(-1.4 * size)} ${at(1.4 * size)}l${at(-1.4 * size)} ${at(-1.4 * size)}z`,
  };
  const present = (Object.keys(LEGEND) as Basis[]).filter((basis) => ranked.some((one) => one.basis === basis));
  for (const basis of present) {
    const own = [...ranked.entries()].filter(([, one]) => one.basis === basis);
    const bars = own.map(([place, one]) => `M${at(x(place))} ${at(y(one.low))}V${at(y(one.high))}`);
    const dots = own.map(([place, one]) => marks[basis](x(place), y(one.value)));
    chart.append(svg("path", { class: `interval ${basis}`, d: bars.join(""), "stroke-width": thick }));
    chart.append(svg("path", { class: `mark ${basis}`, d: dots.join("") }));
  }
  chart.append(svg("text", { x: LEFT, y: HEIGHT + 16 }, "worst"));
  chart.append(svg("text", { x: WIDTH, y: HEIGHT + 16, "text-anchor": "end" }, "best"));
  const caption = document.createElement("figcaption");
  const legend = present.length > 1 ? ` ${present.map((basis) => LEGEND[basis]).join(", ")}.` : "";
  caption.textContent = `Each text from worst to best. A bar is where it belongs in 9 of 10 cases: the shorter, the surer.${legend}`;
  figure.replaceChildren(chart, caption);
}

function circle(x: number, y: number, radius: number): string {
  const [r, twice] = [at(radius), at(2 * radius)];
  return `M${at(x - radius)} ${at(y)}a${r} ${r} 0 1 0 ${twice} 0a${r} ${r} 0 1 0 -${twice} 0`;
}

/** Round numbers, about five. */
function ticks(low: number, high: number): number[] {
  const unit = 10 ** Math.floor(Math.log10((high - low) / 6));
  const step = unit * ([1, 2.5, 5].find((size) => (high - low) / (size * unit) <= 6) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function at(value: number): string {
  return value.toFixed(1);
}
