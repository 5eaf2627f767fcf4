// What the tabs of one browser tell each other: that a log has grown, and which pairs they are at.

import { newId } from "../shared/id";
import type { Showing } from "../shared/judging";

type Word =
  | { kind: "changed"; project: string }
  | { kind: "shows"; tab: string; project: string; pairs: Showing[] }
  | { kind: "who"; project: string };

/** How long other tabs get to answer who shows what. */
const PATIENCE = 40;

export class Neighbours {
  private readonly channel = new BroadcastChannel("pair2score-judgements");
  private readonly tab = newId();
  private readonly others = new Map<string, Showing[]>();
  private shown: Showing[] = [];
  private isClosed = false;

  constructor(
    private readonly project: string,
    onChange: () => void,
  ) {
    this.channel.onmessage = ({ data }: MessageEvent<Word>) => {
      if (data.project !== this.project) return;
      switch (data.kind) {
        case "changed":
          return onChange();
        case "shows":
          this.others.set(data.tab, data.pairs);
          return;
        case "who":
          this.show(this.shown);
      }
    };
    window.addEventListener("pagehide", () => this.show([]));
  }

  /** Pairs that other tabs show, or will show next. */
  taken(): Showing[] {
    return [...this.others.values()].flat();
  }

  /** Asks the others what they show. */
  async ask(): Promise<void> {
    this.say({ kind: "who", project: this.project });
    await new Promise((resolve) => setTimeout(resolve, PATIENCE));
  }

  /** Says what is on this screen, and what comes next. */
  show(pairs: Showing[]): void {
    this.shown = pairs;
    this.say({ kind: "shows", tab: this.tab, project: this.project, pairs });
  }

  changed(): void {
    this.say({ kind: "changed", project: this.project });
  }

  close(): void {
    this.show([]);
    this.isClosed = true;
    this.channel.close();
  }

  private say(word: Word): void {
    if (!this.isClosed) this.channel.postMessage(word);
  }
}
