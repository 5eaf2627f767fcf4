// The graded documents that resemble a text most, beside its score.

import type { Scale } from "@pair2score/scorer";
import * as format from "../shared/page/format";
import type { Near, Rated } from "./rated";

/** Lists them under a title, each with its text behind its name where that was kept; nothing where there are none. */
export function nearestList({ nearest, scale }: Rated, title: string): HTMLElement[] {
  if (nearest.length === 0) return [];
  const list = document.createElement("ul");
  list.dataset["testid"] = "nearest";
  list.append(...nearest.map((near) => item(near, scale)));
  return [Object.assign(document.createElement("h3"), { textContent: title }), list];
}

function item({ id, label, text }: Near, scale: Scale): HTMLElement {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { className: "quiet", textContent: id });
  const line = [labelled(label, scale), " ", name];
  if (text === null) {
    item.append(...line);
    return item;
  }
  const [details, summary] = [document.createElement("details"), document.createElement("summary")];
  summary.append(...line);
  details.append(summary, Object.assign(document.createElement("p"), { className: "own-words", textContent: text, dir: "auto" }));
  item.append(details);
  return item;
}

/** The words for what people said of a document. */
function labelled(label: number, scale: Scale): string {
  return scale.step === undefined ? `label ${format.score(label, scale)}` : `grade ${format.grade(label)}`;
}

/** Their labels as a sentence. */
export function nearestInWords({ nearest, scale }: Rated): string {
  if (nearest.length === 0) return "";
  const labels = nearest.map(({ label }) => (scale.step === undefined ? format.score(label, scale) : format.grade(label)));
  const [what, has] = scale.step === undefined ? ["labelled", "label"] : ["graded", "grade"];
  return ` The ${what} documents that resemble the text most have the ${has} ${format.list(labels)}.`;
}
