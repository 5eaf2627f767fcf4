// Grades that come with the texts, and the scale that they are on.

import { expect, test, type Page } from "@playwright/test";
import { add, address, judge, serveSite } from "./judging";

serveSite();

/** Texts that say which they are, with these grades, judged six times: the higher number is better. */
async function beginGraded(page: Page, grades: number[]): Promise<void> {
  await page.goto(address());
  await add(page, ["text_id,full_text,anchor", ...grades.map((grade, i) => `d${i},text ${i},${grade}`)].join("\n"));
  await expect(page.getByTestId("left-text")).toHaveText(/^text \d+$/);
  await judge(page, 0, 6);
}

const tab = (page: Page, name: string) => page.getByRole("tab", { name }).click();

test("grades off the scale give no scores, until the scale is theirs", async ({ page }) => {
  await beginGraded(page, [10, 25, 40, 55, 70, 85]);
  await tab(page, "Results");
  await expect(page.getByTestId("grades-note")).toHaveText(
    '6 grades are not on the scale 1 to 5 by 0.5, as 10 of "d0"; correct the grades, or the scale under Settings.',
  );
  await expect(page.getByRole("columnheader", { name: "Likely score" })).toBeHidden();
  await tab(page, "Settings");
  const fill = async (label: string, value: string) => {
    await page.getByLabel(label).fill(value);
    await page.getByLabel(label).blur();
  };
  await fill("Step (empty: any number)", "");
  await fill("Highest", "100");
  await expect(page.getByTestId("status")).toHaveText("Saved.");
  await tab(page, "Results");
  await expect(page.getByTestId("grades-note")).toHaveText("Scores follow from 6 grades. The more grades, the surer.");
  await expect(page.getByRole("columnheader", { name: "Likely score" })).toBeVisible();
});

test("grades that fall where the judgements rise are spoken of", async ({ page }) => {
  await beginGraded(page, [5, 4.5, 4, 3.5, 3, 2.5]);
  await tab(page, "Results");
  await expect(page.getByTestId("grades-note")).toContainText("Scores follow from 6 grades.");
  await expect(page.getByTestId("cautions")).toContainText(/^The anchors' grades fall where the judgements rise \(correlation -/);
});

test("what was mistyped in the settings can be corrected", async ({ page }) => {
  const openSettings = async () => {
    // A project without texts opens at their tab.
    await expect(page.getByTestId("import-file")).toBeVisible();
    await tab(page, "Settings");
  };
  await page.goto(address());
  await openSettings();
  for (const [label, wrong, right] of [
    ["Highest", "0", "10"],
    ["Question", "  ", "Which is clearer?"],
    ["Name of the project", " ", "7b"],
  ] as const) {
    const field = page.getByLabel(label);
    await field.fill(wrong);
    await field.blur();
    expect(await field.evaluate((input: HTMLInputElement) => input.validationMessage)).not.toBe("");
    await field.fill(right);
    await field.blur();
    await expect(page.getByTestId("status")).toHaveText("Saved.");
    await page.reload();
    await openSettings();
    await expect(field).toHaveValue(right);
  }
});
