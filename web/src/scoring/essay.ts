// One text: its score and grade in each trait, their places among the training scores, and details for whoever asks.

import type { Scorer, ScorerInfo, TextScore } from "@pair2score/scorer";
import { readText } from "../shared/files";
import { acceptDrops, byId, setText, submitByKeys } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { doubts } from "./doubts";
import { Figures } from "./figures";
import { cutSentence, inWords, isCut, rated, type Rated } from "./rated";
import { PromptField } from "./prompt";
import { SAMPLE_PROMPT, SAMPLES } from "./samples";
import { isBlank, Task } from "./task";
import { TraitTable } from "./traits";
import { Why } from "./why";

/** Where what the scorer says is shown. */
interface Answer {
  show(traits: Rated[]): void;
  clear(): void;
}

export class EssayView {
  private readonly input = byId("essay-input", HTMLTextAreaElement);
  private readonly prompt = new PromptField("essay-prompt", () => this.changed());
  private readonly result = byId("essay-result", HTMLElement);
  private readonly task: Task;
  private answer: Answer | null = null;
  private why: Why | null = null;

  constructor(private readonly showError: (message: string) => void) {
    this.task = new Task({ button: "score-button", cancel: "essay-cancel", status: "essay-status" }, showError);
    this.input.addEventListener("input", () => this.changed());
    submitByKeys(this.input);
    acceptDrops(this.input, ([file]) => void this.task.fill(async () => this.put(await readText(file))));
    const samples = byId("samples", HTMLElement);
    for (const { name, text } of SAMPLES) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        this.prompt.value = SAMPLE_PROMPT;
        this.put(text);
      });
      samples.append(button);
    }
  }

  enable(scorer: Scorer): void {
    const { info } = scorer;
    this.answer = answerOf(info);
    this.why = new Why(scorer, this.showError);
    this.prompt.show(info.prompts);
    byId("essay-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const [text, prompt] = [this.input.value, this.prompt.value];
      if (isBlank(text)) {
        this.input.focus();
        return this.task.refuse("There is no text to score. Type or paste one first.");
      }
      void this.task.run("Reading…", async (signal) => {
        const started = performance.now();
        const result = await scorer.score(text, { prompt, signal });
        if (this.input.value !== text || this.prompt.value !== prompt) return "The text has changed. Score it again.";
        this.show(result, performance.now() - started, info);
        this.why?.offer({ text, prompt, result });
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
    this.answer?.clear();
    this.why?.clear();
    setText("announcement", "");
    this.task.forget();
  }

  private show(result: TextScore, milliseconds: number, info: ScorerInfo): void {
    const traits = rated(info, result);
    const doubted = doubts(this.input.value, this.prompt.value, info.letters).map(({ sentence }) => sentence);
    const box = byId("doubts", HTMLElement);
    box.hidden = doubted.length === 0;
    box.textContent = doubted.join(" ");
    this.result.hidden = false;
    this.answer?.show(traits);
    setText("tokens-value", result.tokens.toLocaleString("en"));
    setText("time-value", format.duration(milliseconds));
    const warning = byId("cut-warning", HTMLElement);
    warning.hidden = !isCut(result);
    warning.textContent = cutSentence(result);
    this.result.scrollIntoView({ block: "nearest" });
    setText("announcement", [...(isCut(result) ? [warning.textContent] : []), ...doubted, announced(traits)].join(" "));
  }
}

/** A figure for one trait, a table for several. */
function answerOf({ traits }: ScorerInfo): Answer {
  if (traits.length > 1) return new TraitTable(traits);
  const figures = new Figures();
  return { show: ([one]) => one && figures.show(one), clear: () => figures.clear() };
}

function announced(traits: Rated[]): string {
  const sentence = (one: Rated) => (traits.length > 1 ? `${format.title(one.target)}: ${inWords(one)}.` : `${format.title(inWords(one))}.`);
  return traits.map(sentence).join(" ");
}
