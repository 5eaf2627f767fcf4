// Scorers of several traits, and of scales without grades.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import Papa from "papaparse";
import { add, essayTable, judged, program } from "./judging";
import { serveTraits, SIX, THREE, type Derived } from "./several";
import { shot } from "./sights";
import { goldens, ready, resultsTable, score, type Served } from "./site";

/** The same weights on both sides, times the largest factor. */
const TOLERANCE = 1e-3;

let site: Served | null = null;
test.afterEach(async () => {
  await site?.stop();
  site = null;
});

async function open(page: Page, traits: Derived[], file = ""): Promise<void> {
  site = await serveTraits(traits);
  await page.goto(`${site.url}${file}?backend=cpu`);
}

async function openReady(page: Page, traits: Derived[]): Promise<void> {
  await open(page, traits);
  await ready(page, "cpu");
}

const tab = (page: Page, name: string) => page.getByRole("tab", { name }).click();

async function scoreText(page: Page, text: string): Promise<void> {
  await page.getByTestId("essay-input").fill(text);
  await page.getByTestId("score-button").click();
  await expect(page.getByTestId("trait").first()).toBeVisible();
}

test("one text: every trait with its grade and score", async ({ page }) => {
  await openReady(page, THREE);
  for (const essay of goldens(3)) {
    await scoreText(page, essay.text);
    const [grammar, vocabulary, response] = [0, 1, 2].map((place) => page.getByTestId("trait").nth(place));
    const exact = async (row = grammar) => Number(await row?.getByTestId("score-value").getAttribute("data-exact"));
    expect(Math.abs((await exact()) - essay.score)).toBeLessThanOrEqual(TOLERANCE);
    await expect(grammar!.getByTestId("grade-value")).toHaveText(String(essay.grade));
    await expect(grammar!.getByTestId("score-value")).toHaveText(essay.score.toFixed(2));

    const raw = 6 - essay.score;
    const calibrated = Math.min(Math.max(2 * raw - 3, 1), 5);
    expect(Math.abs(Number(await vocabulary!.getByTestId("calibrated-value").textContent()) - calibrated)).toBeLessThanOrEqual(0.0051);
    const above = THREE[1].calibration?.thresholds.filter((threshold) => threshold <= raw).length ?? 0;
    await expect(vocabulary!.getByTestId("calibrated-grade-value")).toHaveText(String(1 + 0.5 * above));

    expect(Math.abs((await exact(response)) - 25 * (essay.score - 1))).toBeLessThanOrEqual(25 * TOLERANCE);
    // A hundredth of this scale is one.
    await expect(response!.getByTestId("score-value")).toHaveText(/^\d\d$/);
    await expect(response!.getByTestId("grade-value")).toHaveText("–");
  }
  await expect(page.getByTestId("announcement")).toHaveText(
    /^Grammar: score \d\.\d\d, grade \d(\.5)?, on a scale from 1 to 5\. Vocabulary: .* Task response: score \d\d, on a scale from 0 to 100\.$/,
  );
  await page.getByText("Details").click();
  await expect(page.getByTestId("exact-value").first()).toHaveText(/^\d\.\d{4}$/);
  await expect(page.getByTestId("histograms").getByRole("img")).toHaveCount(2);
  await shot(page, "three-text");
  await page.getByTestId("essay-input").fill("Another text.");
  await expect(page.getByTestId("traits")).toBeHidden();
  await expect(page.getByTestId("trait")).toHaveCount(0);
});

test("two texts: each trait has its own answer, and swapping mirrors all", async ({ page }) => {
  await openReady(page, THREE);
  await tab(page, "Two texts");
  const [first, second] = goldens(2);
  const rows = page.getByTestId("compare-rows").getByRole("row");
  const compare = async (a = "", b = "") => {
    await page.getByTestId("compare-a").fill(a);
    await page.getByTestId("compare-b").fill(b);
    await page.getByTestId("compare-button").click();
    await expect(page.locator("#compare-status")).toHaveText(/(ms|s)$/);
    const cells = await rows.evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent ?? "")));
    return cells.map(([a, b, preferred = ""]) => {
      const [, side, percent] = /^(first|second)(\d+)\s%$/.exec(preferred) ?? [];
      return { a, b, side, percent };
    });
  };
  const one = await compare(first?.text, second?.text);
  expect(one.map(({ side }) => side)).not.toContain(undefined);
  // The opposite trait is as sure of the other text.
  expect(one[1]?.percent).toBe(one[0]?.percent);
  expect(one[1]?.side).not.toBe(one[0]?.side);
  expect(one[2]?.side).toBe(one[0]?.side);
  await expect(page.getByTestId("verdict")).toHaveText(/^The scorer prefers the (first|second) text in 2 of 3 traits, and the (first|second) in 1\.$/);
  await shot(page, "three-pair");
  const other = await compare(second?.text, first?.text);
  const mirrored = one.map(({ a, b, side, percent }) => ({ a: b, b: a, side: side === "first" ? "second" : "first", percent }));
  expect(other).toEqual(mirrored);
});

test("a class: a column for each trait, and the columns of the command line", async ({ page }) => {
  await openReady(page, THREE);
  await tab(page, "A whole class");
  const csv = `${essayTable(6)}\nblank,\n`;
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^6 texts scored/);
  await expect(page.locator("#class-head th")).toHaveText(["Name", "Grammar", "Vocabulary", "Task response", "Tokens", "Note"]);
  await expect(page.locator("#class-rows tr").last().getByRole("cell")).toHaveText(["–", "–", "–", "blank", ""]);
  const [essay] = goldens(1);
  const cells = page.locator("#class-rows tr").first().getByRole("cell");
  await expect(cells.first()).toHaveText(`${essay?.grade}${essay?.score.toFixed(2)}`);
  await expect(cells.nth(2)).toHaveText(/^\d\d$/);
  await shot(page, "three-class");

  const folder = mkdtempSync(join(tmpdir(), "pair2score-several-"));
  try {
    const [input, output] = [join(folder, "in.csv"), join(folder, "out.csv")];
    writeFileSync(input, essayTable(6));
    program("score", "--scorer", site?.folder ?? "", "--input", input, "--output", output);
    const rows = (table: string) => Papa.parse<string[]>(table, { skipEmptyLines: true }).data;
    const [[header, ...page6], [expected, ...program6]] = [rows(await resultsTable(page)), rows(readFileSync(output, "utf8"))];
    expect(header).toEqual([...(expected ?? []), "vocabulary_calibrated", "vocabulary_calibrated_grade"]);
    expect(page6.pop()).toEqual(["blank", "", "", "", "", "", "", "false", "", ""]);
    expect(page6).toHaveLength(program6.length);
    page6.forEach((row, index) => {
      program6[index]?.forEach((value, column) => {
        const isScore = [1, 3, 5].includes(column);
        if (isScore) expect(Math.abs(Number(row[column]) - Number(value))).toBeLessThanOrEqual(25 * TOLERANCE);
        else expect(row[column]).toBe(value);
      });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("six traits fit the page", async ({ page }) => {
  await openReady(page, SIX);
  const [essay] = goldens(1);
  await scoreText(page, essay?.text ?? "");
  await expect(page.getByTestId("trait")).toHaveCount(6);
  await expect(page.locator("#trait-scale")).toHaveText("All traits on a scale from 1 to 5.");
  await expect(page.getByTestId("trait").last()).toBeInViewport({ ratio: 1 });
  await shot(page, "six-text");
  await tab(page, "Two texts");
  await page.getByRole("button", { name: "Two samples" }).click();
  await page.getByTestId("compare-button").click();
  await expect(page.getByTestId("verdict")).toBeVisible();
  await shot(page, "six-pair");
  await tab(page, "A whole class");
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(essayTable(8)) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^8 texts scored/);
  await shot(page, "six-class");
});

test("a continuous scale: no grade, digits that fit, and its range", async ({ page }) => {
  const [essay] = goldens(1);
  const { text, score: raw } = essay ?? { text: "", score: NaN };
  for (const [scale, factor, shift, shown, range] of [
    [{ min: -3.7, max: 1.7 }, 1, -3, /^-?\d\.\d\d$/, "on a scale from -3.7 to 1.7"],
    [{ min: 0, max: 1000 }, 200, 0, /^\d{3}$/, "on a scale from 0 to 1000"],
    [{ min: 0, max: 0.01 }, 0.002, 0, /^0\.00\d{2}$/, "on a scale from 0 to 0.01"],
    [{ min: 2, max: 4, auto: true }, 2, 0, /^\d\.\d\d$/, "where the training labels go from 2 to 4"],
  ] as const) {
    await openReady(page, [{ target: "ease", scale, factor, shift, label_counts: [4, 0, 8, 12, 3] }]);
    const value = await score(page, text);
    expect(Math.abs(value - (factor * raw + shift))).toBeLessThanOrEqual(factor * TOLERANCE);
    await expect(page.getByTestId("score-value")).toHaveText(shown);
    // Ends that were only observed do not bound it.
    const bounded = "auto" in scale ? value : Math.min(Math.max(value, scale.min), scale.max);
    const off = Math.abs(Number(await page.getByTestId("score-value").textContent()) - bounded);
    expect(off).toBeLessThanOrEqual((scale.max - scale.min) / 200);
    await expect(page.getByTestId("grade-value")).toBeHidden();
    await expect(page.locator("#scale-value")).toHaveText(range);
    await expect(page.getByTestId("histogram").getByRole("img")).toHaveAccessibleName(/\s% have a lower label\.$/);
    const labels = await page.getByTestId("histogram").locator("text").allTextContents();
    expect(new Set(labels).size).toBe(labels.length);
    await shot(page, `continuous-${scale.max}`);

    await tab(page, "Two texts");
    await page.getByRole("button", { name: "Two samples" }).click();
    await page.getByTestId("compare-button").click();
    await expect(page.getByTestId("score-a")).toHaveText(shown);
    await expect(page.locator("#detail-a")).toHaveText(/^\d+ tokens$/);

    await tab(page, "A whole class");
    await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(essayTable(2)) });
    await page.getByTestId("class-button").click();
    await expect(page.getByTestId("class-status")).toHaveText(/^2 texts scored/);
    await expect(page.locator("#class-head th")).toHaveText(["Name", "Score", "Tokens", "Note"]);
    await expect(page.locator("#class-rows tr").first().getByRole("cell").first()).toHaveText(shown);
    expect(await resultsTable(page)).toMatch(/^id,score,grade,truncated\n[\w-]+,-?[\d.e-]+,,(true|false)\n/);
    await site?.stop();
    site = null;
  }
});

test("the judging page asks which trait is judged, and makes a scorer of it", async ({ page }) => {
  await open(page, THREE, "annotate.html");
  await add(page, essayTable(8));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await tab(page, "Documents");
  await page.getByTestId("read-texts").click();
  const question = page.getByTestId("which-trait");
  await expect(question.getByRole("option")).toHaveText(THREE.map(({ target }) => target));
  await shot(page, "which-trait");
  await question.getByRole("combobox").selectOption("task response");
  await question.getByRole("button", { name: "Judge this" }).click();
  await expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 120_000 });
  await expect(question).toBeHidden();
  await tab(page, "Settings");
  await expect(page.locator("input[name=target]")).toHaveValue("task response");
  await expect(page.locator("input[name=scaleMax]")).toHaveValue("100");

  await tab(page, "Judge");
  await page.getByTestId("left-text").focus();
  for (let n = 0; n < 4; n++) {
    await page.keyboard.press("t");
    await judged(page, n + 1);
  }
  // Grades that say what this trait says: with the scores of another one, they would not fit.
  await tab(page, "Results");
  for (const { id, score: raw } of goldens(5)) {
    await page.getByLabel(new RegExp(`^Your grade of ${id},`)).fill((25 * (raw - 1)).toFixed(1));
    await page.keyboard.press("Enter");
  }
  await page.getByTestId("use-scorer").click();
  await expect(page.getByTestId("open-scorer")).toBeVisible({ timeout: 60_000 });
  await page.getByTestId("open-scorer").click();
  await ready(page, "cpu");
  await expect(page.locator("#about")).toContainText("rates task response from 0 to 100");
  // Five grades are few; with the numbers of another trait, which go from 1 to 5, it would be off by more than 40.
  for (const { text, score: raw } of goldens(8).slice(5)) {
    expect(Math.abs((await score(page, text)) - 25 * (raw - 1))).toBeLessThanOrEqual(20);
  }
});
