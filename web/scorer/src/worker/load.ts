// Loads a scorer on one device, and says whether a failure is the device's.

import { ScorerError, asFailure } from "../failure.ts";
import type { Backend, Reply } from "../protocol.ts";
import { watchDevice } from "./adapter.ts";
import { loadEngine, type Engine, type Scorer } from "./engine.ts";
import { perTrait, totalBytes, traitsOf, type Golden, type Manifest } from "../manifest.ts";
import type { BundleStore } from "./store.ts";

/**
 * Share of the score scale by which a device may be off before it is taken for broken. An export may round the score of a few
 * tokens by 0.065 of it, other instructions round otherwise again, and a device that is broken is off by far more.
 */
const TOLERANCE = 0.1;

export interface Loaded {
  engine: Engine;
  scorer: Scorer;
}

/** What a loader tells others. */
export interface LoadEvents {
  reply(message: Extract<Reply, { kind: "progress" }>): void;
  /** The device of a scorer that was loaded is gone, or its wasm has stopped. */
  lost(error: ScorerError): void;
}

/** A failure here leaves the device and what is on it behind: they go when the worker ends. */
export function loadOn(
  backend: Backend,
  store: BundleStore,
  text: string,
  manifest: Manifest,
  events: LoadEvents,
): Promise<Loaded> {
  let isLoaded = false;
  // A loss while loading ends the attempt; one that comes later ends the jobs.
  const lost = new Promise<never>((_, reject) => {
    const lose = (error: ScorerError) => (isLoaded ? events.lost(error) : reject(error));
    watchTraps(lose);
    if (backend === "webgpu") watchDevice(lose);
  });
  const loaded = transfer(backend, store, text, manifest, events).then((loaded) => {
    isLoaded = true;
    return loaded;
  });
  return Promise.race([loaded, lost]);
}

/** Hears when the wasm stops where it waits for something: its own calls would wait for ever. */
function watchTraps(onTrap: (error: ScorerError) => void): void {
  self.addEventListener("error", (event) => {
    // Whoever owns the worker hears of it by a message.
    event.preventDefault();
    onTrap(new ScorerError("crashed", asFailure(event.error ?? event.message).message));
  });
}

async function transfer(
  backend: Backend,
  store: BundleStore,
  text: string,
  manifest: Manifest,
  { reply }: LoadEvents,
): Promise<Loaded> {
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

/**
 * Scores a short golden text: a device that computes wrongly must not be believed. The text is the shortest whose scores lie
 * within their scales, where there is one: a head may give a single letter a score far outside, and what packed weights round
 * grows with it.
 */
async function selfCheck(scorer: Scorer, manifest: Manifest): Promise<void> {
  const scales = traitsOf(manifest).map(({ scale }) => scale);
  const rights = ({ score }: Golden) => (score === null ? [] : perTrait(score));
  const isWithin = (golden: Golden) =>
    rights(golden).every((right, place) => right >= (scales[place]?.min ?? NaN) && right <= (scales[place]?.max ?? NaN));
  const texts = manifest.golden.filter((golden) => golden.score !== null && golden.text.trim().length > 0);
  const within = texts.filter(isWithin);
  const [shortest] = (within.length > 0 ? within : texts).sort((a, b) => a.text.length - b.text.length);
  if (!shortest) return;
  const expected = rights(shortest);
  // Golden texts answer no prompt.
  const prompt = manifest.scorer.prompt_template === undefined ? null : "";
  const { traits } = await scorer.score(shortest.text, prompt);
  scales.forEach(({ min, max }, place) => {
    // Beyond its ends a scale says no more than at them.
    const meant = (score: number) => Math.min(Math.max(score, min), max);
    const [right = NaN, score = null] = [expected[place], traits[place]?.score];
    if (score !== null && Math.abs(meant(score) - meant(right)) <= TOLERANCE * (max - min)) return;
    throw new ScorerError(
      "wrong-numbers",
      `This device computes ${score ?? "nothing"} where ${right} is right, so its scores cannot be trusted.`,
    );
  });
}

/** Whether another device may succeed. */
export function isDeviceFault(error: unknown): boolean {
  return ["device", "device-lost", "crashed", "wrong-numbers", "unexpected", "too-large"].includes(asFailure(error).code);
}
