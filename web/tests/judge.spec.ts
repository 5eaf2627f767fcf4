// The judge's page of `pair2score serve --collect`: keyboard alone, and a server that is killed in between.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import AxeBuilder from "@axe-core/playwright";
import { expect, test, type Page } from "@playwright/test";
import { PROGRAM } from "./site";

const DOCUMENTS = 12;
let folder: string;
let server: ChildProcess;
let port = "0";
let link = "";

/** Starts the server, again on the same port. */
async function start(...options: string[]): Promise<void> {
  server = spawn(PROGRAM, ["serve", "--collect", "c.sqlite", "--port", port, "--per-judge", "8", ...options], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (!server.stdout) throw new Error("no output");
  for await (const line of createInterface({ input: server.stdout })) {
    link = /^ann: (.*)$/.exec(line)?.[1] ?? link;
    port = /^collecting .*http:\/\/[^:]+:(\d+)/.exec(line)?.[1] ?? port;
    if (line.startsWith("collecting")) return;
  }
  throw new Error("the server ended");
}

async function stop(): Promise<void> {
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
}

/** What is stored. */
function log(): { a: string; b: string; y: number; ms: number }[] {
  const run = spawnSync(PROGRAM, ["judgements", "export", "c.sqlite", "--output", "log.jsonl"], { cwd: folder });
  expect(run.status, String(run.stderr)).toBe(0);
  const lines = readFileSync(join(folder, "log.jsonl"), "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { a: string; b: string; y: number; ms: number });
}

/** The documents on show, by the first word of their texts. */
async function shown(page: Page): Promise<[string, string]> {
  const word = async (side: string) => ((await page.getByTestId(`${side}-text`).textContent()) ?? "").split(" ")[0] ?? "";
  return [await word("left"), await word("right")];
}

test.beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "pair2score-judge-"));
  port = "0";
  const row = (place: number) => `d${place},"d${place} <b>is</b> a text.\n${"Another sentence of it. ".repeat(100)}"\n`;
  const rows = Array.from({ length: DOCUMENTS }, (_, place) => row(place));
  writeFileSync(join(folder, "documents.csv"), `text_id,full_text\n${rows.join("")}`);
  await start("--documents", "documents.csv", "--trait", "grammar", "--judge", "ann");
});
test.afterEach(async () => {
  if (server.exitCode === null) await stop();
  rmSync(folder, { recursive: true });
});

test("a session by keyboard alone, with a reload in the middle", async ({ page }) => {
  const problems: string[] = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => expect(request.url()).not.toContain(link.split("#")[1] ?? "#"));
  await page.goto(link);
  const expected: { a: string; b: string; y: number }[] = [];
  for (const [place, key] of ["ArrowLeft", "ArrowRight", "t", "s", "T", "ArrowLeft", "ArrowRight", "ArrowLeft"].entries()) {
    await expect(page.getByTestId("progress")).toHaveText(`${place} of 8 judged`);
    if (place === 3) {
      const before = await shown(page);
      await page.reload();
      await expect(page.getByTestId("left-text")).toContainText(before[0]);
      expect(await shown(page)).toEqual(before);
      const results = await new AxeBuilder({ page }).analyze();
      expect(results.violations.map(({ id }) => id)).toEqual([]);
    }
    const [a, b] = await shown(page);
    const y = { ArrowLeft: 1, ArrowRight: 0, t: 0.5, T: 0.5 }[key];
    if (y !== undefined) expected.push({ a, b, y });
    await page.keyboard.press(key);
  }
  await expect(page.getByTestId("error")).toHaveText("That was all. Thank you!");
  await expect(page.getByTestId("left-text")).toBeHidden();
  const stored = log();
  expect(stored.map(({ a, b, y }) => ({ a, b, y }))).toEqual(expected);
  expect(stored.every(({ ms }) => ms > 0 && ms < 60_000)).toBe(true);
  expect(problems).toEqual([]);
});

test("undo goes back to the start, also after a reload and after the last pair", async ({ page }) => {
  await page.goto(link);
  const undo = page.getByTestId("undo");
  await expect(page.getByTestId("progress")).toHaveText("0 of 8 judged");
  await expect(undo).toBeDisabled();
  const pairs: [string, string][] = [];
  for (let place = 0; place < 8; place += 1) {
    await expect(page.getByTestId("progress")).toHaveText(`${place} of 8 judged`);
    pairs.push(await shown(page));
    await page.keyboard.press("ArrowLeft");
  }
  await expect(page.getByTestId("error")).toHaveText("That was all. Thank you!");
  for (let place = 7; place >= 0; place -= 1) {
    if (place === 4) await page.reload();
    await expect(undo).toBeEnabled();
    await page.keyboard.press("u");
    await expect(page.getByTestId("progress")).toHaveText(`${place} of 8 judged`);
    await expect(page.getByTestId("error")).toBeHidden();
    expect(await shown(page)).toEqual(pairs[place]);
  }
  await expect(undo).toBeDisabled();
  expect(log()).toEqual([]);
  for (const [place, pair] of pairs.entries()) {
    await expect(page.getByTestId("progress")).toHaveText(`${place} of 8 judged`);
    expect(await shown(page)).toEqual(pair);
    await page.keyboard.press("ArrowRight");
  }
  await expect(page.getByTestId("error")).toHaveText("That was all. Thank you!");
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
  await expect(page.getByTestId("progress")).toHaveText("0 of 8 judged");
  const before = await shown(page);
  await stop();
  await page.getByTestId("choose-right").dblclick();
  await expect(page.getByTestId("error")).toHaveText("Not stored yet, trying again…");
  expect(await shown(page)).toEqual(before);
  await start();
  await expect(page.getByTestId("progress")).toHaveText("1 of 8 judged", { timeout: 30_000 });
  await expect(page.getByTestId("error")).toBeHidden();
  expect(log().map(({ a, b, y }) => [a, b, y])).toEqual([[...before, 0]]);
});

test("two tabs judge a pair once", async ({ page, context }) => {
  await page.goto(link);
  const other = await context.newPage();
  await other.goto(link);
  await expect(other.getByTestId("progress")).toHaveText("0 of 8 judged");
  const before = await shown(page);
  expect(await shown(other)).toEqual(before);
  await page.getByTestId("choose-left").click();
  await expect(page.getByTestId("progress")).toHaveText("1 of 8 judged");
  await other.getByTestId("choose-right").click();
  await expect(other.getByTestId("progress")).toHaveText("1 of 8 judged");
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
