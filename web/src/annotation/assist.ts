// The scorer of this site, or its backbone alone, reads all documents: what the texts tell then counts beside the
// judgements. What was read is kept document by document, so that reading goes on where it was interrupted.

import type { Database } from "../shared/database";
import { Scorer } from "@pair2score/scorer";
import { isAbort, PageError } from "../shared/failure";
import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { keep } from "../shared/page/privacy";
import { forcedBackend, siteBundle } from "../shared/page/site";
import { placeOf, type Desk } from "./desk";
import { readerOf, siteScorer } from "./site-scorer";

const NO_SCORER = new PageError("no-bundle", "This site has no scorer. Export one with --format web, or choose another strategy.");
const NOT_HERE = new PageError("offline", "The scorer of this site is not in this browser yet: it needs the network once. Connect, and reload the page.");

export class Assistant {
  private reading: AbortController | null = null;
  private desk: Desk | null = null;
  /** The documents that were read, or could not be; they are not tried again before the next visit. */
  private tried = "";
  private readonly question = byId("which-trait-question", HTMLFormElement);
  private readonly promptQuestion = byId("which-prompt-question", HTMLFormElement);

  constructor(
    private readonly database: Database,
    private readonly serviceWorker: Promise<ServiceWorker | null>,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.question.addEventListener("submit", (event) => {
      event.preventDefault();
      this.question.hidden = true;
      const target = byId("which-trait", HTMLSelectElement).value;
      void this.desk?.change(() => ({ target }));
    });
    this.promptQuestion.addEventListener("submit", (event) => {
      event.preventDefault();
      this.promptQuestion.hidden = true;
      const prompt = byId("which-prompt", HTMLTextAreaElement).value;
      void this.desk?.change(() => ({ prompt }));
    });
  }

  open(desk: Desk): void {
    this.stop();
    this.desk = desk;
    this.update();
  }

  /** Begins to read where the strategy asks for it and documents are new; stops where it does not. */
  update(): void {
    const { desk } = this;
    if (desk === null || desk.project.strategy !== "assisted" || desk.ids.length < 2) return this.stop();
    const documents = JSON.stringify([desk.project.id, desk.ids.length, desk.imports, desk.session.changes, desk.project.target, desk.project.prompt]);
    if (documents === this.tried) return;
    this.stop();
    this.tried = documents;
    void this.read(desk);
  }

  private stop(): void {
    this.reading?.abort();
    this.reading = null;
    this.tried = "";
    hide();
    this.question.hidden = this.promptQuestion.hidden = true;
  }

  /** A scorer of several traits does not know which of them is judged here. */
  private askFor(traits: readonly string[]): void {
    byId("which-trait", HTMLSelectElement).replaceChildren(...traits.map((name) => new Option(name)));
    this.question.hidden = false;
  }

  private async read(desk: Desk): Promise<void> {
    const reading = new AbortController();
    this.reading = reading;
    let client: Scorer | null = null;
    try {
      const { project } = desk;
      const { id, target } = project;
      const { info: site, isOffline } = await siteScorer();
      reading.signal.throwIfAborted();
      // Without network there is no saying which scorer the site has now; what was read is still good.
      if (desk.reading && (isOffline || site === null)) return;
      if (site === null) throw isOffline ? NOT_HERE : NO_SCORER;
      const traits = site.traits.map(({ target }) => target);
      const place = placeOf(traits, target);
      if (place === null) return this.askFor(traits);
      if (desk.reading?.scorer === (await readerOf(site, project))) return;
      if (site.prompts && project.prompt === undefined && !(await this.database.haveAllPrompts(id))) {
        this.promptQuestion.hidden = false;
        return;
      }
      show("The scorer is being loaded…", 0, 1);
      client = await Scorer.load(siteBundle(), {
        backend: forcedBackend(),
        onProgress: ({ loaded, total }) => show(`The scorer is being loaded: ${format.bytes(loaded)} of ${format.bytes(total)}`, loaded, total),
        signal: reading.signal,
      });
      const { info, files } = client;
      void keep(await this.serviceWorker, files);
      const read = await readerOf(info, project);
      await this.readAll(desk, client, read, reading.signal);
      const says = info.canScore || info.canRank;
      const scale = info.canScore ? info.traits[place]?.scale : undefined;
      if (!(await desk.useReader({ scorer: read, says, ...(traits.length > 1 && { traits }) }, scale ?? null))) return;
      this.say("The scorer has read all texts. From now on they count beside your judgements, and you are shown the pairs that tell most.");
    } catch (error) {
      if (!isAbort(error)) this.fail(error);
    } finally {
      client?.dispose();
      if (this.reading === reading) hide();
    }
  }

  private async readAll(desk: Desk, client: Scorer, scorer: string, signal: AbortSignal): Promise<void> {
    const { id: project, prompt: ofAll = "" } = desk.project;
    const { prompts } = client.info;
    const there = new Set(await this.database.readIds(project, scorer));
    const missing = desk.ids.filter((id) => !there.has(id));
    const before = desk.ids.length - missing.length;
    const started = performance.now();
    const say = (read: number) => {
      const left = read === 0 ? "" : `, ${timeLeft(((performance.now() - started) / read) * (missing.length - read))}`;
      show(`The scorer is reading text ${before + read + 1} of ${desk.ids.length}${left}`, before + read, desk.ids.length);
    };
    const ask = async (id: string, scorer: Scorer, signal: AbortSignal) => {
      const { text, prompt = ofAll } = await this.database.document(project, id);
      return { id, row: await scorer.embedAndSay(text, { prompt: prompts ? prompt : null, signal }) };
    };
    let read = 0;
    if (missing.length > 0) say(read);
    for await (const { id, row } of client.each(missing, ask, { signal })) {
      await this.database.saveRead({ project, scorer, id, row });
      if (++read < missing.length) say(read);
    }
  }
}

function timeLeft(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  return minutes < 1 ? "less than a minute left" : `about ${format.count(minutes, "minute")} left`;
}

function show(text: string, done: number, all: number): void {
  byId("reading", HTMLElement).hidden = false;
  setText("reading-text", text);
  const bar = byId("reading-bar", HTMLProgressElement);
  bar.max = Math.max(all, 1);
  bar.value = done;
}

function hide(): void {
  byId("reading", HTMLElement).hidden = true;
}
