// The sentence about reliability against hand calculation.

import { expect, test } from "@playwright/test";
import { reliabilityInWords } from "../src/annotation/reliability";
import type { Stats } from "../src/shared/judging-protocol";

function words(judgements: number, separation: number | null, splitHalf: number | null, documents = 12, parts = 1): string {
  const stats = {
    judgements,
    scale_separation: separation,
    split_half: splitHalf === null ? null : { reliability: splitHalf },
    documents: Array(documents).fill({}),
    unconnected_parts: parts,
  };
  return reliabilityInWords(stats as unknown as Stats);
}

test("the judgements that are missing follow from the smaller coefficient", () => {
  expect(reliabilityInWords(null)).toBe("No judgements yet");
  // Spearman and Brown: from 0.5 to 0.8 takes 0.8 · 0.5 / (0.5 · 0.2) = 4 times the judgements.
  expect(words(40, 0.5, 0.9)).toBe("Not reliable yet: about 120 more judgements");
  expect(words(40, 0.9, 0.5)).toBe("Not reliable yet: about 120 more judgements");
  // From 0.75 it takes 4/3 times as many: 33.3 more.
  expect(words(100, 0.75, null)).toBe("Not reliable yet: about 30 more judgements");
  expect(words(100, 0.86, 0.88)).toBe("Reliable: 0.86 of 1");
});

test("coefficients near 0 say nothing, and sixteen judgements of a document are usual", () => {
  expect(words(20, -3.66, null)).toBe("Not reliable yet: about 80 more judgements");
  expect(words(20, null, null)).toBe("Not reliable yet: about 80 more judgements");
  expect(words(80, 0.1, 0.9)).toBe("Not reliable yet: about 80 more judgements");
  expect(words(20, 0.9, 0.9, 12, 2)).toBe("Not reliable yet: some texts were never compared with the others");
});
