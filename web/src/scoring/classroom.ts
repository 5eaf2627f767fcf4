// A whole class: a table of texts in, a table of scores out.

import type { ScorerInfo } from "../shared/protocol";
import { isAbort, messageOf, type ScorerClient } from "../shared/page/client";
import { acceptDrops, byId } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { download } from "../shared/page/download";
import { guessColumn, ID_NAMES, longestColumn, parseTable, TEXT_NAMES, type TextTable } from "../shared/table";
import { resultsCsv, type NamedResult } from "./table";
import { Task } from "./task";

export class ClassView {
  private readonly textColumn = byId("text-column", HTMLSelectElement);
  private readonly idColumn = byId("id-column", HTMLSelectElement);
  private readonly rows = byId("class-rows", HTMLTableSectionElement);
  private readonly bar = byId("class-bar", HTMLProgressElement);
  private readonly download = byId("class-download", HTMLButtonElement);
  private readonly task: Task;
  private table: TextTable | null = null;
  private results: NamedResult[] = [];

  constructor(
    private readonly client: ScorerClient,
    private readonly showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "class-button", cancel: "class-cancel", status: "class-status" }, showError);
    const input = byId("class-file", HTMLInputElement);
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) void this.read(file);
    });
    acceptDrops(byId("drop", HTMLElement), ([file]) => void this.read(file));
    this.download.addEventListener("click", () => download("scores.csv", resultsCsv(this.results), "text/csv"));
  }

  enable(info: ScorerInfo): void {
    byId("class-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.task.run("Starting…", (signal) => this.scoreAll(signal));
    });
    if (info.canScore) this.task.enable();
    else this.task.say("This scorer ranks texts and gives no scores.");
  }

  private async read(file: File): Promise<void> {
    this.showError("");
    try {
      this.table = parseTable(await file.text(), file.name);
    } catch (error) {
      this.showError(messageOf(error));
      return;
    }
    const { columns } = this.table;
    fill(this.textColumn, columns, guessColumn(columns, TEXT_NAMES) ?? longestColumn(this.table));
    fill(this.idColumn, ["row number", ...columns], guessColumn(columns, ID_NAMES) ?? "row number", 1);
    byId("class-form", HTMLFormElement).hidden = false;
    this.clear();
    this.task.say(`${format.count(this.table.rows.length, "text")} in ${file.name}.`);
  }

  private clear(): void {
    this.results = [];
    this.rows.replaceChildren();
    this.download.hidden = true;
    byId("class-scroll", HTMLElement).hidden = true;
  }

  private async scoreAll(signal: AbortSignal): Promise<string> {
    const { rows } = this.table ?? { rows: [] };
    const text = this.textColumn.value;
    const id = this.idColumn.value;
    this.clear();
    this.bar.hidden = false;
    this.bar.max = rows.length;
    this.bar.value = 0;
    const started = performance.now();
    try {
      for (const [index, row] of rows.entries()) {
        const { result } = await this.client.score(row[text] ?? "", signal);
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
    const cut = this.results.filter(({ result }) => result.fullLength > result.tokens).length;
    const cutText = cut > 0 ? `, ${cut} longer than the scorer reads` : "";
    return `${format.count(rows.length, "text")} scored in ${format.duration(performance.now() - started)}${cutText}.`;
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
    const cut = result.fullLength > result.tokens;
    const score = format.score(result.calibrated ?? result.score);
    const grade = format.grade(result.calibratedGrade ?? result.grade);
    const cells = [score, grade, String(result.tokens), cut ? "yes" : ""];
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
