// The scoring page: loads the scorer in a worker, then hands it to the three views.

import { judgedBundle, Scorer, type Failure, type Progress, type ScorerInfo } from "@pair2score/scorer";
import { ClassView } from "./classroom";
import { messageOf, PageError } from "../shared/failure";
import { CompareView } from "./compare";
import { byId, setText } from "../shared/page/dom";
import { EssayView } from "./essay";
import { shareScale } from "./rated";
import * as format from "../shared/page/format";
import { keep, register, watchSent } from "../shared/page/privacy";
import { forcedBackend, siteBundle } from "../shared/page/site";
import { keepAddressWhenSkipping } from "../shared/page/skip";
import { makeTabs } from "../shared/page/tabs";

async function main(): Promise<void> {
  keepAddressWhenSkipping();
  makeTabs(byId("tabs", HTMLElement));
  const serviceWorker = register().then((worker) => {
    watchSent(worker);
    return worker;
  });
  const views = [new EssayView(showError), new CompareView(showError), new ClassView(showError)];
  try {
    const scorer = await Scorer.load(chosenBundle(), { backend: forcedBackend(), onProgress: showProgress, onNotice: showNotice });
    const { info } = scorer;
    showReady(scorer);
    if (!info.canScore && !info.canRank) {
      throw new PageError("backbone", "This site has a backbone alone, which scores nothing. Judge pairs first, and make a scorer of them under Results.");
    }
    layOut(info);
    for (const view of views) view.enable(scorer);
    byId("offline", HTMLElement).hidden = !(await keep(await serviceWorker, scorer.files));
    byId("about", HTMLElement).dataset["hired"] = String(await scorer.hire());
  } catch (error) {
    byId("loading", HTMLElement).hidden = true;
    setText("backend", "nothing yet");
    showError(messageOf(error));
  }
}

/** The scorer of the site, or with `?scorer=PROJECT` the one that a project's judgements made in this browser. */
function chosenBundle(): URL {
  const project = new URLSearchParams(window.location.search).get("scorer");
  byId("own-scorer", HTMLElement).hidden = project === null;
  return project === null ? siteBundle() : judgedBundle(project, window.location.href);
}

function showProgress({ loaded, total, fetched }: Progress): void {
  const bar = byId("load-bar", HTMLProgressElement);
  bar.max = total;
  bar.value = loaded;
  const kept = loaded > fetched ? `, ${format.bytes(loaded - fetched)} of it kept from an earlier visit` : "";
  setText("load-text", `${format.bytes(loaded)} of ${format.bytes(total)}${kept}`);
}

function showReady({ backend, info, memory }: Scorer): void {
  byId("loading", HTMLElement).hidden = true;
  setText("backend", backend);
  setText("target", title(info));
  document.title = `${title(info)} scores – Pair2Score`;
  byId("about", HTMLElement).dataset["memory"] = String(memory);
  setText(
    "about",
    `This scorer rates ${subject(info)}, reads up to ${format.count(info.maxLength, "token")} of a text, and takes ${format.bytes(info.bytes)}; loading it took ${format.bytes(memory)} of memory beside the device's.`,
  );
}

/** The traits with their scales. */
function subject({ traits }: ScorerInfo): string {
  const [one] = traits;
  if (one && shareScale(traits)) return `${format.list(traits.map(({ target }) => target))} from ${format.scale(one.scale)}`;
  return format.list(traits.map(({ target, scale }) => `${target} from ${format.scale(scale)}`));
}

/** Takes away the parts of the page that are for a scorer of another kind. */
function layOut({ traits }: ScorerInfo): void {
  const other = traits.length > 1 ? "one" : "several";
  for (const part of document.querySelectorAll(`[data-traits=${other}]`)) part.remove();
}

/** What the scores are of; more than two traits are too many for a title. */
function title({ traits }: ScorerInfo): string {
  return traits.length > 2 ? "Essay" : format.title(format.list(traits.map(({ target }) => target)));
}

function showNotice({ code, message }: Failure): void {
  const list = byId("notices", HTMLUListElement);
  const item = document.createElement("li");
  item.dataset["code"] = code;
  item.textContent = message;
  list.append(item);
  byId("notices-item", HTMLElement).hidden = false;
}

function showError(message: string): void {
  const error = byId("error", HTMLElement);
  error.textContent = message;
  error.hidden = message === "";
}

void main();
