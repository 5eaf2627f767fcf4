// One text: its score and grade, its place among the training scores, and details for whoever asks.

import type { ScorerInfo, TextResult } from "../shared/protocol";
import { readText } from "../shared/files";
import type { ScorerClient, Timed } from "../shared/page/client";
import { acceptDrops, byId, setText, submitByKeys } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { drawHistogram } from "./histogram";
import { SAMPLES } from "./samples";
import { isBlank, Task } from "./task";

export class EssayView {
  private readonly input = byId("essay-input", HTMLTextAreaElement);
  private readonly result = byId("essay-result", HTMLElement);
  private readonly task: Task;

  constructor(
    private readonly client: ScorerClient,
    showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "score-button", cancel: "essay-cancel", status: "essay-status" }, showError);
    this.input.addEventListener("input", () => this.changed());
    submitByKeys(this.input);
    acceptDrops(this.input, ([file]) => void this.task.fill(async () => this.put(await readText(file))));
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
      const text = this.input.value;
      if (isBlank(text)) {
        this.input.focus();
        return this.task.refuse("There is no text to score. Type or paste one first.");
      }
      void this.task.run("Reading…", async (signal) => {
        const timed = await this.client.score(text, signal);
        if (this.input.value !== text) return "The text has changed. Score it again.";
        this.show(timed, info);
        return "";
      });
    });
    if (info.canScore) this.task.enable();
    else this.task.say("This scorer ranks texts and gives no scores: compare two texts instead.");
  }

  private put(text: string): void {
    this.input.value = text;
    this.changed();
    this.input.focus();
  }

  /** What was said belongs to another text. */
  private changed(): void {
    const words = this.input.value.split(/\s+/).filter(Boolean).length;
    setText("essay-words", format.count(words, "word"));
    this.result.hidden = true;
    setText("score-value", "");
    delete byId("score-value", HTMLElement).dataset["exact"];
    setText("announcement", "");
    this.task.forget();
  }

  private show({ result, milliseconds }: Timed<TextResult>, info: ScorerInfo): void {
    const { score, grade, calibrated, calibratedGrade, tokens, fullLength } = result;
    this.result.hidden = false;
    setText("score-value", format.score(format.within(score, info.scale)));
    // The exact number, for whoever compares it.
    byId("score-value", HTMLElement).dataset["exact"] = String(score);
    setText("grade-value", format.grade(grade));
    byId("raw-grade", HTMLElement).hidden = grade === null;
    if (calibrated !== null) this.showCalibrated(format.within(calibrated, info.scale), calibratedGrade);
    setText("scale-value", format.ends(info.scale));
    setText("exact-value", score?.toFixed(4) ?? "–");
    setText("tokens-value", tokens.toLocaleString("en"));
    setText("time-value", format.duration(milliseconds));
    const warning = byId("cut-warning", HTMLElement);
    warning.hidden = fullLength <= tokens;
    warning.textContent = `The text has ${format.count(fullLength, "token")} and the scorer reads ${tokens.toLocaleString("en")}: the end of it did not count.`;
    // Raw scores are spread less than the grades of people, among which it is placed.
    const placed = format.within(calibrated ?? score, info.scale);
    if (placed !== null) drawHistogram(byId("histogram", HTMLElement), placed, info);
    this.result.scrollIntoView({ block: "nearest" });
    const given = calibratedGrade ?? grade;
    const said = [`Score ${format.score(placed)}`, `on a scale from ${format.ends(info.scale)}.`];
    if (given !== null) said.splice(1, 0, `grade ${format.grade(given)}`);
    setText("announcement", said.join(", ") + (warning.hidden ? "" : ` ${warning.textContent}`));
  }

  /** The calibrated score and grade are the answer, the raw ones details. */
  private showCalibrated(score: number | null, grade: number | null): void {
    setText("calibrated-value", format.score(score));
    setText("calibrated-grade-value", format.grade(grade));
    byId("raw-score-value", HTMLElement).append(byId("score-value", HTMLElement));
    byId("raw-grade-value", HTMLElement).append(byId("grade-value", HTMLElement));
    for (const id of ["raw", "raw-grade"]) byId(id, HTMLElement).hidden = true;
    for (const id of ["calibrated", "raw-score"]) byId(id, HTMLElement).hidden = false;
    for (const id of ["calibrated-grade", "raw-nearest"]) byId(id, HTMLElement).hidden = grade === null;
  }
}
