// Warnings before a score: how often they are raised without a reason, and that they are raised where there is one.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import Papa from "papaparse";
import type { Letters } from "@pair2score/scorer";
import { doubts } from "../src/scoring/doubts";
import { strangeness } from "../src/scoring/letters";
import { demoEssays, ready, ROOT, Served } from "./site";

/** Numbers from 0 to 1 that follow from a seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Keys that somebody presses without looking. */
function mash(keys: string, words: number, seed: number): string {
  const next = random(seed);
  const key = () => keys[Math.floor(next() * keys.length)] ?? "";
  return Array.from({ length: words }, () => Array.from({ length: 3 + Math.floor(next() * 7) }, key).join("")).join(" ");
}

const notes = (text: string, letters: Letters | null = null) => doubts(text, null, letters).map(({ note }) => note);

/** How the letters of the ready scorer's texts follow each other. */
const LETTERS = JSON.parse(readFileSync(join(ROOT, "export/bundle/manifest.json"), "utf8")).scorer.letters as Letters;
const FOREIGN = "unlike what was learned";

test("real texts raise no doubt", () => {
  const texts = demoEssays(1600).map(({ full_text }) => full_text);
  expect(texts).toHaveLength(1600);
  expect(texts.filter((text) => notes(text, LETTERS).length > 0)).toEqual([]);
  // Other tables, by their addresses, a colon between: how the rates of docs/web.md were measured.
  for (const path of (process.env["TABLES"] ?? "").split(":").filter(Boolean)) {
    const { data, meta } = Papa.parse<Record<string, string>>(readFileSync(path, "utf8"), { header: true, skipEmptyLines: true });
    const column = ["full_text", "Excerpt", "text"].find((name) => meta.fields?.includes(name)) ?? "";
    const letters = process.env["LETTERS"] ? (JSON.parse(readFileSync(process.env["LETTERS"], "utf8")).letters as Letters) : null;
    const raised = data.map((row) => notes(row[column] ?? "", letters));
    const share = (note: string) => raised.filter((notes) => notes.includes(note)).length;
    console.log(`${path}: ${data.length} texts, ${share("short")} short, ${share("unlike a text")} unlike a text, ${share(FOREIGN)} ${FOREIGN}`);
  }
});

/** The first article of the declaration of human rights. */
const FIRST_ARTICLE = [
  "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
  "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
  "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
  "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství.",
  "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä.",
  "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
  "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。".repeat(3),
  "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
];

test("other languages are texts, and unlike those that the scorer learned from", () => {
  for (const text of FIRST_ARTICLE) {
    expect(notes(text), text).not.toContain("unlike a text");
    expect(notes(text, LETTERS), text).toContain(FOREIGN);
  }
  // Words that no language has, as people would write them.
  const invented =
    "Gorble maddin torfs selimp varon tister bolig nafter pomel durin sakeb tolir. Manet forgid belon sart imoul tender gavor " +
    "pilent mask wobrin tale sumber lonet farik dorel samit banol tirger, ulpin gresto ambilen krotu vesli panor dubrik.";
  expect(notes(invented)).toEqual([]);
  expect(notes(invented, LETTERS)).toEqual([FOREIGN]);
});

test("bits of a text are those that the scorer's texts were counted by", () => {
  const { mean, spread, deviation } = LETTERS;
  // Above the mean by so many of the deviation that a text of its length has: turned round, the mean of all is the mean.
  const texts = demoEssays(1600).filter(({ fold }) => fold !== "E").map(({ full_text }) => full_text);
  const bits = texts.map((text) => {
    const pairs = [...` ${text.toLowerCase()} `.replace(/[^a-z]+/g, " ")].length - 1;
    return mean + (strangeness(text, LETTERS) ?? NaN) * Math.sqrt(deviation ** 2 + spread ** 2 / pairs);
  });
  expect(bits.reduce((sum, one) => sum + one, 0) / bits.length).toBeCloseTo(mean, 9);
});

test("what is no text is doubted, and so is what is short", () => {
  const all = "abcdefghijklmnopqrstuvwxyz";
  for (const keys of [all, "asdfghjkl", "asdfjkl;", "qwertyuiopasdfghjklzxcvbnm", "sdfghjkl", "0123456789", "aeiou"]) {
    const raised = Array.from({ length: 200 }, (_, seed) => notes(mash(keys, 30, seed)).includes("unlike a text"));
    expect(raised.filter(Boolean).length, keys).toBeGreaterThanOrEqual(196);
  }
  expect(notes("word ".repeat(60))).toEqual(["unlike a text"]);
  expect(notes("Very good essay. ".repeat(20))).toEqual(["unlike a text"]);
  expect(notes(`${"-_-!?".repeat(30)} so`)).toContain("unlike a text");
  expect(notes("A text.")).toEqual(["short"]);
  expect(doubts("Yes")[0]?.sentence).toMatch(/^The text has one word\./);
});

test("the page says it before the score, and in the row of a class", async ({ page }) => {
  const site = await Served.start();
  try {
    await page.goto(`${site.url}?backend=cpu`);
    await ready(page, "cpu");
    const doubtful = page.getByTestId("doubts");
    await page.getByTestId("essay-input").fill(mash("asdfghjkl", 40, 1));
    await page.getByTestId("score-button").click();
    await expect(doubtful).toHaveText(/does not look like a written text/);
    const [above, value] = await Promise.all([doubtful.boundingBox(), page.getByTestId("score-value").boundingBox()]);
    expect(above?.y).toBeLessThan(value?.y ?? 0);
    await page.getByTestId("essay-input").fill(FIRST_ARTICLE[0] ?? "");
    await page.getByTestId("score-button").click();
    await expect(doubtful).toHaveText(/another language, or in none\. Do not trust this score\.$/);
    await page.getByTestId("essay-input").fill(mash("asdfghjkl", 40, 1));
    await page.getByTestId("score-button").click();
    await expect(page.getByTestId("announcement")).toHaveText(/^This does not look like a written text\. .* Score /);
    await page.getByTestId("essay-input").fill(demoEssays(1)[0]?.full_text ?? "");
    await page.getByTestId("score-button").click();
    await expect(page.getByTestId("score-value")).toBeVisible();
    await expect(doubtful).toBeHidden();

    await page.getByRole("tab", { name: "A whole class" }).click();
    const csv = `name,text\nAnn,Short.\nBen,${mash("asdfghjkl", 40, 2)}\nCem,"${demoEssays(1)[0]?.full_text}"\nDan,"${demoEssays(8).map(({ full_text }) => full_text).join(" ")}"\n`;
    await page.getByTestId("class-file").setInputFiles({ name: "class.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
    await page.getByTestId("class-button").click();
    await expect(page.getByTestId("class-status")).toHaveText(/^4 texts scored in .*, 1 longer than the scorer reads, 2 doubtful\.$/);
    const note = (row: number) => page.locator("#class-rows tr").nth(row).getByRole("cell").last();
    for (const [row, text] of ["short", "unlike a text", "", "cut"].entries()) await expect(note(row)).toHaveText(text);
  } finally {
    await site.stop();
  }
});
