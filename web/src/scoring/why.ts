// Why this score: what each sentence does to it, as the difference to the score of the text without it.

import type { Scorer, TextResult } from "@pair2score/scorer";
import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { nearestInWords } from "./nearest";
import { isCut, rated } from "./rated";
import { isBlank, Task } from "./task";

/** What was scored. */
interface Scored {
  text: string;
  prompt: string | null;
  result: TextResult;
}

export class Why {
  private readonly section = byId("why", HTMLElement);
  private readonly shaded = byId("why-text", HTMLElement);
  private readonly legend = byId("why-legend", HTMLElement);
  private readonly trait = byId("why-trait", HTMLSelectElement);
  private readonly bar = byId("why-bar", HTMLProgressElement);
  private readonly task: Task;
  private scored: Scored | null = null;
  /** What is said of the text without each of its sentences. */
  private without: { sentence: string; result: TextResult }[] = [];

  constructor(
    private readonly scorer: Scorer,
    showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "why-button", cancel: "why-cancel", status: "why-status" }, showError);
    this.task.enable();
    const { traits } = scorer.info;
    this.trait.replaceChildren(...traits.map(({ target }, place) => new Option(format.title(target), String(place))));
    this.trait.addEventListener("change", () => this.draw());
    byId("why-button", HTMLButtonElement).addEventListener("click", () => void this.task.run("", (signal) => this.compute(signal)));
  }

  /** Offers to say it of a text; one sentence has nothing to be left out of. */
  offer(scored: Scored): void {
    this.clear();
    this.scored = scored;
    this.section.hidden = sentencesOf(scored.text).length < 2;
  }

  clear(): void {
    this.task.stop();
    this.task.say("");
    this.scored = null;
    this.without = [];
    this.section.hidden = true;
    this.draw();
  }

  private async compute(signal: AbortSignal): Promise<string> {
    const { scored, scorer } = this;
    if (!scored) return "";
    const sentences = sentencesOf(scored.text);
    this.without = [];
    this.draw();
    this.bar.max = sentences.length;
    this.bar.value = 0;
    this.bar.hidden = false;
    const started = performance.now();
    try {
      const found: Why["without"] = [];
      const rests = sentences.map((_, place) => sentences.filter((_, other) => other !== place).join(""));
      const ask = (rest: string, scorer: Scorer, signal: AbortSignal) => scorer.score(rest, { prompt: scored.prompt, signal });
      for await (const result of scorer.each(rests, ask, { signal })) {
        found.push({ sentence: sentences[found.length] ?? "", result });
        this.bar.value = found.length;
        this.task.say(`${found.length} of ${format.count(sentences.length, "sentence")}${format.timeLeft(performance.now() - started, found.length, sentences.length)}`);
      }
      this.without = found;
      this.draw();
      return "Done.";
    } finally {
      this.bar.hidden = true;
    }
  }

  private draw(): void {
    const place = Number(this.trait.value);
    const { scored, without } = this;
    const scale = this.scorer.info.traits[place]?.scale;
    const whole = scored && valueOf(scored.result, place);
    const isKnown = without.length > 0 && scored !== null && scale !== undefined && whole !== null;
    this.shaded.hidden = this.legend.hidden = !isKnown;
    byId("why-trait-label", HTMLElement).hidden = !isKnown || this.scorer.info.traits.length < 2;
    this.shaded.replaceChildren();
    if (!isKnown) return;
    const effects = without.map(({ result }) => whole - (valueOf(result, place) ?? whole));
    const most = Math.max(...effects.map(Math.abs));
    const size = (effect: number) => format.score(Math.abs(effect), scale);
    for (const [index, { sentence }] of without.entries()) {
      this.shaded.append(shade(sentence, effects[index] ?? 0, most, size));
    }
    const cut = isCut(scored.result) ? " The end of the text was not read, so leaving a sentence out lets more of the end count." : "";
    const near = rated(this.scorer.info, scored.result)[place];
    setText(
      "why-legend",
      `A sentence with a whole line below it raises the score, one with a dotted line lowers it, by ${size(most)} at most: as far is the score without it.` +
        ` That is what the scorer reacts to, not what is right or wrong.${cut}${near ? nearestInWords(near) : ""}`,
    );
  }
}

/** A sentence, the darker the more it does; in words for whoever listens or points at it. */
function shade(sentence: string, effect: number, most: number, size: (effect: number) => string): HTMLElement {
  const span = document.createElement("span");
  span.textContent = sentence;
  if (Number(size(effect)) === 0) return span;
  const words = `${effect > 0 ? "raises" : "lowers"} the score by ${size(effect)}`;
  span.className = effect > 0 ? "raises" : "lowers";
  span.style.setProperty("--share", `${Math.round((30 * Math.abs(effect)) / most)}%`);
  span.title = words;
  span.append(Object.assign(document.createElement("span"), { className: "unseen", textContent: ` (${words}) ` }));
  return span;
}

/** As it was computed, for what is shown ends where the scale does. */
function valueOf({ traits }: TextResult, place: number): number | null {
  return traits[place]?.calibrated ?? traits[place]?.score ?? null;
}

/** The sentences of a text, with the space after each; together they are the text. */
export function sentencesOf(text: string): string[] {
  const found: string[] = [];
  for (const { segment } of new Intl.Segmenter([], { granularity: "sentence" }).segment(text)) {
    const last = found.length - 1;
    // An empty line belongs to what is before it.
    if (isBlank(segment) && last >= 0) found[last] += segment;
    else found.push(segment);
  }
  return found;
}
