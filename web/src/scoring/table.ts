// The table of results.

import Papa from "papaparse";
import type { TextResult } from "../shared/protocol";
import { safe } from "../shared/table";

/** A result with the name of its text; a blank text has none. */
export interface NamedResult {
  name: string;
  result: TextResult | null;
}

/** Whether a text is longer than what was read of it. */
export function isCut(result: TextResult | null): boolean {
  return result !== null && result.fullLength > result.tokens;
}

/** The columns that `pair2score score` writes; what a blank text lacks is empty. */
export function resultsCsv(results: NamedResult[]): string {
  const rows = results.map(({ name, result }) => ({
    id: safe(name),
    score: result?.score ?? "",
    grade: result?.grade ?? "",
    truncated: isCut(result),
    calibrated: result?.calibrated ?? "",
    calibrated_grade: result?.calibratedGrade ?? "",
  }));
  const columns = ["id", "score", "grade", "truncated"];
  if (results.some(({ result }) => (result?.calibrated ?? null) !== null)) columns.push("calibrated", "calibrated_grade");
  return Papa.unparse(rows, { columns, newline: "\n" }) + "\n";
}
