// A worker's share of a text: through the layers, with what the shares before it came to, and on to those behind it.

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
  const heard = () => Promise.race([Promise.all(inboxes.map((next) => next())), interrupted]);
  const tell = (numbers: Float32Array) => behind.forEach((port) => port.postMessage(numbers));
  try {
    while (share.left() > 0) tell(await scorer.pass(share, await heard()));
    if (behind.length > 0) {
      tell(await scorer.pass(share, []));
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
  const arrived: Float32Array[] = [];
  let wake = (): void => undefined;
  port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
    arrived.push(data);
    wake();
  };
  return async () => {
    for (;;) {
      const numbers = arrived.shift();
      if (numbers) return numbers;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
