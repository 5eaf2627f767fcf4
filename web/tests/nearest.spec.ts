// The graded documents that resemble a text, and what two people would differ by.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { serveTraits, THREE, type Derived } from "./several";
import { shot } from "./sights";
import { demoEssays, goldens, ready, scoreText, Served, SITE } from "./site";

interface Anchor {
  id: string;
  labels: (number | null)[];
  text?: string;
}

const anchors: Anchor[] = JSON.parse(readFileSync(join(SITE.folder, "bundle/manifest.json"), "utf8")).scorer.anchors.documents;
const RATERS = { documents: 418, difference: 0.4012, same: 0.523, neighbours: 0.909 };
const [GRAMMAR, VOCABULARY, RESPONSE] = THREE;

let site: Served | null = null;
test.afterEach(async () => {
  await site?.stop();
  site = null;
});

async function open(page: Page, traits: Derived[] | null): Promise<void> {
  site = traits ? await serveTraits(traits) : await Served.start();
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
}

test("a text stands beside graded documents, itself first where it is one", async ({ page }) => {
  await open(page, null);
  const labels = new Map(demoEssays(2000).map((essay) => [essay.full_text.trim(), Number(essay.grammar)]));
  for (const anchor of [anchors[0], anchors[anchors.length - 1]]) {
    await scoreText(page, anchor?.text ?? "");
    const items = page.getByTestId("nearest").getByRole("listitem");
    await expect(items).toHaveCount(3);
    await expect(items.first()).toContainText(`grade ${anchor?.labels[0]} ${anchor?.id}`);
    // All of them are graded as they are said to be.
    for (const item of await items.all()) {
      await item.getByRole("group").or(item.locator("summary")).first().click();
      const text = await item.locator(".own-words").textContent();
      expect(await item.locator("summary").textContent()).toContain(`grade ${labels.get((text ?? "").trim())} `);
    }
    await page.getByTestId("why-button").click();
    await expect(page.getByTestId("why-legend")).toHaveText(/The graded documents that resemble the text most have the grade [\d., and]+\.$/, { timeout: 60_000 });
  }
  await shot(page, "nearest");
  await page.getByTestId("essay-input").fill("Another text.");
  await expect(page.getByTestId("nearest")).toHaveCount(0);
});

test("without texts there are ids and grades alone; raters are said in words", async ({ page }) => {
  await open(page, [{ ...GRAMMAR, raters: RATERS }]);
  await scoreText(page, goldens(1)[0]?.text ?? "");
  await expect(page.getByTestId("nearest").getByRole("listitem")).toHaveCount(3);
  await expect(page.getByTestId("nearest").locator("details")).toHaveCount(0);
  const sentence = "Two people who grade the same text differ by about 0.40: of 418 texts, 52\u00a0% got the same grade twice, and 91\u00a0% the same or a neighbouring one.";
  await expect(page.getByTestId("raters")).toHaveText(sentence);
  await page.getByText("Details").click();
  await shot(page, "nearest-ids");
});

test("several traits have documents and raters of their own", async ({ page }) => {
  const { same: _same, neighbours: _neighbours, ...errors } = RATERS;
  await open(page, [{ ...GRAMMAR, raters: RATERS }, VOCABULARY, { ...RESPONSE, raters: { ...errors, difference: 9.6 } }]);
  await scoreText(page, goldens(1)[0]?.text ?? "");
  await page.getByText("Details").click();
  await expect(page.getByTestId("nearest")).toHaveCount(3);
  await expect(page.locator("#trait-nearest h3").nth(1)).toHaveText("Vocabulary: graded documents that resemble it most");
  await expect(page.getByTestId("nearest").nth(2).getByRole("listitem").first()).toHaveText(/^label \d+ \S+$/);
  await expect(page.getByTestId("raters").locator("p")).toHaveText([
    /^Grammar: Two people who grade the same text differ by about 0\.40: /,
    "Task response: Two people who rate the same text differ by about 10, as 418 texts say.",
  ]);
  await shot(page, "nearest-several");
});

test("a scorer without anchors or raters says nothing of them", async ({ page }) => {
  await open(page, [{ ...GRAMMAR, anchors: false }]);
  await scoreText(page, goldens(1)[0]?.text ?? "");
  await expect(page.getByTestId("nearest")).toHaveCount(0);
  await expect(page.getByTestId("raters")).toHaveText("");
});
