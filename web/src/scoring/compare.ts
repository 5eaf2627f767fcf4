// Two texts: which one the scorer prefers in each trait, and the scores of both.

import type { PairScore, Scorer, ScorerInfo, TextResult } from "@pair2score/scorer";
import { readText } from "../shared/files";
import { acceptDrops, byId, meter, setText, small, submitByKeys, tableCell } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { isCut, rated, type Rated } from "./rated";
import { PromptField } from "./prompt";
import { SAMPLE_PROMPT, SAMPLES } from "./samples";
import { isBlank, Task } from "./task";

/** A trait of both texts. */
interface Compared {
  a: Rated;
  b: Rated;
  /** Probability that the first is better; null without stage 1. */
  preference: number | null;
}

/** What a trait says: which text is better, and how surely (in percent) or by how much. */
interface Verdict {
  better: "first" | "second" | null;
  how: string;
}

export class CompareView {
  private readonly inputs = [byId("compare-a", HTMLTextAreaElement), byId("compare-b", HTMLTextAreaElement)] as const;
  private readonly prompt = new PromptField("compare-prompt", () => this.changed());
  private readonly task: Task;

  constructor(showError: (message: string) => void) {
    this.task = new Task({ button: "compare-button", cancel: "compare-cancel", status: "compare-status" }, showError);
    for (const input of this.inputs) {
      input.addEventListener("input", () => this.changed());
      submitByKeys(input);
      acceptDrops(input, ([file]) => void this.task.fill(async () => this.put(input, await readText(file))));
    }
    byId("compare-sample", HTMLButtonElement).addEventListener("click", () => {
      this.prompt.value = SAMPLE_PROMPT;
      this.put(this.inputs[0], SAMPLES[1].text);
      this.put(this.inputs[1], SAMPLES[2].text);
    });
  }

  enable(scorer: Scorer): void {
    this.prompt.show(scorer.info.prompts);
    byId("compare-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const [a, b, prompt] = [this.inputs[0].value, this.inputs[1].value, this.prompt.value];
      const blank = this.inputs.find(({ value }) => isBlank(value));
      if (blank) {
        blank.focus();
        return this.task.refuse("Both texts are needed. Type or paste the one that is missing.");
      }
      void this.task.run("Reading both…", async (signal) => {
        const started = performance.now();
        const result = await scorer.compare(a, b, { prompt, signal });
        const isOther = this.inputs[0].value !== a || this.inputs[1].value !== b || this.prompt.value !== prompt;
        if (isOther) return "The texts have changed. Compare them again.";
        this.show(result, scorer.info);
        const alone = prompt !== null && isBlank(prompt) ? "There is no prompt, so both texts were read alone. " : "";
        return `${alone}${format.duration(performance.now() - started)}`;
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

  private show({ texts, preferences }: PairScore, info: ScorerInfo): void {
    const [a, b] = [rated(info, texts[0]), rated(info, texts[1])];
    const traits = a.flatMap((of, place): Compared[] => {
      const other = b[place];
      return other ? [{ a: of, b: other, preference: preferences[place] ?? null }] : [];
    });
    byId("compare-result", HTMLElement).hidden = false;
    const [one] = traits;
    if (traits.length === 1 && one) showOne(one, info);
    else showSeveral(traits, info);
    setText("detail-a", detail(texts[0], a, info));
    setText("detail-b", detail(texts[1], b, info));
    byId("compare-result", HTMLElement).scrollIntoView({ block: "nearest" });
  }
}

function showOne(one: Compared, info: ScorerInfo): void {
  const { better, how } = verdictOf(one);
  const { preference } = one;
  const none = preference === null ? "Both texts get the same score." : "The scorer has no preference.";
  const prefers = preference === null ? `The ${better} text scores higher, by ${how}.` : `The scorer prefers the ${better} text, with a probability of ${how}.`;
  setText("verdict", better === null ? none : prefers);
  const bar = byId("balance", HTMLElement);
  bar.hidden = preference === null;
  bar.replaceChildren(...meter(preference ?? 0).children);
  const ends = byId("balance-ends", HTMLElement);
  ends.hidden = preference === null;
  const first = Math.round(100 * (preference ?? 0));
  setText("balance-first", `first better: ${first}\u00a0%`);
  setText("balance-second", `second better: ${100 - first}\u00a0%`);
  for (const side of ["a", "b"] as const) setText(`score-${side}`, valueOf(one[side], info));
}

function showSeveral(traits: Compared[], info: ScorerInfo): void {
  const verdicts = traits.map(verdictOf);
  const won = (side: Verdict["better"]) => verdicts.filter(({ better }) => better === side).length;
  setText("verdict", summary(won("first"), won("second"), traits.length));
  byId("compare-rows", HTMLTableSectionElement).replaceChildren(
    ...traits.map((one, place) => {
      const { better, how } = verdicts[place] ?? { better: null, how: "" };
      const row = document.createElement("tr");
      const name = tableCell("th", format.title(one.a.target));
      if (one.preference !== null) name.append(meter(one.preference));
      const values = [one.a, one.b].map((text) => tableCell("td", valueOf(text, info), { number: true }));
      const preferred = tableCell("td", better ?? "neither", { number: true });
      if (better !== null) preferred.append(small(one.preference === null ? `by ${how}` : how));
      row.append(name, ...values, preferred);
      return row;
    }),
  );
}

/** In how many traits which text is better. */
function summary(first: number, second: number, all: number): string {
  if (first === 0 && second === 0) return "The scorer prefers neither text in any trait.";
  const [side, most, least] = first >= second ? ["first", first, second] : ["second", second, first];
  if (most === all) return `The scorer prefers the ${side} text in all ${all} traits.`;
  const other = side === "first" ? "second" : "first";
  const rest = least > 0 ? `, and the ${other} in ${least}` : "";
  return `The scorer prefers the ${side} text in ${most} of ${all} traits${rest}.`;
}

/** What is said counts as it is shown: what looks the same is no difference. */
function verdictOf({ a, b, preference }: Compared): Verdict {
  if (preference !== null) {
    const percent = Math.round(100 * Math.max(preference, 1 - preference));
    const better = percent <= 50 ? null : preference >= 0.5 ? "first" : "second";
    return { better, how: `${percent}\u00a0%` };
  }
  const difference = (a.score ?? 0) - (b.score ?? 0);
  const shown = format.score(Math.abs(difference), a.scale);
  return { better: Number(shown) === 0 ? null : difference > 0 ? "first" : "second", how: shown };
}

/** The score of a text; where there is none, its utility. */
function valueOf({ score, scale, raw }: Rated, { canScore }: ScorerInfo): string {
  if (canScore) return format.score(score, scale);
  return raw.utility === null ? "–" : format.decimals(raw.utility, 2);
}

function detail(text: TextResult, traits: Rated[], info: ScorerInfo): string {
  const [one] = traits;
  const grade = traits.length === 1 && one ? one.grade : null;
  const kind = !info.canScore ? "utility, " : grade === null ? "" : `grade ${format.grade(grade)}, `;
  const cut = isCut(text) ? `, cut from ${text.fullLength.toLocaleString("en")}` : "";
  return `${kind}${format.count(text.tokens, "token")}${cut}`;
}
