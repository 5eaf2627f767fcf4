// The two lines at the top: what happened, and what went wrong.

import { messageOf } from "../failure";
import { byId } from "./dom";

export function say(text: string): void {
  show("status", text);
  show("error", "");
}

export function fail(error: unknown): void {
  show("error", messageOf(error));
  show("status", "");
}

function show(id: "status" | "error", text: string): void {
  const element = byId(id, HTMLElement);
  element.textContent = text;
  element.hidden = text === "";
}
