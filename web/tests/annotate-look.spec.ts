// The looks of the annotation page, for axe-core and for eyes.

import { expect, test } from "@playwright/test";
import { violations } from "./axe";
import { add, address, begin, essayTable, judged, serveSite } from "./judging";

serveSite();

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test(`axe finds nothing, nothing overflows: ${colorScheme}, ${width} px`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const folder = process.env["SCREENSHOTS"];
      const shot = async (name: string) => {
        expect(await violations(page), name).toEqual([]);
        const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
        expect(await page.evaluate(overflow), name).toBe(0);
        if (folder) await page.screenshot({ path: `${folder}/annotate-${name}-${colorScheme}-${width}.png`, fullPage: name !== "judge" });
      };
      await page.goto(address());
      await expect(page.getByTestId("documents-count")).toBeVisible();
      await shot("documents");
      await add(page, essayTable(12));
      await expect(page.getByTestId("left-text")).toBeVisible();
      await shot("judge");
      for (let n = 0; n < 20; n++) {
        await page.keyboard.press(n % 9 === 4 ? "t" : n % 3 === 0 ? "ArrowRight" : "ArrowLeft");
        await judged(page, n + 1);
      }
      await page.keyboard.press("f");
      await shot("flag");
      await page.getByTestId("flag-note").fill("Half of it is missing.");
      await page.getByTestId("flag-save").click();
      await page.getByRole("tab", { name: "Results" }).click();
      await expect(page.getByTestId("ssr")).toHaveText(/\d/);
      await shot("results");
      await page.getByRole("tab", { name: "Settings" }).click();
      await shot("settings");
    });
  }
}

test("at twice the size, buttons do not lie over the texts", async ({ page }) => {
  await page.setViewportSize({ width: 640, height: 400 });
  await begin(page, 4);
  await page.getByTestId("right-text").scrollIntoViewIfNeeded();
  const text = await page.getByTestId("right-text").boundingBox();
  const button = await page.getByTestId("choose-right").boundingBox();
  expect(button?.y).toBeGreaterThanOrEqual((text?.y ?? 0) + (text?.height ?? 0));
});
