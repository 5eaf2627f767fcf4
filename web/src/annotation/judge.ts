// The pair on the screen, and everything a judge does with it.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Action, Choice } from "../shared/judging";
import { FlagDialog } from "./flag";
import type { JudgingDesk, Screen, Standing } from "./judging-desk";
import { keyName } from "./keys";
import { chooseLook } from "./look";
import { pace, sittingSince } from "./log";
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
  private hasPair = false;
  private desk: JudgingDesk | null = null;
  /** Until when no break is suggested, in `Date.now()`. */
  private quietUntil = 0;

  constructor(
    /** Hears of everything the judge does. */
    private readonly onAction: () => void,
  ) {
    for (const action of Object.keys(BUTTONS) as Action[]) {
      this.button(action).addEventListener("click", () => this.act(action));
    }
    document.addEventListener("keydown", (event) => this.press(event));
    for (const side of ["left", "right"] as const) {
      byId(`${side}-unflag`, HTMLButtonElement).addEventListener("click", () => {
        this.onAction();
        void this.desk?.notes?.write(side, null);
        // The button goes away.
        byId("question", HTMLElement).focus();
      });
    }
    // Whoever comes back wants to go on with the keys, which tabs would take.
    byId("tab-judge", HTMLButtonElement).addEventListener("click", () => byId("question", HTMLElement).focus());
    chooseLook();
    byId("break-later", HTMLButtonElement).addEventListener("click", () => {
      this.quietUntil = Date.now() + (this.desk?.task.breakAfter ?? 0) * 60_000;
      this.suggestBreak();
      byId("question", HTMLElement).focus();
    });
    setInterval(() => this.suggestBreak(), 30_000);
  }

  open(desk: JudgingDesk): void {
    this.desk = desk;
    this.hasPair = false;
    this.quietUntil = 0;
  }

  show(screen: Screen): void {
    byId("finished", HTMLElement).hidden = screen.kind !== "finished";
    byId("pair", HTMLElement).hidden = screen.kind !== "pair";
    this.hasPair = screen.kind === "pair";
    if (screen.kind === "pair") {
      this.texts.forEach((element, side) => {
        element.textContent = screen.texts[side] ?? "";
        element.scrollTop = 0;
      });
      this.watch.restart();
    }
    this.update();
  }

  /** Shows what the desk says about all but the pair. */
  update(): void {
    const { desk } = this;
    if (!desk) return;
    const { task, standing } = desk;
    setText("question", task.question);
    byId("rubric-box", HTMLElement).hidden = task.rubric.trim() === "";
    setText("rubric", task.rubric);
    for (const action of Object.keys(BUTTONS) as Action[]) {
      const button = this.button(action);
      const key = task.keys[action];
      const mark = button.querySelector("kbd");
      if (mark) mark.textContent = keyName(key);
      button.setAttribute("aria-keyshortcuts", key);
      button.disabled = action === "undo" ? !standing.canUndo : !this.hasPair;
    }
    for (const side of ["left", "right"] as const) {
      const note = (this.hasPair && desk.notes?.read(side)) || null;
      byId(`${side}-flag`, HTMLElement).hidden = note === null;
      setText(`${side}-flag-note`, note === null ? "" : `Flagged: ${note}`);
    }
    this.showStanding(standing);
    this.suggestBreak();
  }

  private showStanding({ judged, skipped, total, timings, note }: Standing): void {
    const bar = byId("progress-bar", HTMLProgressElement);
    bar.hidden = total === null;
    bar.max = Math.max(total ?? 0, 1);
    bar.value = judged;
    const done = total === null ? format.count(judged, "pair") : `${judged} of ${format.count(total, "pair")}`;
    setText("progress", `${done} judged${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    setText("pace", paceText(pace(timings), total === null ? null : Math.max(0, total - judged - skipped)));
    byId("plan-note", HTMLElement).hidden = note === "";
    setText("plan-note", note);
  }

  private suggestBreak(): void {
    const { desk } = this;
    const after = (desk?.task.breakAfter ?? 0) * 60_000;
    const now = Date.now();
    const since = desk && after > 0 ? sittingSince(desk.standing.timings, now) : null;
    const due = since !== null && now - since >= after && now >= this.quietUntil;
    byId("break", HTMLElement).hidden = !due;
    if (since !== null && due) setText("break-text", `You have judged for ${span(now - since)}. A short break keeps judgements careful.`);
  }

  private press(event: KeyboardEvent): void {
    if (!this.desk || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (byId("panel-judge", HTMLElement).hidden || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : null;
    // Fields take what is typed; tabs take the keys that move between them; a button takes Space and Enter.
    if (target?.closest("input, textarea, select")) return;
    if (target?.closest("[role=tab]") && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    if ((event.key === " " || event.key === "Enter") && target?.closest("button, a, summary")) return;
    const { keys } = this.desk.task;
    const action = (Object.keys(keys) as Action[]).find((name) => keys[name].toLowerCase() === event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    // A key that is held down answers once.
    if (!event.repeat) this.act(action);
  }

  private act(action: Action): void {
    const { desk } = this;
    if (!desk || this.button(action).disabled) return;
    this.onAction();
    const choice = CHOICES[action];
    if (choice) void this.whileBusy(desk.answer(choice, this.watch.milliseconds));
    else if (action === "undo") void this.whileBusy(desk.undo());
    else if (desk.notes) this.flags.open(desk.notes);
  }

  /** Says that the pair on the screen is about to change. */
  private async whileBusy(work: Promise<unknown>): Promise<void> {
    const pair = byId("pair", HTMLElement);
    pair.setAttribute("aria-busy", "true");
    await work;
    pair.setAttribute("aria-busy", "false");
  }

  private button(action: Action): HTMLButtonElement {
    return byId(BUTTONS[action], HTMLButtonElement);
  }
}

/** How fast the judge is and what that means for the pairs that are left, where their number is known. */
function paceText(median: number | null, left: number | null): string {
  if (median === null) return "";
  const each = `· ${(median / 1000).toFixed(1)} s each`;
  return left === null || left === 0 ? each : `${each}, about ${span(left * median)} to go`;
}

/** A span of time as people say it. */
function span(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 1) return "a minute";
  return minutes < 90 ? format.count(minutes, "minute") : `${(minutes / 60).toFixed(1)} hours`;
}
