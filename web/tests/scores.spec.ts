// The page's numbers are the command line's.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { SAMPLES } from "../src/scoring/samples";
import { goldens, PACKED, ready, score, Served, SITE, type Exported } from "./site";

/** The same weights on both sides; what differs is the order of sums. */
const TOLERANCE = 1e-3;
/** The page rounds what meets packed weights, and the command line only where its chip multiplies integers. */
const PACKED_TOLERANCE = 0.05;

let site: Served;
test.beforeAll(async () => {
  site = await Served.start();
});
test.afterAll(() => site.stop());

/** Scores essays in the page and compares each with the command line's number for the same site. */
async function compare(page: Page, served: Served, exported: Exported, backend: string, n: number): Promise<void> {
  await page.goto(`${served.url}?backend=${backend}`);
  await ready(page, backend);
  const essays = goldens(n, exported);
  expect(essays).toHaveLength(n);
  let largest = 0;
  let milliseconds = 0;
  for (const essay of essays) {
    const started = Date.now();
    const value = await score(page, essay.text);
    milliseconds += Date.now() - started;
    expect(Math.abs(value - essay.score), essay.id).toBeLessThanOrEqual(exported === PACKED ? PACKED_TOLERANCE : TOLERANCE);
    const grade = Number(await page.getByTestId("grade-value").textContent());
    // A score beside the border of two grades may fall on its other side.
    if (exported !== PACKED) expect(grade, essay.id).toBe(essay.grade);
    largest = Math.max(largest, Math.abs(value - essay.score));
  }
  console.log(`${backend}: largest difference ${largest.toExponential(2)}, ${(milliseconds / n).toFixed(0)} ms per essay`);
}

for (const [backend, n, packed] of [
  ["cpu", 50, 10],
  ["webgpu", 20, 5],
] as const) {
  test(`${n} essays on ${backend}`, async ({ page }) => {
    test.setTimeout(600_000);
    await compare(page, site, SITE, backend, n);
  });

  test(`${packed} essays with packed weights on ${backend}`, async ({ page }) => {
    test.setTimeout(300_000);
    const served = await Served.start({ site: PACKED });
    try {
      await compare(page, served, PACKED, backend, packed);
    } finally {
      await served.stop();
    }
    // Packed weights are other weights: the command line must see that too.
    const differs = goldens(packed, PACKED).some(({ score }, i) => score !== goldens(packed)[i]?.score);
    expect(differs).toBe(true);
  });
}

test("a browser without relaxed SIMD gets the same scores of packed weights, from the other file", async ({ browser }) => {
  const served = await Served.start({ site: PACKED });
  try {
    const scores: number[][] = [];
    for (const file of ["pair2score_cpu_relaxed_bg", "pair2score_cpu_bg"]) {
      const context = await browser.newContext({ serviceWorkers: "block" });
      const page = await context.newPage();
      const fetched: string[] = [];
      page.on("request", (request) => fetched.push(request.url()));
      if (file === "pair2score_cpu_bg") {
        await page.route("**/assets/main-*.js", async (route) => {
          const response = await route.fetch();
          await route.fulfill({ response, body: "WebAssembly.validate = () => false;" + (await response.text()) });
        });
      }
      await page.goto(`${served.url}?backend=cpu`);
      await ready(page, "cpu");
      // Eight characters of a hash, which may be dashes too.
      const wasm = fetched.flatMap((url) => /(pair2score_.*)-.{8}\.wasm$/.exec(url)?.[1] ?? []);
      expect(wasm).toEqual([file]);
      const ofFile: number[] = [];
      for (const { text } of goldens(3, PACKED)) ofFile.push(await score(page, text));
      scores.push(ofFile);
      await context.close();
    }
    // Both multiply the same integers and add up in the same order.
    expect(scores[1]).toEqual(scores[0]);
  } finally {
    await served.stop();
  }
});

test("a calibrated scorer shows what its calibration makes of the score", async ({ page }) => {
  const own = await Served.start({ copy: true });
  try {
    const path = join(own.folder, "bundle", "manifest.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    const thresholds = [1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25];
    manifest.scorer.calibration = { method: "linear", documents: 100, knots: [[1.5, 1], [3.5, 5]], thresholds };
    writeFileSync(path, JSON.stringify(manifest));
    await page.goto(`${own.url}?backend=cpu`);
    await ready(page, "cpu");
    await page.getByText("Details").evaluate((summary) => ((summary.parentElement as HTMLDetailsElement).open = true));
    for (const essay of goldens(3)) {
      const raw = await score(page, essay.text);
      expect(Math.abs(raw - essay.score), essay.id).toBeLessThanOrEqual(TOLERANCE);
      const shown = Number(await page.getByTestId("calibrated-value").textContent());
      expect(Math.abs(shown - Math.min(Math.max(2 * raw - 2, 1), 5)), essay.id).toBeLessThanOrEqual(0.0051);
      const grade = 1 + 0.5 * thresholds.filter((threshold) => threshold <= raw).length;
      expect(Number(await page.getByTestId("calibrated-grade-value").textContent()), essay.id).toBe(grade);
      await expect(page.getByTestId("score-value")).toBeVisible();
    }
  } finally {
    await own.stop();
  }
});

test("the sample essays are ranked as their names say", async ({ page }) => {
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
  const scores: number[] = [];
  for (const { text } of SAMPLES) scores.push(await score(page, text));
  const [beginner = NaN, onTheWay = NaN, atEase = NaN] = scores;
  expect(onTheWay - beginner).toBeGreaterThan(0.3);
  expect(atEase - onTheWay).toBeGreaterThan(0.3);
});

test("a software adapter is not taken unless it is asked for", async ({ page }) => {
  await page.goto(site.url);
  await ready(page, "cpu");
  await expect(page.locator("[data-code=fallback-adapter]")).toContainText("software adapter");
});

test("without WebGPU the processor computes, and the page says so", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "gpu", { value: undefined }));
  await page.route("**/assets/main-*.js", async (route) => {
    const response = await route.fetch();
    const script = 'Object.defineProperty(navigator, "gpu", { value: undefined });';
    await route.fulfill({ response, body: script + (await response.text()) });
  });
  await page.goto(`${site.url}?backend=webgpu`);
  await ready(page, "cpu");
  await expect(page.locator("[data-code=no-webgpu]")).toContainText("no WebGPU");
});
