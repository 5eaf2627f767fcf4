// Two texts: which one the scorer prefers, and the scores of both.

import type { PairResult, ScorerInfo, TextResult } from "../shared/protocol";
import { readText } from "../shared/files";
import type { ScorerClient } from "../shared/page/client";
import { acceptDrops, byId, setText, submitByKeys } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { SAMPLES } from "./samples";
import { isBlank, Task } from "./task";

export class CompareView {
  private readonly inputs = [byId("compare-a", HTMLTextAreaElement), byId("compare-b", HTMLTextAreaElement)] as const;
  private readonly task: Task;

  constructor(
    private readonly client: ScorerClient,
    showError: (message: string) => void,
  ) {
    this.task = new Task({ button: "compare-button", cancel: "compare-cancel", status: "compare-status" }, showError);
    for (const input of this.inputs) {
      input.addEventListener("input", () => this.changed());
      submitByKeys(input);
      acceptDrops(input, ([file]) => void this.task.fill(async () => this.put(input, await readText(file))));
    }
    byId("compare-sample", HTMLButtonElement).addEventListener("click", () => {
      this.put(this.inputs[0], SAMPLES[1].text);
      this.put(this.inputs[1], SAMPLES[2].text);
    });
  }

  enable(info: ScorerInfo): void {
    byId("compare-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const [a, b] = [this.inputs[0].value, this.inputs[1].value];
      const blank = this.inputs.find(({ value }) => isBlank(value));
      if (blank) {
        blank.focus();
        return this.task.refuse("Both texts are needed. Type or paste the one that is missing.");
      }
      void this.task.run("Reading both…", async (signal) => {
        const { result, milliseconds } = await this.client.compare(a, b, signal);
        if (this.inputs[0].value !== a || this.inputs[1].value !== b) return "The texts have changed. Compare them again.";
        this.show(result, info);
        return format.duration(milliseconds);
      });
    });
    this.task.enable();
  }

  private put(input: HTMLTextAreaElement, text: string): void {
    input.value = text;
    this.changed();
  }

  /** What was said belongs to other texts. */
  private changed(): void {
    byId("compare-result", HTMLElement).hidden = true;
    setText("verdict", "");
    this.task.forget();
  }

  private show({ texts: [a, b], preference }: PairResult, info: ScorerInfo): void {
    byId("compare-result", HTMLElement).hidden = false;
    setText("verdict", verdict(a, b, preference));
    byId("balance", HTMLElement).hidden = preference === null;
    byId("balance-bar", HTMLElement).style.width = `${100 * (preference ?? 0.5)}%`;
    for (const [side, text] of [["a", a], ["b", b]] as const) {
      const score = format.within(text.calibrated ?? text.score, info.scale);
      setText(`score-${side}`, format.score(info.canScore ? score : text.utility));
      setText(`detail-${side}`, detail(text, info));
    }
    byId("compare-result", HTMLElement).scrollIntoView({ block: "nearest" });
  }
}

function verdict(a: TextResult, b: TextResult, preference: number | null): string {
  if (preference !== null) {
    const percent = Math.round(100 * Math.max(preference, 1 - preference));
    const first = preference >= 0.5;
    return percent <= 50
      ? "The scorer has no preference."
      : `The scorer prefers the ${first ? "first" : "second"} text, with a probability of ${percent}\u00a0%.`;
  }
  const difference = (a.calibrated ?? a.score ?? 0) - (b.calibrated ?? b.score ?? 0);
  if (Math.abs(difference) < 0.005) return "Both texts get the same score.";
  return `The ${difference > 0 ? "first" : "second"} text scores higher, by ${Math.abs(difference).toFixed(2)}.`;
}

function detail(text: TextResult, info: ScorerInfo): string {
  const given = text.calibratedGrade ?? text.grade;
  const kind = !info.canScore ? "utility, " : given === null ? "" : `grade ${format.grade(given)}, `;
  const cut = text.fullLength > text.tokens ? `, cut from ${text.fullLength.toLocaleString("en")}` : "";
  return `${kind}${format.count(text.tokens, "token")}${cut}`;
}
