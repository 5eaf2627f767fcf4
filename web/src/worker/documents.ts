// Documents in and out of the database, away from the page's thread: thousands of texts are parsed and written here.

import Papa from "papaparse";
import { Database } from "../shared/database";
import { PageError } from "../shared/failure";
import type { DocumentCalls, Imported } from "../shared/judging-protocol";
import { readTable, readText } from "../shared/files";
import { guessColumn, ID_NAMES, longestColumn, PROMPT_NAMES, TEXT_NAMES, type TextTable } from "../shared/table";
import { answerCalls } from "./calls";

/** A document and where it was read, for messages. */
interface Parsed {
  id: string;
  text: string;
  /** What it answers, where the file says so. */
  prompt?: string;
  origin: string;
  /** A grade that is known; null without one. */
  grade: number | null;
}

const database = Database.open();

answerCalls<DocumentCalls>({
  async import({ project, files }) {
    const notes: string[] = [];
    const read: Parsed[] = [];
    for (const file of [...files].sort((a, b) => path(a).localeCompare(path(b), "en", { numeric: true }))) {
      read.push(...(await parse(file, notes)));
    }
    checkIds(read);
    // Nobody can judge them.
    const documents = read.filter(({ text }) => text.trim() !== "");
    const blank = read.length - documents.length;
    if (blank > 0) notes.push(`${blank} of the texts ${blank === 1 ? "is blank and was" : "are blank and were"} left out.`);
    const added = await (await database).addDocuments(project, documents);
    const grades = documents.flatMap(({ id, grade }): [string, number][] => (grade === null ? [] : [[id, grade]]));
    return { added, known: documents.length - added, notes, grades } satisfies Imported;
  },

  /** With the columns that the command line expects. */
  async export({ project }) {
    const { prompt: ofAll } = (await (await database).project(project)) ?? {};
    const withPrompts = ofAll !== undefined || (await (await database).haveAllPrompts(project));
    const parts = [withPrompts ? "text_id,full_text,prompt\n" : "text_id,full_text\n"];
    for (let from = 0; ; ) {
      const documents = await (await database).documents(project, from, 500);
      const last = documents.at(-1);
      if (last === undefined) break;
      parts.push(Papa.unparse(documents.map(({ id, text, prompt = ofAll ?? "" }) => (withPrompts ? [id, text, prompt] : [id, text])), { newline: "\n" }) + "\n");
      // Places have gaps where documents were removed.
      from = last.place + 1;
    }
    return new Blob(parts, { type: "text/csv" });
  },
});

/** Where a file lies in the folder it was chosen with. */
function path(file: File): string {
  return file.webkitRelativePath === "" ? file.name : file.webkitRelativePath.split("/").slice(1).join("/");
}

async function parse(file: File, notes: string[]): Promise<Parsed[]> {
  const name = path(file);
  if (/\.(csv|tsv|xlsx)$/i.test(name)) return documentsOf(await readTable(file, name), name, notes);
  if (/\.(jsonl|ndjson)$/i.test(name)) return parseJsonl(await readText(file, name), name);
  if (/\.(txt|text|md|docx)$/i.test(name)) return [{ id: name.replace(/\.[^.]*$/, ""), text: await readText(file, name), origin: name, grade: null }];
  // A folder holds other things too.
  if (file.webkitRelativePath !== "") {
    notes.push(`${name} is no text and was left out.`);
    return [];
  }
  throw new PageError("file-type", `${name}: what this file holds is not known. Choose .csv, .xlsx, .jsonl, .docx or .txt files.`);
}

function documentsOf(table: TextTable, name: string, notes: string[]): Parsed[] {
  const idColumn = guessColumn(table.columns, ID_NAMES);
  const textColumn = guessColumn(table.columns, TEXT_NAMES) ?? longestColumn(table);
  if (textColumn === undefined || textColumn === idColumn) {
    throw new PageError("csv", `${name}: row 1: there is no column of texts. Name it full_text or text.`);
  }
  if (idColumn === undefined) notes.push(`${name} has no column text_id, id or name: its documents are called by their rows.`);
  if (!TEXT_NAMES.includes(textColumn.toLowerCase().trim())) notes.push(`The texts of ${name} are taken from its column "${textColumn}".`);
  const base = name.replace(/\.[^.]*$/, "");
  const anchors = guessColumn(table.columns, ["anchor"]);
  const prompts = guessColumn(table.columns.filter((column) => column !== textColumn && column !== idColumn), PROMPT_NAMES);
  return table.rows.map((row, index) => {
    const origin = `${name}: row ${index + 2}`;
    return {
      id: idColumn === undefined ? `${base}-${index + 2}` : (row[idColumn] ?? "").trim(),
      text: row[textColumn] ?? "",
      ...(prompts !== undefined && { prompt: row[prompts] ?? "" }),
      origin,
      grade: gradeOf(anchors === undefined ? "" : (row[anchors] ?? ""), origin),
    };
  });
}

/** The grade in a cell; a comma may stand for the point. */
function gradeOf(cell: string, origin: string): number | null {
  const text = cell.trim().replace(",", ".");
  if (text === "") return null;
  const grade = Number(text);
  if (!Number.isFinite(grade)) throw new PageError("grade", `${origin}: the grade "${cell}" in the column anchor is no number. Correct it, or leave the cell empty.`);
  return grade;
}

function parseJsonl(content: string, name: string): Parsed[] {
  const documents: Parsed[] = [];
  let keys: Keys | null = null;
  content.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    const origin = `${name}: line ${index + 1}`;
    let object: unknown;
    try {
      object = JSON.parse(line);
    } catch {
      throw new PageError("jsonl", `${origin}: this is no JSON. Write {"id": "…", "text": "…"} on each line.`);
    }
    const fields = (typeof object === "object" && object !== null ? object : {}) as Fields;
    keys ??= keysOf(fields);
    documents.push(documentOf(fields, keys, origin));
  });
  if (documents.length === 0) throw new PageError("jsonl", `${name}: there are no documents. Write {"id": "…", "text": "…"} on each line.`);
  return documents;
}

type Fields = Record<string, unknown>;

/** What the objects of a file call ids and texts. */
interface Keys {
  id: string;
  text: string;
}

/** As the command line reads JSON: the first object decides for all, and short names count where it lacks the usual ones. */
function keysOf(first: Fields): Keys {
  return { id: "text_id" in first ? "text_id" : "id", text: "full_text" in first ? "full_text" : "text" };
}

function documentOf(fields: Fields, keys: Keys, origin: string): Parsed {
  if ("a" in fields && "b" in fields) {
    throw new PageError("pairs", `${origin}: this is a pair, not a document. Judgements are merged under Results, lists of pairs are chosen under Settings.`);
  }
  const [id, text] = [fields[keys.id], fields[keys.text]];
  if ((typeof id !== "string" && typeof id !== "number") || typeof text !== "string") {
    throw new PageError("jsonl", `${origin}: there is no ${keys.id} or no ${keys.text}. Write {"${keys.id}": "…", "${keys.text}": "…"} on each line.`);
  }
  const [anchor, prompt] = [fields["anchor"] ?? "", fields["prompt"]];
  if (prompt !== undefined && typeof prompt !== "string") throw new PageError("jsonl", `${origin}: the prompt is no text. Write it in quotes, or leave it out.`);
  return { id: String(id).trim(), text, ...(prompt !== undefined && { prompt }), origin, grade: gradeOf(String(anchor), origin) };
}

function checkIds(documents: Parsed[]): void {
  if (documents.length === 0) throw new PageError("empty", "There are no texts in what was chosen. Choose .csv, .xlsx, .jsonl, .docx or .txt files.");
  const seen = new Map<string, string>();
  for (const { id, origin } of documents) {
    if (id === "") throw new PageError("no-id", `${origin}: the id is empty. Give every document an id.`);
    const before = seen.get(id);
    if (before !== undefined) throw new PageError("same-id", `${origin}: the id "${id}" is that of ${before} too. Give every document an id of its own.`);
    seen.set(id, origin);
  }
}
