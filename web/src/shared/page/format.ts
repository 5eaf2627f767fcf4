// Numbers as people read them.

/** A score: two digits say more than the model knows, but neighbours should not look equal. */
export function score(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

/** A score as near as the scale has one: a scorer may go past its ends. */
export function within(value: number | null, { min, max }: { min: number; max: number }): number | null {
  return value === null ? null : Math.min(Math.max(value, min), max);
}

/** A grade of the scale. */
export function grade(value: number | null): string {
  return value === null ? "–" : String(value);
}

export function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
