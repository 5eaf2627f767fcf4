// Files as people have them: texts in any editor's encoding, and what word processors and spreadsheets save.
//
// What a file is, its first bytes say, not its name. What cannot be read is refused by name, with what to do.

import { PageError } from "./failure";
import { isTable, oneDocument, parseTable, tableOf, type TextTable } from "./table";

/** The text of a document: of a plain file, or of one that Word saved. */
export async function readText(file: File, name = file.name): Promise<string> {
  const bytes = await bytesOf(file, name);
  if (!isArchive(bytes)) return decode(bytes, name);
  const { wordText } = await import("./office");
  return wordText(bytes, name);
}

/** The table of a file, or of the documents of an archive. */
export async function readTable(file: File, name = file.name): Promise<TextTable> {
  const bytes = await bytesOf(file, name);
  if (!isArchive(bytes)) {
    const content = decode(bytes, name);
    // Spreadsheets save tables under such a name too.
    if (/\.(txt|text|md)$/i.test(name) && !isTable(content)) throw oneDocument(name);
    return parseTable(content, name);
  }
  const { sheetRows, documents } = await import("./office");
  const rows = sheetRows(bytes, name);
  return rows ? tableOf(rows, name) : ofTexts(documents(bytes, name, decode));
}

/** The table of a file, or of several documents. */
export async function readTables([file, ...more]: [File, ...File[]]): Promise<TextTable> {
  if (more.length === 0) return readTable(file);
  const texts: [string, string][] = [];
  for (const one of [file, ...more]) {
    if (/\.(csv|tsv)$/i.test(one.name)) throw new PageError("file-type", `${one.name}: this is a table. Choose one table alone, or documents alone.`);
    texts.push([one.name, await readText(one)]);
  }
  return ofTexts(texts);
}

/** Documents by their names. */
function ofTexts(texts: [string, string][]): TextTable {
  const rows = texts.map(([name, text]) => ({ name: name.replace(/\.[^.]*$/, ""), text }));
  return { columns: ["name", "text"], rows };
}

async function bytesOf(file: File, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new PageError("unreadable", `${name}: the file could not be read. Check that it is still there and try again.`);
  }
}

function begins(bytes: Uint8Array, start: string): boolean {
  return [...start].every((letter, index) => bytes[index] === letter.charCodeAt(0));
}

/** Whether it is a zip archive, as .docx and .xlsx files are. */
function isArchive(bytes: Uint8Array): boolean {
  return begins(bytes, "PK\x03\x04");
}

/** What other kinds of files begin with, what they are, and what to do. */
const OTHERS: [string, string][] = [
  ["%PDF", "a PDF is not read here. Copy its text, or save the document as .docx or .txt"],
  ["\xd0\xcf\x11\xe0", "this is a file of an old Word or Excel. Save it as .docx, .xlsx or .csv"],
  ["{\\rtf", "this is an RTF file. Save it as .docx or .txt"],
];

/** Text from bytes: UTF-8 or UTF-16 where they are that, otherwise windows-1252, in which older programs save. */
function decode(bytes: Uint8Array, name: string): string {
  const other = OTHERS.find(([start]) => begins(bytes, start));
  if (other) throw new PageError("file-type", `${name}: ${other[1]} and try again.`);
  const text = asText(bytes);
  // No text has these, and most other files do.
  if (/[\0-\x08\x0e-\x19\x1c-\x1f]/.test(text)) {
    throw new PageError("file-type", `${name}: this is no text. Choose a .txt, .docx, .csv or .xlsx file.`);
  }
  return text;
}

function asText(bytes: Uint8Array): string {
  if (begins(bytes, "\xff\xfe")) return new TextDecoder("utf-16le").decode(bytes);
  if (begins(bytes, "\xfe\xff")) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
