// What the tests share: the site, served by the program, and the numbers of the command line.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, type Page } from "@playwright/test";
import Papa from "papaparse";

/** Set by scripts/tests/web.sh. */
function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run scripts/tests/web.sh`);
  return value;
}

/** The program. */
export const PROGRAM = setting("PAIR2SCORE");
/** A site and the file of what the command line says about the essays with its scorer. */
export interface Exported {
  folder: string;
  scores: string;
}

/** The page with the ready scorer. */
export const SITE: Exported = { folder: setting("PAIR2SCORE_SITE"), scores: setting("PAIR2SCORE_SCORES") };
/** The same scorer with packed projections. */
export const PACKED: Exported = { folder: setting("PAIR2SCORE_Q8_SITE"), scores: setting("PAIR2SCORE_Q8_SCORES") };

export interface Golden {
  id: string;
  text: string;
  score: number;
  grade: number;
  truncated: boolean;
}

/** Of the repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface DemoEssay {
  full_text: string;
  grammar: string;
  fold?: string;
}

/** The first rows of the demo corpus, with all their columns. */
export function demoEssays(n: number): DemoEssay[] {
  return rows<DemoEssay & Record<string, string>>(setting("PAIR2SCORE_ESSAYS")).slice(0, n);
}

/** The rows of a table. */
function rows<T>(path: string): T[] {
  return Papa.parse<T>(readFileSync(path, "utf8"), { header: true, skipEmptyLines: true }).data;
}

/** Essays and what `pair2score score` says about them. */
export function goldens(n: number, site = SITE): Golden[] {
  const scores = new Map(rows<Record<string, string>>(site.scores).map((row) => [row["id"], row]));
  return rows<Record<string, string>>(setting("PAIR2SCORE_ESSAYS"))
    .slice(0, n)
    .map(({ text_id: id = "", full_text: text = "" }) => {
      const { score, grade, truncated } = scores.get(id) ?? {};
      return { id, text, score: Number(score), grade: Number(grade), truncated: truncated === "true" };
    });
}

/** A site served on a free port: the built one, another, or with `copy` one whose files are the test's own. */
export class Served {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    /** Where the files are. */
    readonly folder: string,
    private readonly own: boolean,
  ) {}

  static async start({ copy = false, site = SITE as Pick<Exported, "folder"> } = {}): Promise<Served> {
    const folder = copy ? mkdtempSync(join(tmpdir(), "pair2score-site-")) : site.folder;
    if (copy) cpSync(site.folder, folder, { recursive: true });
    const process = spawn(PROGRAM, ["serve", "--site", folder, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(createInterface({ input: process.stdout }), "line")) as [string];
    const url = /http:\/\/[^ ]+/.exec(line)?.[0];
    if (!url) throw new Error(`the program said ${line}`);
    return new Served(process, url, folder, copy);
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null) {
      const gone = once(this.process, "exit");
      this.process.kill();
      await gone;
    }
    if (this.own) rmSync(this.folder, { recursive: true });
  }
}

/** Waits until the scorer is loaded. */
export async function ready(page: Page, backend: string, timeout = 120_000): Promise<void> {
  await expect(page.getByTestId("backend")).toHaveText(backend, { timeout });
}

/** Scores a text as a reader does. */
export async function score(page: Page, text: string): Promise<number> {
  await page.getByTestId("essay-input").fill(text);
  const value = page.getByTestId("score-value");
  await value.evaluate((element) => delete element.dataset["exact"]);
  await page.getByTestId("score-button").click();
  await expect(value).toHaveAttribute("data-exact", /./, { timeout: 120_000 });
  return Number(await value.getAttribute("data-exact"));
}

/** Scores a text, of one trait or several, and waits until the page says that it has. */
export async function scoreText(page: Page, text: string): Promise<void> {
  await page.getByTestId("essay-input").fill(text);
  await page.getByTestId("score-button").click();
  await expect(page.getByTestId("announcement")).toHaveText(/score/i);
}

/** The table of results as the reader downloads it, without the mark by which spreadsheets know its encoding. */
export async function resultsTable(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("class-download").click()]);
  const table = readFileSync(await download.path(), "utf8");
  expect(table.startsWith("\ufeff")).toBe(true);
  return table.slice(1);
}
