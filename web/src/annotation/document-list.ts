// The documents of a project: a list to find one in, and a dialog to read, rename, correct or remove it.

import type { DocumentChange } from "../shared/judging";
import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Desk } from "./desk";
import { cell } from "../shared/page/rows";

/** Rows that are shown; the others are found by their names. */
const ROWS = 100;

export class DocumentList {
  private readonly panel = byId("panel-documents", HTMLElement);
  private readonly find = byId("find-document", HTMLInputElement);
  private readonly dialog = byId("document-dialog", HTMLDialogElement);
  private readonly name = byId("document-name", HTMLInputElement);
  private readonly text = byId("document-text", HTMLTextAreaElement);
  private desk: Desk | null = null;
  /** What is open in the dialog. */
  private shown: { id: string; text: string } | null = null;

  constructor(
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.find.addEventListener("input", () => this.draw());
    // Nobody sees the list before its tab is open.
    new MutationObserver(() => this.draw()).observe(this.panel, { attributeFilter: ["hidden"] });
    for (const field of [this.name, this.text]) field.addEventListener("input", () => field.setCustomValidity(""));
    byId("document-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.save();
    });
    byId("document-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    byId("document-remove", HTMLButtonElement).addEventListener("click", () => this.ask(true));
    byId("document-keep", HTMLButtonElement).addEventListener("click", () => this.ask(false));
    byId("document-gone", HTMLButtonElement).addEventListener("click", () => void this.remove());
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.find.value = "";
    this.draw();
  }

  draw(): void {
    const { desk } = this;
    if (!desk || this.panel.hidden) return;
    const wanted = this.find.value.trim().toLowerCase();
    const found = desk.ids.filter((id) => id.toLowerCase().includes(wanted));
    const times = new Map<string, number>();
    for (const { showing } of desk.session.answers) {
      for (const id of [showing.left, showing.right]) times.set(id, (times.get(id) ?? 0) + 1);
    }
    byId("document-list", HTMLElement).hidden = desk.ids.length === 0;
    byId("listed-documents", HTMLTableSectionElement).replaceChildren(
      ...found.slice(0, ROWS).map((id) => {
        const row = document.createElement("tr");
        const header = Object.assign(document.createElement("th"), { scope: "row", dir: "auto" });
        const opener = Object.assign(document.createElement("button"), { type: "button", textContent: id });
        opener.addEventListener("click", () => void this.read(id));
        header.append(opener);
        row.append(header, cell(String(times.get(id) ?? 0), true), cell(desk.session.flags.get(id)?.note ?? "", false));
        return row;
      }),
    );
    const more = found.length - ROWS;
    setText("documents-found", found.length === 0 ? "No document is called so." : more > 0 ? `${format.count(more, "document")} more: find them by their names.` : "");
  }

  private async read(id: string): Promise<void> {
    const { desk } = this;
    if (!desk) return;
    try {
      const text = await desk.text(id);
      this.shown = { id, text };
      this.name.value = id;
      this.text.value = text;
      this.showProblem("");
      this.ask(false);
      this.dialog.showModal();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Asks whether the document goes, or takes the question back. */
  private ask(isAsked: boolean): void {
    byId("document-question", HTMLElement).hidden = !isAsked;
    byId("document-actions", HTMLElement).hidden = isAsked;
    if (!isAsked) return;
    const { answers } = this.desk?.session ?? { answers: [] };
    const n = answers.filter(({ showing }) => showing.left === this.shown?.id || showing.right === this.shown?.id).length;
    setText("document-loses", `Remove this document${n === 0 ? "" : ` and ${format.count(n, "answer")} about it`}? It cannot be brought back.`);
    byId("document-keep", HTMLButtonElement).focus();
  }

  private async save(): Promise<void> {
    const { desk, shown } = this;
    if (!desk || !shown) return;
    const [to, text] = [this.name.value.trim(), this.text.value];
    this.name.setCustomValidity(to === "" ? "Write a name." : to !== shown.id && desk.ids.includes(to) ? "There is a document of this name already." : "");
    this.text.setCustomValidity(text.trim() === "" ? "A text that is blank cannot be judged. Remove the document instead." : "");
    if (!byId("document-form", HTMLFormElement).reportValidity()) return;
    const { judge } = desk.project;
    // A field has no carriage returns, which a file may have.
    const isSame = text === shown.text.replace(/\r\n?/g, "\n");
    if (!isSame && !(await this.change({ kind: "corrected", document: shown.id, text, judge }))) return;
    this.shown = { id: shown.id, text };
    if (to !== shown.id && !(await this.change({ kind: "renamed", document: shown.id, to, judge }))) return;
    this.dialog.close();
  }

  private async remove(): Promise<void> {
    const { desk, shown } = this;
    if (!desk || !shown) return;
    if (!(await this.change({ kind: "removed", document: shown.id, judge: desk.project.judge }))) return;
    this.dialog.close();
    // The button that opened it is gone.
    this.find.focus();
  }

  /** Gives whether it was done; what went wrong is said in the dialog too, which hides the page. */
  private async change(change: DocumentChange): Promise<boolean> {
    const isDone = (await this.desk?.changeDocument(change)) ?? false;
    const said = { renamed: "Renamed.", corrected: "Corrected. What was judged of it stays.", removed: "Removed." };
    if (isDone) this.say(said[change.kind]);
    this.showProblem(isDone ? "" : byId("error", HTMLElement).textContent);
    return isDone;
  }

  private showProblem(text: string): void {
    const problem = byId("document-problem", HTMLElement);
    problem.hidden = text === "";
    problem.textContent = text;
  }
}
