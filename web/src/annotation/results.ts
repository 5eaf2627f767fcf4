// What the judgements say so far: computed in a worker, after each judgement.

import { byId, setText } from "../shared/page/dom";
import { download } from "../shared/page/download";
import * as format from "../shared/page/format";
import type { JudgementCalls, JudgeStats, Stats } from "../shared/judging-protocol";
import { safe } from "../shared/table";
import type { Caller } from "./calls";
import type { Desk } from "./desk";
import { drawRanking } from "./plot";
import { reliabilityInWords } from "./reliability";

/** Rows shown at first, and with each wish for more. */
const ROWS = 100;
/** Judgements that come quickly are reckoned with together, milliseconds. */
const REST = 150;

export class ResultsView {
  private desk: Desk | null = null;
  private stats: Stats | null = null;
  private rows = ROWS;
  /** The export that the figures are of. */
  private shown = "";
  private running = false;

  constructor(
    private readonly worker: Caller<JudgementCalls>,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    byId("export", HTMLButtonElement).addEventListener("click", () => this.exportLog());
    byId("export-fit", HTMLButtonElement).addEventListener("click", () => void this.exportFit());
    byId("export-flags", HTMLButtonElement).addEventListener("click", () => this.exportFlags());
    byId("more-rows", HTMLButtonElement).addEventListener("click", () => {
      this.rows += ROWS;
      this.drawDocuments();
    });
    const input = byId("merge-file", HTMLInputElement);
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])];
      input.value = "";
      void this.merge(files);
    });
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.stats = null;
    this.shown = "";
    this.rows = ROWS;
    this.draw();
  }

  /** Computes anew, when the log has changed. */
  async update(): Promise<void> {
    if (this.running || !this.desk) return;
    this.running = true;
    try {
      for (;;) {
        const desk: Desk = this.desk;
        const log = desk.exported();
        const state = log + JSON.stringify(desk.project.gold);
        byId("export", HTMLButtonElement).disabled = log === "";
        if (state === this.shown) break;
        const stats = log === "" ? null : await this.worker.call("statistics", { log, gold: desk.project.gold });
        // Another project may have been opened meanwhile.
        if (desk === this.desk) {
          this.stats = stats;
          this.shown = state;
          this.draw();
        }
        await new Promise((resolve) => setTimeout(resolve, REST));
      }
      // Flags change without judgements.
      this.drawDocuments();
      this.drawFlags();
    } catch (error) {
      this.fail(error);
    } finally {
      this.running = false;
    }
  }

  private draw(): void {
    const { stats } = this;
    byId("results", HTMLElement).hidden = stats === null;
    byId("results-empty", HTMLElement).hidden = stats !== null;
    setText("reliability", reliabilityInWords(stats));
    if (!stats) return;
    setText("ssr", coefficient(stats.scale_separation));
    setText("split-half", coefficient(stats.split_half?.reliability ?? null));
    setText("split-half-judges", coefficient(stats.split_half_judges?.reliability ?? null));
    setText("n-judgements", stats.judgements.toLocaleString("en"));
    setText("n-ties", share(stats.ties, stats.judgements));
    setText("share-left", share(stats.left, stats.sided));
    const sum = (part: (judge: JudgeStats) => number) => stats.judges.reduce((total, judge) => total + part(judge), 0);
    setText("consistency", share(sum((judge) => judge.consistent), sum((judge) => judge.repeats)));
    setText("median-time", seconds(stats.median_ms));
    this.drawCautions(stats);
    drawRanking(byId("ranking", HTMLElement), stats.documents);
    this.drawJudges(stats);
    this.drawDocuments();
    this.drawFlags();
  }

  private drawCautions(stats: Stats): void {
    const cautions: string[] = [];
    const strategy = this.desk?.project.strategy;
    if (strategy === "adaptive" || strategy === "assisted") {
      cautions.push(
        "Pairs are chosen by what is known so far. That inflates scale separation: trust split-half more, which can be too high as well.",
      );
    }
    if (stats.unconnected_parts > 1) {
      cautions.push(
        `${stats.unconnected_parts} groups of documents were never compared with each other: their places on one scale are a guess.`,
      );
    }
    const unjudged = (this.desk?.ids.length ?? 0) - stats.documents.length;
    if (unjudged > 0) cautions.push(`${format.count(unjudged, "document")} ${unjudged === 1 ? "is" : "are"} not judged yet.`);
    const list = byId("cautions", HTMLUListElement);
    list.hidden = cautions.length === 0;
    list.replaceChildren(...cautions.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }

  private drawJudges({ judges, agreement }: Stats): void {
    byId("judge-rows", HTMLTableSectionElement).replaceChildren(
      ...judges.map((judge) =>
        row([
          judge.judge,
          judge.judgements.toLocaleString("en"),
          share(judge.left, judge.sided),
          share(judge.consistent, judge.repeats),
          share(judge.gold_right, judge.gold),
          seconds(judge.median_ms),
        ]),
      ),
    );
    byId("judge-fit-rows", HTMLTableSectionElement).replaceChildren(
      ...judges.map(({ judge, infit }) => row([judge, coefficient(infit)])),
    );
    const line = byId("agreement", HTMLElement);
    line.hidden = agreement.shared_pairs === 0;
    line.textContent =
      `On ${format.count(agreement.shared_pairs, "pair")} that several judged: equal answers ${percent(agreement.percentage)}, ` +
      `Cohen’s kappa ${coefficient(agreement.cohen_kappa)}, Krippendorff’s alpha ${coefficient(agreement.alpha_nominal)} (nominal), ` +
      `${coefficient(agreement.alpha_ordinal)} (ordinal).`;
  }

  private drawDocuments(): void {
    if (!this.stats || !this.desk) return;
    const { flags } = this.desk.session;
    const ranked = [...this.stats.documents].sort((a, b) => b.utility - a.utility);
    const shown = ranked.slice(0, this.rows);
    byId("document-rows", HTMLTableSectionElement).replaceChildren(
      ...shown.map(({ id, n, wins, ties, losses }, index) =>
        row([id, ...[n, wins, ties, losses].map(String), flags.get(id)?.note ?? ""], String(index + 1)),
      ),
    );
    byId("fit-rows", HTMLTableSectionElement).replaceChildren(
      ...shown.map(({ id, utility, se, infit }) => row([id, coefficient(utility), se.toFixed(2), coefficient(infit)])),
    );
    byId("more-rows", HTMLButtonElement).hidden = ranked.length <= this.rows;
  }

  private drawFlags(): void {
    byId("export-flags", HTMLButtonElement).hidden = (this.desk?.session.flags.size ?? 0) === 0;
  }

  private exportLog(): void {
    if (!this.desk) return;
    download(`${fileName(this.desk)}.jsonl`, this.desk.exported(), "application/jsonl");
  }

  private async exportFit(): Promise<void> {
    if (!this.desk) return;
    try {
      const csv = await this.worker.call("fit", { log: this.desk.exported() });
      download(`${fileName(this.desk)}-fit.csv`, csv, "text/csv");
    } catch (error) {
      this.fail(error);
    }
  }

  private exportFlags(): void {
    if (!this.desk) return;
    const cell = (text: string) => `"${safe(text).replaceAll('"', '""')}"`;
    const lines = [...this.desk.session.flags.values()].map(({ document, note, judge, at }) =>
      [document, note, judge, at].map(cell).join(","),
    );
    download(`${fileName(this.desk)}-flags.csv`, ["id,note,judge,at", ...lines, ""].join("\n"), "text/csv");
  }

  private async merge(files: File[]): Promise<void> {
    const { desk } = this;
    if (!desk) return;
    const said: string[] = [];
    try {
      for (const file of files) {
        const { added, duplicates } = await desk.merge(file);
        const there = duplicates > 0 ? `, ${duplicates.toLocaleString("en")} were here already` : "";
        said.push(`${file.name}: ${format.count(added, "judgement")} added${there}.`);
      }
      this.say(said.join(" "));
    } catch (error) {
      this.fail(error);
    }
  }
}

function fileName({ project }: Desk): string {
  const plain = (text: string) => text.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "").toLowerCase();
  return [plain(project.name), plain(project.judge)].filter((part) => part !== "").join("-") || "judgements";
}

/** Cells of a row; the first is its header. `before` comes first where there is one. */
function row([name = "", ...cells]: string[], before?: string): HTMLTableRowElement {
  const element = document.createElement("tr");
  if (before !== undefined) element.append(cell(before, true));
  const header = document.createElement("th");
  header.scope = "row";
  header.textContent = name;
  element.append(header, ...cells.map((text, index) => cell(text, before === undefined || index < cells.length - 1)));
  return element;
}

function cell(text: string, isNumber: boolean): HTMLTableCellElement {
  const element = document.createElement("td");
  element.textContent = text;
  if (isNumber) element.className = "number";
  return element;
}

function coefficient(value: number | null): string {
  return value === null ? "–" : value.toFixed(2).replace("-", "−");
}

function percent(value: number | null): string {
  return value === null ? "–" : `${Math.round(100 * value)}\u00a0%`;
}

/** A share with what it is a share of. */
function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${percent(part / whole)} of ${whole.toLocaleString("en")}`;
}

function seconds(milliseconds: number | null): string {
  return milliseconds === null ? "–" : `${(milliseconds / 1000).toFixed(1)} s`;
}
