// The table of results.

import Papa from "papaparse";
import type { Scale, ScorerInfo } from "@pair2score/scorer";
import { safe } from "../shared/table";
import * as format from "../shared/page/format";
import { isCut } from "./rated";
import type { ClassRow } from "./results";

/**
 * The columns that `pair2score score` writes: `score` and `grade` of a single trait, of several those that are called after
 * them, and with intervals the ends of these. Then what a calibration makes of both, where a trait has one, and the other
 * columns of the class's own table. What a blank text lacks is empty.
 */
export function resultsCsv(results: ClassRow[], others: string[], { traits }: ScorerInfo): string {
  const columns = traits.map(({ target, scale, hasIntervals }, place) => {
    const named = (kind: string) => (traits.length === 1 ? kind : `${target}_${kind}`);
    const score = traits.length === 1 ? "score" : target;
    const isCalibrated = results.some(({ result }) => (result?.traits[place]?.calibrated ?? null) !== null);
    const raw = [score, named("grade"), ...(hasIntervals ? [named("low"), named("high")] : [])];
    return { scale, raw, calibrated: isCalibrated ? [named("calibrated"), named("calibrated_grade")] : [] };
  });
  const fields = ["id", ...columns.flatMap(({ raw }) => raw), "truncated", ...columns.flatMap(({ calibrated }) => calibrated)];
  // Two columns of one name would be one to whoever reads the table.
  for (const name of others) fields.push(fields.includes(name) ? `own ${name}` : name);
  const data = results.map(({ name, result, others }) => {
    const given = columns.map(({ raw, calibrated, scale }, place) => {
      const one = result?.traits[place];
      const number = (value: number | null | undefined) => (value == null ? "" : Number(value.toFixed(decimals(scale))));
      const numbers = [one?.score, one?.grade, one?.interval?.[0], one?.interval?.[1]].map(number);
      return { raw: numbers.slice(0, raw.length), calibrated: calibrated.length > 0 ? [one?.calibrated, one?.calibratedGrade].map(number) : [] };
    });
    const truncated = result !== null && isCut(result);
    return [safe(name), ...given.flatMap(({ raw }) => raw), truncated, ...given.flatMap(({ calibrated }) => calibrated), ...others.map(safe)];
  });
  return MARK + Papa.unparse({ fields: fields.map(safe), data }, { newline: "\n" }) + "\n";
}

/** By which spreadsheets know that a table is in UTF-8. */
const MARK = "\ufeff";

/** Four at least, and two more than are shown. */
function decimals(scale: Scale): number {
  return Math.max(4, format.digits(scale) + 2);
}
