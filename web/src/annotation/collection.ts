// A collection on a server, as the judging view sees it. The next pair is shown when the server has stored the answer.

import { newId } from "../shared/id";
import type { Choice, Keys } from "../shared/judging";
import type { DeskEvents, JudgingDesk, Notes, Standing, Task } from "./judging-desk";
import type { Timing } from "./log";
import type { CollectionServer, View } from "./server";

/** Minutes after which a break is suggested. */
const BREAK_AFTER = 25;
/** The server counts milliseconds in 32 bits. */
const LONGEST = 2 ** 32 - 1;

export class CollectionDesk implements JudgingDesk {
  private view: View | null = null;
  /** The answers that this page has sent. */
  private readonly timings: Timing[] = [];
  private busy: Promise<void> = Promise.resolve();

  constructor(
    private readonly server: CollectionServer,
    private readonly keys: () => Keys,
    private readonly events: DeskEvents,
  ) {}

  /** Shows the pair that the judge has before them. */
  begin(): Promise<void> {
    return this.inTurn(() => this.showNext());
  }

  get task(): Task {
    const { question, rubric } = this.view ?? { question: "", rubric: "" };
    return { question, rubric, keys: this.keys(), breakAfter: BREAK_AFTER };
  }

  get standing(): Standing {
    const { done, skipped, total, last } = this.view ?? { done: 0, skipped: 0, total: null, last: null };
    return { judged: done - skipped, skipped, total, timings: this.timings, canUndo: last !== null, note: "" };
  }

  get notes(): Notes | null {
    const { view } = this;
    const pair = view?.pair;
    if (!view || !pair) return null;
    return {
      read: (side) => view.flags[side],
      write: (side, note) => this.inTurn(async () => this.show(await this.server.ask("flags", { handout: pair.handout, side, note }))),
    };
  }

  answer(choice: Choice, milliseconds: number): Promise<void> {
    const pair = this.view?.pair;
    return this.inTurn(async () => {
      // Of two quick presses the second is about a pair that was not seen.
      if (!pair || this.view?.pair !== pair) return;
      const ms = Math.min(milliseconds, LONGEST);
      const view = await this.server.ask("judgements", { handout: pair.handout, id: newId(), answer: choice, ms });
      if (view) this.timings.push({ choice, milliseconds, at: new Date().toISOString() });
      await this.show(view);
    });
  }

  undo(): Promise<void> {
    return this.inTurn(async () => {
      const id = this.view?.last;
      if (!id) return;
      const view = await this.server.ask("undo", { id });
      this.timings.pop();
      await this.show(view);
    });
  }

  /** Shows what the server said. Where it has another answer, from another tab, it is asked what comes next. */
  private async show(view: View | null): Promise<void> {
    if (view === null) return this.showNext();
    const before = this.view;
    // The same object means the same showing.
    const isSame = before?.pair != null && before.pair.handout === view.pair?.handout;
    this.view = isSame ? { ...view, pair: before.pair } : view;
    if (view.pair === null) this.events.screen({ kind: "finished" });
    else if (!isSame) this.events.screen({ kind: "pair", texts: [view.pair.left, view.pair.right] });
    this.events.change();
  }

  private async showNext(): Promise<void> {
    const view = await this.server.ask("next", {});
    if (view) await this.show(view);
  }

  /** One thing after the other. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.busy = this.busy.then(work).catch((error: unknown) => this.events.error(error));
    return this.busy;
  }
}
