// Tables of texts in, tables of results out.

import Papa from "papaparse";
import type { TextResult } from "../shared/protocol";
import { PageError } from "../shared/failure";

export interface TextTable {
  columns: string[];
  rows: Record<string, string>[];
}

/** A result with the name of its text. */
export interface NamedResult {
  name: string;
  result: TextResult;
}

/** Reads a table with a header. */
export function parseTable(content: string): TextTable {
  const { data, meta, errors } = Papa.parse<Record<string, string>>(content.replace(/^\uFEFF/, ""), {
    header: true,
    skipEmptyLines: "greedy",
  });
  const columns = (meta.fields ?? []).filter((name) => name !== "");
  // That a table of one column has no delimiter is no fault.
  const fault = errors.find((error) => error.type !== "Delimiter");
  if (fault) {
    const row = fault.row === undefined ? "" : ` in row ${fault.row + 1}`;
    throw new PageError("csv", `The table cannot be read: ${fault.message}${row}. Save it as CSV with a header and try again.`);
  }
  if (columns.length === 0 || data.length === 0) {
    throw new PageError("csv", "The table has no rows. It needs a header and a row for each text.");
  }
  return { columns, rows: data };
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

/** The columns that `pair2score score` writes. */
export function resultsCsv(results: NamedResult[]): string {
  const rows = results.map(({ name, result }) => ({
    id: safe(name),
    score: result.score ?? "",
    grade: result.grade ?? "",
    truncated: result.fullLength > result.tokens,
  }));
  return Papa.unparse(rows, { columns: ["id", "score", "grade", "truncated"], newline: "\n" }) + "\n";
}

/** Spreadsheets take a cell that begins with one of these for a formula. */
function safe(name: string): string {
  return /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}

export function download(name: string, content: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
