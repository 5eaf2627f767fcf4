// The keys of a judge: what they are at first, what they are called, and the fields to change them.

import { byId } from "../shared/page/dom";
import type { Action, Keys } from "../shared/judging";

export const KEYS: Keys = { left: "ArrowLeft", tie: "t", right: "ArrowRight", skip: "s", undo: "u", flag: "f" };

export const ACTIONS: Record<Action, string> = {
  left: "Left is better",
  tie: "Equally good",
  right: "Right is better",
  skip: "Skip",
  undo: "Undo",
  flag: "Flag a text",
};

/** A key as people call it. */
export function keyName(key: string): string {
  const names: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space" };
  return names[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}

/** Gives an action a key; whatever had it gets the action's old one. */
export function withKey(keys: Keys, action: Action, key: string): Keys {
  const taken = (Object.keys(keys) as Action[]).find((other) => keys[other].toLowerCase() === key.toLowerCase());
  const changed = { ...keys, [action]: key };
  if (taken !== undefined && taken !== action) changed[taken] = keys[action];
  return changed;
}

/** Keys that move about in a page. */
const RESERVED = ["Tab", "Escape", "Shift", "Control", "Alt", "Meta", "Enter", "CapsLock", "Dead", "Process", "Unidentified"];

export class KeyFields {
  /** `save` is told what becomes of the keys that are saved by then. */
  constructor(private readonly save: (change: (saved: Keys) => Keys) => void) {
    byId("reset-keys", HTMLButtonElement).addEventListener("click", () => this.save(() => ({ ...KEYS })));
    const fields = (Object.keys(ACTIONS) as Action[]).map((action) => this.makeField(action));
    byId("keys", HTMLElement).replaceChildren(...fields);
  }

  show(keys: Keys): void {
    for (const action of Object.keys(ACTIONS) as Action[]) byId(`key-${action}`, HTMLInputElement).value = keyName(keys[action]);
  }

  private makeField(action: Action): HTMLLabelElement {
    const label = document.createElement("label");
    const field = document.createElement("input");
    field.type = "text";
    field.readOnly = true;
    field.id = `key-${action}`;
    field.setAttribute("aria-describedby", "keys-help");
    field.addEventListener("keydown", (event) => {
      if (RESERVED.includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.save((keys) => withKey(keys, action, event.key));
    });
    label.append(`${ACTIONS[action]} `, field);
    return label;
  }
}
