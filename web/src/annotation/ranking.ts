// The texts in their order: the figure, the table with the grades that are typed beside them, and what stands out.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Inference, InferredDocument } from "../shared/judging-protocol";
import type { Scale } from "@pair2score/scorer";
import type { Desk } from "./desk";
import { drawRanking, type Plotted } from "./plot";
import { cell, decimal, row } from "../shared/page/rows";

/** Rows shown at first, and with each wish for more. */
const ROWS = 100;
/** Standard errors to the ends of an interval that holds 90 %. */
const Z = 1.645;
/** Where judges and text disagree about a document: of a hundred that are as they should be, one. */
const FAR = 2.5;
/** Judgements of a document before its place says anything about it. */
const FEW = 3;

export class Ranking {
  private rows = ROWS;
  private desk: Desk | null = null;
  private inference: Inference | null = null;

  constructor() {
    byId("more-rows", HTMLButtonElement).addEventListener("click", () => {
      this.rows += ROWS;
      this.drawTable();
    });
    const rows = byId("document-rows", HTMLTableSectionElement);
    rows.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) this.grade(target);
    });
    // A field that was drawn anew while somebody typed in it holds what was typed and knows of no change.
    rows.addEventListener("focusout", ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.dataset["restored"] === undefined) return;
      delete target.dataset["restored"];
      this.grade(target);
    });
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.inference = null;
    this.rows = ROWS;
  }

  draw(inference: Inference): void {
    this.inference = inference;
    this.drawFigure();
    this.drawWords();
    this.drawTable();
  }

  /** The rows, also when only flags have changed. */
  drawTable(): void {
    const { desk, inference } = this;
    if (!desk || !inference) return;
    const { flags, grades } = desk.session;
    const ranked = inOrder(inference);
    const shown = ranked.slice(0, this.rows);
    const hasScores = ranked.some(({ score }) => score !== null);
    setText("likely-head", hasScores ? "Likely score" : "Likely place");
    byId("score-head", HTMLElement).hidden = !hasScores;
    const restore = heldFields();
    const places = hasScores ? [] : likelyPlaces(ranked);
    byId("document-rows", HTMLTableSectionElement).replaceChildren(
      ...shown.map((document, index) => {
        const element = row([document.id], String(index + 1));
        const { score, low, high, n, id } = document;
        const field = cell("", true);
        field.append(gradeField(id, grades.get(id), desk.project.scale));
        element.append(field);
        if (hasScores) element.append(cell(format.score(score, desk.project.scale), true));
        element.append(cell(hasScores ? range(format.score(low, desk.project.scale), format.score(high, desk.project.scale)) : (places[index] ?? "–"), true));
        const basis = n > 0 ? `${n}×` : desk.reading ? "from its text" : "not yet";
        element.append(cell(basis, true), cell(flags.get(id)?.note ?? "", false));
        return element;
      }),
    );
    restore();
    byId("fit-rows", HTMLTableSectionElement).replaceChildren(
      ...shown.map(({ id, wins, ties, losses, utility, se, infit, surprise }) =>
        row([id, String(wins), String(ties), String(losses), decimal(utility), se.toFixed(2), decimal(infit), decimal(surprise)]),
      ),
    );
    byId("more-rows", HTMLButtonElement).hidden = ranked.length <= this.rows;
  }

  private drawFigure(): void {
    const { desk, inference } = this;
    if (!desk || !inference) return;
    const { grades } = desk.session;
    const hasScores = inference.documents.some(({ score }) => score !== null);
    const plotted = inference.documents.map((document): Plotted => {
      const { id, utility, se, n, score, low, high } = document;
      const basis = grades.has(id) && hasScores ? "graded" : n > 0 ? "judged" : "inferred";
      if (score !== null) return { id, value: score, low: low ?? score, high: high ?? score, basis };
      return { id, value: utility, low: utility - Z * se, high: utility + Z * se, basis };
    });
    drawRanking(byId("ranking", HTMLElement), plotted, hasScores ? desk.project.scale : null);
  }

  private drawWords(): void {
    const { desk, inference } = this;
    if (!desk || !inference) return;
    const { documents, half, problem, told, alone } = inference;
    const hasScores = documents.some(({ score }) => score !== null);
    const graded = desk.session.grades.size;
    const need = "Type the grades of three texts or more into the table, of good ones and of weak ones, and all texts get a score.";
    setText("grades-note", hasScores ? `Scores follow from ${format.count(graded, "grade")}. The more grades, the surer.` : problem === null ? need : `${format.title(problem)}.`);
    setText("half", half === null || half === 0 ? "" : `About ${(10 * Math.max(1, Math.round(half / 10))).toLocaleString("en")} more judgements would make the ranges half as wide.`);
    setText("with-texts", desk.reading ? decimal(told) : "–");
    setText("without-texts", decimal(alone));
    this.drawSurprises(documents);
  }

  private drawSurprises(documents: InferredDocument[]): void {
    const list = byId("surprises", HTMLUListElement);
    const far = documents
      .filter(({ n, surprise }) => n >= FEW && surprise !== null && Math.abs(surprise) > FAR)
      .sort((a, b) => Math.abs(b.surprise ?? 0) - Math.abs(a.surprise ?? 0));
    list.hidden = far.length === 0;
    const sentence = ({ id, surprise }: InferredDocument) =>
      `Look at ${id} again: the judgements place it much ${(surprise ?? 0) > 0 ? "higher" : "lower"} than its text suggests.`;
    list.replaceChildren(
      ...far.slice(0, 5).map((one) => Object.assign(document.createElement("li"), { textContent: sentence(one) })),
    );
  }

  private grade(field: HTMLInputElement): void {
    const { desk } = this;
    const document = field.dataset["document"];
    if (!desk || document === undefined) return;
    const text = field.value.trim().replace(",", ".");
    const grade = text === "" ? null : Number(text);
    const { scale } = desk.project;
    field.setCustomValidity(grade === null || isOn(grade, scale) ? "" : `A grade is a number from ${format.scale(scale)}. Settings have the scale.`);
    if (!field.reportValidity()) return;
    void desk.grade([[document, grade]]);
  }
}

/** The sentence at the top, with advice where that is wanted. */
export function drawVerdict(desk: Desk, sentence: string): void {
  const advice = desk.project.advice && sentence.startsWith("Reliable") ? " That is enough for an order; you may stop." : "";
  setText("verdict", sentence + "." + advice);
}

function inOrder({ documents }: Inference): InferredDocument[] {
  return [...documents].sort((a, b) => (b.score ?? b.utility) - (a.score ?? a.utility));
}

/** From which place to which a text probably belongs, the texts best first. */
function likelyPlaces(ranked: readonly InferredDocument[]): string[] {
  return ranked.map(({ utility, se }) => {
    const above = (limit: number) => ranked.filter((other) => other.utility > limit).length;
    const best = above(utility + Z * se) + 1;
    return range(String(best), String(Math.max(best, above(utility - Z * se))));
  });
}

function range(low: string, high: string): string {
  return low === high ? low : `${low} – ${high}`;
}

function isOn(grade: number, { min, max, step }: Scale): boolean {
  if (!(grade >= min && grade <= max)) return false;
  return step === undefined || Math.abs((grade - min) / step - Math.round((grade - min) / step)) < 1e-6;
}

function gradeField(id: string, grade: number | undefined, scale: Scale): HTMLInputElement {
  const field = document.createElement("input");
  field.type = "text";
  field.inputMode = "decimal";
  field.className = "grade";
  field.autocomplete = "off";
  field.dataset["document"] = id;
  field.setAttribute("aria-label", `Your grade of ${id}, from ${format.ends(scale)}`);
  field.value = grade === undefined ? "" : String(grade);
  return field;
}

/** Remembers the fields that hold what is not saved: where somebody types, and what is no grade. Gives what brings it back. */
function heldFields(): () => void {
  const fields = () => [...byId("document-rows", HTMLTableSectionElement).querySelectorAll<HTMLInputElement>("input.grade")];
  const held = fields().filter((field) => field === document.activeElement || !field.validity.valid);
  const kept = held.map((field) => {
    const { value, validationMessage, selectionStart, selectionEnd, dataset } = field;
    // It is taken out of the page now, which is not somebody leaving it.
    delete dataset["restored"];
    return { value, validationMessage, selectionStart, selectionEnd, name: dataset["document"], focused: field === document.activeElement };
  });
  return () => {
    for (const { value, validationMessage, selectionStart, selectionEnd, name, focused } of kept) {
      const again = fields().find(({ dataset }) => dataset["document"] === name);
      if (!again) continue;
      again.value = value;
      again.setCustomValidity(validationMessage);
      if (!focused) continue;
      again.dataset["restored"] = "";
      again.focus({ preventScroll: true });
      again.setSelectionRange(selectionStart, selectionEnd);
    }
  };
}
