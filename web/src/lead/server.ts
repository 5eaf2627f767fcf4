// Requests of the lead of a collection; see `crates/cli/src/collect/lead.rs`.

import { PageError } from "../shared/failure";
import type { JudgeStats, Stats } from "../shared/judging-protocol";

/** How far a judge is. */
export interface JudgeView {
  name: string;
  has_link: boolean;
  /** Pairs answered or skipped, and those skipped alone. */
  done: number;
  skipped: number;
  /** When they were last given a pair or answered one; null before the first. */
  seen: string | null;
  /** Null before the first judgement. */
  stats: JudgeStats | null;
}

/** How far the collection is. */
export interface View
  extends Pick<
    Stats,
    "judgements" | "trust" | "unconnected_parts" | "scale_separation" | "split_half" | "split_half_judges" | "median_ms" | "agreement"
  > {
  trait: string;
  question: string;
  documents: number;
  per_judge: number | null;
  skipped: number;
  /** The time where the server is. */
  now: string;
  judges: JudgeView[];
}

/** What can be downloaded, as the server names it. */
export type FileName = "judgements.jsonl" | "judgements.csv" | "fit.csv" | "flags.csv";

/** Milliseconds; an account of tens of thousands of judgements takes seconds. */
const PATIENCE = 60_000;

export class LeadServer {
  /** `token` is the secret of the lead's link. */
  constructor(private readonly token: string) {}

  async view(): Promise<View> {
    return (await (await this.ask("")).json()) as View;
  }

  async file(name: FileName): Promise<Blob> {
    return (await this.ask(`/${name}`)).blob();
  }

  /** A link for a new judge, or another one for a judge whose own then ends. */
  async link(kind: "judges" | "links", judge: string): Promise<string> {
    const { link } = (await (await this.ask(`/${kind}`, judge)).json()) as { link: string };
    return link;
  }

  async switchOff(judge: string): Promise<void> {
    await this.ask("/off", judge);
  }

  /** With a judge it is sent, without one something is read. */
  private async ask(path: string, judge?: string): Promise<Response> {
    const response = await this.send(path, judge);
    if (response.ok) return response;
    const { error } = (await response.json().catch(() => ({ error: `the server answers ${response.status}` }))) as { error: string };
    throw new PageError(response.status === 401 ? "no-link" : "refused", error);
  }

  private async send(path: string, judge?: string): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}` };
    const body = judge === undefined ? {} : { method: "POST", body: JSON.stringify({ judge }) };
    try {
      return await fetch(new URL(`api/lead${path}`, window.location.href), { headers, ...body, signal: AbortSignal.timeout(PATIENCE) });
    } catch {
      throw new PageError("waiting", "The server does not answer.");
    }
  }
}
