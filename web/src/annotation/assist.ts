// The scorer of this site reads all documents, so that pairs can be those that tell most beside what it says.

import type { Database } from "../shared/database";
import { PageError } from "../shared/failure";
import { isAbort, ScorerClient } from "../shared/page/client";
import type { Desk } from "./desk";

/** How the address chooses a backend, as on the scoring page. */
function forcedBackend(): "cpu" | "webgpu" | null {
  const value = new URLSearchParams(window.location.search).get("backend");
  return value === "cpu" || value === "webgpu" ? value : null;
}

export class Assistant {
  private reading: AbortController | null = null;
  private desk: Desk | null = null;
  /** The documents that were read, or could not be; they are not tried again before the next visit. */
  private tried = "";

  constructor(
    private readonly database: Database,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {}

  open(desk: Desk): void {
    this.stop();
    this.desk = desk;
    this.update();
  }

  /** Begins to read where the strategy asks for it and documents are new; stops where it does not. */
  update(): void {
    const { desk } = this;
    if (desk === null || desk.project.strategy !== "assisted" || desk.ids.length < 2) return this.stop();
    const documents = `${desk.project.id} ${desk.ids.length}`;
    if (documents === this.tried) return;
    this.stop();
    this.tried = documents;
    void this.read(desk);
  }

  private stop(): void {
    this.reading?.abort();
    this.reading = null;
    this.tried = "";
  }

  private async read(desk: Desk): Promise<void> {
    const reading = new AbortController();
    this.reading = reading;
    let client: ScorerClient | null = null;
    try {
      const bundle = new URL("./bundle/", window.location.href);
      const scorer = await identity(bundle);
      const kept = await this.database.utilities(desk.project.id);
      // Without network there is no saying which scorer it is; what it said is still good.
      if (kept && (scorer === null || kept.scorer === scorer) && kept.values.length === desk.ids.length) return;
      if (scorer === null) throw new PageError("no-bundle", "This site has no scorer. Export one with --format web, or choose another strategy.");
      this.say("The scorer is being loaded…");
      client = new ScorerClient();
      await client.load(bundle, forcedBackend(), { progress: () => undefined, notice: () => undefined });
      const values = kept?.scorer === scorer ? kept.values.slice(0, desk.ids.length) : [];
      for (const id of desk.ids.slice(values.length)) {
        reading.signal.throwIfAborted();
        const text = await this.database.text(desk.project.id, id);
        values.push((await client.rank(text, reading.signal)).result);
        this.say(`The scorer has read ${values.length} of ${desk.ids.length} documents.`);
      }
      await desk.rank(values, scorer);
      this.say("The scorer has read all documents: pairs are now those that tell most beside what it says.");
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    } finally {
      client?.close();
    }
  }
}

/** The manifest, which tells scorers apart; null where there is none, or no network. */
async function identity(bundle: URL): Promise<string | null> {
  const response = await fetch(new URL("manifest.json", bundle), { cache: "no-cache" }).catch(() => null);
  return response?.ok ? response.text() : null;
}
