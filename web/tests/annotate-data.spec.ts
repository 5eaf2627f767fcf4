// What goes into the annotation page and comes out of it: documents, judgements, lists, a scorer.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import Papa from "papaparse";
import { add, address, begin, essayTable, exported, judge, judged, program, scratch, seeded, serveSite, shown, site } from "./judging";
import { demoEssays, goldens, ready, ROOT, score, Served } from "./site";

serveSite();

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
    // The first line decides what ids and texts are called.
    ["l.jsonl", '{"id": "x", "text": "one"}\n{"text_id": "y", "full_text": "two"}\n', /^l\.jsonl: line 2: there is no id or no text\. Write/],
    ["m.jsonl", '{"text_id": "y", "full_text": "two"}\n{"id": "x", "text": "one"}\n', /^m\.jsonl: line 2: there is no text_id or no full_text\. Write/],
    ["g.jsonl", '{"a": "x", "b": "y", "y": 1}\n', /^g\.jsonl: line 1: this is a pair.*under Results/],
    ["h.docx", "PK\x03\x04", /^h\.docx: the file is damaged\. Open it/],
    ["i.csv", "\xff\xfe", /^i\.csv: there are no rows\. The table/],
    ["k.pages", "text", /^k\.pages: what this file holds is not known\. Choose/],
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
  // Where an object has the usual names and the short ones, the usual ones count, as they do to the command line.
  const both = '{"id": 7, "text": "short", "text_id": "four", "full_text": "I am four"}';
  await add(page, `{"text_id": 3, "full_text": "I am three"}\n${both}\n`, "more.jsonl");
  await expect(page.getByTestId("status")).toHaveText("2 documents added.");
  await add(page, '{"id": "two", "text": "I am two.txt"}\n{"id": "five", "text": "I am five", "text_id": 7}\n', "short.jsonl");
  await expect(page.getByTestId("status")).toHaveText("1 document added. 1 document was here already.");
  await add(page, "id,text\nnew,fresh\ntwo,changed\n");
  await expect(error).toHaveText(/^class\.csv: row 3: document "two" is in this project with another text\. Give/);
  await page.getByRole("tab", { name: "Documents" }).click();
  await expect(page.getByTestId("documents-count")).toHaveText("5 documents in this project.");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-documents").click()]);
  const texts = "ten,I am ten.txt\ntwo,I am two.txt\n3,I am three\nfour,I am four\nfive,I am five\n";
  expect(readFileSync(await download.path(), "utf8")).toBe(`text_id,full_text\n${texts}`);
});

test("a folder of texts, then files that are dropped", async ({ page }) => {
  const folder = join(scratch, "essays");
  mkdirSync(join(folder, "more"), { recursive: true });
  writeFileSync(join(folder, "one.txt"), "text 1");
  writeFileSync(join(folder, "more", "two.txt"), "text 2");
  writeFileSync(join(folder, "photo.png"), "no text");
  await page.goto(address());
  await page.getByTestId("import-folder").setInputFiles(folder);
  await expect(page.getByTestId("status")).toHaveText("2 documents added. photo.png is no text and was left out.");
  expect((await shown(page)).sort()).toEqual([1, 2]);
  await page.getByRole("tab", { name: "Documents" }).click();
  const dropped = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["text_id,full_text\none,text 1\nthree,text 3\n"], "class.csv"));
    data.items.add(new File(["text 4"], "four.txt"));
    return data;
  });
  await page.dispatchEvent("#drop", "drop", { dataTransfer: dropped });
  await expect(page.getByTestId("status")).toHaveText("2 documents added. 1 document was here already.");
  await expect(page.getByTestId("documents-count")).toHaveText("4 documents in this project.");
  await page.getByRole("tab", { name: "Documents" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-documents").click()]);
  const { data } = Papa.parse<string[]>(readFileSync(await download.path(), "utf8"), { skipEmptyLines: true });
  const texts = [["four", "text 4"], ["more/two", "text 2"], ["one", "text 1"], ["three", "text 3"]];
  expect(data.slice(1).sort()).toEqual(texts);
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
  await expect(page.getByTestId("judge-rows").getByRole("cell")).toHaveText(["3", "100\u00a0% of 3", "0\u00a0% of 1", "–", "50\u00a0% of 2", /s$/]);
});

test("adaptive: likely equals meet more and more, and no pair twice", async ({ page }) => {
  await seeded(page);
  await begin(page, 24);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Pairs per document").fill("8");
  await page.getByLabel("Repeated pairs, %").fill("0");
  await page.getByRole("radio", { name: /^Adaptive/ }).check();
  await expect(page.getByTestId("status")).toHaveText("Saved.");
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("left-text").focus();
  await expect(page.getByTestId("progress")).toHaveText("0 of 96 pairs judged");
  await judge(page, 0, 96);
  await expect(page.getByTestId("finished")).toBeVisible();
  const { lines } = await exported(page);
  const gaps = lines.map(({ a, b }) => Math.abs(Number(a.slice(1)) - Number(b.slice(1))));
  const mean = (list: number[]) => list.reduce((sum, gap) => sum + gap, 0) / list.length;
  // Random pairs of 24 in a row are 25 / 3 apart on average; over twelve seeds these were 3.4 to 4.8.
  expect(mean(gaps.slice(48)), gaps.join(" ")).toBeLessThan(6);
  expect(new Set(lines.map(({ a, b }) => [a, b].sort().join(" "))).size).toBe(96);
});

test("the scorer of the site reads, and what it read is kept", async ({ page }) => {
  await page.goto(`${address()}?backend=cpu`);
  await add(page, essayTable(6));
  await expect(page.getByTestId("left-text")).toBeVisible();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Pairs per document").fill("2");
  await page.getByRole("radio", { name: /^With the scorer/ }).check();
  await expect(page.getByTestId("status")).toHaveText(/has read all texts/, { timeout: 60_000 });
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

test("a scorer is not made of another one than the one that read the texts", async ({ page }) => {
  const own = await Served.start({ copy: true });
  try {
    await page.goto(`${own.url}annotate.html?backend=cpu`);
    await add(page, essayTable(6));
    await expect(page.getByTestId("left-text")).toBeVisible();
    await page.getByRole("tab", { name: "Documents" }).click();
    await page.getByTestId("read-texts").click();
    const hasRead = () => expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 60_000 });
    await hasRead();
    await page.getByRole("tab", { name: "Results" }).click();
    for (const [place, { id }] of goldens(4).entries()) {
      await page.getByLabel(new RegExp(`^Your grade of ${id},`)).fill(String(place + 1));
      await page.keyboard.press("Enter");
    }
    await expect(page.getByTestId("use-scorer")).toBeEnabled();
    // The site is exported again: what its scorer computes would fit no heads of before.
    const path = join(own.folder, "bundle/manifest.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    manifest.golden = manifest.golden.slice(1);
    writeFileSync(path, JSON.stringify(manifest));
    await page.getByTestId("use-scorer").click();
    await expect(page.getByTestId("error")).toHaveText(/^The texts were read by another scorer.* Let it read them again/, { timeout: 60_000 });
    await expect(page.getByTestId("open-scorer")).toBeHidden();
    await page.reload();
    await hasRead();
    await page.getByRole("tab", { name: "Results" }).click();
    await page.getByTestId("use-scorer").click();
    await expect(page.getByTestId("open-scorer")).toBeVisible({ timeout: 60_000 });
  } finally {
    await own.stop();
  }
});

test("without network texts are read by a scorer that the browser has kept, and by no other", async ({ browser }) => {
  for (const isKept of [true, false]) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const own = await Served.start({ copy: true });
    try {
      if (isKept) {
        await page.goto(`${own.url}?backend=cpu`);
        await ready(page, "cpu");
        await expect(page.locator("#offline")).toBeVisible();
      }
      await page.goto(`${own.url}annotate.html?backend=cpu`);
      await expect(page.locator("#offline")).toBeVisible();
      await expect(page.getByTestId("documents-count")).toHaveText("There are no documents yet.");
      await context.setOffline(true);
      await add(page, essayTable(4));
      await expect(page.getByTestId("left-text")).toBeVisible();
      await page.getByRole("tab", { name: "Documents" }).click();
      await page.getByTestId("read-texts").click();
      if (isKept) await expect(page.getByTestId("status")).toContainText("has read all texts", { timeout: 60_000 });
      else await expect(page.getByTestId("error")).toContainText("it needs the network once");
    } finally {
      await own.stop();
      await context.close();
    }
  }
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
  await page.getByLabel("Trait:").fill("grammar");
  await page.getByLabel("Trait:").blur();
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
