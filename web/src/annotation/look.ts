// How large texts are and how wide the page is, as whoever judges in this browser likes it.

import { byId } from "../shared/page/dom";
import { keep, kept } from "./kept";

/** The fields, and what each sets on the page for the style sheet. */
const FIELDS = { "text-size": "textSize", "page-width": "pageWidth" } as const;

export function chooseLook(): void {
  for (const [id, name] of Object.entries(FIELDS)) {
    const field = byId(id, HTMLSelectElement);
    const place = `pair2score-${id}`;
    const apply = () => (document.documentElement.dataset[name] = field.value);
    const before = kept(place);
    if ([...field.options].some(({ value }) => value === before)) field.value = before;
    apply();
    field.addEventListener("change", () => {
      apply();
      keep(place, field.value);
    });
  }
}

/** Puts the tabs to the top of the window, so that both texts and the choices are in sight. */
export function makeRoom(): void {
  byId("tabs", HTMLElement).scrollIntoView({ block: "start" });
}
