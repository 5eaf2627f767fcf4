// A whole class: a table of texts in, a table of scores out.

import type { Scorer, ScorerInfo } from "@pair2score/scorer";
import { readTables } from "../shared/files";
import { isAbort } from "../shared/failure";
import { acceptDrops, byId } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { download } from "../shared/page/download";
import { guessColumn, ID_NAMES, longestColumn, PROMPT_NAMES, TEXT_NAMES, type TextTable } from "../shared/table";
import { doubts } from "./doubts";
import { PromptField } from "./prompt";
import { isCut } from "./rated";
import { ResultsTable, type ClassRow } from "./results";
import { reportOf } from "./report";
import { summaryOf } from "./summary";
import { resultsCsv } from "./table";
import { isBlank, Task } from "./task";

export class ClassView {
  private readonly textColumn = byId("text-column", HTMLSelectElement);
  private readonly idColumn = byId("id-column", HTMLSelectElement);
  private readonly promptColumn = byId("prompt-column", HTMLSelectElement);
  /** The prompt of all texts, where no column has them. */
  private readonly prompt = new PromptField("class-prompt", () => this.clear());
  private readonly shown = new ResultsTable();
  private readonly bar = byId("class-bar", HTMLProgressElement);
  private readonly download = byId("class-download", HTMLButtonElement);
  private readonly print = byId("class-print", HTMLButtonElement);
  private readonly report = byId("report", HTMLElement);
  private readonly summary = byId("class-summary", HTMLElement);
  private readonly task: Task;
  /** The name of what was read. */
  private source = "";
  private table: TextTable | null = null;
  private results: ClassRow[] = [];
  /** The columns of the table that are kept beside the results. */
  private others: string[] = [];
  private info: ScorerInfo | null = null;

  constructor(showError: (message: string) => void) {
    this.task = new Task({ button: "class-button", cancel: "class-cancel", status: "class-status" }, showError);
    const input = byId("class-file", HTMLInputElement);
    // The same file may be chosen again, once it is corrected.
    input.addEventListener("click", () => (input.value = ""));
    input.addEventListener("change", () => {
      const [file, ...more] = input.files ?? [];
      if (file) void this.read([file, ...more]);
    });
    acceptDrops(byId("drop", HTMLElement), (files) => void this.read(files));
    for (const select of [this.textColumn, this.idColumn, this.promptColumn]) select.addEventListener("change", () => this.clear());
    this.promptColumn.addEventListener("change", () => this.askForPrompt());
    this.download.addEventListener("click", () => {
      if (this.info) download("scores.csv", resultsCsv(this.results, this.others, this.info), "text/csv");
    });
    this.print.addEventListener("click", () => window.print());
    // However printing is begun.
    window.addEventListener("beforeprint", () => this.layOutReport());
    window.addEventListener("afterprint", () => (this.report.hidden = true));
  }

  enable(scorer: Scorer): void {
    const { info } = scorer;
    this.info = info;
    byId("prompt-column-label", HTMLElement).hidden = !info.prompts;
    this.askForPrompt();
    byId("class-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.task.run("Starting…", (signal) => this.scoreAll(scorer, signal));
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
      const prompts = guessColumn(columns, PROMPT_NAMES);
      const others = { ...table, columns: columns.filter((column) => column !== prompts) };
      fill(this.textColumn, columns, guessColumn(columns, TEXT_NAMES) ?? longestColumn(others));
      fill(this.promptColumn, ["the same for all", ...columns], prompts ?? "the same for all", 1);
      this.askForPrompt();
      fill(this.idColumn, ["row number", ...columns], guessColumn(columns, ID_NAMES) ?? "row number", 1);
      this.table = table;
      byId("class-form", HTMLFormElement).hidden = false;
      this.source = files.length === 1 ? files[0].name : format.count(files.length, "file");
      this.task.say(`${format.count(rows.length, "text")} in ${this.source}.`);
    });
  }

  /** Where no column has the prompts, there is a field for them. */
  private askForPrompt(): void {
    this.prompt.show(this.info?.prompts === true && this.promptColumn.value === "");
  }

  /** What was said belongs to another table, or to other columns of it. */
  private clear(): void {
    this.task.stop();
    this.task.forget();
    this.empty();
  }

  private empty(): void {
    this.results = [];
    this.shown.clear();
    this.summary.replaceChildren();
    this.download.hidden = true;
    this.print.hidden = true;
    byId("class-scroll", HTMLElement).hidden = true;
  }

  private async scoreAll(scorer: Scorer, signal: AbortSignal): Promise<string> {
    const { rows, columns } = this.table ?? { rows: [], columns: [] };
    const text = this.textColumn.value;
    const id = this.idColumn.value;
    const promptOf = scorer.info.prompts ? promptsOf(this.promptColumn.value, this.prompt.value ?? "") : () => null;
    this.empty();
    this.others = columns.filter((column) => column !== text && column !== id);
    this.shown.begin(scorer.info, this.others);
    this.bar.hidden = false;
    this.bar.max = rows.length;
    this.bar.value = 0;
    const started = performance.now();
    try {
      const textOf = (row: Record<string, string>) => row[text] ?? "";
      const ask = async (row: Record<string, string>, scorer: Scorer, signal: AbortSignal) =>
        isBlank(textOf(row)) ? null : scorer.score(textOf(row), { prompt: promptOf(row), signal });
      for await (const result of scorer.each(rows, ask, { signal })) {
        const index = this.results.length;
        const row = rows[index] ?? {};
        const name = id === "" ? String(index + 1) : (row[id] ?? "");
        const others = this.others.map((column) => row[column] ?? "");
        const [content, prompt] = [textOf(row), promptOf(row)];
        const found = result === null ? [] : doubts(content, prompt, scorer.info.letters);
        this.add({ name, text: content, prompt, result, doubts: found, others });
        this.bar.value = index + 1;
        this.task.say(`${index + 1} of ${format.count(rows.length, "text")}${format.timeLeft(performance.now() - started, index + 1, rows.length)}`);
      }
    } catch (error) {
      if (!isAbort(error) || this.results.length === 0) throw error;
      return `Cancelled after ${format.count(this.results.length, "text")}.`;
    } finally {
      this.bar.hidden = true;
      this.print.hidden = this.results.length === 0;
      this.summary.replaceChildren(...summaryOf(this.results, scorer.info));
    }
    const cut = this.results.filter(({ result }) => result !== null && isCut(result)).length;
    const cutText = cut > 0 ? `, ${cut} longer than the scorer reads` : "";
    const doubtful = this.results.filter(({ doubts }) => doubts.length > 0).length;
    const doubtText = doubtful > 0 ? `, ${doubtful} doubtful` : "";
    const blank = this.results.filter(({ result }) => result === null).length;
    const blankText = blank > 0 ? ` ${format.count(blank, "blank text")} ${blank === 1 ? "was" : "were"} left out.` : "";
    return `${format.count(rows.length - blank, "text")} scored in ${format.duration(performance.now() - started)}${cutText}${doubtText}.${blankText}`;
  }

  /** Fills the report where there is something to report, and the class is what is looked at. */
  private layOutReport(): void {
    const { info, others, source } = this;
    if (!info || this.results.length === 0 || byId("panel-class", HTMLElement).hidden) return;
    this.report.replaceChildren(...reportOf({ rows: this.shown.rows, others, source, info }));
    this.report.hidden = false;
  }

  private add(row: ClassRow): void {
    this.results.push(row);
    this.download.hidden = false;
    byId("class-scroll", HTMLElement).hidden = false;
    this.shown.add(row);
  }
}

/** The prompt of a row: what its column has, or where no column is named the one of all. */
function promptsOf(column: string, ofAll: string): (row: Record<string, string>) => string {
  return (row) => (column === "" ? ofAll : (row[column] ?? ""));
}

/** Fills a list of columns; the first `special` entries stand for no column and have an empty value. */
function fill(select: HTMLSelectElement, columns: string[], chosen: string | undefined, special = 0): void {
  select.replaceChildren(
    ...columns.map((name, index) => new Option(name, index < special ? "" : name, false, name === chosen)),
  );
}
