// Requests to a server that collects judgements. Each is sent until it is answered: the same may come twice.

import { PageError } from "../shared/failure";
import type { Side } from "./judging-desk";
import type { Choice } from "../shared/judging";

/** What the server says after each request; see `crates/cli/src/collect/routes.rs`. */
export interface View {
  question: string;
  rubric: string;
  /** Null when there is nothing left to judge. */
  pair: { handout: number; left: string; right: string } | null;
  /** What this judge noted about the texts of the pair. */
  flags: Record<Side, string | null>;
  /** Pairs that were answered, those that were skipped among them. */
  done: number;
  skipped: number;
  total: number | null;
  /** Names the answer to take back next. */
  last: string | null;
}

interface Requests {
  next: Record<string, never>;
  judgements: { handout: number; id: string; answer: Choice; ms: number };
  undo: { id: string };
  flags: { handout: number; side: Side; note: string | null };
}

/** How long one attempt may take, and the longest pause before the next, milliseconds. */
const PATIENCE = 20_000;
const LONGEST_PAUSE = 30_000;

export class CollectionServer {
  constructor(
    /** The secret of the judge's link. */
    private readonly token: string,
    /** Hears why there is no answer yet, and the empty string when there is one. */
    private readonly onTrouble: (message: string) => void,
  ) {}

  /** Gives null where the server has another answer already, or never gave this pair. */
  async ask<K extends keyof Requests>(kind: K, body: Requests[K]): Promise<View | null> {
    for (let pause = 1000; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const response = await this.attempt(kind, JSON.stringify(body));
      if (response && !mayBeSentAgain(response.status)) {
        this.onTrouble("");
        return read(response);
      }
      this.onTrouble(kind === "next" ? "The server does not answer, trying again…" : "Not stored yet, trying again…");
      const wait = Number(response?.headers.get("Retry-After")) * 1000 || pause;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** One attempt; null where nobody answered. */
  private async attempt(kind: string, body: string): Promise<Response | null> {
    try {
      const response = await fetch(new URL(`api/${kind}`, window.location.href), {
        method: "POST",
        headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
        body,
        signal: AbortSignal.timeout(PATIENCE),
      });
      // An answer that breaks off is none.
      return new Response(await response.arrayBuffer(), response);
    } catch {
      return null;
    }
  }
}

/** Too slow, too often, or a fault of the server. */
function mayBeSentAgain(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

async function read(response: Response): Promise<View | null> {
  if (response.status === 409) return null;
  // The server answers what was asked with a view, and everything else with a reason.
  const answer = (await response.json()) as View | { error: string };
  if ("error" in answer) throw new PageError("refused", answer.error);
  return answer;
}
