// How far an order of documents can be trusted, in plain words.

import type { Inference, Stats } from "../shared/judging-protocol";

/** The coefficient from which on an order is called reliable, as is usual. */
const ENOUGH = 0.8;
/** Below this, a coefficient says nothing about how many judgements are missing. */
const FAINT = 0.4;
/**
 * Judgements of a document after which an order is usually reliable; each judgement is of two. In simulations with 30
 * documents whose utilities spread by 1.5 logits, 240 to 300 judgements were.
 */
const USUAL = 16;

/** The smaller of the two coefficients: where pairs are chosen by what is known so far, scale separation is too high. */
function coefficient({ scale_separation, split_half }: Stats): number | null {
  const known = [scale_separation, split_half?.reliability ?? null].filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Judgements until the order is reliable. By Spearman and Brown's formula, as far as the coefficient allows. */
function missing({ judgements, documents }: Stats, reliability: number): number {
  if (reliability < FAINT) return Math.max((USUAL * documents.length) / 2 - judgements, judgements);
  return judgements * ((ENOUGH * (1 - reliability)) / (reliability * (1 - ENOUGH)) - 1);
}

/** A number of judgements as people say it. */
export function roughly(count: number): string {
  return (10 * Math.max(1, Math.round(count / 10))).toLocaleString("en");
}

/** One sentence for judges; `read` is what follows with the texts, where a scorer has read them. */
export function reliabilityInWords(stats: Stats | null, read: Inference | null = null): string {
  if (!stats || stats.judgements === 0) return "No judgements yet";
  if (read) return withTexts(read);
  if (stats.unconnected_parts > 1) return "Not reliable yet: some texts were never compared with the others";
  const reliability = coefficient(stats) ?? 0;
  if (reliability >= ENOUGH) return `Reliable: ${reliability.toFixed(2)} of 1`;
  return `Not reliable yet: about ${roughly(missing(stats, reliability))} more judgements`;
}

function withTexts({ reliability: { told }, enough }: Inference): string {
  if (told !== null && told >= ENOUGH) return `Reliable: ${told.toFixed(2)} of 1`;
  return enough === null ? "Not reliable yet" : `Not reliable yet: about ${roughly(enough)} more judgements`;
}

/** Whether a judge may stop. */
export function isEnough(sentence: string): boolean {
  return sentence.startsWith("Reliable");
}
