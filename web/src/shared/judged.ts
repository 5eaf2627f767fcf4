// Scorers that judgements made lie in the cache of this browser alone, at addresses of their own.

/** The cache that keeps the files of bundles by their addresses. */
export const BUNDLE_CACHE = "pair2score-bundle";

/** Where the bundle of a project's scorer lies, seen from a page. */
export function judgedBundle(project: string, page: string): URL {
  return new URL(`./judged/${encodeURIComponent(project)}/`, page);
}

/** Whether a bundle is one of these. */
export function isJudged(bundle: URL): boolean {
  return /\/judged\/[^/]+\/$/.test(bundle.pathname);
}
