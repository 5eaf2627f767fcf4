// What the tests of the annotation page share: documents that say which they are, and a judge.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { goldens, PROGRAM, Served } from "./site";

export let site: Served;
/** A folder for files. */
export let scratch: string;

/** Serves the built site while the tests of a file run. */
export function serveSite(): void {
  test.beforeAll(async () => {
    site = await Served.start();
    scratch = mkdtempSync(join(tmpdir(), "pair2score-annotate-"));
  });
  test.afterAll(async () => {
    await site.stop();
    rmSync(scratch, { recursive: true });
  });
}

export const address = () => `${site.url}annotate.html`;

/** A table of texts that say which they are: `text 7` is document `d7`. */
export function table(n: number): string {
  return ["text_id,full_text", ...Array.from({ length: n }, (_, i) => `d${i},text ${i}`)].join("\n");
}

/** A project draws its seed once; a drawn one would make a test another one each time. */
export async function seeded(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const random = crypto.getRandomValues.bind(crypto);
    crypto.getRandomValues = (array) => (array instanceof Uint32Array ? array.fill(36) : random(array));
  });
}

export async function add(page: Page, content: string, name = "class.csv"): Promise<void> {
  await page.getByTestId("import-file").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
}

export async function begin(page: Page, n: number): Promise<void> {
  await page.goto(address());
  await add(page, table(n));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await expect(page.getByTestId("left-text")).toHaveText(/^text \d+$/);
}

export const number = async (page: Page, side: "left" | "right") =>
  Number(((await page.getByTestId(`${side}-text`).textContent()) ?? "").replace("text ", ""));

export const shown = async (page: Page) => [await number(page, "left"), await number(page, "right")];

export async function judged(page: Page, n: number): Promise<void> {
  await expect(page.getByTestId("progress")).toHaveText(new RegExp(`^${n} of `));
  await steady(page);
}

/** Until the pair on the screen is the one that comes next. */
export async function steady(page: Page): Promise<void> {
  await expect(page.locator("#pair")).not.toHaveAttribute("aria-busy", "true");
}

/** Answers with a key until `n` are judged: the higher number is better. */
export async function judge(page: Page, from: number, to: number): Promise<void> {
  // The pair may be there before its tab is, and keys count on that tab alone.
  await expect(page.getByTestId("left-text")).toBeVisible();
  await steady(page);
  for (let n = from; n < to; n++) {
    const [left = 0, right = 0] = await shown(page);
    await page.keyboard.press(left > right ? "ArrowLeft" : "ArrowRight");
    await judged(page, n + 1);
  }
}

export interface Line {
  a: string;
  b: string;
  y: number;
  judge: string;
  shown_left: string;
  ms: number;
  at: string;
}

export async function exported(page: Page): Promise<{ path: string; lines: Line[] }> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-jsonl").click()]);
  const path = join(scratch, `${Math.random()}.jsonl`);
  await download.saveAs(path);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return { path, lines: lines.map((line) => JSON.parse(line) as Line) };
}

export function program(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(PROGRAM, args, { encoding: "utf8" });
  expect(status, `${args.join(" ")}\n${stderr}`).toBe(0);
  return stdout;
}

/** Essays of the demo corpus as a table. */
export function essayTable(n: number): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return ["text_id,full_text", ...goldens(n).map(({ id, text }) => `${id},${quoted(text)}`)].join("\n");
}
