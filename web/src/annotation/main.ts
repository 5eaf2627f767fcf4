// The annotation page has two modes. Where a site serves it, projects stay in this browser; where `pair2score serve
// --collect` serves it, as `judge`, pairs come from the server and answers go there.

import { fail } from "../shared/page/messages";
import { keepAddressWhenSkipping } from "../shared/page/skip";

type Mode = "local" | "collection";

const mode: Mode = /\/judge$/.test(window.location.pathname) ? "collection" : "local";
for (const part of document.querySelectorAll<HTMLElement>("[data-for]")) {
  if (part.dataset["for"] !== mode) part.remove();
}
document.documentElement.dataset["mode"] = mode;
keepAddressWhenSkipping();
const begun =
  mode === "local"
    ? import("./local").then(({ judgeLocally }) => judgeLocally())
    : import("./collected").then(({ judgeForServer }) => judgeForServer());
begun.catch(fail);
