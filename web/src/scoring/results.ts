// The results of a class as a table: in the order of the class or of any column, and with the text of each row behind its name.

import type { ScorerInfo, TextResult } from "@pair2score/scorer";
import { byId, small, tableCell } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Doubt } from "./doubts";
import { isCut, likely, rated, type Rated } from "./rated";

/** A text of the class and what is said of it; a blank one gets no result. */
export interface ClassRow {
  name: string;
  text: string;
  /** What the text answers; null where the scorer reads no prompts. */
  prompt: string | null;
  result: TextResult | null;
  /** Why the result should be doubted. */
  doubts: Doubt[];
  /** What the class's own table says beside, in the order of its columns. */
  others: string[];
}

interface Column {
  title: string;
  isNumber: boolean;
  cell(row: ClassRow): HTMLTableCellElement;
  /** What rows are sorted by; null, for what is not there, comes last. */
  key(row: ClassRow): number | string | null;
}

interface Shown {
  row: ClassRow;
  element: HTMLTableRowElement;
  /** The row with the text, where it is open. */
  text: HTMLTableRowElement | null;
}

export class ResultsTable {
  private readonly body = byId("class-rows", HTMLTableSectionElement);
  private readonly head = byId("class-head", HTMLTableRowElement);
  private columns: Column[] = [];
  private shown: Shown[] = [];
  /** A column, and whether its highest comes first; null for the order of the class. */
  private order: { column: Column; falls: boolean } | null = null;

  /** Begins an empty table with the columns of a scorer, and those of the class's own table. */
  begin(info: ScorerInfo, others: string[]): void {
    this.clear();
    this.order = null;
    this.columns = [nameColumn(), ...resultColumns(info), ...others.map(otherColumn)];
    this.head.replaceChildren(...this.columns.map((column) => this.heading(column)));
    byId("class-scroll", HTMLElement).classList.toggle("several", info.traits.length > 1);
  }

  clear(): void {
    this.shown = [];
    this.body.replaceChildren();
  }

  /** The rows as they are shown. */
  get rows(): ClassRow[] {
    return this.shown.map(({ row }) => row);
  }

  add(row: ClassRow): void {
    const element = document.createElement("tr");
    element.append(...this.columns.map((column) => column.cell(row)));
    const shown: Shown = { row, element, text: null };
    element.querySelector("button")?.addEventListener("click", ({ currentTarget }) => this.toggle(shown, currentTarget as HTMLElement));
    const found = this.shown.findIndex((other) => this.compare(shown, other) < 0);
    const place = found < 0 ? this.shown.length : found;
    this.body.insertBefore(element, this.shown[place]?.element ?? null);
    this.shown.splice(place, 0, shown);
  }

  private heading(column: Column): HTMLTableCellElement {
    const cell = tableCell("th", "", { number: column.isNumber });
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.addEventListener("click", () => this.sort(column));
    cell.append(button);
    return cell;
  }

  /** Numbers begin with the highest, words with the first; a second click turns the order round. */
  private sort(column: Column): void {
    const falls = this.order?.column === column ? !this.order.falls : column.isNumber;
    this.order = { column, falls };
    this.columns.forEach((other, place) => {
      if (other === column) this.head.cells[place]?.setAttribute("aria-sort", falls ? "descending" : "ascending");
      else this.head.cells[place]?.removeAttribute("aria-sort");
    });
    this.shown.sort((one, other) => this.compare(one, other));
    this.body.append(...this.shown.flatMap(({ element, text }) => (text ? [element, text] : [element])));
  }

  private compare({ row: a }: Shown, { row: b }: Shown): number {
    if (!this.order) return 0;
    const { column, falls } = this.order;
    const [one, other] = [column.key(a), column.key(b)];
    if (one === null || other === null) return Number(one === null) - Number(other === null);
    const order = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), undefined, { numeric: true });
    return falls ? -order : order;
  }

  /** Shows the text of a row below it, or takes it away. */
  private toggle(shown: Shown, button: HTMLElement): void {
    button.setAttribute("aria-expanded", String(shown.text === null));
    if (shown.text) {
      shown.text.remove();
      shown.text = null;
      return;
    }
    shown.text = document.createElement("tr");
    const cell = tableCell("td", "");
    cell.colSpan = this.columns.length;
    cell.className = "own-text";
    // The table may be wider than its window; a text is not.
    cell.append(Object.assign(document.createElement("div"), { textContent: shown.row.text, dir: "auto" }));
    shown.text.append(cell);
    shown.element.after(shown.text);
  }
}

function nameColumn(): Column {
  const cell = ({ name }: ClassRow) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name === "" ? "no name" : name;
    button.setAttribute("aria-expanded", "false");
    const cell = tableCell("th", "");
    cell.append(button);
    return cell;
  };
  return { title: "Name", isNumber: false, cell, key: ({ name }) => name };
}

/** Of one trait score and grade have a column each, of several each trait has one. */
function resultColumns(info: ScorerInfo): Column[] {
  const [one, ...others] = info.traits;
  const place = (row: ClassRow, place: number) => (row.result ? rated(info, row.result)[place] : undefined);
  const number = (title: string, show: (rated: Rated | undefined) => HTMLTableCellElement, key: (rated: Rated) => number | null, at = 0): Column => ({
    title,
    isNumber: true,
    cell: (row) => show(place(row, at)),
    key: (row) => {
      const rated = place(row, at);
      return rated ? key(rated) : null;
    },
  });
  const byScore = ({ score }: Rated) => score;
  const results =
    others.length > 0
      ? info.traits.map(({ target }, at) => number(format.title(target), gradeAndScore, byScore, at))
      : [
          number("Score", scoreCell, byScore),
          ...(one?.scale.step === undefined ? [] : [number("Grade", gradeCell, ({ grade }) => grade)]),
          ...(one?.hasIntervals ? [number("Likely", bandCell, middle)] : []),
        ];
  const tokens: Column = {
    title: "Tokens",
    isNumber: true,
    cell: ({ result }) => tableCell("td", result === null ? "blank" : String(result.tokens), { number: true }),
    key: ({ result }) => result?.tokens ?? null,
  };
  return [...results, tokens, { title: "Note", isNumber: false, cell: (row) => tableCell("td", noteOf(row)), key: (row) => noteOf(row) || null }];
}

/** What a reader should know of a result. */
export function noteOf({ result, doubts }: ClassRow): string {
  if (result === null) return "";
  const notes = doubts.map(({ note }) => note);
  return [...(isCut(result) ? ["cut"] : []), ...notes].join(", ");
}

function otherColumn(title: string, place: number): Column {
  const value = ({ others }: ClassRow) => others[place] ?? "";
  const cell = (row: ClassRow) => {
    const cell = tableCell("td", value(row));
    cell.className = "other";
    return cell;
  };
  return { title, isNumber: false, cell, key: (row) => value(row) || null };
}

function scoreCell(rated: Rated | undefined): HTMLTableCellElement {
  return tableCell("td", rated ? format.score(rated.score, rated.scale) : "–", { number: true });
}

function gradeCell(rated: Rated | undefined): HTMLTableCellElement {
  return tableCell("td", format.grade(rated?.grade ?? null), { number: true });
}

function bandCell(rated: Rated | undefined): HTMLTableCellElement {
  return tableCell("td", rated?.interval ? format.band(rated.interval, rated.scale) : "–", { number: true });
}

/** Of an interval, which is about where its score is. */
function middle({ interval }: Rated): number | null {
  return interval === null ? null : (interval[0] + interval[1]) / 2;
}

/** The grade, and the score below it; where there are no grades, the score. The interval is below both. */
function gradeAndScore(rated: Rated | undefined): HTMLTableCellElement {
  const hasGrade = rated !== undefined && rated.grade !== null;
  const cell = hasGrade ? gradeCell(rated) : scoreCell(rated);
  if (hasGrade) cell.append(small(format.score(rated.score, rated.scale)));
  if (rated?.interval) cell.append(small(likely(rated.interval, rated.scale)));
  return cell;
}
