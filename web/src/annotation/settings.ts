// A project's settings: each is saved as soon as it is changed.

import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import type { Project, Strategy } from "../shared/judging";
import type { JudgementCalls } from "../shared/judging-protocol";
import type { Caller } from "./calls";
import type { Desk } from "./desk";
import { KeyFields } from "./keys";

type Texts = "name" | "judge" | "question" | "rubric" | "prompt" | "target";
type Numbers = "perDocument" | "repeats" | "goldShare" | "breakAfter";
/** The ends of the scale of grades, and the distance of grades. */
type Ends = "scaleMin" | "scaleMax" | "scaleStep";
const TEXTS: Texts[] = ["name", "judge", "question", "rubric", "prompt", "target"];
/** Those that may be blank, and are kept as they are written. */
const FREE: Texts[] = ["rubric", "prompt"];
const NUMBERS: Numbers[] = ["perDocument", "repeats", "goldShare", "breakAfter"];
const ENDS: Record<Ends, "min" | "max" | "step"> = { scaleMin: "min", scaleMax: "max", scaleStep: "step" };

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
      if (field !== document.activeElement) field.value = String(project[name] ?? "");
    }
    for (const name of Object.keys(ENDS) as Ends[]) {
      const field = this.field(name);
      if (field !== document.activeElement) field.value = String(project.scale[ENDS[name]] ?? "");
    }
    this.box("advice").checked = project.advice;
    const strategies = this.form.querySelectorAll<HTMLInputElement>("input[name=strategy]");
    for (const option of strategies) option.checked = option.value === project.strategy;
    this.keys.show(project.keys);
    setText("list-name", project.listName === "" ? "No list." : `${format.count(project.list.length, "pair")} of ${project.listName}.`);
    setText("gold-name", project.goldName === "" ? "No gold pairs." : `${format.count(project.gold.length, "gold pair")} of ${project.goldName}.`);
  }

  private changed(target: EventTarget | null): void {
    if (!(target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) || target.type === "file") return;
    // What was said of the last value is not said of this one.
    target.setCustomValidity("");
    if (!target.reportValidity()) return;
    const { name, value } = target;
    if (name === "strategy") void this.save(() => ({ strategy: value as Strategy }));
    else if (name === "advice" && target instanceof HTMLInputElement) void this.save(() => ({ advice: target.checked }));
    else if (name in ENDS) this.saveScale();
    else if ((NUMBERS as string[]).includes(name)) void this.save(() => ({ [name]: Number(value) }));
    else if ((TEXTS as string[]).includes(name)) this.saveText(target, name as Texts);
  }

  private saveText(field: HTMLInputElement | HTMLTextAreaElement, name: Texts): void {
    const isFree = FREE.includes(name);
    const value = isFree ? field.value : field.value.trim();
    field.setCustomValidity(value === "" && !isFree ? "Write something." : "");
    if (field.reportValidity()) void this.save(() => ({ [name]: value }));
  }

  /** Saves the scale when its ends are in order and the step divides it; no step makes every number a grade. */
  private saveScale(): void {
    const [min, max, step] = (Object.keys(ENDS) as Ends[]).map((name) => Number(this.field(name).value)) as [number, number, number];
    const last = this.field("scaleMax");
    const steps = step > 0 ? (max - min) / step : 1;
    const problem =
      !(min < max) ? "The highest grade is above the lowest." : Math.abs(steps - Math.round(steps)) > 1e-6 ? "The scale is a whole number of steps." : "";
    last.setCustomValidity(problem);
    if (last.reportValidity()) void this.save(() => ({ scale: step > 0 ? { min, max, step } : { min, max } }));
  }

  private async save(changes: (saved: Project) => Partial<Project>): Promise<void> {
    this.saving += 1;
    const isSaved = await this.desk?.change(changes);
    this.saving -= 1;
    this.update();
    if (isSaved) this.say("Saved.");
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

  private box(name: string): HTMLInputElement {
    const field = this.form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) return field;
    throw new Error(`the page has no field ${name}`);
  }

  private field(name: Texts | Numbers | Ends): HTMLInputElement | HTMLTextAreaElement {
    const field = this.form.elements.namedItem(name);
    if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) return field;
    throw new Error(`the page has no field ${name}`);
  }
}
