// What the address of a page says about its scorer.

import type { Backend } from "@pair2score/scorer";

/** Where the scorer of the site lies. */
export const siteBundle = () => new URL("./bundle/", window.location.href);

/** `?backend=cpu` or `?backend=webgpu`. */
export function forcedBackend(): Backend | null {
  const value = new URLSearchParams(window.location.search).get("backend");
  return value === "cpu" || value === "webgpu" ? value : null;
}
