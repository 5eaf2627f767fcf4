// What a judge does with the annotation page.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Papa from "papaparse";
import { chromium, expect, test, type Page } from "@playwright/test";
import { demoEssays, goldens, PROGRAM, ready, ROOT, score, Served } from "./site";
import { violations } from "./axe";

let site: Served;
let scratch: string;
test.beforeAll(async () => {
  site = await Served.start();
  scratch = mkdtempSync(join(tmpdir(), "pair2score-annotate-"));
});
test.afterAll(async () => {
  await site.stop();
  rmSync(scratch, { recursive: true });
});

const address = () => `${site.url}annotate.html`;

/** A table of texts that say which they are: `text 7` is document `d7`. */
function table(n: number): string {
  return ["text_id,full_text", ...Array.from({ length: n }, (_, i) => `d${i},text ${i}`)].join("\n");
}

async function add(page: Page, content: string, name = "class.csv"): Promise<void> {
  await page.getByTestId("import-file").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
}

async function begin(page: Page, n: number): Promise<void> {
  await page.goto(address());
  await add(page, table(n));
  await expect(page.getByTestId("left-text")).toHaveText(/^text \d+$/);
}

const number = async (page: Page, side: "left" | "right") =>
  Number(((await page.getByTestId(`${side}-text`).textContent()) ?? "").replace("text ", ""));

const shown = async (page: Page) => [await number(page, "left"), await number(page, "right")];

async function judged(page: Page, n: number): Promise<void> {
  await expect(page.getByTestId("progress")).toHaveText(new RegExp(`^${n} of `));
}

/** Answers with a key until `n` are judged: the higher number is better. */
async function judge(page: Page, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const [left = 0, right = 0] = await shown(page);
    await page.keyboard.press(left > right ? "ArrowLeft" : "ArrowRight");
    await judged(page, n + 1);
  }
}

interface Line {
  a: string;
  b: string;
  y: number;
  judge: string;
  shown_left: string;
  ms: number;
  at: string;
}

async function exported(page: Page): Promise<{ path: string; lines: Line[] }> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-jsonl").click()]);
  const path = join(scratch, `${Math.random()}.jsonl`);
  await download.saveAs(path);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return { path, lines: lines.map((line) => JSON.parse(line) as Line) };
}

function program(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(PROGRAM, args, { encoding: "utf8" });
  expect(status, `${args.join(" ")}\n${stderr}`).toBe(0);
  return stdout;
}



test("a whole session by keyboard alone", async ({ page }) => {
  await page.goto(address());
  await expect(page.getByTestId("import-file")).toBeVisible();
  // The browser needs a moment until it hands its dialogs over.
  const chosen = page.waitForEvent("filechooser", { timeout: 20_000 });
  const focused = () => page.evaluate(() => document.activeElement?.id ?? "");
  for (let i = 0; (await focused()) !== "import-file" && i < 20; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await (await chosen).setFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(table(6)) });
  // The import leads to the first pair, with the focus on it.
  await expect(page.getByTestId("left-text")).toBeVisible();
  expect(await focused()).toBe("question");

  const answers: [number, number, string][] = [];
  for (let n = 0; n < 12; n++) {
    const [left = 0, right = 0] = await shown(page);
    const key = n === 5 ? "t" : left > right ? "ArrowLeft" : "ArrowRight";
    answers.push([left, right, key]);
    await page.keyboard.press(key);
    await judged(page, n + 1);
  }
  await page.keyboard.press("s");
  await expect(page.getByTestId("progress")).toHaveText(/^12 of .* judged, 1 skipped$/);
  await page.keyboard.press("f");
  await page.getByRole("radio", { name: "Left" }).press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Off the topic, tut tut.");
  const flagged = await number(page, "right");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeHidden();
  // Letters of the note were no answers.
  await judged(page, 12);
  await expect(page.getByTestId("reliability")).toHaveText(/^scale separation −?\d\.\d\d · split-half −?\d\.\d\d$/);

  await page.getByRole("tab", { name: "Judge" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.getByTestId("ssr")).toHaveText(/\d/);
  await expect(page.getByTestId("document-rows").getByRole("row").filter({ hasText: `d${flagged}` })).toContainText("Off the topic");

  const { path, lines } = await exported(page);
  expect(lines).toHaveLength(12);
  lines.forEach((line, index) => {
    const [left = 0, right = 0, key = ""] = answers[index] ?? [];
    expect([line.a, line.b].sort()).toEqual([`d${left}`, `d${right}`].sort());
    expect(line.shown_left).toBe(`d${left}`);
    const better = line.y === 0.5 ? "t" : (line.y === 1 ? line.a : line.b) === `d${left}` ? "ArrowLeft" : "ArrowRight";
    expect(better).toBe(key);
    expect(line.ms).toBeGreaterThanOrEqual(0);
    expect(Date.parse(line.at)).toBeGreaterThan(Date.now() - 120_000);
  });
  // The program gives the numbers that the page shows.
  const stats = JSON.parse(program("judgements", "stats", path, "--json")) as {
    scale_separation: number;
    split_half: { reliability: number };
    documents: { id: string; utility: number }[];
  };
  const figure = (value: number) => value.toFixed(2).replace("-", "−");
  await expect(page.getByTestId("ssr")).toHaveText(figure(stats.scale_separation));
  await expect(page.getByTestId("split-half")).toHaveText(figure(stats.split_half.reliability));
  const [fit] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-fit").click()]);
  program("judgements", "fit", path, "--output", join(scratch, "fit.csv"));
  const cells = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n").map((line) => line.split(","));
  const [ours, theirs] = [cells(await fit.path()), cells(join(scratch, "fit.csv"))];
  expect(ours[0]).toEqual(theirs[0]);
  expect(ours).toHaveLength(7);
  // exp and ln of the two platforms differ in the last digit.
  ours.slice(1).forEach(([id, ...numbers], row) => {
    const [otherId, ...others] = theirs[row + 1] ?? [];
    expect(id).toBe(otherId);
    numbers.forEach((value, column) => expect(Number(value)).toBeCloseTo(Number(others[column]), 9));
  });
});

test("keys can be changed", async ({ page }) => {
  await begin(page, 4);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Left is better", { exact: true }).press("1");
  await page.getByLabel("Right is better", { exact: true }).press("2");
  await expect(page.getByTestId("status")).toHaveText("Saved.");
  await page.reload();
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("1");
  await judged(page, 1);
  const before = await shown(page);
  await page.keyboard.press("2");
  await judged(page, 2);
  const { lines } = await exported(page);
  expect(lines.map(({ a, b, y, shown_left }) => (y === 1 ? a : b) === shown_left)).toEqual([true, false]);
  expect(lines[1]?.shown_left).toBe(`d${before[0]}`);
});

test("undo to the start, and reload in the middle", async ({ page }) => {
  await begin(page, 5);
  const first = await shown(page);
  await judge(page, 0, 6);
  const seventh = await shown(page);
  await page.reload();
  // The same pair is on the screen again.
  await expect(page.getByTestId("left-text")).toHaveText(`text ${seventh[0]}`);
  await judged(page, 6);
  for (let n = 6; n > 0; n--) {
    await page.keyboard.press("u");
    await judged(page, n - 1);
  }
  expect(await shown(page)).toEqual(first);
  await expect(page.getByTestId("undo")).toBeDisabled();
  await page.reload();
  await expect(page.getByTestId("left-text")).toHaveText(`text ${first[0]}`);
  await expect(page.getByTestId("export-jsonl")).toBeDisabled();
  await judge(page, 0, 7);
  expect((await exported(page)).lines).toHaveLength(7);
});

test("a whole plan: balanced, connected, a repeat with its sides swapped, then the end", async ({ page }) => {
  await begin(page, 8);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Pairs per document").fill("5");
  await page.getByLabel("Repeated pairs, %").fill("20");
  await page.getByLabel("Your name").fill("ann");
  await page.getByLabel("Your name").blur();
  await expect(page.getByTestId("status")).toHaveText("Saved.");
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  let n = 0;
  while (!(await page.getByTestId("finished").isVisible())) {
    const [left = 0, right = 0] = await shown(page);
    await page.keyboard.press(left > right ? "ArrowLeft" : "ArrowRight");
    await judged(page, ++n);
  }
  const { lines } = await exported(page);
  const times = new Map<string, Line[]>();
  for (const line of lines) times.set(`${line.a} ${line.b}`, [...(times.get(`${line.a} ${line.b}`) ?? []), line]);
  expect(times.size).toBe(20);
  const uses = Array.from({ length: 8 }, (_, i) => [...times.keys()].filter((pair) => pair.split(" ").includes(`d${i}`)).length);
  expect(uses).toEqual(Array(8).fill(5));
  const repeats = [...times.values()].filter((list) => list.length > 1);
  for (const [one, other] of repeats) expect(one?.shown_left).not.toBe(other?.shown_left);
  expect(lines.every(({ judge }) => judge === "ann")).toBe(true);
  await page.getByRole("button", { name: "Show the results" }).click();
  const ranked = await page.getByTestId("document-rows").getByRole("rowheader").allTextContents();
  // Neighbours that never met may stand the other way round.
  ranked.forEach((id, index) => expect(Math.abs(7 - index - Number(id.slice(1))), ranked.join(" ")).toBeLessThanOrEqual(1));
  if (repeats.length > 0) await expect(page.getByTestId("consistency")).toHaveText(`100\u00a0% of ${repeats.length}`);
});

test("killed in the middle: nothing that was acknowledged is lost", async () => {
  const profile = mkdtempSync(join(tmpdir(), "pair2score-profile-"));
  // Started here, so that all of it can be killed at once; a driver would close it in good order.
  const launch = async () => {
    const args = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--no-first-run", "--disable-quic"];
    const browser = spawn(process.env["CHROMIUM"] ?? "/usr/bin/chromium", [...args, "about:blank"], { detached: true, stdio: ["ignore", "ignore", "pipe"] });
    const gone = once(browser, "exit");
    const endpoint = await new Promise<string>((resolve) => {
      let said = "";
      browser.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const found = /ws:\/\/\S+/.exec(said)?.[0];
        if (found) resolve(found);
      });
    });
    const connection = await chromium.connectOverCDP(endpoint);
    const page = connection.contexts()[0]?.pages()[0];
    if (!page || browser.pid === undefined) throw new Error("the browser did not start");
    const group = -browser.pid;
    const kill = async () => {
      process.kill(group, "SIGKILL");
      await gone;
    };
    return { page, kill };
  };
  try {
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      const { page, kill } = await launch();
      try {
        if (round === 0) await begin(page, 6);
        else await page.goto(address());
        await expect(page.getByTestId("progress")).toHaveText(/\d+ of/);
        const found = Number(((await page.getByTestId("progress").textContent()) ?? "").split(" ")[0]);
        // One more may have reached the disk than the page could say.
        expect([acknowledged, acknowledged + 1]).toContain(found);
        await judge(page, found, found + 4);
        acknowledged = found + 4;
        // Killed while another answer is on its way.
        void page.keyboard.press("ArrowLeft").catch(() => undefined);
      } finally {
        await kill();
      }
    }
    const { page, kill } = await launch();
    try {
      await page.goto(address());
      await expect(page.getByTestId("progress")).toHaveText(new RegExp(`^(${acknowledged}|${acknowledged + 1}) of`));
    } finally {
      await kill();
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});

test("two tabs on one project: every judgement of both is kept, and each sees the other's", async ({ page, context }) => {
  await begin(page, 12);
  const other = await context.newPage();
  await other.goto(page.url());
  await judged(other, 0);
  expect(await shown(other)).not.toEqual(await shown(page));
  // Both at once, without waiting for each other.
  const hurry = async (tab: Page, n: number) => {
    for (let i = 0; i < n; i++) {
      const before = await shown(tab);
      // A tab in the background is not drawn, and a click would wait for that.
      await tab.getByTestId("choose-left").dispatchEvent("click");
      await expect.poll(() => shown(tab), { intervals: [10] }).not.toEqual(before);
    }
  };
  await Promise.all([hurry(page, 10), hurry(other, 10)]);
  await judged(page, 20);
  await judged(other, 20);
  const { lines } = await exported(page);
  expect(new Set(lines.map((line) => JSON.stringify(line))).size).toBe(20);
  expect((await exported(other)).lines).toEqual(lines);
  // Repeats aside, no pair was given to both.
  expect(new Set(lines.map(({ a, b }) => `${a} ${b}`)).size).toBeGreaterThanOrEqual(17);
  await other.keyboard.press("u");
  await judged(other, 19);
  await judged(page, 19);
});

test("5,000 documents: the page never stops for 100 ms", async ({ page }) => {
  const sentence = "A sentence that was written for this test, with a comma. ";
  const csv = ["text_id,full_text", ...Array.from({ length: 5000 }, (_, i) => `e${i},"${i} ${sentence.repeat(35)}"`)].join("\n");
  const path = join(scratch, "many.csv");
  writeFileSync(path, csv);
  await page.goto(address());
  await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
  await page.evaluate(() => {
    const long: number[] = ((window as unknown as { long: number[] }).long = []);
    new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  await page.getByTestId("import-file").setInputFiles(path);
  await expect(page.getByTestId("documents-count")).toHaveText("5,000 documents in this project.", { timeout: 60_000 });
  await expect(page.getByTestId("left-text")).toContainText(sentence.trim());
  await page.keyboard.press("ArrowLeft");
  await judged(page, 1);
  const long = await page.evaluate(() => (window as unknown as { long: number[] }).long);
  console.log(`long tasks: ${long.map((duration) => `${Math.round(duration)} ms`).join(", ") || "none"}`);
  expect(Math.max(0, ...long)).toBeLessThan(100);
  // What would have been seen.
  await page.evaluate(() => {
    setTimeout(() => {
      const end = performance.now() + 130;
      while (performance.now() < end);
    });
  });
  await expect.poll(() => page.evaluate(() => (window as unknown as { long: number[] }).long.length)).toBeGreaterThan(long.length);
});

test("files that cannot be read are named, with the place and what to do, and nothing of them is kept", async ({ page }) => {
  await page.goto(address());
  const error = page.getByTestId("error");
  for (const [name, content, message] of [
    ["a.csv", "text_id,full_text\nx,one\nx,two\n", /^a\.csv: row 3: the id "x" is that of a\.csv: row 2 too\. Give/],
    ["b.csv", "text_id,full_text\n,one\n", /^b\.csv: row 2: the id is empty\. Give/],
    ["c.csv", 'text_id,full_text\nx,"one\n', /^c\.csv: row 2: .*Save it as CSV/],
    ["j.csv", "text_id,full_text\nx,one\ny,two,three\n", /^j\.csv: row 3: Too many fields.*Save it as CSV/],
    ["d.csv", "text_id\nx\n", /^d\.csv: row 1: there is no column of texts\. Name it/],
    ["e.jsonl", '{"id": "x", "text": "one"}\nnothing\n', /^e\.jsonl: line 2: this is no JSON\. Write/],
    ["f.jsonl", '{"id": "x"}\n', /^f\.jsonl: line 1: there is no id or no text\. Write/],
    ["g.jsonl", '{"a": "x", "b": "y", "y": 1}\n', /^g\.jsonl: line 1: this is a pair.*under Results/],
    ["h.docx", "PK", /^h\.docx: what this file holds is not known\. Choose/],
    ["i.csv", "\xff\xfe", /^i\.csv: the file is not UTF-8\. Save/],
  ] as const) {
    const buffer = Buffer.from(content, name === "i.csv" ? "latin1" : "utf8");
    await page.getByTestId("import-file").setInputFiles({ name, mimeType: "text/plain", buffer });
    await expect(error).toHaveText(message);
  }
  await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
  // Texts and tables together; the same again; one that changed.
  await page.getByTestId("import-file").setInputFiles(
    ["ten.txt", "two.txt"].map((name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(`I am ${name}`) })),
  );
  await expect(page.getByTestId("status")).toHaveText("2 documents added.");
  await add(page, '{"id": "two", "text": "I am two.txt"}\n{"text_id": 3, "full_text": "I am three"}\n', "more.jsonl");
  await expect(page.getByTestId("status")).toHaveText("1 document added. 1 document was here already.");
  await add(page, "id,text\nnew,fresh\ntwo,changed\n");
  await expect(error).toHaveText(/^class\.csv: row 3: document "two" is in this project with another text\. Give/);
  await page.getByRole("tab", { name: "Documents" }).click();
  await expect(page.getByTestId("documents-count")).toHaveText("3 documents in this project.");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-documents").click()]);
  expect(readFileSync(await download.path(), "utf8")).toBe("text_id,full_text\nten,I am ten.txt\ntwo,I am two.txt\n3,I am three\n");
});

test("judgements of others are merged once, and compared", async ({ page, browser }) => {
  await begin(page, 5);
  await judge(page, 0, 8);
  const mine = await exported(page);
  const context = await browser.newContext();
  const theirs = await context.newPage();
  await begin(theirs, 5);
  await theirs.getByRole("tab", { name: "Results" }).click();
  const merge = async (path: string, message: RegExp) => {
    await theirs.getByTestId("merge-file").setInputFiles(path);
    await expect(theirs.getByTestId("status").or(theirs.getByTestId("error")).filter({ visible: true })).toHaveText(message);
  };
  await merge(mine.path, /: 8 judgements added\.$/);
  await merge(mine.path, /: 0 judgements added, 8 were here already\.$/);
  const conflict = join(scratch, "conflict.jsonl");
  writeFileSync(conflict, JSON.stringify({ run: 0, trait: "quality", split: "train", index: 0, ...mine.lines[0], judge: "bea" }) + "\n");
  await merge(conflict, /: 1 judgement added\.$/);
  await expect(theirs.getByTestId("judge-rows").getByRole("row")).toHaveCount(2);
  const wrong = join(scratch, "wrong.jsonl");
  writeFileSync(wrong, readFileSync(conflict, "utf8").replaceAll(mine.lines[0]?.a ?? "", "d99"));
  await merge(wrong, /^wrong\.jsonl: line 1: document "d99" is not here; add the documents/);
  await theirs.reload();
  await expect(theirs.getByTestId("n-judgements")).toHaveText("9");
  const { lines } = await exported(theirs);
  expect(lines.slice(0, 8)).toEqual(mine.lines);
  await context.close();
});

test("a given list with sides, and gold pairs", async ({ page }) => {
  await begin(page, 4);
  await page.getByRole("tab", { name: "Settings" }).click();
  const list = '{"a":"d0","b":"d3","shown_left":"d3"}\n{"a":"d1","b":"d2","shown_left":"d1"}\n{"a":"d0","b":"d3","shown_left":"d0","kind":"repeat"}\n';
  const file = (name: string, content: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
  await page.getByTestId("list-file").setInputFiles(file("list.jsonl", '{"a":"d0"}\n'));
  await expect(page.getByTestId("error")).toHaveText(/^list\.jsonl: line 1: not a pair to judge; write/);
  await page.getByTestId("list-file").setInputFiles(file("list.jsonl", list));
  await expect(page.locator("#list-name")).toHaveText("3 pairs of list.jsonl.");
  await page.getByTestId("gold-file").setInputFiles(file("gold.jsonl", '{"run":0,"trait":"quality","split":"train","index":0,"a":"d0","b":"d3","y":0}\n'));
  await expect(page.locator("#gold-name")).toHaveText("1 gold pair of gold.jsonl.");
  await page.getByRole("tab", { name: "Judge" }).click();
  const seen: number[][] = [];
  for (let n = 0; n < 3; n++) {
    seen.push(await shown(page));
    await page.getByTestId("choose-left").click();
    await judged(page, n + 1);
  }
  expect(seen).toEqual([[3, 0], [1, 2], [0, 3]]);
  await expect(page.getByTestId("finished")).toBeVisible();
  await page.getByRole("button", { name: "Show the results" }).click();
  // Left, then left again with sides swapped: inconsistent, and right about the gold pair once of two.
  await expect(page.getByTestId("judge-rows").getByRole("cell")).toHaveText(["3", "100\u00a0% of 3", "0\u00a0% of 1", "50\u00a0% of 2", /s$/, /\d/]);
});

test("several projects are apart", async ({ page }) => {
  await begin(page, 3);
  await judge(page, 0, 2);
  await page.getByTestId("new-project").click();
  await page.getByTestId("new-name").fill("Second");
  await page.getByTestId("create-project").click();
  await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
  await add(page, table(4));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await judged(page, 0);
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText("Second");
  await page.reload();
  await expect(page.getByTestId("project").locator("option:checked")).toHaveText("Second");
  await page.getByTestId("project").selectOption("Project 1");
  await judged(page, 2);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Delete this project…" }).click();
  await expect(page.getByRole("dialog")).toContainText("“Project 1” has 3 documents and 2 answers.");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByTestId("project").locator("option")).toHaveText(["Second"]);
});

test("a break is suggested, and can wait", async ({ page }) => {
  await page.clock.install();
  await begin(page, 6);
  for (let n = 0; n < 4; n++) {
    await page.clock.fastForward(4 * 60_000);
    await page.keyboard.press("ArrowLeft");
    await judged(page, n + 1);
  }
  await expect(page.getByTestId("break")).toBeHidden();
  for (let n = 4; n < 7; n++) {
    await page.clock.fastForward(4 * 60_000);
    await page.keyboard.press("ArrowLeft");
    await judged(page, n + 1);
  }
  await expect(page.getByTestId("break")).toContainText("You have judged for 28 minutes.");
  await page.getByRole("button", { name: "Later" }).click();
  await expect(page.getByTestId("break")).toBeHidden();
  await expect(page.getByTestId("pace")).toHaveText(/^· 240\.0 s each, about \d+(\.\d hours| minutes) to go$/);
});

test("assisted: the scorer of the site reads, and its closest pairs come first", async ({ page }) => {
  const essays = goldens(6);
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await page.goto(`${address()}?backend=cpu`);
  await add(page, ["text_id,full_text", ...essays.map(({ id, text }) => `${id},${quoted(text)}`)].join("\n"));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Pairs per document").fill("2");
  await page.getByRole("radio", { name: /^Assisted/ }).check();
  await expect(page.getByTestId("status")).toHaveText(/has read all documents/, { timeout: 60_000 });
  await page.getByRole("tab", { name: "Judge" }).click();
  await expect(page.getByTestId("plan-note")).toBeHidden();
  await expect(page.getByTestId("progress")).toHaveText("0 of 6 pairs judged");
  // What it read is kept: the next visit needs no scorer.
  const fetched: string[] = [];
  page.on("request", (request) => fetched.push(request.url()));
  await page.reload();
  await expect(page.getByTestId("progress")).toHaveText("0 of 6 pairs judged");
  await expect(page.getByTestId("plan-note")).toBeHidden();
  expect(fetched.filter((url) => url.includes("weights"))).toEqual([]);
});

test("works without network, sends nothing, asks nobody else", async ({ page, context }) => {
  const foreign: string[] = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(site.url) && !request.url().startsWith("blob:")) foreign.push(request.url());
    if (request.method() !== "GET") foreign.push(request.method());
  });
  await begin(page, 4);
  await judge(page, 0, 3);
  await expect(page.locator("#offline")).toBeVisible();
  await expect(page.getByTestId("bytes-sent")).toHaveText("0");
  await context.setOffline(true);
  await page.reload();
  await judged(page, 3);
  await judge(page, 3, 5);
  await expect(page.getByTestId("reliability")).toHaveText(/split-half/);
  expect(foreign).toEqual([]);
  await context.setOffline(false);
  await page.getByRole("link", { name: "Score texts" }).click();
  await page.getByRole("link", { name: "Judge pairs" }).click();
  await judged(page, 5);
});

test("the loop: judgements become a scorer, and the page uses it", async ({ page }) => {
  const essays = demoEssays(60);
  const grades = new Map(essays.map(({ full_text, grammar }) => [full_text, Number(grammar)]));
  const documents = join(scratch, "essays.csv");
  writeFileSync(documents, Papa.unparse(essays) + "\n");
  await page.goto(address());
  await page.getByTestId("import-file").setInputFiles(documents);
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Trait").fill("grammar");
  await page.getByLabel("Trait").blur();
  await expect(page.getByTestId("status")).toHaveText("Saved.");
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  // A judge who sees the grades.
  for (let n = 0; n < 100; n++) {
    const grade = async (side: string) => grades.get((await page.getByTestId(`${side}-text`).textContent()) ?? "") ?? NaN;
    const difference = (await grade("left")) - (await grade("right"));
    await page.keyboard.press(difference > 0 ? "ArrowLeft" : difference < 0 ? "ArrowRight" : "t");
    await judged(page, n + 1);
  }
  const { path } = await exported(page);
  const at = (name: string) => join(scratch, name);
  program("judgements", "import", path, "--documents", documents, "--heldout-fold", "E", "--output-dir", at("cache"));
  const set = (settings: Record<string, string>) => Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  program(
    "run",
    join(ROOT, "configs/demo.yaml"),
    ...set({
      "paths.essays_csv": documents,
      "paths.output_dir": at("outputs"),
      "paths.checkpoint_dir": at("checkpoints"),
      "model.base_model": join(ROOT, "data/demo/backbone"),
      "model.max_length": "64",
      "stage1_relative.pairs_file": at("cache/run1_grammar.jsonl"),
      "stage1_relative.pairs_meta": at("cache/run1_grammar_meta.json"),
      "stage2_absolute.training.epochs": "1",
    }),
  );
  program("export", "--scorer", at("checkpoints"), "--format", "web", "--page", site.folder, "--output", at("site"));
  program("score", "--scorer", at("checkpoints"), "--input", documents, "--output", at("scores.csv"));
  const [, first = ""] = readFileSync(at("scores.csv"), "utf8").split("\n");
  const trained = await Served.start({ site: { folder: at("site") } });
  try {
    await page.goto(`${trained.url}?backend=cpu`);
    await ready(page, "cpu");
    await expect(page.locator("#about")).toContainText("reads up to 64 tokens");
    expect(Math.abs((await score(page, essays[0]?.full_text ?? "")) - Number(first.split(",")[1]))).toBeLessThanOrEqual(1e-3);
    await page.getByRole("link", { name: "Judge pairs" }).click();
    await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
  } finally {
    await trained.stop();
  }
});

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
      const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
      await add(page, ["text_id,full_text", ...goldens(12).map(({ id, text }) => `${id},${quoted(text)}`)].join("\n"));
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
