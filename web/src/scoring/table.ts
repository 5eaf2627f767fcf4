// The table of results.

import Papa from "papaparse";
import type { ScorerInfo } from "@pair2score/scorer";
import { safe } from "../shared/table";
import { isCut } from "./rated";
import type { ClassRow } from "./results";

/**
 * The columns that `pair2score score` writes: `score` and `grade` of a single trait, of several those that are called after
 * them. Then what a calibration makes of both, where a trait has one, and the other columns of the class's own table. What
 * a blank text lacks is empty.
 */
export function resultsCsv(results: ClassRow[], others: string[], { traits }: ScorerInfo): string {
  const columns = traits.map(({ target }, place) => {
    const [score, grade, calibrated] = traits.length === 1 ? ["score", "grade", "calibrated"] : [target, `${target}_grade`, `${target}_calibrated`];
    const isCalibrated = results.some(({ result }) => (result?.traits[place]?.calibrated ?? null) !== null);
    return { raw: [score, grade], calibrated: isCalibrated ? [calibrated, `${calibrated}_grade`] : [] };
  });
  const fields = ["id", ...columns.flatMap(({ raw }) => raw), "truncated", ...columns.flatMap(({ calibrated }) => calibrated)];
  // Two columns of one name would be one to whoever reads the table.
  for (const name of others) fields.push(fields.includes(name) ? `own ${name}` : name);
  const data = results.map(({ name, result, others }) => {
    const given = columns.map(({ calibrated }, place) => {
      const one = result?.traits[place];
      return { raw: [one?.score, one?.grade], calibrated: calibrated.length > 0 ? [one?.calibrated, one?.calibratedGrade] : [] };
    });
    const truncated = result !== null && isCut(result);
    return [safe(name), ...given.flatMap(({ raw }) => raw), truncated, ...given.flatMap(({ calibrated }) => calibrated), ...others.map(safe)];
  });
  return Papa.unparse({ fields: fields.map(safe), data }, { newline: "\n" }) + "\n";
}
