// A note about a text of the pair.

import { byId } from "../shared/page/dom";
import type { Notes, Side } from "./judging-desk";

export class FlagDialog {
  private readonly dialog = byId("flag-dialog", HTMLDialogElement);
  private readonly form = byId("flag-form", HTMLFormElement);
  private readonly note = byId("flag-note", HTMLTextAreaElement);
  private readonly remove = byId("flag-remove", HTMLButtonElement);
  private notes: Notes | null = null;

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

  open(notes: Notes): void {
    this.notes = notes;
    this.form.reset();
    this.fill();
    this.dialog.showModal();
  }

  private get side(): Side {
    return new FormData(this.form).get("side") === "right" ? "right" : "left";
  }

  private fill(): void {
    const note = this.notes?.read(this.side) ?? null;
    this.note.value = note ?? "";
    this.remove.hidden = note === null;
  }

  private save(note: string | null): void {
    if (note === "") return;
    void this.notes?.write(this.side, note);
    this.dialog.close();
  }
}
