// The one worker: loads the scorer, then answers requests one at a time, in order.

import { PageError, asFailure } from "../shared/failure";
import type { Backend, Reply, Request } from "../shared/protocol";
import { chooseBackend, watchDevice } from "./adapter";
import { loadEngine, type Engine, type Scorer } from "./engine";
import { largestBuffer, scorerInfo, totalBytes, type Golden, type Manifest } from "./manifest";
import { BundleStore } from "./store";

type Job = Extract<Request, { kind: "score" | "compare" | "rank" }>;

/** Share of the score scale by which a device may be off before it is taken for broken: above what an export may round. */
const TOLERANCE = 0.03;

const queue: Job[] = [];
const cancelled = new Set<number>();
let scorer: Scorer | null = null;
let working = false;
/** The job at hand. */
let current: Job | null = null;
/** Why no more jobs can be done. */
let broken: PageError | null = null;

const reply = (message: Reply) => self.postMessage(message);
const notice = (code: string, message: string) => reply({ kind: "notice", notice: { code, message } });

self.onmessage = ({ data }: MessageEvent<Request>) => {
  switch (data.kind) {
    case "load":
      load(data).catch((error: unknown) => reply({ kind: "failed", id: null, error: asFailure(error) }));
      break;
    case "cancel":
      cancelled.add(data.id);
      break;
    default:
      queue.push(data);
      void work();
  }
};

async function load({ bundle, backend: forced }: Extract<Request, { kind: "load" }>): Promise<void> {
  const store = await BundleStore.open(new URL(bundle), notice);
  const text = await store.manifest();
  // Read before it is checked only to choose the backend, whose wasm then checks it.
  const manifest = parse(text);
  const choice = await chooseBackend(forced, largestBuffer(manifest), manifest.tensors.some((t) => t.dtype === "f16"));
  if (choice.notice) notice(choice.notice.code, choice.notice.message);
  let backend = choice.backend;
  let loaded: Loaded;
  try {
    loaded = await loadOn(backend, store, text, manifest);
  } catch (error) {
    if (backend === "cpu" || !isDeviceFault(error)) throw error;
    notice("webgpu-failed", `${asFailure(error).message} The scorer runs on the processor instead.`);
    backend = "cpu";
    loaded = await loadOn(backend, store, text, manifest);
  }
  scorer = loaded.scorer;
  await store.tidy([...manifest.shards, manifest.tokenizer]);
  const { wasm, memory } = loaded.engine;
  reply({ kind: "ready", backend, info: scorerInfo(manifest), keep: [wasm, self.location.href], memory: memory() });
  void work();
}

interface Loaded {
  engine: Engine;
  scorer: Scorer;
}

function loadOn(backend: Backend, store: BundleStore, text: string, manifest: Manifest): Promise<Loaded> {
  const loaded = transfer(backend, store, text, manifest);
  if (backend === "cpu") return loaded;
  // A loss while loading ends the attempt; one that comes later ends the jobs.
  const lost = new Promise<never>((_, reject) => watchDevice((error) => (scorer ? lose(error) : reject(error))));
  return Promise.race([loaded, lost]);
}

async function transfer(backend: Backend, store: BundleStore, text: string, manifest: Manifest): Promise<Loaded> {
  const engine = await loadEngine(backend);
  const loader = await engine.open(text);
  const total = totalBytes(manifest);
  let before = 0;
  let fetched = 0;
  reply({ kind: "progress", loaded: 0, total, fetched });
  for (const shard of manifest.shards) {
    const onBytes = (arrived: number) => {
      reply({ kind: "progress", loaded: before + arrived, total, fetched: fetched + arrived });
      if (arrived === shard.bytes) fetched += arrived;
    };
    // One shard at a time: the next is fetched when the device has this one.
    await store.supply(shard, onBytes, (bytes) => loader.put(bytes));
    before += shard.bytes;
    reply({ kind: "progress", loaded: before, total, fetched });
  }
  await store.supply(manifest.tokenizer, () => undefined, async (bytes) => loader.put_tokenizer(bytes));
  const finished = loader.finish();
  await selfCheck(finished, manifest);
  return { engine, scorer: finished };
}

/** Scores the shortest golden text: a device that computes wrongly must not be believed. */
async function selfCheck(scorer: Scorer, manifest: Manifest): Promise<void> {
  const texts = manifest.golden.filter((golden) => golden.score !== null && golden.text.trim().length > 0);
  const shortest = texts.reduce<Golden | null>((a, b) => (a && a.text.length <= b.text.length ? a : b), null);
  if (shortest?.score == null) return;
  const { score } = await scorer.score(shortest.text);
  const { min, max } = manifest.scorer.scale;
  if (score === null || !(Math.abs(score - shortest.score) <= TOLERANCE * (max - min))) {
    throw new PageError(
      "wrong-numbers",
      `This device computes ${score ?? "nothing"} where ${shortest.score} is right, so its scores cannot be trusted.`,
    );
  }
}

function isDeviceFault(error: unknown): boolean {
  return ["device", "device-lost", "crashed", "wrong-numbers", "unexpected", "too-large"].includes(asFailure(error).code);
}

function parse(text: string): Manifest {
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    throw new PageError("manifest", "manifest.json is not JSON. Export the scorer again, or copy the whole folder.");
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
  const started = performance.now();
  current = job;
  try {
    if (broken) throw broken;
    if (job.kind === "score") {
      const result = await scorer.score(job.text);
      reply({ kind: "scored", id: job.id, result, milliseconds: performance.now() - started });
    } else if (job.kind === "rank") {
      const result = await scorer.rank(job.text);
      reply({ kind: "ranked", id: job.id, result, milliseconds: performance.now() - started });
    } else {
      const result = await scorer.compare(job.a, job.b);
      reply({ kind: "compared", id: job.id, result, milliseconds: performance.now() - started });
    }
  } catch (error) {
    const failure = asFailure(error);
    // A wasm that stopped in the middle is in no state to go on.
    if (failure.code === "crashed") broken ??= new PageError(failure.code, failure.message);
    reply({ kind: "failed", id: job.id, error: failure });
  } finally {
    current = null;
  }
}

/** The device is gone: the job at hand, which may never come back, and all others fail. */
function lose(error: PageError): void {
  if (broken) return;
  broken = error;
  for (const job of [current, ...queue.splice(0)]) {
    if (job) reply({ kind: "failed", id: job.id, error: asFailure(error) });
  }
  // Jobs to come are answered even if the one at hand never is.
  working = false;
}
