// One text: its score, grade, length and place among the training scores.

import type { ScorerInfo, TextResult } from "../shared/protocol";
import type { ScorerClient, Timed } from "../shared/page/client";
import { acceptDrops, byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { drawHistogram } from "./histogram";
import { SAMPLES } from "./samples";
import { Task } from "./task";

export class EssayView {
  private readonly input = byId("essay-input", HTMLTextAreaElement);
  private readonly result = byId("essay-result", HTMLElement);
  private readonly task: Task;

  constructor(
    private readonly client: ScorerClient,
    showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "score-button", cancel: "essay-cancel", status: "essay-status" }, showError);
    this.input.addEventListener("input", () => this.countWords());
    acceptDrops(this.input, ([file]) => void file.text().then((text) => this.put(text)));
    const samples = byId("samples", HTMLElement);
    for (const { name, text } of SAMPLES) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => this.put(text));
      samples.append(button);
    }
  }

  enable(info: ScorerInfo): void {
    byId("essay-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.task.run("Reading…", async (signal) => {
        const timed = await this.client.score(this.input.value, signal);
        this.show(timed, info);
        return "";
      });
    });
    if (info.canScore) this.task.enable();
    else this.task.say("This scorer ranks texts and gives no scores: compare two texts instead.");
  }

  private put(text: string): void {
    this.input.value = text;
    this.countWords();
    this.input.focus();
  }

  private countWords(): void {
    const words = this.input.value.split(/\s+/).filter(Boolean).length;
    setText("essay-words", format.count(words, "word"));
  }

  private show({ result, milliseconds }: Timed<TextResult>, info: ScorerInfo): void {
    const { score, grade, calibrated, calibratedGrade, tokens, fullLength } = result;
    const { min, max, step } = info.scale;
    this.result.hidden = false;
    setText("score-value", format.score(score));
    // The exact number, for whoever compares it.
    byId("score-value", HTMLElement).dataset["exact"] = String(score);
    setText("grade-value", format.grade(grade));
    if (calibrated !== null) this.showCalibrated(calibrated, calibratedGrade);
    setText("scale-value", `${min} to ${max}, by ${step}`);
    setText("tokens-value", tokens.toLocaleString("en"));
    setText("time-value", format.duration(milliseconds));
    const warning = byId("cut-warning", HTMLElement);
    warning.hidden = fullLength <= tokens;
    warning.textContent = `The text has ${format.count(fullLength, "token")} and the scorer reads ${tokens.toLocaleString("en")}: the end of it did not count.`;
    // Raw scores are spread less than the grades of people, among which it is placed.
    const placed = calibrated ?? score;
    if (placed !== null) drawHistogram(byId("histogram", HTMLElement), placed, info);
    this.result.scrollIntoView({ block: "nearest" });
  }

  /** The calibrated score becomes the figure, the raw one a detail. */
  private showCalibrated(score: number, grade: number | null): void {
    setText("calibrated-value", format.score(score));
    setText("calibrated-grade-value", format.grade(grade));
    byId("raw-score-value", HTMLElement).append(byId("score-value", HTMLElement));
    byId("raw", HTMLElement).hidden = true;
    for (const id of ["calibrated", "calibrated-grade", "raw-score"]) byId(id, HTMLElement).hidden = false;
  }
}
