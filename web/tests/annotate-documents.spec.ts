// Documents of a project are read, renamed, corrected and removed, and what was said of them follows.

import { readFileSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { add, address, begin, essayTable, judge, judged, serveSite, shown } from "./judging";
import { shot } from "./sights";

serveSite();

const dialog = (page: Page) => page.getByTestId("document-dialog");
const names = (page: Page) => page.getByTestId("listed-documents").getByRole("rowheader");

async function open(page: Page, id: string): Promise<void> {
  await page.getByRole("tab", { name: "Documents" }).click();
  await names(page).getByRole("button", { name: id, exact: true }).click();
  await expect(dialog(page)).toBeVisible();
}

async function save(page: Page): Promise<void> {
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page)).toBeHidden();
}

/** The judgements as they are exported. */
async function judgements(page: Page): Promise<{ a: string; b: string; y: number; shown_left: string }[]> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-jsonl").click()]);
  return readFileSync(await download.path(), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
}

test("a document is renamed with all that was said of it, corrected, and removed", async ({ page }) => {
  await begin(page, 5);
  await judge(page, 0, 8);
  const before = await judgements(page);
  const of = (id: string, lines: typeof before) => lines.filter(({ a, b }) => a === id || b === id);
  expect(of("d2", before).length).toBeGreaterThan(0);

  await open(page, "d2");
  await expect(page.getByTestId("document-text")).toHaveValue("text 2");
  await expect(page.getByTestId("listed-documents").getByRole("row").filter({ hasText: "d2" })).toContainText(String(of("d2", before).length));
  // A name that is taken is refused, and so is a text with nothing in it.
  await page.getByTestId("document-name").fill("d3");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page)).toBeVisible();
  await page.getByTestId("document-name").fill("Zoë");
  await page.getByTestId("document-text").fill("  \n");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page)).toBeVisible();
  await page.getByTestId("document-text").fill("text 200");
  await save(page);
  await expect(page.getByTestId("status")).toHaveText("Renamed.");
  await expect(names(page)).toHaveText(["d0", "d1", "Zoë", "d3", "d4"]);
  const renamed = await judgements(page);
  const as = (id: string) => (id === "d2" ? "Zoë" : id);
  // The same judgements: who is named first follows from the names.
  const said = ({ a, b, y, shown_left }: (typeof before)[number]) => JSON.stringify([a < b ? [a, b, y] : [b, a, 1 - y], shown_left]);
  expect(renamed.map(said)).toEqual(before.map((line) => said({ ...line, a: as(line.a), b: as(line.b), shown_left: as(line.shown_left) })));

  // It outlives a visit, and the new text is what is judged.
  await page.reload();
  await expect(page.getByTestId("progress")).toHaveText(/^8 of /);
  const seen = new Set<string | null>();
  for (let n = 8; n < 12; n++) {
    for (const side of ["left", "right"]) seen.add(await page.getByTestId(`${side}-text`).textContent());
    await page.keyboard.press("t");
    await judged(page, n + 1);
  }
  expect(seen.has("text 200")).toBe(true);
  expect(seen.has("text 2")).toBe(false);

  const all = await judgements(page);
  await open(page, "Zoë");
  await dialog(page).getByRole("button", { name: "Remove…" }).click();
  await expect(dialog(page).getByRole("button", { name: "Keep it" })).toBeFocused();
  await expect(page.getByTestId("document-loses")).toHaveText(/^Remove this document and \d+ answers about it\?/);
  await dialog(page).getByRole("button", { name: "Remove it" }).click();
  await expect(dialog(page)).toBeHidden();
  await expect(names(page)).toHaveText(["d0", "d1", "d3", "d4"]);
  await expect(page.getByTestId("documents-count")).toHaveText("4 documents in this project.");
  const left = await judgements(page);
  expect(of("Zoë", left)).toEqual([]);
  expect(left).toEqual(all.filter((line) => of("Zoë", [line]).length === 0).map((line, index) => ({ ...line, index })));
  // A new document gets a place of its own.
  await add(page, "text_id,full_text\nnew,text 9\n");
  await expect(page.getByTestId("status")).toHaveText(/^1 document added/);
  await page.getByRole("tab", { name: "Documents" }).click();
  await expect(names(page)).toHaveText(["d0", "d1", "d3", "d4", "new"]);
  const [documents] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-documents").click()]);
  const texts = "d0,text 0\nd1,text 1\nd3,text 3\nd4,text 4\nnew,text 9\n";
  expect(readFileSync(await documents.path(), "utf8")).toBe(`text_id,full_text\n${texts}`);
  await page.getByTestId("find-document").fill("NE");
  await expect(names(page)).toHaveText(["new"]);
});

/** What is inferred, as it is exported. */
async function results(page: Page): Promise<string> {
  await page.getByRole("tab", { name: "Results" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-results").click()]);
  return readFileSync(await download.path(), "utf8");
}

test("a text that another tab corrects, and has read again, is known here by what was read then", async ({ page, context }) => {
  // This tab hears the other one when it is told to: in the background it may take a while.
  await page.addInitScript(() => {
    const waiting: (() => void)[] = [];
    const state = Object.assign(window, { isDeaf: false, listen: () => waiting.splice(0).forEach((hear) => hear()) });
    const heard = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
    Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
      set(hear: (event: MessageEvent) => void) {
        heard?.set?.call(this, (event: MessageEvent) => void (state.isDeaf ? waiting.push(() => hear(event)) : hear(event)));
      },
    });
  });
  const readAll = (tab: Page) => expect(tab.getByTestId("status")).toHaveText(/has read all texts/, { timeout: 60_000 });
  await page.goto(`${address()}?backend=cpu`);
  await add(page, essayTable(6));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByRole("radio", { name: /^With the scorer/ }).check();
  await readAll(page);
  await page.getByRole("tab", { name: "Judge" }).click();
  for (let n = 0; n < 5; n++) {
    await page.keyboard.press("ArrowLeft");
    await judged(page, n + 1);
  }
  const before = await results(page);
  await page.evaluate(() => Object.assign(window, { isDeaf: true }));
  const other = await context.newPage();
  await other.goto(page.url());
  await judged(other, 5);
  await other.getByRole("tab", { name: "Documents" }).click();
  await names(other).getByRole("button").first().click();
  await other.getByTestId("document-text").fill("Me go school. Me like.");
  await save(other);
  await readAll(other);
  const after = await results(other);
  expect(after).not.toBe(before);
  await page.evaluate(() => (window as unknown as { listen: () => void }).listen());
  await expect.poll(() => results(page)).toBe(after);
});

test("a pair whose text is corrected or removed leaves the screen", async ({ page }) => {
  await begin(page, 4);
  const [left] = await shown(page);
  await open(page, `d${left}`);
  await page.getByTestId("document-text").fill("A better text.");
  await shot(page, "document-dialog");
  await save(page);
  await page.getByRole("tab", { name: "Judge" }).click();
  await expect(page.locator("#pair")).toContainText("A better text.");
  await expect(page.locator("#pair")).not.toContainText(`text ${left} `);
  for (const id of ["d0", "d1", "d2"]) {
    await open(page, id);
    await dialog(page).getByRole("button", { name: "Remove…" }).click();
    await dialog(page).getByRole("button", { name: "Remove it" }).click();
    await expect(dialog(page)).toBeHidden();
  }
  await page.getByRole("tab", { name: "Judge" }).click();
  await expect(page.locator("#pair")).toBeHidden();
  await expect(page.getByRole("button", { name: "Add documents" })).toBeVisible();
});
