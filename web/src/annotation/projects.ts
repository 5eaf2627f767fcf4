// Projects: choosing, making and deleting one. The address names the open one, so that tabs may have different ones.

import type { Database } from "../shared/database";
import { forgetJudged, judgedBundle } from "@pair2score/scorer";
import type { Project } from "../shared/judging";
import { byId, setText } from "../shared/page/dom";
import * as format from "../shared/page/format";
import { freshProject } from "./project";

export class ProjectsView {
  private readonly select = byId("project", HTMLSelectElement);
  private readonly nameDialog = byId("name-dialog", HTMLDialogElement);
  private readonly deleteDialog = byId("delete-dialog", HTMLDialogElement);
  private current: Project | null = null;
  private busy: Promise<void> = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly open: (project: Project) => Promise<void>,
    private readonly fail: (error: unknown) => void,
  ) {
    this.select.addEventListener("change", () => this.turnTo(this.select.value));
    byId("new-project", HTMLButtonElement).addEventListener("click", () => {
      byId("name-form", HTMLFormElement).reset();
      this.nameDialog.showModal();
    });
    byId("name-cancel", HTMLButtonElement).addEventListener("click", () => this.nameDialog.close());
    byId("name-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.nameDialog.close();
      const name = byId("new-name", HTMLInputElement).value.trim();
      void this.inTurn(() => this.create(name));
    });
    byId("delete-project", HTMLButtonElement).addEventListener("click", () => void this.inTurn(() => this.askToDelete()));
    byId("delete-cancel", HTMLButtonElement).addEventListener("click", () => this.deleteDialog.close());
    byId("delete-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.deleteDialog.close();
      void this.inTurn(() => this.delete());
    });
    window.addEventListener("hashchange", () => this.turnTo(window.location.hash.slice(1)));
  }

  /** Opens the project that the address names, or the oldest, or `fresh` where there is none. */
  begin(fresh: Project): Promise<void> {
    return this.inTurn(async () => {
      const named = await this.database.project(window.location.hash.slice(1));
      await this.open(named ?? (await this.database.firstProject(fresh)));
    });
  }

  /** Shows which project is open, among all. */
  async show(project: Project): Promise<void> {
    this.current = project;
    history.replaceState(null, "", `#${project.id}`);
    const projects = await this.database.projects();
    this.select.replaceChildren(...projects.map(({ id, name }) => new Option(name, id, false, id === project.id)));
  }

  /** Shows another name. */
  update(project: Project): void {
    if (this.current?.id !== project.id) return;
    this.current = project;
    const option = [...this.select.options].find(({ value }) => value === project.id);
    if (option && option.text !== project.name) option.text = project.name;
  }

  private turnTo(id: string): void {
    void this.inTurn(async () => {
      if (id === this.current?.id) return;
      const project = await this.database.project(id);
      if (project) await this.open(project);
    });
  }

  private async create(name: string): Promise<void> {
    if (name === "") return;
    // The same person goes on, with the same habits.
    const before = this.current;
    const project = freshProject(name, before?.judge);
    if (before) project.keys = before.keys;
    await this.database.saveProject(project);
    await this.open(project);
  }

  private async askToDelete(): Promise<void> {
    const { current } = this;
    if (!current) return;
    const [ids, events] = [await this.database.ids(current.id), await this.database.events(current.id, 0)];
    const answers = events.filter(({ kind }) => kind === "answered").length;
    setText(
      "delete-text",
      `“${current.name}” has ${format.count(ids.length, "document")} and ${format.count(answers, "answer")}. They cannot be brought back; export the judgements first if you may need them.`,
    );
    this.deleteDialog.showModal();
  }

  private async delete(): Promise<void> {
    if (!this.current) return;
    await this.database.removeProject(this.current.id);
    await forgetJudged(judgedBundle(this.current.id, window.location.href));
    this.current = null;
    await this.open(await this.database.firstProject(freshProject("Project 1")));
  }

  /** One thing after the other: opening one project while another is being opened would leave both half open. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.busy = this.busy.then(work).catch((error: unknown) => this.fail(error));
    return this.busy;
  }
}
