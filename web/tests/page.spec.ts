// What a reader does with the page.

import { expect, test } from "@playwright/test";
import { violations } from "./axe";
import { goldens, ready, resultsTable, score, Served } from "./site";

let site: Served;
test.beforeAll(async () => {
  site = await Served.start();
});
test.afterAll(() => site.stop());

test.beforeEach(async ({ page }) => {
  await page.goto(`${site.url}?backend=cpu`);
  await ready(page, "cpu");
});

test("one text: score, grade, tokens, time and place among the training scores", async ({ page }) => {
  await page.getByRole("button", { name: "on the way" }).click();
  await page.getByTestId("score-button").click();
  await expect(page.getByTestId("score-value")).toHaveText(/^\d\.\d\d$/);
  await expect(page.getByTestId("grade-value")).toHaveText(/^\d(\.5)?$/);
  await expect(page.getByTestId("tokens-value")).toHaveText(/^\d+$/);
  await expect(page.getByTestId("time-value")).toHaveText(/\d (ms|s)$/);
  await expect(page.getByTestId("histogram").getByRole("img")).toHaveAccessibleName(/\s% have a lower grade/);
  await expect(page.getByTestId("cut-warning")).toBeHidden();
});

test("a text that is too long is cut, and the page says so", async ({ page }) => {
  await score(page, "This sentence is repeated many times. ".repeat(300));
  await expect(page.getByTestId("cut-warning")).toContainText(/the end of it did not count/);
  await score(page, "Short again.");
  await expect(page.getByTestId("cut-warning")).toBeHidden();
});

test("two texts: swapping them mirrors the preference", async ({ page }) => {
  await page.getByRole("tab", { name: "Two texts" }).click();
  const [first, second] = goldens(2);
  const verdict = page.getByTestId("verdict");
  const compare = async (a: string, b: string) => {
    await page.getByTestId("compare-a").fill(a);
    await page.getByTestId("compare-b").fill(b);
    await page.getByTestId("compare-button").click();
    await expect(page.locator("#compare-status")).toHaveText(/(ms|s)$/);
    const text = (await verdict.textContent()) ?? "";
    const scores = await Promise.all(["score-a", "score-b"].map((id) => page.getByTestId(id).textContent()));
    return { text, scores };
  };
  const one = await compare(first?.text ?? "", second?.text ?? "");
  const other = await compare(second?.text ?? "", first?.text ?? "");
  expect(other.scores).toEqual([...one.scores].reverse());
  const sides = (text: string) => /prefers the (first|second) text, with a probability of (\d+)\s%/.exec(text)?.slice(1);
  const [side, percent] = sides(one.text) ?? [];
  // The bar says which end is which.
  const [better, worse] = [Number(percent), 100 - Number(percent)].map((value) => `${value}\u00a0%`);
  const ends = `first better: ${side === "second" ? better : worse} second better: ${side === "second" ? worse : better}`;
  expect((await page.getByTestId("balance-ends").textContent())?.replace(/\s+/g, " ").trim()).toBe(ends.replace(/\s+/g, " "));
  expect(sides(other.text)).toEqual([side === "first" ? "second" : "first", percent]);
});

test("a class: a table in, the program's results out", async ({ page }) => {
  const essays = goldens(8);
  await page.getByRole("tab", { name: "A whole class" }).click();
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const csv = ["text_id,full_text,class", ...essays.map(({ id, text }) => `${id},${quoted(text)},7b`)].join("\r\n");
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await expect(page.getByTestId("class-status")).toHaveText("8 texts in class.csv.");
  await expect(page.getByTestId("text-column")).toHaveValue("full_text");
  await expect(page.getByTestId("id-column")).toHaveValue("text_id");
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^8 texts scored in /);
  const [header, ...rows] = (await resultsTable(page)).trimEnd().split("\n");
  expect(header).toBe("id,score,grade,low,high,truncated,class");
  expect(rows).toHaveLength(essays.length);
  rows.forEach((row, index) => {
    const [id, value, grade, low, high, truncated] = row.split(",");
    const essay = essays[index];
    expect([id, Number(grade), truncated]).toEqual([essay?.id, essay?.grade, String(essay?.truncated)]);
    expect(Math.abs(Number(value) - (essay?.score ?? NaN))).toBeLessThanOrEqual(1e-3);
    expect(value).toMatch(/^\d(\.\d{1,4})?$/);
    expect(Number(low) <= Number(grade) && Number(grade) <= Number(high), row).toBe(true);
  });
});

test("a class as a whole: its mean and grades, and a report with a page for each text", async ({ page }) => {
  const essays = goldens(7);
  await page.getByRole("tab", { name: "A whole class" }).click();
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const long = essays.map(({ text }) => text).join("\n\n");
  const csv = ["name,text,group", ...essays.map(({ text }, i) => `Pupil ${i},${quoted(text)},7b`), "Nobody,,7b", `Long,${quoted(long)},7c`].join("\n");
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await expect(page.getByTestId("class-print")).toBeHidden();
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^8 texts scored/);

  // The same from the table: what is shown of a score stays on the scale.
  const table = (await resultsTable(page)).trimEnd().split("\n").slice(1).map((row) => row.split(","));
  const scored = table.flatMap(([, score = "", grade = ""]) => (score === "" ? [] : [{ score: Math.min(Math.max(Number(score), 1), 5), grade }]));
  const scores = scored.map(({ score }) => score);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const [lowest, highest] = [Math.min(...scores), Math.max(...scores)].map((score) => score.toFixed(2));
  const summary = page.getByTestId("class-summary").getByRole("img");
  await expect(summary).toHaveAccessibleName(`Mean ${mean.toFixed(2)}, from ${lowest} to ${highest}, of 8 texts.`);
  const heights = await summary.locator("rect").evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("height"))));
  const counts = Array.from({ length: 9 }, (_, place) => scored.filter(({ grade }) => Number(grade) === 1 + place / 2).length);
  expect(heights.map((height) => Math.round((height / Math.max(...heights)) * Math.max(...counts)))).toEqual(counts);

  const report = page.locator("#report");
  await expect(report).toBeHidden();
  await page.locator("#class-head").getByRole("button", { name: "Name" }).click();
  await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  await expect(report.getByRole("heading")).toHaveText(["Grammar: class.csv", "Long", ...essays.map((_, i) => `Pupil ${i}`)]);
  await expect(report.locator("tbody tr")).toHaveCount(9);
  await expect(report.locator(".own-words").nth(3)).toHaveText(essays[2]?.text ?? "");
  await expect(report.locator(".own-page").first()).toContainText(/Only \d+\s% of the text was read: .*Score \d\.\d\d, grade .*group: 7c/);
  // Nothing is in a box that scrolls, nothing else is printed.
  const cut = await report.locator("*").evaluateAll((all) => all.filter((one) => one.scrollHeight > one.clientHeight + 1 && getComputedStyle(one).overflow !== "visible").length);
  expect(cut).toBe(0);
  await expect(page.locator("main")).toBeHidden();
  await page.evaluate(() => window.dispatchEvent(new Event("afterprint")));
  await expect(report).toBeHidden();
  await page.emulateMedia({ media: null });
  // The browser itself sends these events.
  const pages = (await page.pdf()).toString("latin1").match(/\/Type\s*\/Page\b/g) ?? [];
  expect(pages.length).toBeGreaterThanOrEqual(9);
});

test("a class is sorted by any column, opens its texts, and keeps its other columns", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  const essays = goldens(6);
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const csv = ["name,text,score,=room", ...essays.map(({ text }, i) => `Pupil ${10 - i},${quoted(text)},${i % 3},R${i}`), "Nobody,,9,"].join("\n");
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^6 texts scored/);
  const names = () => page.locator("#class-rows").getByRole("rowheader").allTextContents();
  const inOrder = essays.map((_, i) => `Pupil ${10 - i}`);
  expect(await names()).toEqual([...inOrder, "Nobody"]);

  const best = essays.map(({ score }, i) => ({ score, name: `Pupil ${10 - i}` })).sort((a, b) => b.score - a.score);
  const heading = (name: string) => page.locator("#class-head").getByRole("columnheader", { name, exact: true });
  const score = heading("Score");
  await score.getByRole("button").click();
  // Whoever wrote nothing is last, however the others are sorted.
  expect(await names()).toEqual([...best.map(({ name }) => name), "Nobody"]);
  await expect(score).toHaveAttribute("aria-sort", "descending");
  await score.getByRole("button").click();
  expect(await names()).toEqual([...best.reverse().map(({ name }) => name), "Nobody"]);
  await expect(score).toHaveAttribute("aria-sort", "ascending");
  await heading("Name").getByRole("button").click();
  // As people count: 5 before 10.
  expect(await names()).toEqual(["Nobody", ...[...inOrder].reverse()]);
  await expect(score).not.toHaveAttribute("aria-sort");

  const opener = page.getByRole("button", { name: "Pupil 9", exact: true });
  await opener.focus();
  await page.keyboard.press("Enter");
  await expect(opener).toHaveAttribute("aria-expanded", "true");
  await expect(page.locator(".own-text")).toHaveText(essays[1]?.text ?? "");
  // It goes with its row.
  await heading("=room").getByRole("button").click();
  await expect(page.locator("#class-rows tr").nth(2)).toHaveText(essays[1]?.text ?? "");
  expect(await violations(page)).toEqual([]);
  await opener.click();
  await expect(page.locator(".own-text")).toHaveCount(0);

  const [header, first] = (await resultsTable(page)).split("\n");
  // In the order of the class; a column that is called as one of the results is told apart.
  expect(header).toBe("id,score,grade,low,high,truncated,own score,'=room");
  expect(first).toMatch(/^Pupil 10,[^,]+,[^,]+,[^,]+,[^,]+,(true|false),0,R0$/);
});

test("a class is printed whole", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  const csv = ["name,text", ...Array.from({ length: 40 }, (_, i) => `n${i},Text ${i}.`)].join("\n");
  await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^40 texts scored/);
  const cut = () => page.locator("#class-scroll").evaluate((box) => box.scrollHeight - box.clientHeight);
  expect(await cut()).toBeGreaterThan(100);
  await page.emulateMedia({ media: "print" });
  expect(await cut()).toBe(0);
  await expect(page.getByTestId("class-button")).toBeHidden();
});

test("a class can be stopped halfway and keeps what it has", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  const text = "A sentence that is long enough to take a moment, again and again. ".repeat(20);
  const csv = ["name,text", ...Array.from({ length: 200 }, (_, i) => `n${i},${text}`)].join("\n").replaceAll(", again", " again");
  await page.getByTestId("class-file").setInputFiles({ name: "long.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await page.getByTestId("class-button").click();
  await expect(page.locator("#class-rows tr").nth(2)).toBeVisible();
  await page.getByTestId("class-cancel").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^Cancelled after \d+ texts?\.$/);
  expect(await page.locator("#class-rows tr").count()).toBeLessThan(200);
  await expect(page.getByTestId("class-button")).toBeEnabled();
});

test("a table that is none is refused with what to do", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  await page.getByTestId("class-file").setInputFiles({ name: "x.csv", mimeType: "text/csv", buffer: Buffer.from("only a header\n") });
  await expect(page.getByTestId("error")).toHaveText(/needs a header and a row for each text/);
});

test("everything is reached by keyboard", async ({ page }) => {
  await page.locator("body").press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the text" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Judge pairs" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("tab", { name: "One text" })).toBeFocused();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("tab", { name: "A whole class" })).toBeFocused();
  await expect(page.getByTestId("class-file")).toBeVisible();
  await page.keyboard.press("Home");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await expect(page.getByTestId("essay-input")).toBeFocused();
  await page.keyboard.type("I has writed this by keyboard.");
  await page.keyboard.press("Tab");
  await expect(page.getByTestId("score-button")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("score-value")).toHaveText(/^\d\.\d\d$/);
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1280]) {
    test(`axe finds nothing, nothing overflows: ${colorScheme}, ${width} px`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.getByRole("button", { name: "a beginner" }).click();
      await page.getByTestId("score-button").click();
      await expect(page.getByTestId("score-value")).toHaveText(/./);
      const folder = process.env["SCREENSHOTS"];
      const shot = async (name: string) => {
        expect(await violations(page), name).toEqual([]);
        const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
        expect(await page.evaluate(overflow), name).toBe(0);
        if (folder) await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png`, fullPage: true });
      };
      await shot("essay");
      await page.getByRole("tab", { name: "Two texts" }).click();
      await page.getByRole("button", { name: "Two samples" }).click();
      await page.getByTestId("compare-button").click();
      await expect(page.getByTestId("verdict")).toHaveText(/./);
      await shot("compare");
      await page.getByRole("tab", { name: "A whole class" }).click();
      const buffer = Buffer.from("name,text\nAnna,Short and good.\nBen,Also a text.\n");
      await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer });
      await page.getByTestId("class-button").click();
      await expect(page.getByTestId("class-status")).toHaveText(/scored/);
      await shot("class");
    });
  }
}
