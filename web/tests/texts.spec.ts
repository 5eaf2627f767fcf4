// What is a text and what is none; and that whatever is shown belongs to the text that is there.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { strToU8, zipSync } from "fflate";
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

/** As Word saves it: a run that is split, a tab, text that was deleted, a text box with a second rendering, and a table. */
const WORD = zipSync({
  "[Content_Types].xml": strToU8("<Types/>"),
  "word/document.xml": strToU8(
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' +
      '<w:document xmlns:w="w" xmlns:mc="mc"><w:body>' +
      '<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>Tea &amp; </w:t></w:r><w:r><w:t>caf\u00e9</w:t></w:r></w:p>' +
      "<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t></w:r><w:del><w:r><w:delText>not this</w:delText></w:r></w:del></w:p>" +
      "<w:p><mc:AlternateContent><mc:Choice><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></mc:Choice>" +
      "<mc:Fallback><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:p>" +
      "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>A cell.</w:t></w:r></w:p></w:tc></w:tr></w:tbl>" +
      "</w:body></w:document>",
  ),
});
const WORD_TEXT = "Tea & caf\u00e9\nOne\ttwo\n\nIn a box.\nA cell.";

/** As Excel saves it: shared and inline strings, a gap, an empty second sheet. */
const SHEET = zipSync({
  "xl/workbook.xml": strToU8('<workbook xmlns:r="r"><sheets><sheet name="7b" r:id="rId1"/><sheet name="More" r:id="rId2"/></sheets></workbook>'),
  "xl/_rels/workbook.xml.rels": strToU8(
    '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>',
  ),
  "xl/sharedStrings.xml": strToU8("<sst><si><t>name</t></si><si><t>essay</t></si><si><r><t>A long </t></r><r><t>text.</t></r></si></sst>"),
  "xl/worksheets/sheet1.xml": strToU8(
    '<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>' +
      '<row r="2"><c r="A2" t="inlineStr"><is><t>Ann</t></is></c><c r="C2" t="s"><v>2</v></c></row>' +
      '<row r="3"><c r="A3"><v>7</v></c></row></sheetData></worksheet>',
  ),
  "xl/worksheets/sheet2.xml": strToU8("<worksheet><sheetData/></worksheet>"),
});

const file = (name: string, content: string | Uint8Array) => ({
  name,
  mimeType: "application/octet-stream",
  buffer: typeof content === "string" ? Buffer.from(content, "latin1") : Buffer.from(content),
});

async function drop(page: Page, selector: string, name: string, content: Uint8Array): Promise<void> {
  const data = await page.evaluateHandle(
    ([name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name));
      return data;
    },
    [name, [...content]] as const,
  );
  await page.dispatchEvent(selector, "drop", { dataTransfer: data });
}

async function choose(page: Page, ...files: ReturnType<typeof file>[]): Promise<void> {
  await page.getByTestId("class-file").setInputFiles(files);
}

test("blank texts are refused, and left out of a class", async ({ page }) => {
  const error = page.getByTestId("error");
  for (const blank of ["", " \n\t "]) {
    await page.getByTestId("essay-input").fill(blank);
    await page.getByTestId("score-button").click();
    await expect(error).toHaveText("There is no text to score. Type or paste one first.");
    await expect(page.getByTestId("score-value")).toBeHidden();
    await expect(page.getByTestId("essay-input")).toBeFocused();
  }
  await page.getByTestId("essay-input").fill("A text.");
  await expect(error).toBeHidden();

  await page.getByRole("tab", { name: "Two texts" }).click();
  await page.getByTestId("compare-a").fill("A text.");
  await page.getByTestId("compare-button").click();
  await expect(error).toHaveText(/^Both texts are needed/);
  await expect(page.getByTestId("verdict")).toBeHidden();

  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.csv", 'name,text\nAnn,A text.\nBen," "\nCem,\n'));
  await page.getByTestId("class-button").click();
  await expect(page.getByTestId("class-status")).toHaveText(/^1 text scored in .*\. 2 blank texts were left out\.$/);
  const cells = (row: number) => page.locator("#class-rows tr").nth(row).getByRole("cell");
  await expect(cells(1)).toHaveText(["–", "–", "–", "blank", ""]);
  expect(await resultsTable(page)).toMatch(/\nBen,,,,,false\nCem,,,,,false\n$/);
});

test("what is shown belongs to the text that is there", async ({ page }) => {
  const [essay] = goldens(1);
  await score(page, essay?.text ?? "");
  await expect(page.getByTestId("score-value")).toBeVisible();
  await page.getByTestId("essay-input").press("End");
  await page.keyboard.type(" More.");
  await expect(page.getByTestId("score-value")).toBeHidden();
  await expect(page.getByTestId("score-value")).toHaveText("");
  await expect(page.getByTestId("announcement")).toHaveText("");

  await page.getByRole("tab", { name: "Two texts" }).click();
  await page.getByRole("button", { name: "Two samples" }).click();
  await page.getByTestId("compare-button").click();
  await expect(page.getByTestId("verdict")).toBeVisible();
  await page.getByTestId("compare-b").fill("Another text.");
  await expect(page.getByTestId("verdict")).toBeHidden();

  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.csv", "name,text,other\nAnn,One text.,Two texts.\n"));
  await page.getByTestId("class-button").click();
  await expect(page.locator("#class-rows tr")).toHaveCount(1);
  await page.getByTestId("text-column").selectOption("other");
  await expect(page.locator("#class-rows tr")).toHaveCount(0);
  await expect(page.getByTestId("class-download")).toBeHidden();
});

test("Ctrl+Enter scores, and the score is announced", async ({ page }) => {
  await page.getByTestId("essay-input").fill("A text that is scored by keys alone. ".repeat(3));
  await page.keyboard.press("Control+Enter");
  await expect(page.getByTestId("score-value")).toHaveText(/^\d\.\d\d$/);
  const shown = await page.getByTestId("score-value").textContent();
  const grade = await page.getByTestId("grade-value").textContent();
  await expect(page.getByRole("status").and(page.getByTestId("announcement"))).toHaveText(
    new RegExp(`^Score ${shown}, grade ${grade}, likely [1-5](\\.5)? to [1-5](\\.5)?, on a scale from 1 to 5\\.$`),
  );
});

for (const [width, height] of [
  [1280, 800],
  [360, 640],
] as const) {
  test(`text, button and answer are in sight at ${width} × ${height}`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await page.reload();
    await ready(page, "cpu");
    await expect(page.locator("#offline")).toBeVisible();
    await expect(page.getByTestId("essay-input")).toBeInViewport({ ratio: 1 });
    await expect(page.getByTestId("score-button")).toBeInViewport({ ratio: 1 });
    await page.getByTestId("essay-input").fill("A text.");
    await page.getByTestId("score-button").click();
    await expect(page.getByTestId("score-value")).toBeInViewport({ ratio: 1 });
    await expect(page.getByTestId("grade-value")).toBeInViewport({ ratio: 1 });
    await expect(page.getByTestId("tokens-value")).toBeHidden();
    await page.getByText("Details").click();
    await expect(page.getByTestId("tokens-value")).toBeVisible();
  });
}

test("a score that is shown stays within the scale", async ({ page }) => {
  const own = await Served.start({ copy: true });
  try {
    const path = join(own.folder, "bundle", "manifest.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    // All essays are better than the best grade of this scale.
    manifest.scorer.scale = { min: 0, max: 1, step: 0.5 };
    delete manifest.scorer.label_counts;
    writeFileSync(path, JSON.stringify(manifest));
    await page.goto(`${own.url}?backend=cpu`);
    await ready(page, "cpu");
    const [essay] = goldens(1);
    expect(await score(page, essay?.text ?? "")).toBeGreaterThan(1.5);
    await expect(page.getByTestId("score-value")).toHaveText("1.00");
    await page.getByText("Details").click();
    await expect(page.getByTestId("exact-value")).toHaveText(/^[2-5]\.\d{4}$/);
    await page.getByRole("tab", { name: "Two texts" }).click();
    await page.getByRole("button", { name: "Two samples" }).click();
    await page.getByTestId("compare-button").click();
    await expect(page.getByTestId("score-a")).toHaveText("1.00");
  } finally {
    await own.stop();
  }
});

test("documents of Word, sheets of Excel and archives are read", async ({ page }) => {
  await drop(page, "#essay-input", "essay.docx", WORD);
  await expect(page.getByTestId("essay-input")).toHaveValue(WORD_TEXT);

  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.xlsx", SHEET));
  await expect(page.getByTestId("class-status")).toHaveText("2 texts in class.xlsx.");
  await expect(page.getByTestId("text-column")).toHaveValue("essay");
  await page.getByTestId("class-button").click();
  await expect(page.locator("#class-rows").getByRole("rowheader")).toHaveText(["Ann", "7"]);
  await expect(page.getByTestId("class-status")).toHaveText(/^1 text scored .* 1 blank text was left out\.$/);

  const archive = zipSync({ "essays/b.docx": WORD, "essays/a10.txt": strToU8("Ten."), "essays/a9.txt": strToU8("Nine."), "__MACOSX/x": strToU8("x") });
  await choose(page, file("class.zip", archive));
  await page.getByTestId("class-button").click();
  await expect(page.locator("#class-rows").getByRole("rowheader")).toHaveText(["essays/a9", "essays/a10", "essays/b"]);

  await choose(page, file("ann.docx", WORD), file("ben.txt", "A text."));
  await expect(page.getByTestId("class-status")).toHaveText("2 texts in 2 files.");

  await page.goto(`${site.url}annotate.html`);
  await page.getByTestId("import-file").setInputFiles([file("ann.docx", WORD), file("class.xlsx", SHEET)]);
  await expect(page.getByTestId("status")).toHaveText(/^2 documents added\..* 1 of the texts is blank and was left out\.$/);
  await expect(page.getByTestId("left-text")).toBeVisible();
});

test("a document that Word Online saved is read, and is one document", async ({ page }) => {
  const relation = 'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="/word/document2.xml"';
  const online = zipSync({
    "_rels/.rels": strToU8(`<Relationships><Relationship Id="rId1" ${relation}/></Relationships>`),
    "word/document2.xml": strToU8('<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>Saved online.</w:t></w:r></w:p></w:body></w:document>'),
  });
  await drop(page, "#essay-input", "online.docx", online);
  await expect(page.getByTestId("essay-input")).toHaveValue("Saved online.");
  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("online.docx", online));
  await expect(page.getByTestId("error")).toHaveText(/^online\.docx: this is one document\. Choose it together/);
});

/** A workbook with one sheet: three columns, a row of these cells, and what stands after the rows. */
function workbook(cells: string, after = ""): Uint8Array {
  const header = ["text", "id", "other"].map((name, place) => `<c r="${"ABC"[place]}1" t="inlineStr"><is><t>${name}</t></is></c>`).join("");
  return zipSync({
    "xl/workbook.xml": strToU8('<workbook xmlns:r="r"><sheets><sheet name="7b" r:id="rId1"/></sheets></workbook>'),
    "xl/_rels/workbook.xml.rels": strToU8('<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>'),
    "xl/worksheets/sheet1.xml": strToU8(`<worksheet><sheetData><row r="1">${header}</row><row r="2">${cells}</row></sheetData>${after}</worksheet>`),
  });
}

test("cells that do not hold what they mean are refused", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  const text = '<c r="A2" t="inlineStr"><is><t>One.</t></is></c>';
  const merged = (cells: string) => `<mergeCells><mergeCell ref="${cells}"/></mergeCells>`;
  for (const [sheet, message] of [
    [workbook('<c r="A2"><f>B2&amp;C2</f></c>'), /^class\.xlsx: cell A2 has a formula without its result\. Open the workbook/],
    [workbook('<c r="A2" t="e"><f>NAME()</f><v>#NAME?</v></c>'), /^class\.xlsx: cell A2 is #NAME\?\. Correct its formula/],
    [workbook(text, merged("A2:A3")), /^class\.xlsx: cells A2:A3 are merged, and only the first holds something/],
  ] as const) {
    await choose(page, file("class.xlsx", sheet));
    await expect(page.getByTestId("error")).toHaveText(message);
  }
  await choose(page, file("class.xlsx", workbook(`${text}<c r="B2" t="str"><f>""</f><v></v></c>`, merged("B2:C2"))));
  await expect(page.getByTestId("class-status")).toHaveText("1 text in class.xlsx.");
});

test("cells of a sheet are what Excel shows", async ({ page }) => {
  const cells = '<c r="A2" t="inlineStr"><is><t>One._x000D_\nTwo _x005F_x000D_.</t></is></c><c r="B2"><v>1.1000000000000001</v></c><c r="C2" t="str"><v>a_x000D_\nb</v></c>';
  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.xlsx", workbook(cells)));
  await page.getByTestId("class-button").click();
  await page.getByRole("button", { name: "1.1", exact: true }).click();
  await expect(page.locator(".own-text")).toHaveJSProperty("textContent", "One.\nTwo _x000D_.");
  expect(await resultsTable(page)).toMatch(/,"a\nb"\n$/);
});

test("of a class, tables are read as tables and documents as documents", async ({ page }) => {
  const [error, status] = [page.getByTestId("error"), page.getByTestId("class-status")];
  await page.getByRole("tab", { name: "A whole class" }).click();
  const table = "name,text\nAnn,A text.\nBen,Another text.\n";
  await choose(page, file("7a.csv", table), file("7b.csv", table));
  await expect(error).toHaveText("7a.csv: this is a table. Choose one table alone, or documents alone.");
  await choose(page, file("ann.txt", "A text."), file("7b.TSV", table.replaceAll(",", "\t")));
  await expect(error).toHaveText(/^7b\.TSV: this is a table/);
  // A title may be called as a column of texts is.
  for (const text of ["Text\n\nI think so, and you, too.\nBut why?\n", "My text, and why\nI think so, and you, too.\n"]) {
    await choose(page, file("ann.txt", text));
    await expect(error).toHaveText(/^ann\.txt: this is one document\. Choose it together/);
    await expect(page.getByTestId("class-button")).toBeHidden();
  }
  await choose(page, file("7a.txt", table.replaceAll(",", "\t")));
  await expect(status).toHaveText("2 texts in 7a.txt.");
  await expect(error).toBeHidden();
});

test("a file of a class can be chosen again once it is corrected", async ({ page }) => {
  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.csv", "name,text\nAnn,A text.\n"));
  await expect(page.getByTestId("class-status")).toHaveText("1 text in class.csv.");
  // A browser says nothing of a file that is chosen already.
  const [chooser] = await Promise.all([page.waitForEvent("filechooser", { timeout: 20_000 }), page.getByTestId("class-file").click()]);
  expect(await chooser.element().evaluate((input: HTMLInputElement) => input.files?.length)).toBe(0);
  await expect(page.getByTestId("class-status")).toHaveText("1 text in class.csv.");
});

test("older encodings are read as what they are", async ({ page }) => {
  for (const [content, text] of [
    ["Caf\xe9 \x96 \x93so\x94 \x80", "Café – “so” €"],
    ["\xff\xfeC\0a\0f\0\xe9\0", "Café"],
    ["\xef\xbb\xbfCaf\xc3\xa9", "Café"],
  ] as const) {
    await drop(page, "#essay-input", "essay.txt", Buffer.from(content, "latin1"));
    await expect(page.getByTestId("essay-input")).toHaveValue(text);
  }
  await page.getByRole("tab", { name: "A whole class" }).click();
  await choose(page, file("class.csv", "name,text\nRen\xe9,A text.\n"));
  await page.getByTestId("class-button").click();
  await expect(page.locator("#class-rows").getByRole("rowheader")).toHaveText(["René"]);
});

test("other files are refused by name, and the table before them is not scored", async ({ page }) => {
  const error = page.getByTestId("error");
  await page.getByTestId("essay-input").fill("What I wrote.");
  await drop(page, "#essay-input", "essay.pdf", Buffer.from("%PDF-1.7\n\x01\x02"));
  await expect(error).toHaveText(/^essay\.pdf: a PDF is not read here\. Copy its text/);
  await expect(page.getByTestId("essay-input")).toHaveValue("What I wrote.");

  await page.getByRole("tab", { name: "A whole class" }).click();
  const bomb = zipSync({ "word/document.xml": new Uint8Array(70 * 2 ** 20) });
  for (const [name, content, message] of [
    ["essay.doc", "\xd0\xcf\x11\xe0\xa1\xb1", /^essay\.doc: this is a file of an old Word or Excel\. Save it as/],
    ["photo.jpg", "\xff\xd8\xff\xe0\0\x10JFIF\0", /^photo\.jpg: this is no text\. Choose/],
    ["essay.rtf", "{\\rtf1 text}", /^essay\.rtf: this is an RTF file\. Save it/],
    ["cut.xlsx", SHEET.subarray(0, 300), /^cut\.xlsx: the file is damaged\. Open it/],
    ["essay.docx", WORD, /^essay\.docx: this is one document\. Choose it together/],
    ["big.docx", bomb, /^big\.docx: it unpacks to more than 64 MiB\. Divide it/],
    ["mixed.zip", zipSync({ "a.txt": strToU8("A"), "b.pdf": strToU8("%PDF") }), /^mixed\.zip: b\.pdf: this is no text\. Take it out/],
    ["none.zip", zipSync({ "folder/": strToU8("") }), /^none\.zip: there are no documents in it/],
  ] as const) {
    await choose(page, file("class.csv", "name,text\nAnn,A text.\n"));
    await page.getByTestId("class-button").click();
    await expect(page.locator("#class-rows tr")).toHaveCount(1);
    await choose(page, file(name, content));
    await expect(error).toHaveText(message);
    await expect(page.getByTestId("class-button")).toBeHidden();
    await expect(page.locator("#class-rows tr")).toHaveCount(0);
  }
});
