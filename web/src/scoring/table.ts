// The table of results.

import Papa from "papaparse";
import type { TextResult } from "../shared/protocol";
import { safe } from "../shared/table";

/** A result with the name of its text. */
export interface NamedResult {
  name: string;
  result: TextResult;
}

/** The columns that `pair2score score` writes. */
export function resultsCsv(results: NamedResult[]): string {
  const rows = results.map(({ name, result }) => ({
    id: safe(name),
    score: result.score ?? "",
    grade: result.grade ?? "",
    truncated: result.fullLength > result.tokens,
    calibrated: result.calibrated,
    calibrated_grade: result.calibratedGrade,
  }));
  const columns = ["id", "score", "grade", "truncated"];
  if (results.some(({ result }) => result.calibrated !== null)) columns.push("calibrated", "calibrated_grade");
  return Papa.unparse(rows, { columns, newline: "\n" }) + "\n";
}
