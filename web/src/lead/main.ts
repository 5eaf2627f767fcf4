// The page of whoever leads a collection: `pair2score serve --collect` serves it as `lead`. What it shows comes from the
// server as it computes it; the link's secret stays in the fragment of the address, which browsers send to nobody.

import { asFailure, PageError } from "../shared/failure";
import { agreementInWords } from "../shared/page/agreement";
import { byId, setText } from "../shared/page/dom";
import { download } from "../shared/page/download";
import * as format from "../shared/page/format";
import { fail, say } from "../shared/page/messages";
import { decimal, seconds, share } from "../shared/page/rows";
import { keepAddressWhenSkipping } from "../shared/page/skip";
import { JudgeTable } from "./judges";
import { Links } from "./links";
import { LeadServer, type FileName, type JudgeView, type View } from "./server";

/** Milliseconds between two looks; a server that needs longer for its answer has four times as long to rest. */
const PAUSE = 3000;

const FILES: Record<string, FileName> = {
  "get-jsonl": "judgements.jsonl",
  "get-csv": "judgements.csv",
  "get-fit": "fit.csv",
  "get-flags": "flags.csv",
};

function lead(): void {
  keepAddressWhenSkipping();
  window.addEventListener("hashchange", () => window.location.reload());
  const token = window.location.hash.slice(1);
  if (token === "") throw new PageError("no-link", "This address is not complete; open the link that the server printed for you.");
  const server = new LeadServer(token);
  const watch = new Watch(server);
  const table = new JudgeTable(new Links(server, () => void watch.look()));
  watch.onView = (view) => {
    draw(view);
    table.draw(view);
  };
  for (const [id, name] of Object.entries(FILES)) {
    byId(id, HTMLButtonElement).addEventListener("click", () => {
      server.file(name).then((blob) => download(name, blob, blob.type), fail);
    });
  }
  document.addEventListener("visibilitychange", () => void watch.look());
  void watch.look();
}

/** Looks again and again while the page is in sight. */
class Watch {
  onView: (view: View) => void = () => undefined;
  private timer = 0;
  private looking: Promise<void> | null = null;
  private isTroubled = false;

  constructor(private readonly server: LeadServer) {}

  /** Looks now, and goes on. */
  async look(): Promise<void> {
    clearTimeout(this.timer);
    // What is under way may have been asked before something changed.
    await this.looking;
    if (document.hidden) return;
    const begun = performance.now();
    this.looking = this.once();
    await this.looking;
    this.looking = null;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.look(), Math.max(PAUSE, 4 * (performance.now() - begun)));
  }

  private async once(): Promise<void> {
    try {
      this.onView(await this.server.view());
      byId("collection", HTMLElement).hidden = false;
      setText("updated", `As of ${new Date().toLocaleTimeString()}.`);
      if (this.isTroubled) say("");
      this.isTroubled = false;
    } catch (error) {
      this.isTroubled = true;
      fail(asFailure(error).code === "waiting" ? new PageError("waiting", "The server does not answer, trying again…") : error);
    }
  }
}

function draw(view: View): void {
  const { judgements, skipped, agreement, documents, judges } = view;
  setText("question", view.question);
  setText("trait", `Trait ${view.trait}, ${format.count(documents, "document")}.`);
  announce("trust", `${view.trust}.`);
  const done = judges.reduce((sum, judge) => sum + judge.done, 0);
  const wanted = view.per_judge === null ? null : wantedOf(judges, view.per_judge);
  const bar = byId("progress-bar", HTMLProgressElement);
  bar.hidden = wanted === null;
  if (wanted !== null) [bar.max, bar.value] = [Math.max(wanted, 1), done];
  const ofAll = wanted === null ? "" : ` of ${wanted.toLocaleString("en")}`;
  const passed = skipped > 0 ? `, ${skipped.toLocaleString("en")} of them skipped` : "";
  setText("progress", `${done.toLocaleString("en")}${ofAll} pairs done${passed}`);
  setText("n-judgements", judgements.toLocaleString("en"));
  setText("median-time", seconds(view.median_ms));
  const sum = (part: (stats: NonNullable<JudgeView["stats"]>) => number) =>
    judges.reduce((total, { stats }) => total + (stats ? part(stats) : 0), 0);
  // Each comparison is counted by both of its judges.
  setText("agreed", share(sum(({ agreed }) => agreed) / 2, sum(({ compared }) => compared) / 2));
  setText("consistent", share(sum(({ consistent }) => consistent), sum(({ repeats }) => repeats)));
  setText("ssr", decimal(view.scale_separation));
  setText("split-half", decimal(view.split_half?.reliability ?? null));
  setText("split-half-judges", decimal(view.split_half_judges?.reliability ?? null));
  const line = byId("agreement", HTMLElement);
  line.hidden = agreement.shared_pairs === 0;
  line.textContent = agreementInWords(agreement);
}

/** All pairs that those with a link are to answer, and what others have answered. */
function wantedOf(judges: readonly JudgeView[], perJudge: number): number {
  return judges.reduce((sum, { has_link, done }) => sum + (has_link ? Math.max(perJudge, done) : done), 0);
}

/** Says it to screen readers only when it is something else. */
function announce(id: string, text: string): void {
  if (byId(id, HTMLElement).textContent !== text) setText(id, text);
}

try {
  lead();
} catch (error) {
  fail(error);
}
