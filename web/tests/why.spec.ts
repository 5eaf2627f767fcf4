// Why a score is what it is: the effect of each sentence.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import Papa from "papaparse";
import { sentencesOf } from "../src/scoring/why";
import { serveTraits, THREE } from "./several";
import { shot } from "./sights";
import { goldens, PROGRAM, ready, score, Served, SITE } from "./site";

let site: Served | null = null;
test.afterEach(async () => {
  await site?.stop();
  site = null;
});

async function open(page: Page, served = Served.start()): Promise<void> {
  site = await served;
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
}

/** The scores that the command line gives. */
function programScores(texts: string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), "pair2score-why-"));
  try {
    const [input, output] = [join(folder, "in.csv"), join(folder, "out.csv")];
    writeFileSync(input, Papa.unparse(texts.map((full_text, id) => ({ text_id: `t${id}`, full_text }))));
    const run = spawnSync(PROGRAM, ["score", "--scorer", join(SITE.folder, "bundle"), "--input", input, "--output", output], { encoding: "utf8" });
    expect(run.status, run.stderr).toBe(0);
    return Papa.parse<Record<string, string>>(readFileSync(output, "utf8"), { header: true, skipEmptyLines: true }).data.map((row) => Number(row["score"]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("sentences make up their text", () => {
  for (const text of ["One. Two!  Three?\n\nFour", "No end", "  \n First.\n\n\n", "他们来了。我们走。", ""]) expect(sentencesOf(text).join("")).toBe(text);
  expect(sentencesOf("One. Two!  Three?\n\nFour")).toEqual(["One. ", "Two!  ", "Three?\n\n", "Four"]);
});

test("each sentence's effect is the difference to the score without it", async ({ page }) => {
  await open(page);
  const text = goldens(3).at(-1)?.text ?? "";
  const sentences = sentencesOf(text);
  expect(sentences.length).toBeGreaterThan(3);
  const [whole = NaN, ...without] = programScores([text, ...sentences.map((_, place) => sentences.filter((_, other) => other !== place).join(""))]);
  const effects = without.map((score) => whole - score);

  await score(page, text);
  await expect(page.getByTestId("why-text")).toBeHidden();
  await page.getByTestId("why-button").click();
  const shaded = page.getByTestId("why-text");
  await expect(shaded).toBeVisible();
  const shown = shaded.locator("> span");
  await expect(shown).toHaveCount(sentences.length);
  for (const [place, effect] of effects.entries()) {
    const number = Math.abs(effect).toFixed(2);
    const words = Number(number) === 0 ? null : `${effect > 0 ? "raises" : "lowers"} the score by ${number}`;
    if (words) await expect(shown.nth(place)).toHaveAttribute("title", words);
    // Whoever listens hears the sentence and its number.
    expect(await shown.nth(place).textContent()).toBe(words ? `${sentences[place]} (${words}) ` : sentences[place]);
  }
  await expect(page.getByTestId("why-legend")).toContainText(`by ${Math.max(...effects.map(Math.abs)).toFixed(2)} at most`);
  await shot(page, "why");

  // It belongs to its text.
  await page.getByTestId("essay-input").fill(`${text} More.`);
  await expect(shaded).toBeHidden();
  await expect(shaded).toHaveText("");
});

test("it says how far it is, and can be cancelled", async ({ page }) => {
  await open(page);
  await score(page, "This is one of many sentences. ".repeat(300));
  await page.getByTestId("why-button").click();
  await expect(page.getByTestId("why-status")).toHaveText(/^\d+ of 300 sentences/);
  await expect(page.getByRole("progressbar", { name: "Sentences tried" })).toBeVisible();
  await page.getByTestId("why-cancel").click();
  await expect(page.getByTestId("why-status")).toHaveText("Cancelled.");
  await expect(page.getByTestId("why-text")).toBeHidden();
  await score(page, "A single sentence");
  await expect(page.getByTestId("why-button")).toBeHidden();
});

test("of several traits, one is chosen", async ({ page }) => {
  await open(page, serveTraits(THREE));
  await page.getByTestId("essay-input").fill(goldens(1)[0]?.text ?? "");
  await page.getByTestId("score-button").click();
  await page.getByTestId("why-button").click();
  const first = page.getByTestId("why-text").locator("> span").first();
  const title = () => first.getAttribute("title");
  await expect(page.getByTestId("why-trait")).toBeVisible();
  const grammar = await title();
  await page.getByTestId("why-trait").selectOption("Task response");
  // Its scores are 25 times the first's.
  const number = (words: string | null) => Number(/\d+(\.\d+)?$/.exec(words ?? "")?.[0]);
  expect(Math.abs(number(await title()) - 25 * number(grammar))).toBeLessThanOrEqual(0.13 + 0.5);
  await page.getByTestId("why-trait").selectOption("Vocabulary");
  expect(await title()).not.toBe(grammar);
  await shot(page, "why-traits");
});
