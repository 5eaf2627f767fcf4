//! What the training loop remembers beside weights and moments, and what it ends with.

use serde::{Deserialize, Serialize};

use crate::config::{Monitor, TrainingSettings};
use crate::stopping::{EarlyStopping, Verdict};
use crate::task::Evaluation;

/// Everything the loop knows beside weights and moments: what a checkpoint has to restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoopState {
    /// Optimiser steps done.
    pub(crate) step: usize,
    /// The current epoch, from 1.
    pub(crate) epoch: usize,
    /// Steps of the current epoch that are done.
    pub(crate) step_of_epoch: usize,
    /// Real tokens seen in training.
    pub(crate) tokens: usize,
    /// Seconds in training steps, evaluation not counted.
    pub(crate) train_seconds: f64,
    /// Seconds altogether, those before an interruption included.
    pub(crate) seconds: f64,
    since_log: LossSum,
    since_epoch: LossSum,
    pub(crate) stopping: EarlyStopping,
    /// Metrics of the best epoch so far.
    pub(crate) best: Option<Evaluation>,
    /// The last epoch is evaluated.
    pub(crate) finished: bool,
}

impl LoopState {
    pub(crate) fn new(training: &TrainingSettings) -> Self {
        let monitor = training.monitor;
        Self {
            step: 0,
            epoch: 1,
            step_of_epoch: 0,
            tokens: 0,
            train_seconds: 0.0,
            seconds: 0.0,
            since_log: LossSum::default(),
            since_epoch: LossSum::default(),
            stopping: EarlyStopping::new(monitor.higher_is_better(), training.patience, training.min_delta),
            best: None,
            finished: false,
        }
    }

    /// Counts a step that saw so many tokens.
    pub(crate) fn end_step(&mut self, tokens: usize) {
        self.step += 1;
        self.step_of_epoch += 1;
        self.tokens += tokens;
    }

    /// Adds the weighted sum of the losses of some examples, and the sum of their weights.
    pub(crate) fn add_loss(&mut self, sum: f64, weight: f64) {
        self.since_log.add(sum, weight);
        self.since_epoch.add(sum, weight);
    }

    /// Mean loss since this was last asked.
    pub(crate) fn take_logged_loss(&mut self) -> f64 {
        self.since_log.take()
    }

    /// Mean loss of the current epoch; asked once, at its end.
    pub(crate) fn take_epoch_loss(&mut self) -> f64 {
        self.since_epoch.take()
    }

    /// Takes the metrics before the first step for those of the best epoch so far, which is epoch 0; says what they are.
    pub(crate) fn judge_start(&mut self, stage: &str, monitor: Monitor, metrics: Evaluation) -> String {
        let key = monitor.key();
        let value = metrics.get(key).copied().flatten();
        self.stopping.begin(value);
        self.best = Some(metrics);
        let value = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
        format!("{stage}: {key} is {value} before the first step")
    }

    /// What the metrics of the current epoch mean for the training.
    pub(crate) fn judge(&mut self, monitor: Monitor, metrics: &Evaluation) -> Verdict {
        self.stopping.observe(self.epoch, metrics.get(monitor.key()).copied().flatten())
    }

    /// Goes on to the next epoch, unless the verdict says that this was the last, or its steps were.
    pub(crate) fn end_epoch(&mut self, verdict: Verdict, no_steps_left: bool) {
        self.finished = verdict == Verdict::Stop || no_steps_left;
        if !self.finished {
            self.epoch += 1;
            self.step_of_epoch = 0;
        }
    }

    /// Whole epochs that are done and evaluated.
    pub(crate) fn epochs_done(&self) -> usize {
        if self.finished { self.epoch } else { self.epoch - 1 }
    }

    /// Whether a training of so many epochs would end here: after the last of them, or earlier where early stopping has
    /// ended it.
    pub(crate) fn would_end_after(&self, epochs: usize) -> bool {
        match self.finished {
            true => self.epoch <= epochs,
            false => self.step_of_epoch == 0 && self.epoch - 1 == epochs,
        }
    }

    /// Whether a training of so many epochs would have ended here or before.
    pub(crate) fn has_passed(&self, epochs: usize) -> bool {
        self.finished || epochs <= self.epochs_done()
    }
}

/// The sums of which a weighted mean loss is made.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct LossSum {
    sum: f64,
    weight: f64,
}

impl LossSum {
    fn add(&mut self, sum: f64, weight: f64) {
        self.sum += sum;
        self.weight += weight;
    }

    /// The mean of what was added; the sums begin anew.
    fn take(&mut self) -> f64 {
        let Self { sum, weight } = std::mem::take(self);
        sum / weight
    }
}

/// What a training ends with.
#[derive(Debug)]
pub struct FitOutcome<M> {
    /// The model after its best epoch.
    pub model: M,
    /// From 1; 0 where nothing improved on a start that counts.
    pub best_epoch: usize,
    /// Validation metrics of the best epoch.
    pub best: Evaluation,
    /// Epochs trained.
    pub epochs: usize,
    /// Optimiser steps done.
    pub steps: usize,
    /// Real tokens seen in training.
    pub tokens: usize,
    /// Seconds in training steps, evaluation not counted.
    pub train_seconds: f64,
    /// Seconds altogether, those before an interruption included.
    pub seconds: f64,
}

impl<M> FitOutcome<M> {
    /// The model, and how its training went.
    pub(crate) fn split(self) -> (M, FitOutcome<()>) {
        let Self { model, best_epoch, best, epochs, steps, tokens, train_seconds, seconds } = self;
        (model, FitOutcome { model: (), best_epoch, best, epochs, steps, tokens, train_seconds, seconds })
    }

    /// The outcome of a training that ends in this state, with `model` as it was after the best epoch.
    pub(crate) fn new(model: M, state: LoopState) -> Self {
        Self {
            model,
            // Without a start that counts, the first epoch is kept even where its metric is undefined.
            best_epoch: state.stopping.best_epoch.unwrap_or(1),
            epochs: state.epochs_done(),
            best: state.best.unwrap_or_default(),
            steps: state.step,
            tokens: state.tokens,
            train_seconds: state.train_seconds,
            seconds: state.seconds,
        }
    }
}
