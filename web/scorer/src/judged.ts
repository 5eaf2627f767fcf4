// Scorers that judgements made lie in the cache of this browser alone, at addresses of their own.

/** The cache that keeps the files of bundles by their addresses. */
export const BUNDLE_CACHE = "pair2score-bundle";

/** Where the bundle of a project's scorer lies, seen from a page. */
export function judgedBundle(project: string, page: string): URL {
  return new URL(`./judged/${encodeURIComponent(project)}/`, page);
}

/** Forgets one. */
export async function forgetJudged(bundle: URL): Promise<void> {
  // Absent outside secure contexts.
  if (!("caches" in self)) return;
  const cache = await caches.open(BUNDLE_CACHE);
  for (const request of await cache.keys()) if (request.url.startsWith(bundle.href)) await cache.delete(request);
}

/** Whether a bundle is one of these. */
export function isJudged(bundle: URL): boolean {
  return /\/judged\/[^/]+\/$/.test(bundle.pathname);
}
