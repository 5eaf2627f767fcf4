// The mathematics of judgements: `crates/data`, compiled to wasm.

import type { JudgementCalls, Stats } from "../shared/judging-protocol";
import type { GoldPair, Proposal } from "../shared/judging";
import init, {
  fit_csv,
  JudgementPlan,
  merge,
  parse_gold,
  parse_pair_list,
  statistics,
} from "../../wasm/judgements/pair2score_judgements.js";
import wasm from "../../wasm/judgements/pair2score_judgements_bg.wasm?url";
import { answerCalls } from "./calls";

const ready = init({ module_or_path: wasm });
let plan: JudgementPlan | null = null;

// What the Rust side promises is told to the compiler here, and nowhere else.
answerCalls<JudgementCalls>({
  async plan(settings) {
    await ready;
    plan?.free();
    plan = null;
    plan = new JudgementPlan(JSON.stringify(settings));
    return plan.pairs();
  },
  async next({ history, taken }) {
    await ready;
    const next = plan?.next(history, taken);
    return next ? [next[0] ?? 0, next[1] ?? 0, next[2] ?? 0] : null;
  },
  async statistics({ log, gold }) {
    await ready;
    return statistics(log, JSON.stringify(gold)) as Stats;
  },
  async fit({ log }) {
    await ready;
    return fit_csv(log);
  },
  async merge({ existing, name, text, target, documents }) {
    await ready;
    return merge(existing, name, text, target, documents) as JudgementCalls["merge"]["out"];
  },
  async list({ name, text }) {
    await ready;
    return parse_pair_list(name, text) as Proposal[];
  },
  async gold({ name, text }) {
    await ready;
    return parse_gold(name, text) as GoldPair[];
  },
});
