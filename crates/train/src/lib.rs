//! Training: batches, the two stages, one `fit` loop, schedules, metrics and the files of a run.
//!
//! The key decision: a stage is data and a loss ([`Task`]), and one visible loop ([`fit()`]) trains every stage, the
//! pretraining of a backbone included. What a stage trains is a small module beside a shared frozen backbone, so
//! keeping the best epoch is keeping a copy of that module.

pub mod absolute;
mod batches;
pub mod calibrate;
pub mod checkpoint;
pub mod config;
mod error;
mod examples;
mod fit;
mod gradients;
mod loss;
pub mod metrics;
pub mod pretrain;
pub mod relative;
mod report;
pub mod run;
pub mod schedule;
pub mod sweep;

pub use batches::Batching;
pub use checkpoint::{Checkpoints, OnUnfinished};
pub use error::TrainError;
pub use examples::{Examples, PairExample, Pairs};
pub use fit::{Evaluation, FitOutcome, FitPlan, Stop, Task, TrainBackend, fit};
pub use loss::{Embedded, Loss};
pub use report::{EpochReport, Progress, Silent, StepReport};
