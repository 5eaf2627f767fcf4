// The table of judges. Rows stay while their numbers change, so that whoever is on a button stays there.

import { byId } from "../shared/page/dom";
import { cell, seconds, share } from "../shared/page/rows";
import type { Links } from "./links";
import type { JudgeView, View } from "./server";

export class JudgeTable {
  private readonly body = byId("judge-rows", HTMLTableSectionElement);
  private readonly rows = new Map<string, JudgeRow>();

  constructor(private readonly links: Links) {}

  draw({ judges, per_judge, now }: View): void {
    byId("no-judges", HTMLElement).hidden = judges.length > 0;
    for (const judge of judges) {
      let row = this.rows.get(judge.name);
      if (!row) {
        row = new JudgeRow(judge.name, this.links);
        this.rows.set(judge.name, row);
        this.body.append(row.element);
      }
      row.draw(judge, per_judge, Date.parse(now));
    }
  }
}

class JudgeRow {
  readonly element = document.createElement("tr");
  private readonly cells = Array.from({ length: 5 }, () => cell("", true));
  private readonly state = document.createElement("span");
  private readonly off = button("Switch off");
  private hasLink = true;

  constructor(name: string, links: Links) {
    const header = document.createElement("th");
    header.scope = "row";
    header.dir = "auto";
    header.textContent = name;
    const renew = button("New link");
    renew.setAttribute("aria-label", `New link for ${name}`);
    renew.addEventListener("click", () => links.renew(name, this.hasLink));
    this.off.setAttribute("aria-label", `Switch off the link of ${name}`);
    this.off.addEventListener("click", () => links.switchOff(name));
    const actions = document.createElement("td");
    actions.className = "links";
    actions.append(this.state, renew, this.off);
    this.element.append(header, ...this.cells, actions);
  }

  draw({ has_link, done, skipped, seen, stats }: JudgeView, perJudge: number | null, now: number): void {
    this.hasLink = has_link;
    this.off.hidden = !has_link;
    change(this.state, has_link ? "" : "switched off");
    const ofAll = perJudge === null ? "" : ` of ${perJudge.toLocaleString("en")}`;
    const texts = [
      done.toLocaleString("en") + ofAll + (skipped > 0 ? `, ${skipped.toLocaleString("en")} skipped` : ""),
      seen === null ? "never" : ago(now - Date.parse(seen)),
      seconds(stats?.median_ms ?? null),
      share(stats?.agreed ?? 0, stats?.compared ?? 0),
      share(stats?.consistent ?? 0, stats?.repeats ?? 0),
    ];
    this.cells.forEach((cell, place) => change(cell, texts[place] ?? ""));
  }
}

function button(text: string): HTMLButtonElement {
  return Object.assign(document.createElement("button"), { type: "button", textContent: text });
}

/** What is said already is not said again. */
function change(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** How long something was ago. */
export function ago(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 120) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours ago` : `${Math.floor(hours / 24)} days ago`;
}
