// The annotation page as `pair2score serve --collect` serves it: keyboard alone, and a server that is killed in between.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { violations } from "./axe";
import { Collection } from "./collecting";
import { steady } from "./judging";

let collection: Collection;
let link = "";

/** Starts the server, again on the same port. */
async function start(...options: string[]): Promise<void> {
  const pairs = options.includes("--per-judge") ? [] : ["--per-judge", "8"];
  await collection.start(...pairs, ...options);
  link = collection.links.get("ann") ?? "";
}

const stop = () => collection.stop();

/** What is stored. */
function log(): { a: string; b: string; y: number; ms: number }[] {
  collection.program("judgements", "export", "c.sqlite", "--output", "log.jsonl");
  const lines = collection.read("log.jsonl").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { a: string; b: string; y: number; ms: number });
}

/** Waits until so many pairs are judged and skipped. */
async function standing(page: Page, judged: number, skipped = 0, total = 8): Promise<void> {
  await expect(page.getByTestId("progress")).toHaveText(`${judged} of ${total} pairs judged${skipped > 0 ? `, ${skipped} skipped` : ""}`, {
    timeout: 30_000,
  });
  await steady(page);
}

async function finished(page: Page): Promise<void> {
  await expect(page.getByTestId("finished")).toContainText("That was all");
  await expect(page.getByTestId("left-text")).toBeHidden();
}

/** The documents on show, by the first word of their texts. */
async function shown(page: Page): Promise<[string, string]> {
  const word = async (side: string) => ((await page.getByTestId(`${side}-text`).textContent()) ?? "").split(" ")[0] ?? "";
  return [await word("left"), await word("right")];
}

test.beforeEach(async () => {
  collection = new Collection(12);
  await start("--documents", "documents.csv", "--trait", "grammar", "--judge", "ann");
});
test.afterEach(() => collection.remove());

test("a session by keyboard alone, with a reload in the middle", async ({ page }) => {
  const problems: string[] = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => expect(request.url()).not.toContain(link.split("#")[1] ?? "#"));
  await page.goto(link);
  const expected: { a: string; b: string; y: number }[] = [];
  for (const [place, key] of ["ArrowLeft", "ArrowRight", "t", "s", "T", "ArrowLeft", "ArrowRight", "ArrowLeft"].entries()) {
    await standing(page, place > 3 ? place - 1 : place, place > 3 ? 1 : 0);
    if (place === 3) {
      const before = await shown(page);
      await page.reload();
      await expect(page.getByTestId("left-text")).toContainText(before[0]);
      expect(await shown(page)).toEqual(before);
      expect(await violations(page)).toEqual([]);
    }
    const [a, b] = await shown(page);
    const y = { ArrowLeft: 1, ArrowRight: 0, t: 0.5, T: 0.5 }[key];
    if (y !== undefined) expected.push({ a, b, y });
    await page.keyboard.press(key);
  }
  await finished(page);
  const stored = log();
  expect(stored.map(({ a, b, y }) => ({ a, b, y }))).toEqual(expected);
  expect(stored.every(({ ms }) => ms > 0 && ms < 60_000)).toBe(true);
  expect(problems).toEqual([]);
});

test("undo goes back to the start, also after a reload and after the last pair", async ({ page }) => {
  await page.goto(link);
  const undo = page.getByTestId("undo");
  await standing(page, 0);
  await expect(undo).toBeDisabled();
  const pairs: [string, string][] = [];
  for (let place = 0; place < 8; place += 1) {
    await standing(page, place);
    pairs.push(await shown(page));
    await page.keyboard.press("ArrowLeft");
  }
  await finished(page);
  for (let place = 7; place >= 0; place -= 1) {
    if (place === 4) await page.reload();
    await expect(undo).toBeEnabled();
    await page.keyboard.press("u");
    await standing(page, place);
    await expect(page.getByTestId("error")).toBeHidden();
    expect(await shown(page)).toEqual(pairs[place]);
  }
  await expect(undo).toBeDisabled();
  expect(log()).toEqual([]);
  for (const [place, pair] of pairs.entries()) {
    await standing(page, place);
    expect(await shown(page)).toEqual(pair);
    await page.keyboard.press("ArrowRight");
  }
  await finished(page);
  expect(log().map(({ a, b, y }) => [a, b, y])).toEqual(pairs.map((pair) => [...pair, 0]));
});

test("texts are text, both sides have one height, and the keyboard scrolls them", async ({ page }) => {
  await page.goto(link);
  const left = page.getByTestId("left-text");
  const right = page.getByTestId("right-text");
  await expect(left).toContainText("<b>is</b>");
  const [one, other] = [await left.boundingBox(), await right.boundingBox()];
  expect([one?.y, one?.height]).toEqual([other?.y, other?.height]);
  await page.keyboard.press("Tab");
  await expect(left).toBeFocused();
  await page.keyboard.press("End");
  await expect.poll(() => left.evaluate((element) => element.scrollTop)).toBeGreaterThan(0);
});

test("an answer waits for a server that was killed, and is stored once", async ({ page }) => {
  await page.goto(link);
  await standing(page, 0);
  const before = await shown(page);
  await stop();
  await page.getByTestId("choose-right").dblclick();
  await expect(page.getByTestId("error")).toHaveText("Not stored yet, trying again…");
  expect(await shown(page)).toEqual(before);
  await start();
  await standing(page, 1);
  await expect(page.getByTestId("error")).toBeHidden();
  expect(log().map(({ a, b, y }) => [a, b, y])).toEqual([[...before, 0]]);
});

test("two tabs judge a pair once", async ({ page, context }) => {
  await page.goto(link);
  const other = await context.newPage();
  await other.goto(link);
  await standing(page, 0);
  await standing(other, 0);
  const before = await shown(page);
  expect(await shown(other)).toEqual(before);
  await page.getByTestId("choose-left").click();
  await standing(page, 1);
  await other.getByTestId("choose-right").click();
  await standing(other, 1);
  expect(await shown(other)).toEqual(await shown(page));
  expect(log().map(({ a, b, y }) => [a, b, y])).toEqual([[...before, 1]]);
});

test("a link that is not whole or not valid says so", async ({ page }) => {
  await page.goto(link.split("#")[0] ?? "");
  await expect(page.getByTestId("error")).toContainText("open the link you were given");
  // Another fragment: the page loads itself again.
  await page.goto(`${link}0`);
  await expect(page.getByTestId("error")).toContainText("ask for a new one");
});

test("whoever skips to the pair stays on the link", async ({ page }) => {
  await page.goto(link);
  await standing(page, 0);
  await page.evaluate(() => Object.assign(window, { isSame: true }));
  await page.getByRole("link", { name: "Skip to the pair" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("#main")).toBeFocused();
  expect(page.url()).toBe(link);
  await page.keyboard.press("ArrowLeft");
  await standing(page, 1);
  expect(await page.evaluate(() => "isSame" in window)).toBe(true);
});

test("rubric, flags and keys are those of the annotation page", async ({ page }) => {
  await stop();
  writeFileSync(join(collection.folder, "rubric.txt"), "Commas.\nAnd articles.\n");
  await start("--rubric", "rubric.txt", "--question", "Whose grammar is better?");
  await page.goto(link);
  await standing(page, 0);
  await expect(page.getByRole("heading", { name: "Whose grammar is better?" })).toBeFocused();
  await expect(page.getByText("Commas.")).toBeHidden();
  await page.getByText("What counts").click();
  await expect(page.getByText("Commas.")).toBeVisible();

  const [left] = await shown(page);
  await page.keyboard.press("f");
  await page.getByTestId("flag-note").fill("=Half of it is missing.");
  await page.getByTestId("flag-save").click();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Equally good").press("e");
  await page.reload();
  await standing(page, 0);
  await page.keyboard.press("f");
  await expect(page.getByTestId("flag-note")).toHaveValue("=Half of it is missing.");
  await page.keyboard.press("Escape");
  await page.keyboard.press("e");
  await standing(page, 1);
  expect(log().map(({ y }) => y)).toEqual([0.5]);
  collection.program("judgements", "export", "c.sqlite", "--output", "log.jsonl", "--flags", "flags.csv");
  expect(collection.read("flags.csv")).toMatch(new RegExp(`^id,note,judge,at\n${left},'=Half of it is missing.,ann,2.*\n$`));
  // What belongs to projects of the browser is not here.
  for (const name of ["Documents", "Results"]) await expect(page.getByRole("tab", { name })).toHaveCount(0);
  await expect(page.getByTestId("export-jsonl")).toHaveCount(0);
});

test("keys are never too fast for the server", async ({ page }) => {
  await stop();
  await start("--per-judge", "60");
  const statuses = new Set<number>();
  page.on("response", (response) => statuses.add(response.status()));
  await page.goto(link);
  for (let place = 0; place < 60; place += 1) {
    await standing(page, place, 0, 60);
    await page.keyboard.press(place % 2 === 0 ? "ArrowLeft" : "ArrowRight");
  }
  await finished(page);
  for (let place = 59; place >= 0; place -= 1) {
    await page.keyboard.press("u");
    await standing(page, place, 0, 60);
  }
  expect([...statuses]).toEqual([200]);
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test(`axe finds nothing, nothing overflows: ${colorScheme}, ${width} px`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const shots = process.env["SCREENSHOTS"];
      const shot = async (name: string) => {
        expect(await violations(page), name).toEqual([]);
        const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
        expect(await page.evaluate(overflow), name).toBe(0);
        if (shots) await page.screenshot({ path: `${shots}/collect-${name}-${colorScheme}-${width}.png` });
      };
      await page.goto(link);
      await standing(page, 0);
      await shot("judge");
      await page.keyboard.press("f");
      await shot("flag");
      await page.keyboard.press("Escape");
      await page.getByRole("tab", { name: "Settings" }).click();
      await shot("settings");
      await page.getByRole("tab", { name: "Judge" }).click();
      await page.getByRole("heading", { level: 2 }).click();
      for (let place = 0; place < 8; place += 1) {
        await standing(page, place);
        await page.keyboard.press("ArrowLeft");
      }
      await finished(page);
      await shot("finished");
    });
  }
}
