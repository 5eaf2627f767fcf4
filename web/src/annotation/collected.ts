// Judging for a server: the link's secret stays in the fragment of the address, which browsers send to nobody.

import { PageError } from "../shared/failure";
import type { Keys } from "../shared/judging";
import { byId } from "../shared/page/dom";
import { makeTabs } from "../shared/page/tabs";
import { CollectionDesk } from "./collection";
import { JudgeView } from "./judge";
import { keep, kept } from "./kept";
import { KeyFields, KEYS } from "./keys";
import { makeRoom } from "./look";
import { fail, say } from "../shared/page/messages";
import { CollectionServer } from "./server";

/** Where this browser keeps the judge's keys. */
const PLACE = "pair2score-keys";

export async function judgeForServer(): Promise<void> {
  makeTabs(byId("tabs", HTMLElement));
  // Another link in the same tab is another judge.
  window.addEventListener("hashchange", () => window.location.reload());
  const token = window.location.hash.slice(1);
  if (token === "") throw new PageError("no-link", "This address is not complete; open the link you were given.");

  let keys = readKeys();
  const server = new CollectionServer(token, (message) => (message === "" ? say("") : fail(new PageError("waiting", message))));
  // Messages tell of requests under way, so that no action takes them away.
  const judge = new JudgeView(() => undefined);
  const desk = new CollectionDesk(server, () => keys, {
    screen: (screen) => judge.show(screen),
    change: () => judge.update(),
    error: fail,
  });
  const fields = new KeyFields((change) => {
    keys = change(keys);
    keep(PLACE, JSON.stringify(keys));
    fields.show(keys);
    judge.update();
  });
  fields.show(keys);
  judge.open(desk);
  await desk.begin();
  byId("question", HTMLElement).focus();
  makeRoom();
}

/** The keys that were kept, where they still name every action. */
function readKeys(): Keys {
  try {
    const found = JSON.parse(kept(PLACE) || "{}") as Record<string, unknown>;
    const keys = Object.keys(KEYS) as (keyof Keys)[];
    if (keys.every((action) => typeof found[action] === "string")) return found as unknown as Keys;
  } catch {
    // Not ours.
  }
  return { ...KEYS };
}
