// A project's settings: each is saved as soon as it is changed.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Project, Strategy } from "../shared/judging";
import type { JudgementCalls } from "../shared/judging-protocol";
import type { Caller } from "./calls";
import type { Desk } from "./desk";
import { KeyFields } from "./keys";

type Texts = "name" | "judge" | "question" | "rubric" | "target";
type Numbers = "perDocument" | "repeats" | "goldShare" | "breakAfter";
const TEXTS: Texts[] = ["name", "judge", "question", "rubric", "target"];
const NUMBERS: Numbers[] = ["perDocument", "repeats", "goldShare", "breakAfter"];

export class SettingsView {
  private readonly form = byId("settings", HTMLFormElement);
  private readonly keys = new KeyFields((change) => void this.save(({ keys }) => ({ keys: change(keys) })));
  private desk: Desk | null = null;
  /** Changes on their way to the database. */
  private saving = 0;

  constructor(
    private readonly worker: Caller<JudgementCalls>,
    private readonly say: (text: string) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", (event) => this.changed(event.target));
    this.takeFile("list-file", "list", (list, listName) => ({ list, listName, strategy: "given" as Strategy }));
    this.takeFile("gold-file", "gold", (gold, goldName) => ({ gold, goldName }));
  }

  open(desk: Desk): void {
    this.desk = desk;
    this.update();
  }

  /** Shows what is saved, except where somebody is typing, and not while a change is newer than what is saved. */
  update(): void {
    const project = this.desk?.project;
    if (!project || this.saving > 0) return;
    for (const name of [...TEXTS, ...NUMBERS]) {
      const field = this.field(name);
      if (field !== document.activeElement) field.value = String(project[name]);
    }
    const strategies = this.form.querySelectorAll<HTMLInputElement>("input[name=strategy]");
    for (const option of strategies) option.checked = option.value === project.strategy;
    this.keys.show(project.keys);
    setText("list-name", project.listName === "" ? "No list." : `${format.count(project.list.length, "pair")} of ${project.listName}.`);
    setText("gold-name", project.goldName === "" ? "No gold pairs." : `${format.count(project.gold.length, "gold pair")} of ${project.goldName}.`);
  }

  private changed(target: EventTarget | null): void {
    if (!(target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) || target.type === "file") return;
    if (!target.reportValidity()) return;
    const { name, value } = target;
    if (name === "strategy") void this.save(() => ({ strategy: value as Strategy }));
    else if ((NUMBERS as string[]).includes(name)) void this.save(() => ({ [name]: Number(value) }));
    else if ((TEXTS as string[]).includes(name)) this.saveText(target, name as Texts);
  }

  private saveText(field: HTMLInputElement | HTMLTextAreaElement, name: Texts): void {
    const value = name === "rubric" ? field.value : field.value.trim();
    field.setCustomValidity(value === "" && name !== "rubric" ? "Write something." : "");
    if (field.reportValidity()) void this.save(() => ({ [name]: value }));
  }

  private async save(changes: (saved: Project) => Partial<Project>): Promise<void> {
    this.saving += 1;
    try {
      await this.desk?.change(changes);
    } finally {
      this.saving -= 1;
      this.update();
    }
    this.say("Saved.");
  }

  private takeFile<K extends "list" | "gold">(
    id: string,
    kind: K,
    changes: (content: JudgementCalls[K]["out"], name: string) => Partial<Project>,
  ): void {
    const input = byId(id, HTMLInputElement);
    const read = async (file: File) => {
      try {
        const content = await this.worker.call(kind, { name: file.name, text: await file.text() } as never);
        await this.save(() => changes(content as JudgementCalls[K]["out"], file.name));
      } catch (error) {
        this.fail(error);
      }
    };
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      input.value = "";
      if (file) void read(file);
    });
  }

  private field(name: Texts | Numbers): HTMLInputElement | HTMLTextAreaElement {
    const field = this.form.elements.namedItem(name);
    if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) return field;
    throw new Error(`the page has no field ${name}`);
  }
}
