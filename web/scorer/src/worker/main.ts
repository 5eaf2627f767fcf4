// The one worker: loads the scorer, then answers requests one at a time, in order.

import { ScorerError, asFailure } from "../failure.ts";
import type { Reply, Request } from "../protocol.ts";
import { chooseBackend } from "./adapter.ts";
import type { Scorer } from "./engine.ts";
import { keepJudged, type Source } from "./keep.ts";
import { isJudged } from "../judged.ts";
import { isDeviceFault, loadOn } from "./load.ts";
import { sha256 } from "../hash.ts";
import { largestBuffer, parseManifest, scorerInfo, type Manifest } from "../manifest.ts";
import { readShare } from "./share.ts";
import { BundleStore } from "./store.ts";

type Job = Extract<Request, { kind: "score" | "share" | "compare" | "embed" | "judge" }>;

const queue: Job[] = [];
const cancelled = new Set<number>();
let scorer: Scorer | null = null;
/** What the scorer was loaded from. */
let source: Source | null = null;
let working = false;
/** The job at hand. */
let current: Job | null = null;
/** Ends the job at hand where it waits for other workers. */
let interrupt = (): void => undefined;
/** Why no more jobs can be done. */
let broken: ScorerError | null = null;

const reply = (message: Reply) => self.postMessage(message);
const notice = (code: string, message: string) => reply({ kind: "notice", notice: { code, message } });

self.onmessage = ({ data }: MessageEvent<Request>) => {
  switch (data.kind) {
    case "load":
      load(data).catch((error: unknown) => reply({ kind: "failed", id: null, error: asFailure(error) }));
      break;
    case "cancel":
      if (current?.id === data.id) interrupt();
      else cancelled.add(data.id);
      break;
    default:
      queue.push(data);
      void work();
  }
};

async function load({ bundle, backend: forced, kept }: Extract<Request, { kind: "load" }>): Promise<void> {
  // Read before it is checked only to choose the backend, whose wasm then checks it.
  const { store, text, manifest } = await find(new URL(bundle), kept);
  const choice = await chooseBackend(forced, largestBuffer(manifest), manifest.tensors.some((t) => t.dtype === "f16"));
  if (choice.notice) notice(choice.notice.code, choice.notice.message);
  const { backend } = choice;
  const loaded = await loadOn(backend, store, text, manifest, { reply, lost: lose }).catch((error: unknown) => {
    if (backend === "cpu" || !isDeviceFault(error)) throw error;
    const message = `${asFailure(error).message} The scorer runs on the processor instead.`;
    reply({ kind: "abandoned", notice: { code: "webgpu-failed", message } });
    return null;
  });
  if (loaded === null) return;
  scorer = loaded.scorer;
  source = { engine: loaded.engine, store, text, manifest };
  if (!kept) {
    await store.putManifest(text);
    await store.tidy([...manifest.shards, manifest.tokenizer]);
  }
  const { wasm, memory } = loaded.engine;
  reply({ kind: "ready", backend, info: scorerInfo(manifest, await sha256(text)), keep: [...wasm, self.location.href], memory: memory() });
  void work();
}

/** The bundle of a folder. */
async function readBundle(folder: URL, kept: boolean): Promise<{ store: BundleStore; text: string; manifest: Manifest }> {
  const store = await BundleStore.open(folder, notice, kept);
  const text = await store.manifest();
  return { store, text, manifest: parseManifest(text) };
}

/** The bundle in a folder, which may be a site. */
async function find(folder: URL, kept: boolean): ReturnType<typeof readBundle> {
  try {
    return await readBundle(folder, kept);
  } catch (error) {
    // Some servers answer with a page where there is no file.
    if (!["no-bundle", "manifest"].includes(asFailure(error).code) || isJudged(folder)) throw error;
    return readBundle(new URL("bundle/", folder), kept).catch(() => {
      throw error;
    });
  }
}

async function work(): Promise<void> {
  if (working || !scorer) return;
  working = true;
  try {
    for (let job = queue.shift(); job; job = queue.shift()) {
      // A cancel message may lie behind the job: let it be heard first.
      await new Promise((resolve) => setTimeout(resolve));
      if (!cancelled.delete(job.id)) await answer(scorer, job);
    }
  } finally {
    working = false;
  }
}

async function answer(scorer: Scorer, job: Job): Promise<void> {
  current = job;
  try {
    if (broken) throw broken;
    if (job.kind === "score") {
      const result = await scorer.score(job.text, job.prompt);
      reply({ kind: "scored", id: job.id, result });
    } else if (job.kind === "share") {
      const interrupted = new Promise<never>((_, reject) => {
        interrupt = () => reject(new ScorerError("aborted", "The text is read no further."));
      });
      const result = await readShare(scorer, job.text, job.prompt, job, interrupted);
      reply(result ? { kind: "scored", id: job.id, result } : { kind: "shared", id: job.id, result: null });
    } else if (job.kind === "embed") {
      const result = await scorer.embed(job.text, job.prompt);
      reply({ kind: "embedded", id: job.id, result });
    } else if (job.kind === "judge") {
      await judge(scorer, job);
      reply({ kind: "judged", id: job.id, result: null });
    } else {
      const result = await scorer.compare(job.a, job.b, job.prompt);
      reply({ kind: "compared", id: job.id, result });
    }
  } catch (error) {
    const failure = asFailure(error);
    // A wasm that stopped in the middle is in no state to go on.
    if (failure.code === "crashed") broken ??= new ScorerError(failure.code, failure.message);
    reply({ kind: "failed", id: job.id, error: failure });
  } finally {
    current = null;
    interrupt = () => undefined;
  }
}

async function judge(judged: Scorer, { heads, place, address }: Extract<Job, { kind: "judge" }>): Promise<void> {
  if (!source) throw new ScorerError("unexpected", "There is no scorer to put heads on.");
  // The wasm takes the scorer for the new one.
  scorer = null;
  broken = new ScorerError("judged", "This scorer has become another one. Reload the page.");
  await keepJudged(judged, source, heads, place, new URL(address));
}

/** The device is gone, or the wasm has stopped: the job at hand, which may never come back, and all others fail. */
function lose(error: ScorerError): void {
  if (broken) return;
  broken = error;
  for (const job of [current, ...queue.splice(0)]) {
    if (job) reply({ kind: "failed", id: job.id, error: asFailure(error) });
  }
  // Jobs to come are answered even if the one at hand never is.
  working = false;
}
