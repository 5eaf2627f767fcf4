// The texts of .docx files, the rows of .xlsx files, and archives of documents. All are zip archives, the first two of
// XML (ECMA-376). Loaded where such a file comes, and not before.

import { parseXml, XmlElement } from "@rgrove/parse-xml";
import { strFromU8, unzipSync } from "fflate";
import { PageError } from "./failure";
import { oneDocument } from "./table";

/** Bytes that are unpacked of one archive, at most. */
const LARGEST = 64 * 2 ** 20;
/** Columns of a table, at most. */
const WIDEST = 1000;

const RELATIONS = "_rels/.rels";
/** The main part of a document of Word, where nothing says that it has another name. */
const WORD = "word/document.xml";
const WORKBOOK = "xl/workbook.xml";

type Archive = Record<string, Uint8Array>;

/** The text of a Word document, a line for each paragraph. */
export function wordText(bytes: Uint8Array, name: string): string {
  const document = wordDocument(bytes, name);
  if (!document) throw new PageError("file-type", `${name}: there is no document of Word in it. Choose a .docx or .txt file.`);
  const lines: string[] = [];
  for (const paragraph of all(document, "p")) lines.push(textOf(paragraph));
  return lines.join("\n").trim();
}

/** The main part of an archive that is a document of Word, whose relations say what it is called; null of any other. */
function wordDocument(bytes: Uint8Array, name: string): XmlElement | null {
  const part = (wanted: string) => unzip(bytes, name, (path) => path === wanted)[wanted];
  const relations = part(RELATIONS);
  const isMain = ({ attributes }: XmlElement) => (attributes["Type"] ?? "").endsWith("/officeDocument");
  const main = relations && all(xml(relations, name), "Relationship").find(isMain);
  const document = part((main?.attributes["Target"] ?? WORD).replace(/^\//, ""));
  const root = document && xml(document, name);
  return root && local(root) === "document" ? root : null;
}

/** What a paragraph shows: without what was deleted, field codes, and second renderings for older programs. */
function textOf(element: XmlElement): string {
  let text = "";
  for (const child of element.children) {
    if (!(child instanceof XmlElement)) continue;
    switch (local(child)) {
      case "t":
        text += child.text;
        break;
      case "tab":
        text += "\t";
        break;
      case "br":
      case "cr":
        text += "\n";
        break;
      case "noBreakHyphen":
        text += "-";
        break;
      // Paragraphs of text boxes are paragraphs of their own.
      case "p":
      case "del":
      case "moveFrom":
      case "Fallback":
      case "pPr":
      case "rPr":
        break;
      default:
        text += textOf(child);
    }
  }
  return text;
}

/** The cells of the one sheet that holds something; null where the archive is no workbook. */
export function sheetRows(bytes: Uint8Array, name: string): string[][] | null {
  const archive = unzip(bytes, name, (path) => path.startsWith("xl/") && /\.(xml|rels)$/.test(path));
  const workbook = archive[WORKBOOK];
  if (!workbook) return null;
  const relations = archive["xl/_rels/workbook.xml.rels"];
  const targets = new Map(
    (relations ? all(xml(relations, name), "Relationship") : []).map(({ attributes }) => [attributes["Id"], attributes["Target"] ?? ""]),
  );
  const strings = archive["xl/sharedStrings.xml"];
  const shared = strings ? all(xml(strings, name), "si").map(richText) : [];
  const sheets = all(xml(workbook, name), "sheet").map(({ attributes }) => {
    const target = targets.get(attributes["r:id"]) ?? "";
    const sheet = archive[target.startsWith("/") ? target.slice(1) : `xl/${target}`];
    return { title: attributes["name"] ?? "", rows: sheet ? cells(xml(sheet, name), shared, name) : [] };
  });
  const filled = sheets.filter(({ rows }) => rows.length > 0);
  if (filled.length > 1) {
    const titles = filled.map(({ title }) => `"${title}"`).join(", ");
    throw new PageError("sheets", `${name}: ${filled.length} sheets hold something: ${titles}. Keep one and try again.`);
  }
  return filled[0]?.rows ?? [];
}

/** The text of a string with formats, without readings above it. */
function richText(element: XmlElement): string {
  const parts = element.children.filter((child) => child instanceof XmlElement);
  return parts.map((part) => (local(part) === "t" ? unescaped(part.text) : local(part) === "r" ? richText(part) : "")).join("");
}

/** A text without what stands for characters that XML does not keep (`_x000D_`), and with plain ends of lines. */
function unescaped(text: string): string {
  const characters = text.replaceAll(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
  return characters.replaceAll("\r\n", "\n");
}

/** Rows that hold something, each as wide as its last cell. */
function cells(sheet: XmlElement, shared: string[], name: string): string[][] {
  const rows = all(sheet, "row").map((row) => {
    const values: string[] = [];
    for (const cell of row.children) {
      if (!(cell instanceof XmlElement) || local(cell) !== "c") continue;
      const place = column(cell.attributes["r"]) ?? values.length;
      if (place >= WIDEST) throw new PageError("sheets", `${name}: the table has more than ${WIDEST} columns. Remove some and try again.`);
      while (values.length < place) values.push("");
      refuseUnsaid(cell, name);
      values[place] = value(cell, shared);
    }
    return values;
  });
  const merged = all(sheet, "mergeCell").map(({ attributes }) => attributes["ref"] ?? "");
  const tall = merged.find((cells) => new Set(cells.match(/\d+/g)).size > 1);
  if (tall) {
    throw new PageError("sheets", `${name}: cells ${tall} are merged, and only the first holds something. Unmerge them and try again.`);
  }
  return rows.filter((row) => row.some((cell) => cell.trim() !== ""));
}

/** Refuses a cell that does not hold what it means: a formula whose result was not stored, or an error. */
function refuseUnsaid(cell: XmlElement, name: string): void {
  const written = child(cell, "v");
  const text = written?.text ?? "";
  const place = `${name}: cell ${cell.attributes["r"] ?? ""}`;
  const kind = cell.attributes["t"];
  if (child(cell, "f") && text === "" && !(written && kind === "str")) {
    throw new PageError("sheets", `${place} has a formula without its result. Open the workbook in a spreadsheet, save it and try again.`);
  }
  if (kind === "e") throw new PageError("sheets", `${place} is ${text}. Correct its formula and try again.`);
}

/** The number of a cell's column, from 0: of `B7` it is 1. */
function column(reference: string | undefined): number | null {
  const letters = /^[A-Z]+/.exec(reference ?? "")?.[0];
  return letters ? [...letters].reduce((sum, letter) => 26 * sum + letter.charCodeAt(0) - 64, 0) - 1 : null;
}

function value(cell: XmlElement, shared: string[]): string {
  const inline = child(cell, "is");
  if (inline) return richText(inline);
  const text = child(cell, "v")?.text ?? "";
  switch (cell.attributes["t"] ?? "n") {
    case "s":
      return shared[Number(text)] ?? "";
    case "str":
      return unescaped(text);
    case "n":
      // Excel writes 17 digits, where fewer say the same number.
      return text !== "" && Number.isFinite(Number(text)) ? String(Number(text)) : text;
    default:
      return text;
  }
}

/** The documents of an archive by their names, in the order of these. */
export function documents(
  bytes: Uint8Array,
  name: string,
  decode: (bytes: Uint8Array, name: string) => string,
): [string, string][] {
  if (wordDocument(bytes, name)) throw oneDocument(name);
  const isHidden = (path: string) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
  const archive = unzip(bytes, name, (path) => !path.endsWith("/") && !isHidden(path));
  const paths = Object.keys(archive).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (paths.length === 0) throw new PageError("empty", `${name}: there are no documents in it. Choose an archive of .docx or .txt files.`);
  return paths.map((path) => {
    const place = `${name}: ${path}`;
    if (/\.docx$/i.test(path)) return [path, wordText(archive[path] ?? new Uint8Array(), place)];
    if (/\.(txt|text|md)$/i.test(path)) return [path, decode(archive[path] ?? new Uint8Array(), place)];
    throw new PageError("file-type", `${place}: this is no text. Take it out, or save it as .docx or .txt, and try again.`);
  });
}

function unzip(bytes: Uint8Array, name: string, isWanted: (path: string) => boolean): Archive {
  let total = 0;
  try {
    return unzipSync(bytes, {
      filter: ({ name: path, originalSize }) => {
        if (!isWanted(path)) return false;
        total += originalSize;
        if (total > LARGEST) throw new PageError("too-large", `${name}: it unpacks to more than ${LARGEST / 2 ** 20} MiB. Divide it and try again.`);
        return true;
      },
    });
  } catch (error) {
    throw error instanceof PageError ? error : damaged(name);
  }
}

function xml(bytes: Uint8Array, name: string): XmlElement {
  try {
    const { root } = parseXml(strFromU8(bytes));
    if (root) return root;
  } catch {
    // The parser's reason is for programmers.
  }
  throw damaged(name);
}

function damaged(name: string): PageError {
  return new PageError("damaged", `${name}: the file is damaged. Open it in its program, save it again and try again.`);
}

/** An element's name without its namespace. */
function local({ name }: XmlElement): string {
  return name.slice(name.indexOf(":") + 1);
}

/** The first element of this name directly below one. */
function child(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child): child is XmlElement => child instanceof XmlElement && local(child) === name);
}

/** All elements of this name below one, in their order. */
function all(element: XmlElement, name: string): XmlElement[] {
  const found: XmlElement[] = [];
  for (const child of element.children) {
    if (!(child instanceof XmlElement) || local(child) === "Fallback") continue;
    if (local(child) === name) found.push(child);
    found.push(...all(child, name));
  }
  return found;
}
