// The table of results.

import Papa from "papaparse";
import type { ScorerInfo } from "@pair2score/scorer";
import { safe } from "../shared/table";
import { isCut } from "./rated";
import type { ClassRow } from "./results";

/**
 * The columns that `pair2score score` writes: `score` and `grade` of a single trait, of several those that are called after
 * them, and with intervals the ends of these. Then what a calibration makes of both, where a trait has one, and the other columns of the class's own table. What
 * a blank text lacks is empty.
 */
export function resultsCsv(results: ClassRow[], others: string[], { traits }: ScorerInfo): string {
  const columns = traits.map(({ target, hasIntervals }, place) => {
    const named = (kind: string) => (traits.length === 1 ? kind : `${target}_${kind}`);
    const score = traits.length === 1 ? "score" : target;
    const isCalibrated = results.some(({ result }) => (result?.traits[place]?.calibrated ?? null) !== null);
    const raw = [score, named("grade"), ...(hasIntervals ? [named("low"), named("high")] : [])];
    return { raw, calibrated: isCalibrated ? [named("calibrated"), named("calibrated_grade")] : [] };
  });
  const fields = ["id", ...columns.flatMap(({ raw }) => raw), "truncated", ...columns.flatMap(({ calibrated }) => calibrated)];
  // Two columns of one name would be one to whoever reads the table.
  for (const name of others) fields.push(fields.includes(name) ? `own ${name}` : name);
  const data = results.map(({ name, result, others }) => {
    const given = columns.map(({ raw, calibrated }, place) => {
      const one = result?.traits[place];
      const numbers = [one?.score, one?.grade, one?.interval?.[0], one?.interval?.[1]];
      return { raw: numbers.slice(0, raw.length), calibrated: calibrated.length > 0 ? [one?.calibrated, one?.calibratedGrade] : [] };
    });
    const truncated = result !== null && isCut(result);
    return [safe(name), ...given.flatMap(({ raw }) => raw), truncated, ...given.flatMap(({ calibrated }) => calibrated), ...others.map(safe)];
  });
  return Papa.unparse({ fields: fields.map(safe), data }, { newline: "\n" }) + "\n";
}
