// The two lines below the tabs: what happened, and what went wrong.

import { messageOf } from "../shared/failure";
import { byId } from "../shared/page/dom";

export function say(text: string): void {
  show("status", text);
  show("error", "");
}

export function fail(error: unknown): void {
  show("error", messageOf(error));
  show("status", "");
}

/** Puts the tabs to the top of the window, so that both texts and the choices are in sight. */
export function makeRoom(): void {
  byId("tabs", HTMLElement).scrollIntoView({ block: "start" });
}

function show(id: "status" | "error", text: string): void {
  const element = byId(id, HTMLElement);
  element.textContent = text;
  element.hidden = text === "";
}
