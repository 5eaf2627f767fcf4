// A worker's share of a text: through the layers, with what the shares before it came to, and on to those behind it.

import { ScorerError } from "../failure.ts";
import type { Prompt, TextResult } from "../protocol.ts";
import type { Scorer } from "./engine.ts";

/** Ways to the workers of the other shares, in the order of the text. */
export interface Neighbours {
  before: readonly MessagePort[];
  behind: readonly MessagePort[];
}

/** The score, of the last share; null of others. Ends with `interrupted`, which is never fulfilled. */
export async function readShare(
  scorer: Scorer,
  text: string,
  prompt: Prompt,
  { before, behind }: Neighbours,
  interrupted: Promise<never>,
): Promise<TextResult | null> {
  let share = scorer.share(text, prompt, before.length, before.length + 1 + behind.length);
  if (!share) return null;
  const inboxes = before.slice(share.first()).map(inbox);
  const heard = () => Promise.race([interrupted, Promise.all(inboxes.map((next) => next()))]);
  const tell = async (numbers: Float32Array) => {
    behind.forEach((port) => port.postMessage(numbers));
    // Whoever waits for nobody would never come to hear that the text was taken back.
    await turn();
  };
  try {
    while (share.left() > 0) await tell(await scorer.pass(share, await heard()));
    if (behind.length > 0) {
      await tell(await scorer.pass(share, []));
      return null;
    }
    const hidden = await heard();
    const last = share;
    share = undefined;
    return await scorer.score_shared(last, hidden);
  } finally {
    share?.free();
    for (const port of before) port.close();
  }
}

/** What comes through a port, one after the other. */
function inbox(port: MessagePort): () => Promise<Float32Array> {
  const arrived: (Float32Array | ScorerError)[] = [];
  let wake = (): void => undefined;
  const arrives = (numbers: Float32Array | ScorerError) => {
    arrived.push(numbers);
    wake();
  };
  port.onmessage = ({ data }: MessageEvent<Float32Array>) => arrives(data);
  port.onmessageerror = () => arrives(new ScorerError("crashed", "There is not enough memory for several workers. Reload the page."));
  return async () => {
    for (;;) {
      const numbers = arrived.shift();
      if (numbers instanceof ScorerError) throw numbers;
      if (numbers) return numbers;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

/** Lets messages be heard. A timer would take some milliseconds. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
