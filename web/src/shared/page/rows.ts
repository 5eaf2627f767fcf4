// Rows of the tables of results, and numbers in them.

/** Cells of a row; the first is its header. `before` comes first where there is one. */
export function row([name = "", ...cells]: string[], before?: string): HTMLTableRowElement {
  const element = document.createElement("tr");
  if (before !== undefined) element.append(cell(before, true));
  const header = document.createElement("th");
  header.scope = "row";
  header.textContent = name;
  header.dir = "auto";
  element.append(header, ...cells.map((text) => cell(text, true)));
  return element;
}

export function cell(text: string, isNumber: boolean): HTMLTableCellElement {
  const element = document.createElement("td");
  element.textContent = text;
  if (isNumber) element.className = "number";
  return element;
}

export function decimal(value: number | null): string {
  return value === null ? "–" : value.toFixed(2).replace("-", "−");
}

export function percent(value: number | null): string {
  return value === null ? "–" : `${Math.round(100 * value)}\u00a0%`;
}

/** A share with what it is a share of. */
export function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${percent(part / whole)} of ${whole.toLocaleString("en")}`;
}

export function seconds(milliseconds: number | null): string {
  return milliseconds === null ? "–" : `${(milliseconds / 1000).toFixed(1)} s`;
}
