// The mathematics of judgements: `crates/data`, compiled to wasm.

import { Database } from "../shared/database";
import { PageError } from "../shared/failure";
import type { Inference, InferenceInput, JudgementCalls, Reading, Stats } from "../shared/judging-protocol";
import type { GoldPair, Proposal } from "../shared/judging";
import init, {
  DocumentFeatures,
  fit_csv,
  infer,
  inferred_csv,
  judged_heads,
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
/** What is known of the documents that were asked about last. */
let known: { of: string; features: DocumentFeatures } | null = null;

/** A reading has a number for the state of its documents, and without one their number is all that counts. */
async function featuresOf(documents: string[], reading: Reading | null): Promise<DocumentFeatures> {
  await ready;
  const of = JSON.stringify([reading, documents.length]);
  if (known?.of === of) return known.features;
  const rows = reading && (await (await Database.open()).rows(reading.project, reading.scorer, documents));
  if (reading && !rows) throw new PageError("not-read", "The scorer has not read all documents. Reload the page.");
  const told = reading && rows ? inTrait(rows, documents.length, reading) : new Float32Array();
  known?.features.free();
  known = null;
  known = { of, features: new DocumentFeatures(documents.length, told, reading?.says ?? false) };
  return known.features;
}

/** The rows with what is said in one trait alone, which stands last. */
function inTrait(rows: Float32Array, documents: number, { says, traits, place }: Reading): Float32Array {
  if (!says || traits === 1) return rows;
  const width = rows.length / documents;
  const kept = width - traits + 1;
  const told = new Float32Array(documents * kept);
  for (let document = 0; document < documents; document++) {
    const row = rows.subarray(document * width, (document + 1) * width);
    told.set(row.subarray(0, kept - 1), document * kept);
    told[(document + 1) * kept - 1] = row[kept - 1 + place] ?? NaN;
  }
  return told;
}

/** What the wasm infers from. */
const inputOf = ({ log, documents, grades, scale }: InferenceInput) => JSON.stringify({ log, documents, grades, scale });

// What the Rust side promises is told to the compiler here, and nowhere else.
answerCalls<JudgementCalls>({
  async plan({ settings, reading }) {
    const features = await featuresOf(settings.documents, reading);
    plan?.free();
    plan = null;
    plan = new JudgementPlan(JSON.stringify(settings), features);
    return plan.pairs();
  },
  async next({ history, taken }) {
    await ready;
    const next = plan?.next(history, taken);
    return next ? [next[0] ?? 0, next[1] ?? 0, next[2] ?? 0] : null;
  },
  async prepare({ history }) {
    await ready;
    plan?.prepare(history);
  },
  async statistics({ log, gold }) {
    await ready;
    return statistics(log, JSON.stringify(gold)) as Stats;
  },
  async fit({ log }) {
    await ready;
    return fit_csv(log);
  },
  async infer(input) {
    const features = await featuresOf(input.documents, input.reading);
    return infer(inputOf(input), features) as Inference;
  },
  async table(input) {
    return inferred_csv(inputOf(input), await featuresOf(input.documents, input.reading));
  },
  async heads(input) {
    return judged_heads(inputOf(input), await featuresOf(input.documents, input.reading), input.target);
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
