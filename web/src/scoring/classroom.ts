// A whole class: a table of texts in, a table of scores out.

import type { ScorerInfo } from "../shared/protocol";
import { readTables } from "../shared/files";
import { isAbort, type ScorerClient } from "../shared/page/client";
import { acceptDrops, byId } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { download } from "../shared/page/download";
import { guessColumn, ID_NAMES, longestColumn, TEXT_NAMES, type TextTable } from "../shared/table";
import { isCut, resultsCsv, type NamedResult } from "./table";
import { isBlank, Task } from "./task";

export class ClassView {
  private readonly textColumn = byId("text-column", HTMLSelectElement);
  private readonly idColumn = byId("id-column", HTMLSelectElement);
  private readonly rows = byId("class-rows", HTMLTableSectionElement);
  private readonly bar = byId("class-bar", HTMLProgressElement);
  private readonly download = byId("class-download", HTMLButtonElement);
  private readonly task: Task;
  private table: TextTable | null = null;
  private results: NamedResult[] = [];
  private scale: ScorerInfo["scale"] | null = null;

  constructor(
    private readonly client: ScorerClient,
    showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "class-button", cancel: "class-cancel", status: "class-status" }, showError);
    const input = byId("class-file", HTMLInputElement);
    input.addEventListener("change", () => {
      const [file, ...more] = input.files ?? [];
      if (file) void this.read([file, ...more]);
    });
    acceptDrops(byId("drop", HTMLElement), (files) => void this.read(files));
    for (const select of [this.textColumn, this.idColumn]) select.addEventListener("change", () => this.clear());
    this.download.addEventListener("click", () => download("scores.csv", resultsCsv(this.results), "text/csv"));
  }

  enable(info: ScorerInfo): void {
    this.scale = info.scale;
    byId("class-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.task.run("Starting…", (signal) => this.scoreAll(signal));
    });
    if (info.canScore) this.task.enable();
    else this.task.say("This scorer ranks texts and gives no scores.");
  }

  private async read(files: [File, ...File[]]): Promise<void> {
    this.table = null;
    byId("class-form", HTMLFormElement).hidden = true;
    this.clear();
    await this.task.fill(async () => {
      const table = await readTables(files);
      const { columns, rows } = table;
      fill(this.textColumn, columns, guessColumn(columns, TEXT_NAMES) ?? longestColumn(table));
      fill(this.idColumn, ["row number", ...columns], guessColumn(columns, ID_NAMES) ?? "row number", 1);
      this.table = table;
      byId("class-form", HTMLFormElement).hidden = false;
      this.task.say(`${format.count(rows.length, "text")} in ${files.length === 1 ? files[0].name : format.count(files.length, "file")}.`);
    });
  }

  /** What was said belongs to another table, or to other columns of it. */
  private clear(): void {
    this.task.stop();
    this.task.forget();
    this.empty();
  }

  private empty(): void {
    this.results = [];
    this.rows.replaceChildren();
    this.download.hidden = true;
    byId("class-scroll", HTMLElement).hidden = true;
  }

  private async scoreAll(signal: AbortSignal): Promise<string> {
    const { rows } = this.table ?? { rows: [] };
    const text = this.textColumn.value;
    const id = this.idColumn.value;
    this.empty();
    this.bar.hidden = false;
    this.bar.max = rows.length;
    this.bar.value = 0;
    const started = performance.now();
    try {
      for (const [index, row] of rows.entries()) {
        const content = row[text] ?? "";
        const result = isBlank(content) ? null : (await this.client.score(content, signal)).result;
        this.add({ name: id === "" ? String(index + 1) : (row[id] ?? ""), result });
        this.bar.value = index + 1;
        this.task.say(`${index + 1} of ${format.count(rows.length, "text")}`);
      }
    } catch (error) {
      if (!isAbort(error) || this.results.length === 0) throw error;
      return `Cancelled after ${format.count(this.results.length, "text")}.`;
    } finally {
      this.bar.hidden = true;
    }
    const cut = this.results.filter(({ result }) => isCut(result)).length;
    const cutText = cut > 0 ? `, ${cut} longer than the scorer reads` : "";
    const blank = this.results.filter(({ result }) => result === null).length;
    const blankText = blank > 0 ? ` ${format.count(blank, "blank text")} ${blank === 1 ? "was" : "were"} left out.` : "";
    return `${format.count(rows.length - blank, "text")} scored in ${format.duration(performance.now() - started)}${cutText}.${blankText}`;
  }

  private add(named: NamedResult): void {
    const { name, result } = named;
    this.results.push(named);
    this.download.hidden = false;
    byId("class-scroll", HTMLElement).hidden = false;
    const row = this.rows.insertRow();
    const header = document.createElement("th");
    header.scope = "row";
    header.textContent = name;
    row.append(header);
    const score = format.score(this.scale && format.within(result?.calibrated ?? result?.score ?? null, this.scale));
    const grade = format.grade(result?.calibratedGrade ?? result?.grade ?? null);
    const tokens = result === null ? "blank" : String(result.tokens);
    const cells = [score, grade, tokens, isCut(result) ? "yes" : ""];
    cells.forEach((text, index) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (index < 3) cell.className = "number";
    });
  }
}

/** Fills a list of columns; the first `special` entries stand for no column and have an empty value. */
function fill(select: HTMLSelectElement, columns: string[], chosen: string | undefined, special = 0): void {
  select.replaceChildren(
    ...columns.map((name, index) => new Option(name, index < special ? "" : name, false, name === chosen)),
  );
}
