// One open project: its log, the pair on the screen, and the one after it.
//
// Everything shown follows from the log; nothing is shown before the entry that led to it is on the disk. The next pair
// is chosen while the judge reads, so that nobody waits for it; it does not depend on the answer that is missing.

import type { Database } from "../shared/database";
import type { Choice, DocumentChange, Draft, LogEvent, Project, Reader, Showing } from "../shared/judging";
import type { InferenceInput, JudgementCalls, Reading } from "../shared/judging-protocol";
import type { Scale } from "@pair2score/scorer";
import type { Caller } from "./calls";
import type { DeskEvents, JudgingDesk, Notes, Standing, Task } from "./judging-desk";
import { exportLines, historyOf, isJudgement, isSame, pairAs, replay, showingOf, type Session } from "./log";
import { Neighbours } from "./neighbours";

export class Desk implements JudgingDesk {
  session: Session = replay([]);
  ids: string[] = [];
  /** How often documents were read from the database: at the start, and after each import. */
  imports = 0;
  /** Regular pairs of the plan. */
  planned = 0;
  private readonly log: LogEvent[] = [];
  /** Documents that the project's reader has read. */
  private read = 0;
  private places: ReadonlyMap<string, number> = new Map();
  /** The pair on the screen, until its answer is on the disk. */
  private current: Showing | null = null;
  /** The pair after the current one, valid for the log of this length. */
  private ahead: { length: number; pair: Promise<Showing | null> } | null = null;
  private readonly neighbours: Neighbours;
  /** Whether another project has the screen, and the worker that chooses pairs. */
  private isClosed = false;
  private busy: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly database: Database,
    private readonly chooser: Caller<JudgementCalls>,
    public project: Project,
    private events: DeskEvents,
  ) {
    this.neighbours = new Neighbours(project.id, () => this.inTurn(() => this.hearOfChange()));
  }

  static async open(
    database: Database,
    chooser: Caller<JudgementCalls>,
    project: Project,
    events: DeskEvents,
  ): Promise<Desk> {
    const desk = new Desk(database, chooser, project, events);
    await desk.neighbours.ask();
    return desk;
  }

  /** What is under way ends unheard. */
  close(): void {
    this.isClosed = true;
    this.events = { screen: () => undefined, change: () => undefined, error: () => undefined };
    this.neighbours.close();
  }

  /** All judgements as JSONL. */
  exported(): string {
    return exportLines(this.session, this.project.target);
  }

  /** What a scorer read, once it has read all documents and rates what is judged. */
  get reading(): Reading | null {
    const { id, reader, target } = this.project;
    if (!reader || this.ids.length === 0 || this.read !== this.ids.length) return null;
    const { scorer, says, traits = [target] } = reader;
    const place = placeOf(traits, target);
    const state = this.imports + this.session.changes;
    return place === null ? null : { project: id, scorer, state, says, traits: traits.length, place };
  }

  /** What is inferred from. */
  get evidence(): InferenceInput {
    const grades = [...this.session.grades].flatMap(([id, grade]): [number, number][] => {
      const place = this.places.get(id);
      return place === undefined ? [] : [[place, grade]];
    });
    const { scale } = this.project;
    return { log: this.exported(), documents: this.ids, reading: this.reading, grades, scale };
  }

  get task(): Task {
    return this.project;
  }

  get standing(): Standing {
    const { answers } = this.session;
    const judged = answers.filter(isJudgement).length;
    const extra = answers.filter(({ showing }) => showing.kind !== "regular").length;
    return {
      judged,
      skipped: answers.length - judged,
      total: Math.max(this.planned + extra, judged),
      timings: answers,
      canUndo: answers.length > 0,
      note: this.planNote(),
    };
  }

  get notes(): Notes | null {
    const showing = this.current;
    return (
      showing && {
        read: (side) => this.session.flags.get(showing[side])?.note ?? null,
        write: (side, note) => this.flag(showing[side], note),
      }
    );
  }

  answer(choice: Choice, milliseconds: number): Promise<boolean> {
    const showing = this.current;
    return this.inTurn(async () => {
      // The pair that comes next could not be shown, and is looked for again.
      if (this.current === null) return this.advance(true);
      // Of two quick presses the second is about a pair that was not seen.
      if (this.current !== showing) return;
      await this.append({ kind: "answered", showing, choice, milliseconds, judge: this.project.judge });
      await this.advance(true);
    });
  }

  undo(): Promise<boolean> {
    return this.inTurn(async () => {
      const last = this.session.answers.at(-1);
      if (!last) return;
      await this.append({ kind: "undone", of: last.id });
      await this.advance(true);
    });
  }

  private flag(document: string, note: string | null): Promise<boolean> {
    return this.inTurn(() => this.append({ kind: "flagged", document, note, judge: this.project.judge }));
  }

  /** Says what grades documents have; null takes one back. */
  grade(grades: [string, number | null][]): Promise<boolean> {
    return this.inTurn(() => this.append({ kind: "graded", grades, judge: this.project.judge }));
  }

  /** Null where it failed. */
  async merge(file: File): Promise<{ added: number; duplicates: number } | null> {
    const { target } = this.project;
    const input = { existing: this.exported(), name: file.name, text: await file.text(), target, documents: this.ids };
    const { lines, added, duplicates } = await this.chooser.call("merge", input);
    const write = async () => {
      await this.append({ kind: "merged", file: file.name, lines, count: added });
      await this.replan();
    };
    return added === 0 || (await this.inTurn(write)) ? { added, duplicates } : null;
  }

  /** Saves changed settings; what depends on others is told those that are saved by then. */
  change(changes: (saved: Project) => Partial<Project>): Promise<boolean> {
    return this.inTurn(async () => {
      const before = this.project;
      const project = { ...before, ...changes(before) };
      await this.database.saveProject(project);
      this.project = project;
      this.neighbours.changed();
      if (isOtherPlan(before, project)) await this.replan();
      else this.events.change();
    });
  }

  /** A scorer has read all documents. Its scale becomes that of the grades, unless some are there. */
  useReader(reader: Reader, scale: Scale | null): Promise<boolean> {
    return this.inTurn(async () => {
      const fits = scale !== null && this.session.grades.size === 0;
      const project = { ...this.project, reader, scale: fits ? scale : this.project.scale };
      await this.database.saveProject(project);
      this.project = project;
      await this.countRead();
      this.neighbours.changed();
      await this.replan();
    });
  }

  /** Renames, corrects or removes a document. */
  changeDocument(change: DocumentChange): Promise<boolean> {
    return this.inTurn(async () => {
      const becomes = change.kind === "renamed" ? change.to : change.kind === "removed" ? null : change.document;
      const of = (id: string) => (id === change.document ? becomes : id);
      const { list, gold } = this.project;
      const project = { ...this.project, list: list.flatMap((pair) => pairAs(pair, of) ?? []), gold: gold.flatMap((pair) => pairAs(pair, of) ?? []) };
      await this.database.changeDocument(project, change);
      this.project = project;
      this.neighbours.changed();
      await this.readIds();
      this.forget(await this.readLog());
      await this.replan();
    });
  }

  text(id: string): Promise<string> {
    return this.database.text(this.project.id, id);
  }

  /** At the start, and after an import. */
  readDocuments(): Promise<boolean> {
    return this.inTurn(async () => {
      this.imports += 1;
      await this.readIds();
      await this.readLog();
      await this.replan();
    });
  }

  /** After an import in this tab, the others want to know. */
  tellOthers(): void {
    this.neighbours.changed();
  }

  private planNote(): string {
    const { strategy, list } = this.project;
    if (strategy === "given" && list.length === 0) return "There is no list of pairs yet: choose one under Settings.";
    const waits = strategy === "assisted" && !this.reading && this.ids.length > 1;
    return waits ? "You can begin: pairs are chosen at random until the scorer has read all texts." : "";
  }

  /** One thing after the other. Gives whether it was done; what went wrong is said. */
  private inTurn(work: () => Promise<void>): Promise<boolean> {
    const done = this.busy.then(work).then(
      () => true,
      (error: unknown) => {
        this.events.error(error);
        return false;
      },
    );
    this.busy = done;
    return done;
  }

  private async append(draft: Draft): Promise<void> {
    await this.database.append(this.project.id, draft);
    // Should something fail before the next pair is shown, this one is not answered again.
    if (draft.kind === "answered") this.current = null;
    this.neighbours.changed();
    await this.readLog();
    this.events.change();
  }

  /** Reads and gives what was written since, here or in another tab. */
  private async readLog(): Promise<LogEvent[]> {
    const events = await this.database.events(this.project.id, this.log.at(-1)?.n ?? 0);
    if (events.length > 0) {
      this.log.push(...events);
      this.session = replay(this.log);
    }
    return events;
  }

  /** A pair on the screen is not what is there any more when one of its documents was changed. */
  private forget(events: readonly LogEvent[]): void {
    const { current } = this;
    const changed = events.flatMap((event) => (isChange(event.kind) && "document" in event ? [event.document] : []));
    if (current && (changed.includes(current.left) || changed.includes(current.right))) this.current = null;
  }

  private async readIds(): Promise<void> {
    this.ids = await this.database.ids(this.project.id);
    this.places = new Map(this.ids.map((id, place) => [id, place]));
    await this.countRead();
  }

  private async countRead(): Promise<void> {
    const { id, reader } = this.project;
    const read = reader ? await this.database.readIds(id, reader.scorer) : [];
    this.read = read.filter((document) => this.places.has(document)).length;
  }

  /** Another tab has written. */
  private async hearOfChange(): Promise<void> {
    const before = this.project;
    this.project = (await this.database.project(before.id)) ?? before;
    const [documents, reading] = [this.ids.length, this.reading];
    await this.readIds();
    const events = await this.readLog();
    const merged = events.some(({ kind }) => kind === "merged" || isChange(kind));
    this.forget(events);
    const isReadNow = reading?.scorer !== this.reading?.scorer;
    if (merged || isReadNow || documents !== this.ids.length || isOtherPlan(before, this.project)) return this.replan();
    // The pair on this screen stays, even if it was answered there: nothing changes under the eyes of a judge.
    if (this.current === null) await this.advance(true);
    else this.lookAhead(this.current);
    this.events.change();
  }

  /** Begins the plan anew after documents, settings or others' judgements changed. */
  private async replan(): Promise<void> {
    if (this.isClosed) return;
    const { project, ids } = this;
    // Until the scorer has read everything, its pairs cannot be chosen.
    const strategy = project.strategy === "assisted" && !this.reading ? "balanced" : project.strategy;
    this.planned = await this.chooser.call("plan", {
      settings: {
        documents: ids,
        judge: project.judge,
        seed: project.seed,
        strategy,
        list: project.list,
        perDocument: project.perDocument,
        repeats: project.repeats / 100,
        goldShare: project.gold.length > 0 ? project.goldShare / 100 : 0,
        gold: project.gold,
        others: this.session.merged,
      },
      reading: strategy === "assisted" ? this.reading : null,
    });
    this.ahead = null;
    await this.advance(false);
    this.events.change();
  }

  /** Shows the pair that comes next. Unless it must be `fresh`, a pair that is on the screen already stays. */
  private async advance(fresh: boolean): Promise<void> {
    if (this.isClosed) return;
    const next = this.session.pending[0] ?? (await this.prepared()) ?? (await this.choose(null));
    this.neighbours.show(next ? [next] : []);
    if (!next) {
      this.current = null;
      this.events.screen({ kind: this.ids.length < 2 ? "no-documents" : "finished" });
      return;
    }
    if (fresh || this.current === null || !isSame(next, this.current)) {
      const texts = await Promise.all([this.text(next.left), this.text(next.right)]);
      // Not before its texts are there: nobody answers a pair that is not on the screen.
      this.current = next;
      this.events.screen({ kind: "pair", texts });
    }
    this.lookAhead(this.current);
  }

  private lookAhead(current: Showing): void {
    // The answer to the current pair will be the next entry.
    const pair = this.choose(current);
    this.ahead = { length: this.log.length + 1, pair };
    pair.then(
      (next) => {
        if (this.isClosed) return;
        if (next && this.current === current) this.neighbours.show([current, next]);
        const history = historyOf(this.session.answers, current, this.places);
        void this.chooser.call("prepare", { history }).catch(this.events.error);
      },
      // Whoever waits for the pair hears of it.
      () => undefined,
    );
  }

  /** The pair that was chosen beforehand, if that was for the log as it is now and no other tab has it. */
  private async prepared(): Promise<Showing | null> {
    const { ahead } = this;
    // One that could not be chosen is not waited for again.
    this.ahead = null;
    if (ahead?.length !== this.log.length) return null;
    const next = await ahead.pair;
    const isTaken = ({ left, right }: Showing) => this.neighbours.taken().some((other) => other.left === left && other.right === right);
    return next && !isTaken(next) ? next : null;
  }

  private async choose(open: Showing | null): Promise<Showing | null> {
    if (this.isClosed) return null;
    const history = historyOf(this.session.answers, open, this.places);
    const taken = this.neighbours.taken().flatMap(({ left, right }) => {
      const [a, b] = [this.places.get(left), this.places.get(right)];
      return a === undefined || b === undefined ? [] : [a, b];
    });
    const next = await this.chooser.call("next", { history, taken: Uint32Array.from(taken) });
    return next && showingOf(next, this.ids);
  }
}

/** The place of the trait that is judged, among those of a scorer; a single one is it whatever it is called. */
export function placeOf(traits: readonly string[], target: string): number | null {
  const place = traits.length === 1 ? 0 : traits.indexOf(target);
  return place < 0 ? null : place;
}

function isChange(kind: LogEvent["kind"]): boolean {
  return kind === "renamed" || kind === "corrected" || kind === "removed";
}

/** Whether other pairs may follow. */
function isOtherPlan(one: Project, other: Project): boolean {
  const parts = ({ judge, seed, strategy, perDocument, repeats, goldShare, gold, list, target }: Project) =>
    JSON.stringify([judge, seed, strategy, perDocument, repeats, goldShare, gold, list, target]);
  return parts(one) !== parts(other);
}
