// The page's numbers are the command line's.

import { expect, test } from "@playwright/test";
import { goldens, ready, score, Served } from "./site";

/** f32 on both sides; what differs is the order of sums. */
const TOLERANCE = 1e-3;

let site: Served;
test.beforeAll(async () => {
  site = await Served.start();
});
test.afterAll(() => site.stop());

for (const [backend, n] of [
  ["cpu", 50],
  ["webgpu", 20],
] as const) {
  test(`${n} essays on ${backend}`, async ({ page }) => {
    test.setTimeout(600_000);
    await page.goto(`${site.url}?backend=${backend}`);
    await ready(page, backend);
    const essays = goldens(n);
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
