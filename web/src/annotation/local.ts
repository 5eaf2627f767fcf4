// Judging in a project of this browser: opens one and hands it to the views.

import { Database } from "../shared/database";
import type { Project } from "../shared/judging";
import type { JudgementCalls } from "../shared/judging-protocol";
import { byId, setText } from "../shared/page/dom";
import { register, watchSent } from "../shared/page/privacy";
import { makeTabs } from "../shared/page/tabs";
import { Assistant } from "./assist";
import { Caller } from "./calls";
import { Desk } from "./desk";
import { DocumentsView } from "./documents";
import { JudgeView } from "./judge";
import { makeRoom } from "./look";
import { fail, say } from "../shared/page/messages";
import { freshProject } from "./project";
import { ProjectsView } from "./projects";
import { ResultsView } from "./results";
import { SettingsView } from "./settings";

/** Choosing pairs must not wait for results: each has a worker. */
const judgementWorker = () =>
  new Caller<JudgementCalls>(new Worker(new URL("../worker/judgements.ts", import.meta.url), { type: "module" }));

/** Asks the browser to keep everything, and says what it answered. */
async function saysStorage(): Promise<void> {
  const isKept = (await navigator.storage?.persist?.().catch(() => false)) ?? false;
  const said = isKept ? "This browser keeps them also when the disk is full." : "This browser may also clear them itself when the disk is full.";
  setText("storage", said);
}

export async function judgeLocally(): Promise<void> {
  const select = makeTabs(byId("tabs", HTMLElement));
  const serviceWorker = register();
  void serviceWorker.then((worker) => {
    watchSent(worker);
    byId("offline", HTMLElement).hidden = worker === null;
  });
  const database = await Database.open();
  // Otherwise the browser may clear what it keeps when the disk is full.
  void saysStorage();

  const chooser = judgementWorker();
  let desk: Desk | null = null;
  const go = (tab: "judge" | "documents" | "results") => {
    select(`tab-${tab}`);
    byId(tab === "judge" ? "question" : `panel-${tab}`, HTMLElement).focus();
    if (tab === "judge") makeRoom();
  };
  const judge = new JudgeView(() => say(""));
  const documents = new DocumentsView(say, fail, () => go("judge"));
  const results = new ResultsView(judgementWorker(), say, fail);
  const settings = new SettingsView(chooser, say, fail);
  const assistant = new Assistant(database, serviceWorker, say, fail);

  const open = async (project: Project) => {
    desk?.close();
    say("");
    const opened = await Desk.open(database, chooser, project, {
      screen: (screen) => {
        byId("no-documents", HTMLElement).hidden = screen.kind !== "no-documents";
        // A list has its own length.
        byId("go-on", HTMLButtonElement).hidden = opened.project.strategy === "given";
        judge.show(screen);
      },
      change: () => {
        judge.update();
        documents.update();
        settings.update();
        projects.update(opened.project);
        void results.update();
        assistant.update();
      },
      error: fail,
    });
    desk = opened;
    for (const view of [judge, documents, results, settings]) view.open(opened);
    await opened.readDocuments();
    assistant.open(opened);
    if (opened.ids.length < 2) select("tab-documents");
    else {
      select("tab-judge");
      makeRoom();
    }
    await projects.show(opened.project);
    documents.takeChosen();
  };
  byId("go-documents", HTMLButtonElement).addEventListener("click", () => go("documents"));
  byId("go-results", HTMLButtonElement).addEventListener("click", () => go("results"));
  byId("go-on", HTMLButtonElement).addEventListener("click", () => {
    void desk?.change(({ perDocument }) => ({ perDocument: perDocument + 2 })).then(() => byId("question", HTMLElement).focus());
  });
  const projects = new ProjectsView(database, open, fail);
  await projects.begin(freshProject("Project 1"));
}
