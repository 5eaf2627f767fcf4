// How far judges agree, in words.

import type { Stats } from "../judging-protocol";
import { count } from "./format";
import { decimal, percent } from "./rows";

export function agreementInWords(agreement: Stats["agreement"]): string {
  return (
    `On ${count(agreement.shared_pairs, "pair")} that several judged: equal answers ${percent(agreement.percentage)}, ` +
    `Cohen’s kappa ${decimal(agreement.cohen_kappa)}, Krippendorff’s alpha ${decimal(agreement.alpha_nominal)} (nominal), ` +
    `${decimal(agreement.alpha_ordinal)} (ordinal).`
  );
}
