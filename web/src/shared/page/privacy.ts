// The service worker's side of the promises: the page works offline, and shows what it sends.

import { setText } from "./dom";

/** Registers the service worker, which takes over this page too. */
export async function register(): Promise<ServiceWorker | null> {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return null;
  try {
    await navigator.serviceWorker.register("./sw.js");
    return (await navigator.serviceWorker.ready).active;
  } catch {
    // Without network the one of an earlier visit goes on. Without any (an insecure address, a private window) the page
    // works and only needs the network again.
    return (await navigator.serviceWorker.getRegistration().catch(() => undefined))?.active ?? null;
  }
}

/** Keeps files for visits without network. */
export async function keep(worker: ServiceWorker | null, urls: readonly string[]): Promise<boolean> {
  return worker !== null && (await ask<boolean>(worker, { kind: "keep", urls }));
}

/** Shows the bytes that left with requests, as the service worker saw them. */
export function watchSent(worker: ServiceWorker | null): void {
  if (!worker) return;
  const update = async () => setText("sent", (await ask<number>(worker, { kind: "sent" })).toLocaleString("en"));
  void update();
  setInterval(() => void update(), 1000);
}

function ask<T>(worker: ServiceWorker, message: { kind: "sent" } | { kind: "keep"; urls: readonly string[] }): Promise<T> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<T>) => resolve(data);
    worker.postMessage(message, [port2]);
  });
}
