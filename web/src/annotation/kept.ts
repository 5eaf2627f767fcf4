// Small things that this browser keeps for its judge.

export function keep(place: string, value: string): void {
  try {
    window.localStorage.setItem(place, value);
  } catch {
    // This browser keeps nothing, and the choice is that of this visit.
  }
}

/** What was kept; the empty string for nothing. */
export function kept(place: string): string {
  try {
    return window.localStorage.getItem(place) ?? "";
  } catch {
    return "";
  }
}
