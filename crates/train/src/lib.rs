//! Training: batches, the two stages, one `fit` loop, schedules, metrics and the files of a run.
//!
//! The key decision: a stage is data and a loss ([`Task`]), and one visible loop ([`fit()`]) trains every stage, the
//! pretraining of a backbone included. What a stage trains is a small module beside a shared frozen backbone, so
//! keeping the best epoch is keeping a copy of that module.
//!
//! Where things are:
//!
//! - *The loop*: [`fit()`] sends micro-batches (`batches`) to the model in training (`trainer`), which sums their
//!   gradients (`gradients`, `loss`) and updates itself; it remembers its `state`, and ends by `stopping` or a [`Stop`].
//! - *The stages*: `relative` ranks pairs of [`Examples`], [`absolute`] scores documents, [`pretrain`] predicts tokens.
//!   `metrics`, `calibrate` and `intervals` measure what they give.
//! - *A run*: [`run`](mod@run) takes a [`config`] through the stages and writes their files, [`checkpoint`] lets a
//!   stopped stage go on, and [`sweep`] plans many runs.

pub mod absolute;
mod anchors;
mod backend;
mod batches;
pub mod calibrate;
pub mod checkpoint;
pub mod config;
mod embeddings;
mod error;
mod exact;
mod examples;
mod fit;
mod gradients;
pub mod intervals;
mod loss;
pub mod metrics;
pub mod pretrain;
pub mod relative;
mod report;
pub mod run;
pub mod schedule;
mod state;
mod stopping;
pub mod sweep;
mod task;
mod trainer;

pub use backend::TrainBackend;
pub use batches::{Batching, Sizes};
pub use checkpoint::{Checkpoints, OnUnfinished};
pub use embeddings::EmbeddingPass;
pub use error::TrainError;
pub use examples::{Examples, PairExample, Pairs, TraitLabels};
pub use fit::{FitPlan, fit};
pub use loss::{Embedded, Loss};
pub use report::{EpochReport, Progress, Silent, StepReport};
pub use state::FitOutcome;
pub use task::{Evaluation, Stop, Task};
