// Documents come in and go out.

import { acceptDrops, byId, setText } from "../shared/page/dom";
import { download } from "../shared/page/download";
import * as format from "../shared/page/format";
import type { DocumentCalls } from "../shared/judging-protocol";
import { Caller } from "./calls";
import type { Desk } from "./desk";
import { DocumentList } from "./document-list";

export class DocumentsView {
  private readonly worker = new Caller<DocumentCalls>(
    new Worker(new URL("../worker/documents.ts", import.meta.url), { type: "module" }),
  );
  private readonly inputs = ["import-file", "import-folder"].map((id) => byId(id, HTMLInputElement));
  private readonly list: DocumentList;
  private desk: Desk | null = null;
  private importing = false;

  constructor(
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
    private readonly onImport: () => void,
  ) {
    this.list = new DocumentList(say, fail);
    for (const input of this.inputs) input.addEventListener("change", () => this.takeChosen());
    acceptDrops(byId("drop", HTMLElement), (files) => void this.import(files));
    byId("read-texts", HTMLButtonElement).addEventListener("click", () => void this.desk?.change(() => ({ strategy: "assisted" })));
    byId("export-documents", HTMLButtonElement).addEventListener("click", () => void this.export());
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.list.open(desk);
    this.update();
  }

  /** Imports what was chosen, also before there was a project to take it. */
  takeChosen(): void {
    for (const input of this.inputs) {
      const files = [...(input.files ?? [])];
      if (!this.desk || this.importing || files.length === 0) continue;
      // The same files may be chosen again, once they are corrected.
      input.value = "";
      void this.import(files);
    }
  }

  update(): void {
    const n = this.desk?.ids.length ?? 0;
    setText("documents-count", n === 0 ? "There are no documents yet." : `${format.count(n, "document")} in this project.`);
    byId("export-documents", HTMLButtonElement).disabled = n === 0;
    byId("offer", HTMLElement).hidden = n < 2 || this.desk?.project.strategy === "assisted";
    this.list.draw();
  }

  private async import(files: File[]): Promise<void> {
    const { desk } = this;
    if (!desk || this.importing || files.length === 0) return;
    this.importing = true;
    this.say(`Reading ${files.length === 1 ? (files[0]?.name ?? "") : format.count(files.length, "file")}…`);
    try {
      const { added, known, notes, grades } = await this.worker.call("import", { project: desk.project.id, files });
      // Another project may have been opened meanwhile, and this one again.
      const owner = this.desk?.project.id === desk.project.id ? this.desk : desk;
      const isDone = (await owner.readDocuments()) && (grades.length === 0 || (await owner.grade(grades)));
      owner.tellOthers();
      if (!isDone || owner !== this.desk) return;
      if (grades.length > 0) notes.push(`${format.count(grades.length, "text")} ${grades.length === 1 ? "has a grade" : "have grades"}.`);
      const there = known > 0 ? ` ${format.count(known, "document")} ${known === 1 ? "was" : "were"} here already.` : "";
      this.say([`${format.count(added, "document")} added.${there}`, ...notes].join(" "));
      this.update();
      if (added > 0) this.onImport();
    } catch (error) {
      this.fail(error);
    } finally {
      this.importing = false;
      this.takeChosen();
    }
  }

  private async export(): Promise<void> {
    if (!this.desk) return;
    try {
      download("documents.csv", await this.worker.call("export", { project: this.desk.project.id }), "text/csv");
    } catch (error) {
      this.fail(error);
    }
  }
}
