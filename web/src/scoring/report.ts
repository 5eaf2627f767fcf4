// The report of a class for paper: the class on the first pages, and a page for each text.

import type { ScorerInfo } from "@pair2score/scorer";
import { small, tableCell } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { cutSentence, inWords, isCut, likely, rated, type Rated } from "./rated";
import { noteOf, type ClassRow } from "./results";
import { summaryOf } from "./summary";

export interface ClassReport {
  /** In the order of the report. */
  rows: readonly ClassRow[];
  /** The titles of the columns of the class's own table. */
  others: readonly string[];
  /** What the class was read from. */
  source: string;
  info: ScorerInfo;
}

export function reportOf(report: ClassReport): HTMLElement[] {
  return [overview(report), ...report.rows.filter(({ result }) => result !== null).map((row) => page(row, report))];
}

function overview({ rows, source, info }: ClassReport): HTMLElement {
  const part = document.createElement("section");
  const traits = format.title(format.list(info.traits.map(({ target }) => target)));
  part.append(element("h1", `${traits}: ${source}`), element("p", `${format.count(rows.length, "text")}, ${new Date().toLocaleDateString()}. ${CAUTION}`));
  const figures = document.createElement("div");
  figures.className = "class-summary";
  figures.append(...summaryOf(rows, info));
  const table = document.createElement("table");
  const head = document.createElement("tr");
  head.append(...["Name", ...titles(info), "Note"].map((title) => Object.assign(tableCell("th", title), { scope: "col" })));
  const body = document.createElement("tbody");
  for (const row of rows) {
    const line = document.createElement("tr");
    const marks = row.result ? rated(info, row.result).map(mark) : info.traits.map(() => tableCell("td", "–"));
    line.append(tableCell("th", nameOf(row)), ...marks, tableCell("td", row.result ? noteOf(row) : "blank"));
    body.append(line);
  }
  table.createTHead().append(head);
  table.append(body);
  part.append(figures, table);
  return part;
}

/** What is said of one text, and the text. */
function page(row: ClassRow, { others, info }: ClassReport): HTMLElement {
  const part = document.createElement("section");
  part.className = "own-page";
  part.append(element("h2", nameOf(row)));
  if (!row.result) return part;
  const warnings = [...(isCut(row.result) ? [cutSentence(row.result)] : []), ...row.doubts.map(({ sentence }) => sentence)];
  part.append(...warnings.map((warning) => Object.assign(element("p", warning), { className: "message" })));
  for (const one of rated(info, row.result)) {
    const words = info.traits.length > 1 ? `${format.title(one.target)}: ${inWords(one)}.` : `${format.title(inWords(one))}.`;
    part.append(Object.assign(element("p", words), { className: "verdict" }));
  }
  const own = row.others.flatMap((value, place) => (value === "" ? [] : [`${others[place] ?? ""}: ${value}`]));
  if (own.length > 0) part.append(element("p", own.join(" · ")));
  if (row.prompt) part.append(Object.assign(element("p", row.prompt), { className: "own-prompt", dir: "auto" }));
  part.append(Object.assign(element("div", row.text), { className: "own-words", dir: "auto" }));
  part.append(Object.assign(element("p", CAUTION), { className: "quiet" }));
  return part;
}

const CAUTION = "A score is an estimate by a model that learned from people's grades. It can be wrong: do not let it decide alone.";

function titles({ traits }: ScorerInfo): string[] {
  return traits.length > 1 ? traits.map(({ target }) => format.title(target)) : [traits[0]?.scale.step === undefined ? "Score" : "Grade"];
}

/** The grade with the score below it, or the score alone. */
function mark({ grade, score, interval, scale }: Rated): HTMLTableCellElement {
  const cell = tableCell("td", grade === null ? format.score(score, scale) : format.grade(grade));
  if (grade !== null) cell.append(small(format.score(score, scale)));
  if (interval !== null) cell.append(small(likely(interval, scale)));
  return cell;
}

function nameOf({ name }: ClassRow): string {
  return name === "" ? "no name" : name;
}

function element(tag: "h1" | "h2" | "p" | "div", text: string): HTMLElement {
  return Object.assign(document.createElement(tag), { textContent: text });
}
