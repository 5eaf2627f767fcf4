// The elements of a page, by id and type.

/** The element with this id, which the page must have. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return element;
}

export function setText(id: string, text: string): void {
  byId(id, HTMLElement).textContent = text;
}

/** An element of the vector graphic with these attributes. */
export function svg(name: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A cell of a table; a `th` is the header of its row. */
export function tableCell(tag: "th" | "td", text: string, { number = false, testid = "" } = {}): HTMLTableCellElement {
  const cell = document.createElement(tag);
  cell.textContent = text;
  if (tag === "th") cell.scope = "row";
  if (number) cell.className = "number";
  if (testid !== "") cell.dataset["testid"] = testid;
  return cell;
}

/** A finer number, for below a coarse one. */
export function small(text: string): HTMLElement {
  return Object.assign(document.createElement("small"), { textContent: text });
}

/** A bar that is filled up to a share; the number stands beside it. */
export function meter(share: number): HTMLElement {
  const bar = document.createElement("span");
  bar.className = "balance";
  bar.setAttribute("aria-hidden", "true");
  const part = document.createElement("span");
  part.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  bar.append(part);
  return bar;
}

/** Lets Ctrl+Enter, or ⌘+Enter, in a field press the button of its form. */
export function submitByKeys(field: HTMLTextAreaElement): void {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    field.form?.querySelector<HTMLButtonElement>("button[type=submit]")?.click();
  });
}

/** Lets files be dropped on an element; at least one. */
export function acceptDrops(element: HTMLElement, take: (files: [File, ...File[]]) => void): void {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("dropping");
  });
  element.addEventListener("dragleave", () => element.classList.remove("dropping"));
  element.addEventListener("drop", (event) => {
    element.classList.remove("dropping");
    const [file, ...more] = event.dataTransfer?.files ?? [];
    if (!file) return;
    event.preventDefault();
    take([file, ...more]);
  });
}
