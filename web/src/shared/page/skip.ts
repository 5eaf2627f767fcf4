// The link that skips to the main part of a page.

import { byId } from "./dom";

/** Lets it move the focus alone: the fragment of the address names a project, or is the secret of a judge or a lead. */
export function keepAddressWhenSkipping(): void {
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    byId("main", HTMLElement).focus();
  });
}
