// Which scorer this site has, and by what that which it reads is known.

import { BUNDLE_CACHE, parseManifest, scorerInfo, sha256, type ScorerInfo } from "@pair2score/scorer";
import type { Project } from "../shared/judging";
import { siteBundle } from "../shared/page/site";

/** What is read by a scorer is known by: its hash, and where it reads prompts, the prompt of the project too. */
export async function readerOf({ hash, prompts }: Pick<ScorerInfo, "hash" | "prompts">, { prompt = "" }: Project): Promise<string> {
  return prompts ? sha256(`${hash}\n${prompt}`) : hash;
}

/** The scorer of the site as the site says it; without network, as the browser has kept it. */
export interface SiteScorer {
  /** Null where there is none. */
  info: ScorerInfo | null;
  isOffline: boolean;
}

export async function siteScorer(): Promise<SiteScorer> {
  const url = new URL("manifest.json", siteBundle());
  const answer = await fetch(url, { cache: "no-cache" }).catch(() => null);
  const isOffline = answer === null;
  const found = isOffline ? await kept(url) : answer;
  if (!found?.ok) return { info: null, isOffline };
  const text = await found.text();
  return { info: scorerInfo(parseManifest(text), await sha256(text)), isOffline };
}

async function kept(url: URL): Promise<Response | undefined> {
  // Absent outside secure contexts.
  return "caches" in window ? (await caches.open(BUNDLE_CACHE)).match(url.href) : undefined;
}
