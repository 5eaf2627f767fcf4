// Projects as they begin.

import { newId } from "../shared/id";
import type { Action, Keys, Project } from "../shared/judging";

export const KEYS: Keys = { left: "ArrowLeft", tie: "t", right: "ArrowRight", skip: "s", undo: "u", flag: "f" };

export const ACTIONS: Record<Action, string> = {
  left: "Left is better",
  tie: "Equally good",
  right: "Right is better",
  skip: "Skip",
  undo: "Undo",
  flag: "Flag a text",
};

export function freshProject(name: string, judge?: string): Project {
  return {
    id: newId(),
    name,
    created: new Date().toISOString(),
    // Two people who never thought of a name must not look like one.
    judge: judge ?? `judge-${newId().slice(0, 4)}`,
    target: "quality",
    question: "Which of these two texts is better?",
    rubric: "",
    strategy: "balanced",
    perDocument: 10,
    repeats: 5,
    goldShare: 5,
    gold: [],
    goldName: "",
    list: [],
    listName: "",
    breakAfter: 25,
    keys: { ...KEYS },
    seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  };
}

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
