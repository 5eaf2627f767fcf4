// Judging with what the texts tell: from a class of essays to a scorer for new ones, without network.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { unzipSync } from "fflate";
import Papa from "papaparse";
import { violations } from "./axe";
import { add, address, judged, program, scratch, seeded, serveSite } from "./judging";
import { demoEssays, ready, score, Served, type DemoEssay } from "./site";

serveSite();

/** A name for a sight, as the reviewers of looks want it: SCREENSHOTS names a folder. */
async function shot(page: Page, name: string): Promise<void> {
  expect(await violations(page), name).toEqual([]);
  const folder = process.env["SCREENSHOTS"];
  if (!folder) return;
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1280, 360]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: `${folder}/less-${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
}

let own: Served | null = null;
test.afterEach(async () => {
  await own?.stop();
  own = null;
});

const table = (essays: DemoEssay[]) => Papa.unparse(essays.map(({ full_text }, index) => ({ text_id: `e${index}`, full_text })));

/** Judges by keyboard as somebody who sees the grades. */
async function judgeByGrade(page: Page, grades: Map<string, number>, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const grade = async (side: string) => grades.get((await page.getByTestId(`${side}-text`).textContent()) ?? "") ?? NaN;
    const difference = (await grade("left")) - (await grade("right"));
    await page.keyboard.press(difference > 0 ? "ArrowLeft" : difference < 0 ? "ArrowRight" : "t");
    await judged(page, n + 1);
  }
}

/** The first text from `least` on that the page says is being read. */
async function firstRead(page: Page, least: number): Promise<number> {
  const found = await page.waitForFunction(
    (least) => {
      const text = document.querySelector("[data-testid=reading]")?.textContent ?? "";
      const number = Number(/reading text (\d+) of/.exec(text)?.[1] ?? 0);
      return number >= least ? number : null;
    },
    least,
    { polling: "raf", timeout: 60_000 },
  );
  return (await found.jsonValue()) ?? 0;
}

/** Spearman's correlation. */
function agreement(one: number[], other: number[]): number {
  const ranks = (values: number[]) => values.map((value) => values.filter((v) => v < value).length + values.filter((v) => v === value).length / 2);
  const [a, b] = [ranks(one), ranks(other)];
  const mean = one.length / 2;
  const product = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + (value - mean) * ((y[i] ?? 0) - mean), 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

test("forty essays: read, judged by keyboard, graded, and a scorer for new texts, without network", async ({ page }) => {
  own = await Served.start({ copy: true });
  const all = demoEssays(60);
  const essays = all.slice(0, 40);
  const grades = new Map(essays.map(({ full_text, grammar }) => [full_text, Number(grammar)]));
  await seeded(page);
  await page.goto(`${own.url}annotate.html?backend=cpu`);
  await expect(page.locator("#offline")).toBeVisible();
  await add(page, table(essays));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Documents" }).click();
  await shot(page, "offer");
  await page.getByTestId("read-texts").click();
  const before = await firstRead(page, 6);
  // Reading goes on where it was interrupted.
  await page.reload();
  expect(await firstRead(page, 1)).toBeGreaterThanOrEqual(before);
  await expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 120_000 });
  await expect(page.getByTestId("offer")).toBeHidden();
  // From here on there is no network.
  await own.stop();
  own = null;

  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  await judgeByGrade(page, grades, 0, 12);
  await page.getByRole("tab", { name: "Results" }).click();
  await expect(page.getByTestId("document-rows").getByRole("row").filter({ hasText: "from its text" })).not.toHaveCount(0);
  await shot(page, "early");
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  await judgeByGrade(page, grades, 12, 30);
  await page.reload();
  await judged(page, 30);
  await expect(page.getByTestId("plan-note")).toBeHidden();
  await page.getByTestId("left-text").focus();
  await judgeByGrade(page, grades, 30, 60);

  await page.getByRole("tab", { name: "Results" }).click();
  const rows = page.getByTestId("document-rows").getByRole("row");
  await expect(rows).toHaveCount(40);
  await expect(page.getByTestId("verdict")).toHaveText(/^(Reliable: 0\.\d\d of 1\. That is enough|Not reliable yet: about \d+ more judgements)/);
  await page.getByText("For researchers").click();
  for (const id of ["with-texts", "without-texts"]) await expect(page.getByTestId(id)).toHaveText(/^0\.\d\d$/);
  await page.getByText("For researchers").click();
  await expect(page.getByTestId("half")).toHaveText(/^About \d+ more judgements would make the ranges half as wide\.$/);
  await expect(page.getByTestId("use-scorer")).toBeDisabled();
  await shot(page, "places");
  // Grades are typed beside five texts, with the keyboard.
  const typed = [0, 9, 18, 27, 36].map((index) => ({ id: `e${index}`, grade: essays[index]?.grammar ?? "" }));
  for (const { id, grade } of typed) {
    await page.getByLabel(`Your grade of ${id},`).fill(grade);
    await page.getByLabel(`Your grade of ${id},`).press("Tab");
  }
  await expect(page.getByTestId("grades-note")).toHaveText("Scores follow from 5 grades. The more grades, the surer.");
  await expect(page.getByRole("columnheader", { name: "Likely score" })).toBeVisible();
  await page.getByLabel("Your grade of e1,").fill("7");
  await page.getByLabel("Your grade of e1,").press("Tab");
  expect(await page.getByLabel("Your grade of e1,").evaluate((field: HTMLInputElement) => field.validationMessage)).toContain("1 to 5 by 0.5");
  await page.getByLabel("Your grade of e1,").fill("");
  await page.getByLabel("Your grade of e1,").press("Tab");
  await shot(page, "results");

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-results").click()]);
  const results = Papa.parse<Record<string, string>>(readFileSync(await download.path(), "utf8"), { header: true, skipEmptyLines: true }).data;
  expect(results).toHaveLength(40);
  const truth = results.map(({ id = "" }) => Number(essays[Number(id.slice(1))]?.grammar));
  expect(agreement(results.map(({ score }) => Number(score)), truth)).toBeGreaterThan(0.6);
  const inside = results.filter(({ low, high }, index) => Number(low) <= (truth[index] ?? 0) && (truth[index] ?? 0) <= Number(high));
  // 36 are promised.
  expect(inside.length).toBeGreaterThanOrEqual(28);
  for (const { id, grade } of typed) expect(results.find((row) => row["id"] === id)?.["low"]).toBe(String(Number(grade)));

  await page.getByTestId("use-scorer").click();
  await expect(page.getByTestId("open-scorer")).toBeVisible({ timeout: 60_000 });
  const [archive] = await Promise.all([page.waitForEvent("download"), page.getByTestId("download-scorer").click()]);
  const zip = readFileSync(await archive.path());
  await page.getByTestId("open-scorer").click();
  await ready(page, "cpu");
  await expect(page.getByTestId("own-scorer")).toBeVisible();
  const fresh = all.slice(40);
  const scores: number[] = [];
  for (const { full_text } of fresh) scores.push(await score(page, full_text));
  expect(agreement(scores, fresh.map(({ grammar }) => Number(grammar)))).toBeGreaterThan(0.3);
  await shot(page, "own-scorer");

  // The archive is a scorer for the command line too, with the same numbers.
  for (const [name, bytes] of Object.entries(unzipSync(zip))) {
    mkdirSync(join(scratch, "judged/bundle"), { recursive: true });
    writeFileSync(join(scratch, "judged", name), bytes);
  }
  writeFileSync(join(scratch, "fresh.csv"), table(fresh));
  program("score", "--scorer", join(scratch, "judged"), "--input", join(scratch, "fresh.csv"), "--output", join(scratch, "fresh-scores.csv"));
  const native = Papa.parse<Record<string, string>>(readFileSync(join(scratch, "fresh-scores.csv"), "utf8"), { header: true, skipEmptyLines: true }).data;
  native.forEach((row, index) => expect(Math.abs(Number(row["score"]) - (scores[index] ?? NaN))).toBeLessThan(1e-3));
});

test("at 200 texts the next pair is there within 100 ms of a key", async ({ page }) => {
  // Short texts: what the fit of 200 costs does not depend on their length.
  const essays = demoEssays(200).map(({ full_text, grammar }) => ({ full_text: full_text.slice(0, 160), grammar }));
  await page.goto(`${address()}?backend=cpu`);
  await add(page, table(essays));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Documents" }).click();
  await page.getByTestId("read-texts").click();
  await expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 200_000 });
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  // From the key to the new texts, in the page.
  await page.evaluate(() => {
    const times: number[] = [];
    let pressed = 0;
    addEventListener("keydown", () => (pressed = performance.now()), { capture: true });
    const text = document.querySelector("[data-testid=left-text]");
    if (text) new MutationObserver(() => times.push(performance.now() - pressed)).observe(text, { childList: true });
    Object.assign(window, { times });
  });
  for (let n = 0; n < 60; n++) {
    // Nobody reads two texts faster.
    await page.waitForTimeout(1000);
    await page.keyboard.press(n % 3 === 0 ? "ArrowLeft" : "ArrowRight");
    await judged(page, n + 1);
  }
  const times = await page.evaluate(() => (window as unknown as { times: number[] }).times);
  const sorted = [...times].sort((a, b) => a - b);
  console.log(`next pair: median ${sorted[30]?.toFixed(0)} ms, longest ${sorted.at(-1)?.toFixed(0)} ms`);
  expect(times.length).toBeGreaterThanOrEqual(60);
  expect(sorted[Math.floor(0.95 * sorted.length)]).toBeLessThan(100);
});
