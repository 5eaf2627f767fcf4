// Projects as they begin.

import { newId } from "../shared/id";
import type { Project } from "../shared/judging";
import { KEYS } from "./keys";

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
    scale: { min: 1, max: 5, step: 0.5 },
    advice: true,
    reader: null,
    keys: { ...KEYS },
    seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  };
}
