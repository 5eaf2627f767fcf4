// Between which labels people would likely say, beside a score.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import Papa from "papaparse";
import { essayTable, program } from "./judging";
import { serveTraits, THREE, type Derived } from "./several";
import { shot } from "./sights";
import { goldens, ready, resultsTable, scoreText, type Served } from "./site";

/** Half-widths that no score makes a tie of, and two regions. */
const intervals = (half_widths: number[], thresholds: number[] = []) => ({ level: 0.9, documents: 200, thresholds, half_widths });
const [GRAMMAR, VOCABULARY, RESPONSE] = THREE;
const BANDS: Derived[] = [
  { ...GRAMMAR, intervals: intervals([0.83, 0.61], [3.25]) },
  { ...VOCABULARY, intervals: intervals([0.77]) },
  { ...RESPONSE, intervals: intervals([21.5]) },
];

let site: Served | null = null;
test.afterEach(async () => {
  await site?.stop();
  site = null;
});

async function open(page: Page, traits: Derived[]): Promise<void> {
  site = await serveTraits(traits);
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
}

/** The grades within, as people read them. */
function grades(score: number, half: number): string {
  const [low, high] = [Math.ceil(2 * Math.max(score - half, 1)) / 2, Math.floor(2 * Math.min(score + half, 5)) / 2];
  return low === high ? `${low}` : `${low} to ${high}`;
}

test("one trait: a grade with its band, said to screen readers too", async ({ page }) => {
  await open(page, BANDS.slice(0, 1));
  for (const essay of goldens(4)) {
    await scoreText(page, essay.text);
    const band = `likely ${grades(essay.score, essay.score < 3.25 ? 0.83 : 0.61)}`;
    await expect(page.getByTestId("band")).toHaveText(`, ${band}`);
    await expect(page.getByTestId("announcement")).toHaveText(`Score ${essay.score.toFixed(2)}, grade ${essay.grade}, ${band}, on a scale from 1 to 5.`);
  }
  await shot(page, "band-text");
});

test("a continuous scale has a band in its own digits", async ({ page }) => {
  await open(page, BANDS.slice(2));
  const [essay] = goldens(1);
  await scoreText(page, essay?.text ?? "");
  const score = 25 * ((essay?.score ?? 0) - 1);
  const [low, high] = [Math.max(score - 21.5, 0), Math.min(score + 21.5, 100)].map((end) => end.toFixed(0));
  await expect(page.getByTestId("band")).toHaveText(`likely ${low} to ${high}`);
});

test("a scorer without intervals shows none", async ({ page }) => {
  await open(page, THREE.slice(0, 1));
  await scoreText(page, goldens(1)[0]?.text ?? "");
  await expect(page.getByTestId("band")).toHaveText("");
  await expect(page.getByTestId("announcement")).not.toContainText("likely");
});

test("several traits and a class: a band for each, and the columns of the command line", async ({ page }) => {
  await open(page, BANDS);
  const [essay] = goldens(1);
  await scoreText(page, essay?.text ?? "");
  const band = grades(essay?.score ?? 0, (essay?.score ?? 0) < 3.25 ? 0.83 : 0.61);
  await expect(page.getByTestId("traits").getByTestId("band")).toHaveCount(3);
  await expect(page.getByTestId("traits").getByTestId("band").first()).toHaveText(`likely ${band}`);
  await shot(page, "bands-text");

  await page.getByRole("tab", { name: "A whole class" }).click();
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(`${essayTable(6)}\nblank,\n`) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^6 texts scored/);
  const cell = page.locator("#class-rows tr").first().getByRole("cell").first();
  await expect(cell).toHaveText(`${essay?.grade}${essay?.score.toFixed(2)}likely ${band}`);
  await shot(page, "bands-class");

  const folder = mkdtempSync(join(tmpdir(), "pair2score-bands-"));
  try {
    const [input, output] = [join(folder, "in.csv"), join(folder, "out.csv")];
    writeFileSync(input, essayTable(6));
    program("score", "--scorer", site?.folder ?? "", "--input", input, "--output", output, "--intervals");
    const rows = (table: string) => Papa.parse<string[]>(table, { skipEmptyLines: true }).data;
    const [[header, ...shown], [expected, ...written]] = [rows(await resultsTable(page)), rows(readFileSync(output, "utf8"))];
    expect(header).toEqual([...(expected ?? []), "vocabulary_calibrated", "vocabulary_calibrated_grade"]);
    expect(shown.pop()?.slice(0, 13)).toEqual(["blank", ...Array<string>(12).fill("")]);
    written.forEach((row, index) => {
      for (const column of [3, 4, 7, 8]) expect(shown[index]?.[column]).toBe(row[column]);
      for (const column of [11, 12]) expect(Math.abs(Number(shown[index]?.[column]) - Number(row[column]))).toBeLessThanOrEqual(0.05);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("one trait in a class has a column of its own", async ({ page }) => {
  await open(page, BANDS.slice(0, 1));
  await page.getByRole("tab", { name: "A whole class" }).click();
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(essayTable(2)) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^2 texts scored/);
  await expect(page.locator("#class-head th")).toHaveText(["Name", "Score", "Grade", "Likely", "Tokens", "Note"]);
  const [essay] = goldens(1);
  const cells = page.locator("#class-rows tr").first().getByRole("cell");
  await expect(cells.nth(2)).toHaveText(grades(essay?.score ?? 0, (essay?.score ?? 0) < 3.25 ? 0.83 : 0.61));
});
