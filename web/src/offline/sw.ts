// The service worker: keeps the pages for visits without network, and counts what they send.
//
// Their files are named by their content, so a kept one never goes stale; only the pages themselves are asked for
// again. The bundle is kept by the worker that loads it, which checks it.

declare const __PRECACHE__: string[];
declare const __VERSION__: string;
declare const self: ServiceWorkerGlobalScope;
// A module, so that `self` can have the type it has here.
export {};

const SITE = self.registration.scope;
/** All sites of a host share its caches. No path has the sign at the end, so no site's prefix begins with another's. */
const PREFIX = `pair2score-page-${new URL(SITE).pathname}#`;
const CACHE = PREFIX + __VERSION__;
/** The wasm files of scorers are fetched when they are needed and stay valid over versions. */
const WASM = "pair2score-wasm";

/** Bytes that were sent in this worker's life, which lasts as long as a page asks. */
let sent = 0;

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(__PRECACHE__);
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  event.waitUntil(count(request));
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (url.pathname.includes("/assets/") || url.pathname.endsWith("/icon.svg")) event.respondWith(asset(request));
});

self.addEventListener("message", (event) => {
  const data = event.data as { kind: "sent" } | { kind: "keep"; urls: string[] };
  if (data.kind === "sent") event.ports[0]?.postMessage(sent);
  else event.waitUntil(keepWasm(data.urls).then(() => event.ports[0]?.postMessage(true)));
});

/** Bytes that leave with a request beside its address: the body, and what follows a question mark. */
async function count(request: Request): Promise<void> {
  const query = request.mode === "navigate" ? 0 : new URL(request.url).search.length;
  const body = request.method === "GET" ? 0 : (await request.clone().arrayBuffer()).byteLength;
  sent += query + body;
}

/** The page as it is now, or as it was when the network is away. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    const name = new URL(request.url).pathname.endsWith("/annotate.html") ? "annotate.html" : "index.html";
    return (await caches.match(name, { cacheName: CACHE })) ?? Response.error();
  }
}

async function asset(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreSearch: true })) ?? fetch(request);
}

async function keepWasm(urls: string[]): Promise<void> {
  const cache = await caches.open(WASM);
  const own = new URL("assets/", SITE).href;
  for (const { url } of await cache.keys()) if (url.startsWith(own) && !urls.includes(url)) await cache.delete(url);
  for (const url of urls) if (!(await caches.match(url))) await cache.add(url);
}
