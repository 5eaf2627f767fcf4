// The page's numbers are the command line's.

import { expect, test, type Page } from "@playwright/test";
import { goldens, PACKED, ready, score, Served, SITE, type Exported } from "./site";

/** The same weights in f32, or packed, on both sides; what differs is the order of sums. */
const TOLERANCE = 1e-3;

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
    expect(Math.abs(value - essay.score), essay.id).toBeLessThanOrEqual(TOLERANCE);
    expect(Number(await page.getByTestId("grade-value").textContent()), essay.id).toBe(essay.grade);
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
