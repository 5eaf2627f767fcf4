// The pair on the screen, and everything a judge does with it.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Action, Choice, Showing } from "../shared/judging";
import type { Desk, Screen } from "./desk";
import { FlagDialog } from "./flag";
import { isJudgement, pace, sittingSince } from "./log";
import { keyName } from "./project";
import { Stopwatch } from "./stopwatch";

const CHOICES: Partial<Record<Action, Choice>> = { left: "left", tie: "tie", right: "right", skip: "skip" };
const BUTTONS: Record<Action, string> = {
  left: "choose-left",
  tie: "tie",
  right: "choose-right",
  skip: "skip",
  undo: "undo",
  flag: "flag",
};

export class JudgeView {
  private readonly texts = [byId("left-text", HTMLElement), byId("right-text", HTMLElement)] as const;
  private readonly watch = new Stopwatch();
  private readonly flags = new FlagDialog();
  private showing: Showing | null = null;
  private desk: Desk | null = null;
  /** Until when no break is suggested, in `Date.now()`. */
  private quietUntil = 0;

  constructor(
    private readonly go: (tab: "documents" | "results") => void,
    /** Takes away messages that are over. */
    private readonly clear: () => void,
  ) {
    for (const action of Object.keys(BUTTONS) as Action[]) {
      this.button(action).addEventListener("click", () => this.act(action));
    }
    document.addEventListener("keydown", (event) => this.press(event));
    byId("go-documents", HTMLButtonElement).addEventListener("click", () => this.go("documents"));
    byId("go-results", HTMLButtonElement).addEventListener("click", () => this.go("results"));
    byId("go-on", HTMLButtonElement).addEventListener("click", () => {
      const { desk } = this;
      if (desk) void desk.change(({ perDocument }) => ({ perDocument: perDocument + 2 })).then(() => byId("question", HTMLElement).focus());
    });
    byId("break-later", HTMLButtonElement).addEventListener("click", () => {
      this.quietUntil = Date.now() + (this.desk?.project.breakAfter ?? 0) * 60_000;
      this.suggestBreak();
      byId("question", HTMLElement).focus();
    });
    setInterval(() => this.suggestBreak(), 30_000);
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.showing = null;
    this.quietUntil = 0;
  }

  show(screen: Screen): void {
    byId("no-documents", HTMLElement).hidden = screen.kind !== "no-documents";
    byId("finished", HTMLElement).hidden = screen.kind !== "finished";
    byId("pair", HTMLElement).hidden = screen.kind !== "pair";
    // A list has its own length.
    byId("go-on", HTMLButtonElement).hidden = this.desk?.project.strategy === "given";
    this.showing = screen.kind === "pair" ? screen.showing : null;
    if (screen.kind === "pair") {
      this.texts.forEach((element, side) => {
        element.textContent = screen.texts[side] ?? "";
        element.scrollTop = 0;
      });
      this.watch.restart();
    }
    this.update();
  }

  /** Shows what the log and the settings say. */
  update(): void {
    const { desk } = this;
    if (!desk) return;
    const { project, session } = desk;
    setText("question", project.question);
    byId("rubric-box", HTMLElement).hidden = project.rubric.trim() === "";
    setText("rubric", project.rubric);
    for (const action of Object.keys(BUTTONS) as Action[]) {
      const button = this.button(action);
      const key = project.keys[action];
      const mark = button.querySelector("kbd");
      if (mark) mark.textContent = keyName(key);
      button.setAttribute("aria-keyshortcuts", key);
      button.disabled = action === "undo" ? session.answers.length === 0 : this.showing === null;
    }
    this.showStanding(desk);
    this.suggestBreak();
  }

  private showStanding({ session, planned, ids, isRanked, project }: Desk): void {
    const judged = session.answers.filter(isJudgement).length;
    const skipped = session.answers.length - judged;
    const extra = session.answers.filter(({ showing }) => showing.kind !== "regular").length;
    const total = Math.max(planned + extra, judged);
    byId("progress-bar", HTMLProgressElement).max = Math.max(total, 1);
    byId("progress-bar", HTMLProgressElement).value = judged;
    setText("progress", `${judged} of ${format.count(total, "pair")} judged${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    const median = pace(session.answers);
    const left = Math.max(0, total - session.answers.length);
    setText("pace", median === null ? "" : `· ${(median / 1000).toFixed(1)} s each, about ${span(left * median)} to go`);
    const note = byId("plan-note", HTMLElement);
    const waits = project.strategy === "assisted" && !isRanked && ids.length > 1;
    const empty = project.strategy === "given" && project.list.length === 0;
    note.hidden = !waits && !empty;
    note.textContent = empty
      ? "There is no list of pairs yet: choose one under Settings."
      : "Pairs are balanced until the scorer has read all documents.";
  }

  private suggestBreak(): void {
    const { desk } = this;
    const after = (desk?.project.breakAfter ?? 0) * 60_000;
    const now = Date.now();
    const since = desk && after > 0 ? sittingSince(desk.session.answers, now) : null;
    const due = since !== null && now - since >= after && now >= this.quietUntil;
    byId("break", HTMLElement).hidden = !due;
    if (since !== null && due) setText("break-text", `You have judged for ${span(now - since)}. A short break keeps judgements careful.`);
  }

  private press(event: KeyboardEvent): void {
    if (!this.desk || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (byId("panel-judge", HTMLElement).hidden || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : null;
    // Fields take what is typed, and tabs take arrows; a button takes Space and Enter.
    if (target?.closest("input, textarea, select, [role=tab]")) return;
    if ((event.key === " " || event.key === "Enter") && target?.closest("button, a, summary")) return;
    const { keys } = this.desk.project;
    const action = (Object.keys(keys) as Action[]).find((name) => keys[name].toLowerCase() === event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    // A key that is held down answers once.
    if (!event.repeat) this.act(action);
  }

  private act(action: Action): void {
    const { desk, showing } = this;
    if (!desk || this.button(action).disabled) return;
    this.clear();
    const choice = CHOICES[action];
    if (choice) void this.whileBusy(desk.answer(choice, this.watch.milliseconds));
    else if (action === "undo") void this.whileBusy(desk.undo());
    else if (showing) this.flags.open(desk, showing);
  }

  /** Says that the pair on the screen is about to change. */
  private async whileBusy(work: Promise<void>): Promise<void> {
    const pair = byId("pair", HTMLElement);
    pair.setAttribute("aria-busy", "true");
    await work;
    pair.setAttribute("aria-busy", "false");
  }

  private button(action: Action): HTMLButtonElement {
    return byId(BUTTONS[action], HTMLButtonElement);
  }
}

/** A span of time as people say it. */
function span(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 1) return "a minute";
  return minutes < 90 ? format.count(minutes, "minute") : `${(minutes / 60).toFixed(1)} hours`;
}
