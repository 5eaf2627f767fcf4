// A note about a document of the pair.

import { byId } from "../shared/page/dom";
import type { Showing } from "../shared/judging";
import type { Desk } from "./desk";

export class FlagDialog {
  private readonly dialog = byId("flag-dialog", HTMLDialogElement);
  private readonly form = byId("flag-form", HTMLFormElement);
  private readonly note = byId("flag-note", HTMLTextAreaElement);
  private readonly remove = byId("flag-remove", HTMLButtonElement);
  private subject: { desk: Desk; showing: Showing } | null = null;

  constructor() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save(this.note.value.trim());
    });
    this.form.addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement) this.fill();
    });
    this.remove.addEventListener("click", () => this.save(null));
    byId("flag-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
  }

  open(desk: Desk, showing: Showing): void {
    this.subject = { desk, showing };
    this.form.reset();
    this.fill();
    this.dialog.showModal();
  }

  private get document(): string {
    const side = new FormData(this.form).get("side");
    return (side === "right" ? this.subject?.showing.right : this.subject?.showing.left) ?? "";
  }

  private fill(): void {
    const flag = this.subject?.desk.session.flags.get(this.document);
    this.note.value = flag?.note ?? "";
    this.remove.hidden = flag === undefined;
  }

  private save(note: string | null): void {
    if (note === "") return;
    void this.subject?.desk.flag(this.document, note);
    this.dialog.close();
  }
}
