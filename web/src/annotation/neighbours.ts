// What the tabs of one browser tell each other: that a log has grown, and which pair is on their screen.

import type { Showing } from "../shared/judging";

type Word =
  | { kind: "changed"; project: string }
  | { kind: "shows"; tab: string; project: string; pair: Showing | null }
  | { kind: "who"; project: string };

/** How long other tabs get to answer who shows what. */
const PATIENCE = 40;

export class Neighbours {
  private readonly channel = new BroadcastChannel("pair2score-judgements");
  private readonly tab = crypto.randomUUID();
  private readonly others = new Map<string, Showing>();
  private shown: Showing | null = null;

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
          if (data.pair) this.others.set(data.tab, data.pair);
          else this.others.delete(data.tab);
          return;
        case "who":
          if (this.shown) this.show(this.shown);
      }
    };
    window.addEventListener("pagehide", () => this.show(null));
  }

  /** Pairs that are on other screens. */
  taken(): Showing[] {
    return [...this.others.values()];
  }

  /** Asks the others what they show. */
  async ask(): Promise<void> {
    this.say({ kind: "who", project: this.project });
    await new Promise((resolve) => setTimeout(resolve, PATIENCE));
  }

  show(pair: Showing | null): void {
    this.shown = pair;
    this.say({ kind: "shows", tab: this.tab, project: this.project, pair });
  }

  changed(): void {
    this.say({ kind: "changed", project: this.project });
  }

  close(): void {
    this.show(null);
    this.channel.close();
  }

  private say(word: Word): void {
    this.channel.postMessage(word);
  }
}
