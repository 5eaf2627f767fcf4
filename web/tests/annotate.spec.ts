// What a judge does with the annotation page.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { address, begin, exported, judge, judged, program, scratch, serveSite, shown, steady, table, type Line, number } from "./judging";

serveSite();

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
  await steady(page);
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
  await expect(page.getByTestId("reliability")).toHaveText(/^(Not reliable yet: about [\d,]+ more judgements|Reliable: \d\.\d\d of 1)$/);

  await page.getByRole("tab", { name: "Judge" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.getByTestId("ssr")).toBeHidden();
  await page.getByText("For researchers").click();
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
  await expect(page.getByLabel("Right is better", { exact: true })).toHaveValue("2");
  await page.reload();
  await page.getByRole("tab", { name: "Judge" }).click();
  await expect(page.getByTestId("left-text")).toHaveText(/^text \d+$/);
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
  // Each text has not met two of the others, and may stand the other way round with both.
  ranked.forEach((id, index) => expect(Math.abs(7 - index - Number(id.slice(1))), ranked.join(" ")).toBeLessThanOrEqual(2));
  if (repeats.length > 0) await expect(page.getByTestId("consistency")).toHaveText(`100\u00a0% of ${repeats.length}`);
});

test("a flag is changed, and removed", async ({ page }) => {
  await begin(page, 3);
  const [left] = await shown(page);
  const flag = async (text: string) => {
    await page.getByTestId("flag").click();
    await page.getByTestId("flag-note").fill(text);
    await page.getByTestId("flag-save").click();
    await expect(page.getByRole("dialog")).toBeHidden();
  };
  await flag("Copied?");
  await flag("Copied from the task.");
  // It is seen beside its text, and taken back there.
  const seen = page.getByTestId("left-flag");
  await expect(seen).toContainText("Flagged: Copied from the task.");
  await expect(page.getByTestId("right-flag")).toBeHidden();
  const tops = await Promise.all(["left-text", "right-text"].map(async (id) => (await page.getByTestId(id).boundingBox())?.y ?? 0));
  expect(Math.abs((tops[0] ?? 0) - (tops[1] ?? 0))).toBeLessThan(1);
  await page.getByTestId("left-unflag").click();
  await expect(seen).toBeHidden();
  await flag("Copied from the task.");
  await page.keyboard.press("ArrowLeft");
  await judged(page, 1);
  await page.getByRole("tab", { name: "Results" }).click();
  const row = page.getByTestId("document-rows").getByRole("row").filter({ hasText: `d${left}` });
  await expect(row).toContainText("Copied from the task.");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export-flags").click()]);
  expect(readFileSync(await download.path(), "utf8")).toContain(`"d${left}","Copied from the task."`);
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByTestId("undo").click();
  await judged(page, 0);
  await page.getByTestId("flag").click();
  await expect(page.getByTestId("flag-note")).toHaveValue("Copied from the task.");
  await page.getByRole("radio", { name: "Right" }).check();
  await expect(page.getByTestId("flag-note")).toHaveValue("");
  await expect(page.getByRole("button", { name: "Remove the flag" })).toBeHidden();
  await page.getByRole("radio", { name: "Left" }).check();
  await page.getByRole("button", { name: "Remove the flag" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.getByTestId("choose-left").click();
  await judged(page, 1);
  await page.getByRole("tab", { name: "Results" }).click();
  await expect(row).not.toContainText("Copied");
  await expect(page.getByTestId("export-flags")).toBeHidden();
});

test("keys work after coming back to the tab", async ({ page }) => {
  await begin(page, 4);
  await page.getByRole("tab", { name: "Results" }).click();
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.keyboard.press("ArrowLeft");
  await judged(page, 1);
  await expect(page.locator("#panel-judge")).toBeVisible();
  // On the tab itself arrows go to other tabs, and letters judge.
  await page.getByRole("tab", { name: "Judge" }).focus();
  await page.keyboard.press("t");
  await judged(page, 2);
  await page.keyboard.press("ArrowRight");
  await expect(page.locator("#panel-documents")).toBeVisible();
});

test("text size and width are kept, and texts are called by where they are", async ({ page }) => {
  await begin(page, 4);
  const text = page.getByTestId("left-text");
  const look = () => text.evaluate((one) => [parseFloat(getComputedStyle(one).fontSize), document.querySelector("main")?.clientWidth ?? 0]);
  const [size = 0, width = 0] = await look();
  await page.setViewportSize({ width: 1600, height: 900 });
  await page.getByText("Size and width").click();
  await page.getByTestId("text-size").selectOption("largest");
  await page.getByTestId("page-width").selectOption("whole window");
  const [larger = 0, wider = 0] = await look();
  expect(larger).toBeGreaterThan(1.5 * size);
  expect(wider).toBeGreaterThan(width + 200);
  await page.reload();
  await expect(text).toHaveText(/^text \d+$/);
  expect(await look()).toEqual([larger, wider]);
  await expect(page.getByRole("button", { name: "Left is better" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Left" })).toBeVisible();
  await page.setViewportSize({ width: 360, height: 800 });
  await expect(page.getByRole("region", { name: "Top" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Bottom is better" })).toBeVisible();
  await expect(page.getByTestId("storage")).toHaveText(/^This browser (keeps them also|may also clear them itself) when the disk is full\.$/);
});

test("deleting a project is asked about, and Enter keeps it", async ({ page }) => {
  await begin(page, 3);
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Delete this project…" }).click();
  await expect(page.getByRole("button", { name: "Keep it" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.getByRole("tab", { name: "Documents" }).click();
  await expect(page.getByTestId("documents-count")).toHaveText("3 documents in this project.");
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
  await expect(page.getByTestId("pace")).toHaveText(/^· 24\d\.\d s each, about \d+(\.\d hours| minutes) to go$/);
});
