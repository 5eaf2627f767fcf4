// What the package offers.

export { asFailure, ScorerError, type Failure } from "./failure.ts";
export { sha256 } from "./hash.ts";
export { BUNDLE_CACHE, forgetJudged, judgedBundle } from "./judged.ts";
export { parseManifest, scorerInfo } from "./manifest.ts";
export type { AnchorDocument, Backend, Letters, Raters, Scale, ScorerInfo, TextResult, TraitInfo, TraitResult } from "./protocol.ts";
export { Scorer, type Ask, type LoadOptions, type PairScore, type Progress, type TextScore, type TraitScore } from "./scorer.ts";
