// The browser's own database: projects, documents, logs.
//
// The key decision: a log is append-only, and the place of an entry is found in the transaction that writes it. Such
// transactions run one after the other, whatever tab they are from, so two tabs on one project cannot lose or overwrite
// anything. An entry counts when its transaction is complete, with the durability of a disk that was flushed.

import { openDB, type DBSchema, type IDBPDatabase, type IDBPObjectStore, type StoreNames } from "idb";
import { PageError } from "./failure";
import { newId } from "./id";
import type { DocumentChange, Draft, LogEvent, Project, ReadDocument, StoredDocument } from "./judging";

interface Schema extends DBSchema {
  projects: { key: string; value: Project };
  documents: { key: [string, string]; value: StoredDocument; indexes: { place: [string, number] } };
  log: { key: [string, number]; value: LogEvent };
  read: { key: [string, string, string]; value: ReadDocument };
}

/** What projects of version 1 have not. */
const SINCE_2: Pick<Project, "scale" | "advice" | "reader"> = { scale: { min: 1, max: 5, step: 0.5 }, advice: true, reader: null };

const STRICT = { durability: "strict" } as const;
const LAST = Number.MAX_SAFE_INTEGER;

/** All entries of a project with a number above `n`. */
const after = (project: string, n: number) => IDBKeyRange.bound([project, n], [project, LAST], true);

export class Database {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  static async open(): Promise<Database> {
    try {
      const db = await openDB<Schema>("pair2score-judgements", 2, {
        async upgrade(db, before, _after, tx) {
          if (before < 1) {
            db.createObjectStore("projects", { keyPath: "id" });
            const documents = db.createObjectStore("documents", { keyPath: ["project", "id"] });
            documents.createIndex("place", ["project", "place"], { unique: true });
            db.createObjectStore("log", { keyPath: ["project", "n"] });
          }
          db.createObjectStore("read", { keyPath: ["project", "scorer", "id"] });
          const names: DOMStringList = db.objectStoreNames;
          if (names.contains("utilities")) (db as unknown as IDBPDatabase).deleteObjectStore("utilities");
          const projects = tx.objectStore("projects");
          for (const project of await projects.getAll()) await projects.put({ ...SINCE_2, ...project });
        },
        // A newer page in another tab wants to change the stores: let it.
        blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      });
      return new Database(db);
    } catch (error) {
      throw new PageError(
        "no-storage",
        `This browser does not let the page keep judgements (${reason(error)}). Leave private browsing, or allow this site to store data, and reload.`,
      );
    }
  }

  /** In the order of their creation. */
  async projects(): Promise<Project[]> {
    return inOrder(await this.db.getAll("projects"));
  }

  project(id: string): Promise<Project | undefined> {
    return this.db.get("projects", id);
  }

  async saveProject(project: Project): Promise<void> {
    await this.write(async () => {
      const tx = this.db.transaction("projects", "readwrite", STRICT);
      await Promise.all([tx.store.put(project), tx.done]);
    });
  }

  /** The first project there is, or this one if there is none: two tabs make only one. */
  async firstProject(fresh: Project): Promise<Project> {
    const tx = this.db.transaction("projects", "readwrite", STRICT);
    const [known] = inOrder(await tx.store.getAll());
    if (!known) await tx.store.add(fresh);
    await tx.done;
    return known ?? fresh;
  }

  /** Removes a project with everything in it. */
  async removeProject(id: string): Promise<void> {
    const tx = this.db.transaction(["projects", "documents", "log", "read"], "readwrite", STRICT);
    const all = IDBKeyRange.bound([id], [id, []]);
    await Promise.all([
      tx.objectStore("projects").delete(id),
      tx.objectStore("documents").delete(all),
      tx.objectStore("log").delete(all),
      tx.objectStore("read").delete(all),
      tx.done,
    ]);
  }

  /** The ids of the documents in the order of their import. */
  async ids(project: string): Promise<string[]> {
    // Keys alone: the texts of thousands of documents would stop the page.
    const keys = await this.db.getAllKeysFromIndex("documents", "place", IDBKeyRange.bound([project], [project, []]));
    return keys.map(([, id]) => id);
  }

  async text(project: string, id: string): Promise<string> {
    return (await this.document(project, id)).text;
  }

  async document(project: string, id: string): Promise<StoredDocument> {
    const document = await this.db.get("documents", [project, id]);
    if (!document) throw new PageError("no-document", `The text of document "${id}" is not here any more. Reload the page.`);
    return document;
  }

  /** Whether each of the documents has a prompt of its own. */
  async haveAllPrompts(project: string): Promise<boolean> {
    let cursor = await this.db.transaction("documents").store.openCursor(IDBKeyRange.bound([project], [project, []]));
    while (cursor && cursor.value.prompt !== undefined) cursor = await cursor.continue();
    return cursor === null;
  }

  /** Some documents in their order, from a place on. */
  documents(project: string, from: number, count: number): Promise<StoredDocument[]> {
    return this.db.getAllFromIndex("documents", "place", IDBKeyRange.bound([project, from], [project, LAST]), count);
  }

  /**
   * Adds all documents or none. Of those that are here with the same text nothing is new but a prompt, where they had none.
   * Gives the number of new ones.
   */
  async addDocuments(project: string, documents: (Pick<StoredDocument, "id" | "text" | "prompt"> & { origin: string })[]): Promise<number> {
    return this.write(async () => {
      const tx = this.db.transaction(["documents", "read"], "readwrite", STRICT);
      const [store, read] = [tx.objectStore("documents"), tx.objectStore("read")];
      const known = new Set((await store.getAllKeys(IDBKeyRange.bound([project], [project, []]))).map(([, id]) => id));
      const last = await store.index("place").openKeyCursor(IDBKeyRange.bound([project], [project, []]), "prev");
      const first = last === null ? 0 : last.key[1] + 1;
      let place = first;
      const prompted = new Set<string>();
      for (const { id, text, prompt, origin } of documents) {
        if (!known.has(id)) {
          // What goes wrong with one is told by `done`.
          store.add({ project, id, place: place++, text, ...(prompt !== undefined && { prompt }) }).catch(() => undefined);
          continue;
        }
        const there = await store.get([project, id]);
        const isAsked = there !== undefined && there.prompt === undefined && prompt !== undefined;
        if (isAsked && there.text === text) {
          await store.put({ ...there, prompt });
          prompted.add(id);
          continue;
        }
        const other = !there ? null : there.text !== text ? "text" : prompt !== undefined && there.prompt !== prompt ? "prompt" : null;
        if (other !== null) {
          tx.abort();
          await tx.done.catch(() => undefined);
          throw new PageError(
            "changed-document",
            `${origin}: document "${id}" is in this project with another ${other}. Give it another id, or begin a new project.`,
          );
        }
      }
      // What was read in them without it is of no use.
      const keys = prompted.size === 0 ? [] : await read.getAllKeys(IDBKeyRange.bound([project], [project, []]));
      await Promise.all(keys.filter(([, , id]) => prompted.has(id)).map((key) => read.delete(key)));
      await tx.done;
      return place - first;
    });
  }

  /** Writes an entry at the end of the log. When this returns, the entry is on the disk. */
  async append(project: string, draft: Draft): Promise<void> {
    await this.write(async () => {
      const tx = this.db.transaction("log", "readwrite", STRICT);
      await Promise.all([appendTo(tx.store, project, draft), tx.done]);
    });
  }

  /** Changes a document, with what was read in it, the project that names it, and the log: all or nothing. */
  async changeDocument(project: Project, { document, ...change }: DocumentChange): Promise<void> {
    await this.write(async () => {
      const tx = this.db.transaction(["documents", "read", "log", "projects"], "readwrite", STRICT);
      const [documents, read] = [tx.objectStore("documents"), tx.objectStore("read")];
      const there = await documents.get([project.id, document]);
      const refuse = async (code: string, message: string) => {
        tx.abort();
        await tx.done.catch(() => undefined);
        throw new PageError(code, message);
      };
      if (!there) return refuse("no-document", `The document "${document}" is not here any more. Reload the page.`);
      if (change.kind === "renamed") {
        if (await documents.getKey([project.id, change.to])) {
          return refuse("same-id", `There is a document "${change.to}" already. Choose another name.`);
        }
        await documents.delete([project.id, document]);
        await documents.add({ ...there, id: change.to });
      } else if (change.kind === "corrected") {
        await documents.put({ ...there, text: change.text });
      } else {
        await documents.delete([project.id, document]);
      }
      // What was read in another text is of no use.
      for (const key of await read.getAllKeys(IDBKeyRange.bound([project.id], [project.id, []]))) {
        if (key[2] !== document) continue;
        const row = change.kind === "renamed" ? await read.get(key) : undefined;
        await read.delete(key);
        if (row && change.kind === "renamed") await read.put({ ...row, id: change.to });
      }
      const { judge } = change;
      const draft: Draft = change.kind === "renamed" ? { kind: change.kind, document, to: change.to, judge } : { kind: change.kind, document, judge };
      await Promise.all([tx.objectStore("projects").put(project), appendTo(tx.objectStore("log"), project.id, draft), tx.done]);
    });
  }

  /** The entries with a number above `n`, in order. */
  events(project: string, n: number): Promise<LogEvent[]> {
    return this.db.getAll("log", after(project, n));
  }

  /** The ids of the documents that a scorer has read. */
  async readIds(project: string, scorer: string): Promise<string[]> {
    const keys = await this.db.getAllKeys("read", IDBKeyRange.bound([project, scorer], [project, scorer, []]));
    return keys.map(([, , id]) => id);
  }

  async saveRead(read: ReadDocument): Promise<void> {
    await this.write(() => this.db.put("read", read));
  }

  /** What a scorer read in all of these documents, one row after the other; null where one is missing. */
  async rows(project: string, scorer: string, ids: readonly string[]): Promise<Float32Array | null> {
    const all = await this.db.getAll("read", IDBKeyRange.bound([project, scorer], [project, scorer, []]));
    const byId = new Map(all.map(({ id, row }) => [id, row]));
    const width = all[0]?.row.length ?? 0;
    const rows = new Float32Array(ids.length * width);
    for (const [place, id] of ids.entries()) {
      const row = byId.get(id);
      if (row?.length !== width) return null;
      rows.set(row, place * width);
    }
    return width === 0 ? null : rows;
  }

  private async write<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof PageError) throw error;
      throw new PageError(
        "not-saved",
        `This could not be saved (${reason(error)}), so nothing was changed. Free some disk space or reload the page, and do it again.`,
      );
    }
  }
}

/** Projects in the order of their creation. */
function inOrder(projects: Project[]): Project[] {
  return projects.sort((a, b) => a.created.localeCompare(b.created));
}

/** Writes an entry at the end of a log. */
async function appendTo(log: IDBPObjectStore<Schema, StoreNames<Schema>[], "log", "readwrite">, project: string, draft: Draft): Promise<void> {
  const last = await log.openKeyCursor(after(project, 0), "prev");
  const n = (last?.key[1] ?? 0) + 1;
  await log.add({ ...draft, project, n, id: newId(), at: new Date().toISOString() });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.name : String(error);
}
