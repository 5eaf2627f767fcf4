// What the judgements say so far: computed in a worker, after each judgement.

import { byId, setText } from "../shared/page/dom";
import { download } from "../shared/page/download";
import * as format from "../shared/page/format";
import type { Inference, JudgementCalls, JudgeStats, Stats } from "../shared/judging-protocol";
import { agreementInWords } from "../shared/page/agreement";
import { safe } from "../shared/table";
import type { Caller } from "./calls";
import type { Desk } from "./desk";
import { drawVerdict, Ranking } from "./ranking";
import { decimal, row, seconds, share } from "../shared/page/rows";
import { UseAsScorer } from "./use";

/** Judgements that come quickly are reckoned with together, milliseconds. */
const REST = 150;

export class ResultsView {
  private desk: Desk | null = null;
  private stats: Stats | null = null;
  private inference: Inference | null = null;
  private readonly ranking: Ranking;
  private readonly use: UseAsScorer;
  /** The export that the figures are of. */
  private shown = "";
  private running = false;

  constructor(
    private readonly worker: Caller<JudgementCalls>,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.ranking = new Ranking();
    this.use = new UseAsScorer(worker, say, fail);
    byId("export", HTMLButtonElement).addEventListener("click", () => this.exportLog());
    byId("export-results", HTMLButtonElement).addEventListener("click", () => void this.exportResults());
    byId("export-fit", HTMLButtonElement).addEventListener("click", () => void this.exportFit());
    byId("export-flags", HTMLButtonElement).addEventListener("click", () => this.exportFlags());
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
    this.inference = null;
    this.shown = "";
    this.ranking.open(desk);
    this.use.open(desk);
    this.draw();
  }

  /** Computes anew, when the log has changed. */
  async update(): Promise<void> {
    if (this.running || !this.desk) return;
    this.running = true;
    try {
      for (;;) {
        const desk: Desk = this.desk;
        const { evidence, project } = desk;
        const { log } = evidence;
        const state = JSON.stringify([evidence, project.gold]);
        byId("export", HTMLButtonElement).disabled = log === "";
        if (state === this.shown) break;
        const stats = log === "" ? null : await this.worker.call("statistics", { log, gold: project.gold });
        // Texts and grades say something before the first judgement.
        const isKnown = stats !== null || evidence.reading !== null;
        const inference = isKnown ? await this.worker.call("infer", evidence) : null;
        // Another project may have been opened meanwhile.
        if (desk === this.desk) {
          this.stats = stats;
          this.inference = inference;
          this.shown = state;
          this.draw();
        }
        await new Promise((resolve) => setTimeout(resolve, REST));
      }
      // Flags and settings change without judgements.
      this.ranking.drawTable();
      this.drawFlags();
      this.drawSentence();
      this.use.update();
    } catch (error) {
      this.fail(error);
    } finally {
      this.running = false;
    }
  }

  private draw(): void {
    const { stats, inference } = this;
    byId("results", HTMLElement).hidden = inference === null;
    byId("results-empty", HTMLElement).hidden = inference !== null;
    byId("judged-results", HTMLElement).hidden = stats === null;
    this.drawSentence();
    if (inference) this.ranking.draw(inference);
    this.drawFlags();
    this.use.update();
    this.drawCautions();
    if (!stats) return;
    setText("ssr", decimal(stats.scale_separation));
    setText("split-half", decimal(stats.split_half?.reliability ?? null));
    setText("split-half-judges", decimal(stats.split_half_judges?.reliability ?? null));
    setText("n-judgements", stats.judgements.toLocaleString("en"));
    setText("n-ties", share(stats.ties, stats.judgements));
    setText("share-left", share(stats.left, stats.sided));
    const sum = (part: (judge: JudgeStats) => number) => stats.judges.reduce((total, judge) => total + part(judge), 0);
    setText("consistency", share(sum((judge) => judge.consistent), sum((judge) => judge.repeats)));
    setText("median-time", seconds(stats.median_ms));
    this.drawJudges(stats);
  }

  private drawSentence(): void {
    if (!this.desk) return;
    const known = this.desk.reading && this.inference ? this.inference : this.stats;
    const sentence = known?.trust ?? "No judgements yet";
    setText("reliability", sentence);
    drawVerdict(this.desk, sentence);
  }

  private drawCautions(): void {
    const { stats, inference } = this;
    const cautions = stats ? this.gaps(stats) : [];
    if (inference?.caution) cautions.push(`${format.title(inference.caution)}.`);
    const list = byId("cautions", HTMLUListElement);
    list.hidden = cautions.length === 0;
    list.replaceChildren(...cautions.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }

  /** What was not compared. */
  private gaps({ unconnected_parts, documents }: Stats): string[] {
    const gaps: string[] = [];
    // What the texts tell links all of them.
    if (unconnected_parts > 1 && !this.desk?.reading) {
      gaps.push(`${unconnected_parts} groups of texts were never compared with each other: their places on one scale are a guess.`);
    }
    const unjudged = (this.desk?.ids.length ?? 0) - documents.length;
    const without = this.desk?.reading ? "their places follow from their texts alone" : "their places are a guess";
    if (unjudged > 0) gaps.push(`${format.count(unjudged, "text")} ${unjudged === 1 ? "is" : "are"} not judged yet: ${without}.`);
    return gaps;
  }

  private drawJudges({ judges, agreement }: Stats): void {
    byId("judge-rows", HTMLTableSectionElement).replaceChildren(
      ...judges.map((judge) =>
        row([
          judge.judge,
          judge.judgements.toLocaleString("en"),
          share(judge.left, judge.sided),
          share(judge.consistent, judge.repeats),
          share(judge.agreed, judge.compared),
          share(judge.gold_right, judge.gold),
          seconds(judge.median_ms),
        ]),
      ),
    );
    byId("judge-fit-rows", HTMLTableSectionElement).replaceChildren(
      ...judges.map(({ judge, infit }) => row([judge, decimal(infit)])),
    );
    const line = byId("agreement", HTMLElement);
    line.hidden = agreement.shared_pairs === 0;
    line.textContent = agreementInWords(agreement);
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

  private async exportResults(): Promise<void> {
    if (!this.desk) return;
    try {
      const csv = await this.worker.call("table", this.desk.evidence);
      download(`${fileName(this.desk)}-results.csv`, csv, "text/csv");
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
        const merged = await desk.merge(file);
        if (merged === null) return;
        const { added, duplicates } = merged;
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
