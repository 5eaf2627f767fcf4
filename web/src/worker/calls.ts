// A worker that answers calls, one at a time, in their order.

import { asFailure } from "../shared/failure";
import type { Answer, Call, In, Out } from "../shared/judging-protocol";

type Handlers<C> = { [K in keyof C]: (input: In<C, K>) => Promise<Out<C, K>> | Out<C, K> };

export function answerCalls<C>(handlers: Handlers<C>): void {
  let before: Promise<unknown> = Promise.resolve();
  self.onmessage = ({ data }: MessageEvent<Call<C>>) => {
    before = before.then(() => answer(handlers, data));
  };
}

async function answer<C, K extends keyof C>(handlers: Handlers<C>, call: { id: number; kind: K; input: In<C, K> }): Promise<void> {
  const reply = (answer: Answer) => self.postMessage(answer);
  try {
    reply({ id: call.id, output: await handlers[call.kind](call.input) });
  } catch (error) {
    reply({ id: call.id, error: asFailure(error) });
  }
}
