// A scorer that reads the prompt of a text with it: the page makes of both what the command line makes of them.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import Papa from "papaparse";
import { violations } from "./axe";
import { add, essayTable, judged, program } from "./judging";
import { shot } from "./sights";
import { goldens, ready, resultsTable, score, Served } from "./site";

const TOLERANCE = 1e-3;
/** Not the usual one, whose order a page could guess. */
const TEMPLATE = "Answer: {text}\nQuestion: {prompt}";

let site: Served;
let scratch: string;
test.beforeAll(async () => {
  site = await Served.start({ copy: true });
  scratch = mkdtempSync(join(tmpdir(), "pair2score-prompts-"));
  const path = join(site.folder, "bundle/manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  manifest.scorer.prompt_template = TEMPLATE;
  writeFileSync(path, JSON.stringify(manifest));
});
test.afterAll(async () => {
  await site.stop();
  rmSync(scratch, { recursive: true });
});

interface Row {
  id: string;
  text: string;
  prompt: string;
}

/** Essays with prompts: short, of another script, far too long, and none. */
function asked(): Row[] {
  const prompts = ["Should lessons begin later?", "Warum? Сколько? 为什么？", "Say why. ".repeat(2000), ""];
  return goldens(prompts.length).map(({ id, text }, place) => ({ id, text, prompt: prompts[place] ?? "" }));
}

/** What the command line says of them. */
function expected(rows: Row[]): Record<string, string>[] {
  const [input, output] = [join(scratch, "in.csv"), join(scratch, "out.csv")];
  writeFileSync(input, Papa.unparse(rows.map(({ id, text, prompt }) => ({ text_id: id, full_text: text, prompt }))));
  program("score", "--scorer", site.folder, "--input", input, "--output", output, "--prompt-col", "prompt");
  return Papa.parse<Record<string, string>>(readFileSync(output, "utf8"), { header: true, skipEmptyLines: true }).data;
}

async function open(page: Page): Promise<void> {
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
}

const tab = (page: Page, name: string) => page.getByRole("tab", { name }).click();

test("one text is scored with its prompt, and what is shown belongs to both", async ({ page }) => {
  await open(page);
  const rows = asked();
  const numbers = expected(rows);
  for (const [place, { text, prompt }] of rows.entries()) {
    await page.getByTestId("essay-prompt").fill(prompt);
    const given = await score(page, text);
    expect(Math.abs(given - Number(numbers[place]?.["score"])), prompt.slice(0, 20)).toBeLessThanOrEqual(TOLERANCE);
    await expect(page.getByTestId("cut-warning")).toBeVisible({ visible: numbers[place]?.["truncated"] === "true" });
  }
  expect(numbers.map((row) => row["truncated"])).toEqual(["false", "false", "true", "false"]);
  // The last has no prompt.
  await expect(page.getByTestId("doubts")).toContainText("There is no prompt, so the text was read alone.");
  expect(await violations(page)).toEqual([]);
  await page.getByTestId("essay-prompt").fill("Another question?");
  await expect(page.getByTestId("score-value")).toBeHidden();
  await page.getByRole("button", { name: "at ease" }).click();
  await expect(page.getByTestId("essay-prompt")).toHaveValue(/\?/);
});

test("two texts answer one prompt", async ({ page }) => {
  await open(page);
  await tab(page, "Two texts");
  const [a, b] = asked();
  const prompt = "Which of both would you read again?";
  for (const [name, content] of [["a", a?.text], ["b", b?.text], ["prompt", prompt]] as const) writeFileSync(join(scratch, `${name}.txt`), content ?? "");
  const [first, second, question] = ["a.txt", "b.txt", "prompt.txt"].map((name) => join(scratch, name));
  const { scores } = JSON.parse(program("compare", "--scorer", site.folder, first ?? "", second ?? "", "--prompt", question ?? "", "--json"));
  await page.getByTestId("compare-prompt").fill(prompt);
  await page.getByTestId("compare-a").fill(a?.text ?? "");
  await page.getByTestId("compare-b").fill(b?.text ?? "");
  await page.getByTestId("compare-button").click();
  await expect(page.locator("#compare-status")).toHaveText(/^\d+(\.\d)? m?s$/);
  await expect(page.getByTestId("score-a")).toHaveText(scores[0].score.toFixed(2));
  await expect(page.getByTestId("score-b")).toHaveText(scores[1].score.toFixed(2));
  await page.getByTestId("compare-prompt").fill(" ");
  await expect(page.getByTestId("verdict")).toBeEmpty();
  await page.getByTestId("compare-button").click();
  await expect(page.locator("#compare-status")).toHaveText(/^There is no prompt, so both texts were read alone\. /);
});

test("a class has a column of prompts, or one prompt for all", async ({ page }) => {
  await open(page);
  await tab(page, "A whole class");
  const results = async (table: string, prompt: string | null) => {
    await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(table) });
    await expect(page.getByTestId("class-button")).toBeEnabled();
    if (prompt === null) await expect(page.getByTestId("class-prompt")).toBeHidden();
    else await page.getByTestId("class-prompt").fill(prompt);
    await page.getByTestId("class-button").click();
    await expect(page.getByTestId("class-status")).toHaveText(/^4 texts scored/);
    return Papa.parse<Record<string, string>>(await resultsTable(page), { header: true, skipEmptyLines: true }).data;
  };
  const compare = (found: Record<string, string>[], rows: Row[]) => {
    expected(rows).forEach((row, place) => {
      expect(found[place]?.["id"]).toBe(row["id"]);
      expect(found[place]?.["truncated"]).toBe(row["truncated"]);
      expect(Math.abs(Number(found[place]?.["score"]) - Number(row["score"]))).toBeLessThanOrEqual(TOLERANCE);
    });
  };
  const rows = asked();
  const table = Papa.unparse(rows.map(({ id, text, prompt }) => ({ name: id, Question: prompt, essay: text })));
  compare(await results(table, null), rows);
  await expect(page.getByTestId("prompt-column")).toHaveValue("Question");
  await expect(page.locator("#class-rows tr").last()).toContainText("no prompt");
  const ofAll = "What did you do in summer?";
  compare(await results(essayTable(4), ofAll), rows.map((row) => ({ ...row, prompt: ofAll })));
  expect(await violations(page)).toEqual([]);
});

test("a page with a scorer of texts alone asks for no prompt", async ({ page }) => {
  const other = await Served.start();
  try {
    await page.goto(`${other.url}?backend=cpu`);
    await ready(page, "cpu");
    await expect(page.getByTestId("essay-prompt")).toBeHidden();
    await tab(page, "A whole class");
    const table = "text,prompt\nOne text.,Why?";
    await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(table) });
    await page.getByTestId("class-button").click();
    await expect(page.getByTestId("class-status")).toHaveText(/^1 text scored/);
    await expect(page.getByTestId("prompt-column")).toBeHidden();
    await expect(page.getByTestId("class-prompt")).toBeHidden();
  } finally {
    await other.stop();
  }
});

/** Judges a pair, and compares the results of the page with those of the command line, for documents as the page exports them. */
async function judgeAndCompare(page: Page): Promise<void> {
  await expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 60_000 });
  await tab(page, "Judge");
  await page.getByTestId("left-text").focus();
  await page.keyboard.press("ArrowLeft");
  await judged(page, 1);
  await tab(page, "Results");
  const saved = async (button: string, name: string) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId(button).click()]);
    writeFileSync(join(scratch, name), readFileSync(await download.path()));
    return join(scratch, name);
  };
  const results = await saved("export-results", "page.csv");
  const log = await saved("export-jsonl", "log.jsonl");
  await tab(page, "Documents");
  const documents = await saved("export-documents", "documents.csv");
  const output = join(scratch, "fit.csv");
  program("judgements", "fit", log, "--documents", documents, "--prompt-col", "prompt", "--scorer", site.folder, "--output", output);
  const rows = (path: string) => Papa.parse<Record<string, string>>(readFileSync(path, "utf8").replace("\ufeff", ""), { header: true, skipEmptyLines: true }).data;
  const [found, fit] = [rows(results), rows(output)];
  expect(found.map(({ id }) => id)).toEqual(fit.map(({ id }) => id));
  fit.forEach(({ utility }, place) => expect(Math.abs(Number(found[place]?.["utility"]) - Number(utility))).toBeLessThan(1e-3));
  // They differ, so that this says something.
  expect(new Set(fit.map(({ utility }) => Number(utility).toFixed(3))).size).toBe(fit.length);
}

test("the judging page asks for the prompt of the texts", async ({ page }) => {
  await page.goto(`${site.url}annotate.html?backend=cpu`);
  await add(page, essayTable(4));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await tab(page, "Documents");
  await page.getByTestId("read-texts").click();
  await expect(page.getByTestId("which-prompt")).toBeVisible();
  await shot(page, "judge-prompt");
  await page.getByTestId("which-prompt").fill("What did you do in summer?");
  await page.getByTestId("read-with-prompt").click();
  await judgeAndCompare(page);
});

test("documents of a table have prompts of their own, also where the table comes later", async ({ page }) => {
  await page.goto(`${site.url}annotate.html?backend=cpu`);
  const rows = asked();
  await add(page, Papa.unparse(rows.map(({ id, text }) => ({ text_id: id, full_text: text }))));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await tab(page, "Documents");
  await page.getByTestId("read-texts").click();
  await expect(page.getByTestId("which-prompt")).toBeVisible();
  await add(page, Papa.unparse(rows.map(({ id, text, prompt }) => ({ text_id: id, full_text: text, prompt }))));
  await judgeAndCompare(page);
  await expect(page.getByTestId("which-prompt")).toBeHidden();
});
