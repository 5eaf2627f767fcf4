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
  }));
  return Papa.unparse(rows, { columns: ["id", "score", "grade", "truncated"], newline: "\n" }) + "\n";
}
