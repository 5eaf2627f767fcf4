// Tables of texts as people save them.

import Papa from "papaparse";
import { PageError } from "./failure";

/** Names of the column of texts, the likeliest first. */
export const TEXT_NAMES = ["full_text", "text", "essay", "essay_text", "content"];
/** Names of the column of the prompts that texts answer. */
export const PROMPT_NAMES = ["prompt", "task", "question", "assignment", "essay_prompt", "prompt_text", "topic"];
/** Names of the column of ids. */
export const ID_NAMES = ["text_id", "id", "name", "student", "essay_id"];

export interface TextTable {
  columns: string[];
  rows: Record<string, string>[];
}

/** Reads a table with a header; `name` is that of the file, for messages. */
export function parseTable(content: string, name: string): TextTable {
  const { data, meta, errors } = Papa.parse<Record<string, string>>(content.replace(/^\uFEFF/, ""), {
    header: true,
    skipEmptyLines: "greedy",
  });
  const columns = (meta.fields ?? []).filter((name) => name !== "");
  // That a table of one column has no delimiter is no fault.
  const fault = errors.find((error) => error.type !== "Delimiter");
  if (fault) {
    // As a spreadsheet counts, the header is row 1. Faults of quotes are counted from it, others from the row after it.
    const row = fault.row === undefined ? "" : `row ${fault.row + (fault.type === "Quotes" ? 1 : 2)}: `;
    throw new PageError("csv", `${name}: ${row}${fault.message}. Save it as CSV with a header and try again.`);
  }
  if (columns.length === 0 || data.length === 0) throw noRows(name);
  return { columns, rows: data };
}

/** A table from its cells, the header first; `name` is that of the file. */
export function tableOf([header = [], ...cells]: string[][], name: string): TextTable {
  const columns = header.map((column) => column.trim());
  const named = columns.filter((column) => column !== "");
  const twice = named.find((column, index) => named.indexOf(column) < index);
  if (twice !== undefined) throw new PageError("csv", `${name}: two columns are called "${twice}". Rename one and try again.`);
  if (named.length === 0 || cells.length === 0) throw noRows(name);
  const row = (values: string[]) => Object.fromEntries(columns.map((column, index) => [column, values[index] ?? ""]));
  return { columns: named, rows: cells.map(row) };
}

/** Whether a text is a table rather than a document: its first line names several columns, one of them that of the texts. */
export function isTable(content: string): boolean {
  const [header = []] = Papa.parse<string[]>(content.replace(/^\uFEFF/, ""), { preview: 1, skipEmptyLines: "greedy" }).data;
  return header.length > 1 && guessColumn(header, TEXT_NAMES) !== undefined;
}

/** A document is no class. */
export function oneDocument(name: string): PageError {
  return new PageError("file-type", `${name}: this is one document. Choose it together with others, or score it as one text.`);
}

function noRows(name: string): PageError {
  return new PageError("csv", `${name}: there are no rows. The table needs a header and a row for each text.`);
}

/** The column that is most likely meant. */
export function guessColumn(columns: string[], names: string[]): string | undefined {
  const lower = columns.map((column) => column.toLowerCase().trim());
  for (const name of names) {
    const index = lower.indexOf(name);
    if (index >= 0) return columns[index];
  }
  return undefined;
}

/** The column with the longest texts. */
export function longestColumn({ columns, rows }: TextTable): string | undefined {
  const length = (column: string) => rows.reduce((sum, row) => sum + (row[column]?.length ?? 0), 0);
  return columns.reduce<string | undefined>((a, b) => (a !== undefined && length(a) >= length(b) ? a : b), undefined);
}

/** Spreadsheets take a cell that begins with one of these for a formula. */
export function safe(name: string): string {
  return /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}
