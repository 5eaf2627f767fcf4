//! Judgements: which of two documents a person called better, and what follows from many of them.
//!
//! The one key decision: everything here is a pure function over numbers. A log becomes [`Comparisons`] once, after
//! which documents and judges are indices; the command line and the page in the browser call the same functions, and
//! randomness comes from a seed and a place, so that a reload of the page changes nothing. The cost is that a fit
//! starts from the whole log each time, which takes milliseconds where it matters.
//!
//! - [`JudgementLog`]: reading, merging, de-duplication
//! - [`fit`], [`standard_errors`]: utilities by the Bradley–Terry model with ties of Davidson (1970)
//! - [`posterior`]: the same under a prior that fits, for choosing the next pair; [`posterior_with`] [`Features`], which
//!   are what a scorer and the texts tell of documents
//! - [`Covariance`]: how far utilities are known, each and together; [`anchored_scores`]: what they are on a scale
//! - [`infer`]: all of it for documents that were judged or not, as a table
//! - [`scale_separation`], [`split_half`], [`document_infit`], [`judge_infit`]: how far to trust them
//! - [`Trust`]: the same in one sentence
//! - [`judge_stats`], [`agreement`], [`judge_weights`]: how far to trust the judges
//! - [`select`]: which pair to show next
//! - [`Plan`]: what one judge sees, whatever the strategy; [`Panel`]: what each of several judges sees
//! - [`to_cache`]: a pair cache for stage 1
//! - [`simulate`]: judges whose utilities are known, for tests and for planning
//!
//! Formulas, references and measurements are in `docs/judgements.md`.

mod agreement;
mod anchors;
mod answers;
mod comparisons;
mod covariance;
mod davidson;
mod entries;
mod features;
mod fields;
mod fit;
mod gold;
mod import;
mod inferred;
mod information;
mod judges;
mod log;
mod panel;
mod plan;
mod posterior;
mod proposals;
mod reliability;
pub mod select;
pub mod simulate;
mod stats;
mod studio;
mod trust;

pub use agreement::{Agreement, JudgePair, agreement};
pub use anchors::{Anchored, AnchoredScore, anchor_warning, anchored_scores, check_anchors};
pub use comparisons::{Comparison, Comparisons};
pub use covariance::{Covariance, standard_errors};
pub use davidson::Chances;
pub use features::{Features, JudgedHeads, LinearHead};
pub use fields::LogDefaults;
pub use fit::{Fit, FitOptions, fit, fit_with};
pub use gold::gold_answers;
pub use import::{Dropped, Import, ImportOptions, to_cache};
pub use inferred::{Inferred, MOST_LEFT_OUT, Prospect, infer, left_out};
pub use judges::{JudgeStats, judge_stats, judge_weights};
pub use log::{Judgement, JudgementLog};
pub use panel::{Panel, PanelOptions, Selection};
pub use plan::{Given, Plan, PlanOptions, Shown, Strategy};
pub use posterior::{Posterior, posterior, posterior_with};
pub use proposals::{Proposal, parse_proposals, read_proposals, write_proposals};
pub use reliability::{
    Halves, SplitHalf, document_infit, judge_infit, posterior_reliability, scale_separation, split_half,
};
pub use stats::{DocumentStats, Stats, StatsOptions, stats};
pub use trust::Trust;
