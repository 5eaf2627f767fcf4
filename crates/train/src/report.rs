//! What a run says while it works; the command line decides how it looks.

use crate::state::LoopState;
use crate::stopping::Verdict;
use crate::task::Evaluation;

/// One optimiser step.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: usize,
    /// Steps of the whole stage when no epoch is skipped.
    pub total_steps: usize,
    /// From 1.
    pub epoch: usize,
    /// Mean loss since the last report that had one; only at the logging interval.
    pub loss: Option<f64>,
    /// Learning rate of this step.
    pub lr: f64,
    /// Real tokens per second since the stage began, evaluation not counted.
    pub tokens_per_second: f64,
}

impl StepReport {
    /// The report of the step that ended in this state.
    pub(crate) fn new(state: &LoopState, total_steps: usize, loss: Option<f64>, lr: f64) -> Self {
        let tokens_per_second = state.tokens as f64 / state.train_seconds;
        Self { step: state.step, total_steps, epoch: state.epoch, loss, lr, tokens_per_second }
    }
}

/// One pass over the training examples, with its evaluation.
#[derive(Debug, Clone)]
pub struct EpochReport {
    /// From 1.
    pub epoch: usize,
    /// Optimiser steps done.
    pub step: usize,
    /// Mean training loss of the epoch.
    pub train_loss: f64,
    /// Validation metrics; `None` where one is undefined.
    pub metrics: Evaluation,
    /// Whether this epoch is the best so far.
    pub best: bool,
    /// Seconds since the stage began.
    pub seconds: f64,
}

impl EpochReport {
    /// The report of the epoch that ended in this state.
    pub(crate) fn new(state: &LoopState, train_loss: f64, metrics: Evaluation, verdict: Verdict) -> Self {
        Self {
            epoch: state.epoch,
            step: state.step,
            train_loss,
            metrics,
            best: verdict == Verdict::Improved,
            seconds: state.seconds,
        }
    }
}

/// Hears what a run does.
pub trait Progress {
    /// A stage begins; `total` counts what [`advance`](Self::advance) and [`step`](Self::step) report.
    fn begin(&mut self, stage: &str, total: usize);
    /// Some documents of a stage without steps (encoding, scoring) are done: how many so far.
    fn advance(&mut self, done: usize);
    /// A stage goes on after these steps and evaluated epochs, which an earlier run did; 0 where it did none.
    fn resumed(&mut self, stage: &str, steps: usize, _epochs: usize) {
        if steps > 0 {
            self.message(&format!("{stage}: going on after step {steps}"));
        }
    }
    /// One optimiser step.
    fn step(&mut self, stage: &str, report: &StepReport);
    /// One epoch.
    fn epoch(&mut self, stage: &str, report: &EpochReport);
    /// The stage ended.
    fn end(&mut self);
    /// Something the user should know.
    fn message(&mut self, text: &str);
}

/// Says nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, _: &str, _: &StepReport) {}
    fn epoch(&mut self, _: &str, _: &EpochReport) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
}
