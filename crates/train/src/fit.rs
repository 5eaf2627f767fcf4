//! The training loop.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, Optimizer};
use burn::tensor::{Tensor, backend::AutodiffBackend, backend::Backend};
use pair2score_data::rng::mix;
use pair2score_model::Kernels;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batches::{Sizes, micro_batches};
use crate::checkpoint::{Checkpoints, SaveError};
use crate::config::TrainingSettings;
use crate::gradients::{self, MicroBatch};
use crate::loss::Loss;
use crate::report::{EpochReport, Progress, StepReport};
use crate::schedule::{EarlyStopping, Schedule, Verdict};

/// A backend that can train our models.
pub trait TrainBackend: AutodiffBackend<InnerBackend: Kernels> + Kernels {}
impl<B: AutodiffBackend<InnerBackend: Kernels> + Kernels> TrainBackend for B {}

/// Validation metrics by name; `None` where a metric is undefined.
pub type Evaluation = BTreeMap<String, Option<f64>>;

/// An [`Evaluation`] of these metrics.
pub(crate) fn evaluation<const N: usize>(metrics: [(&str, Option<f64>); N]) -> Evaluation {
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A request to stop that a signal handler or another thread may make.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Nobody asks yet.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks for a stop after the current step; true when that was asked before.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether somebody asks.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a stage is to the loop: examples with a loss, and an evaluation.
pub trait Task<B: TrainBackend>: Sync {
    /// What is trained.
    type Model: AutodiffModule<B>;

    /// Where it computes, and where the trained weights and their moments are.
    fn device(&self) -> B::Device;
    /// The same task on further devices, which take their share of the micro-batches of a step.
    fn replicas(&self) -> &[Self]
    where
        Self: Sized,
    {
        &[]
    }
    /// Number of training examples.
    fn n_examples(&self) -> usize;
    /// Real tokens of an example.
    fn tokens(&self, example: usize) -> usize;
    /// Weight of an example in the loss, greater than 0.
    fn weight(&self, _example: usize) -> f64 {
        1.0
    }
    /// The documents of an example, where several examples may share one: a batch encodes it once.
    fn documents(&self, example: usize) -> Vec<usize> {
        vec![example]
    }
    /// Real tokens that a batch encodes.
    fn batch_tokens(&self, examples: &[usize]) -> usize {
        examples.iter().map(|&i| self.tokens(i)).sum()
    }
    /// Ids of the documents of an example, for messages.
    fn describe(&self, example: usize) -> String;
    /// The loss of a batch; the seed decides what dropout takes away.
    fn loss<'t>(&'t self, model: &'t Self::Model, examples: &[usize], dropout_seed: u64) -> Loss<'t, B>;
    /// Validation metrics.
    ///
    /// # Errors
    /// When the data admit none.
    fn evaluate(
        &self,
        model: &<Self::Model as AutodiffModule<B>>::InnerModule,
    ) -> Result<Evaluation, TrainError>;
}

/// What the loop needs beside the task.
#[derive(Debug, Clone, Copy)]
pub struct FitPlan<'a> {
    /// Name of the stage, in random streams and reports.
    pub stage: &'a str,
    /// Hyperparameters.
    pub training: &'a TrainingSettings,
    /// Seed of order and dropout.
    pub seed: u64,
    /// Where the state is saved and found again; `None` saves nothing.
    pub checkpoints: Option<&'a Checkpoints>,
    /// Looked at after each step.
    pub stop: &'a Stop,
}

impl<'a> FitPlan<'a> {
    /// A plan that saves nothing and runs to its end.
    pub fn new(stage: &'a str, training: &'a TrainingSettings, seed: u64) -> Self {
        static NEVER: Stop = Stop::new();
        Self { stage, training, seed, checkpoints: None, stop: &NEVER }
    }
}

/// What came out.
#[derive(Debug)]
pub struct FitOutcome<M> {
    /// The model after its best epoch.
    pub model: M,
    /// From 1.
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
    /// What training gives that ends in this state, with `model` as it was after the best epoch.
    pub(crate) fn of(model: M, state: LoopState) -> Self {
        Self {
            model,
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

/// Everything the loop knows beside weights and moments: what a checkpoint has to restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoopState {
    /// Optimiser steps done.
    pub(crate) step: usize,
    /// The current epoch, from 1.
    epoch: usize,
    /// Steps of it that are done.
    step_of_epoch: usize,
    tokens: usize,
    train_seconds: f64,
    seconds: f64,
    since_log: LossSum,
    since_epoch: LossSum,
    stopping: EarlyStopping,
    /// Metrics of the best epoch so far.
    pub(crate) best: Option<Evaluation>,
    /// The last epoch is evaluated.
    pub(crate) finished: bool,
}

impl LoopState {
    fn new(training: &TrainingSettings) -> Self {
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

    /// Whole epochs that are done and evaluated.
    fn epochs_done(&self) -> usize {
        if self.finished { self.epoch } else { self.epoch - 1 }
    }

    /// Whether a training of so many epochs would end here.
    pub(crate) fn ends(&self, epochs: usize) -> bool {
        match self.finished {
            true => self.epoch <= epochs,
            false => self.step_of_epoch == 0 && self.epoch - 1 == epochs,
        }
    }

    /// Whether a training of so many epochs would have ended before or here.
    pub(crate) fn is_past(&self, epochs: usize) -> bool {
        self.finished || epochs <= self.epochs_done()
    }
}

/// AdamW with PyTorch's defaults, every field named because burn's defaults differ.
fn adamw(weight_decay: f64) -> AdamWConfig {
    AdamWConfig::new()
        .with_beta_1(0.9)
        .with_beta_2(0.999)
        .with_epsilon(1e-8)
        .with_weight_decay(weight_decay as f32)
        .with_cautious_weight_decay(false)
        .with_amsgrad(false)
}

/// Trains a task and restores its best epoch; goes on from the newest checkpoint where there is one.
///
/// # Errors
/// When the loss or a weight leaves the finite numbers, the device fails, the data admit no evaluation, a checkpoint
/// cannot be read or written, or a stop was asked for. What was saved before stays.
pub fn fit<B: TrainBackend, T: Task<B>>(
    task: &T,
    mut model: T::Model,
    plan: &FitPlan<'_>,
    progress: &mut dyn Progress,
) -> Result<FitOutcome<T::Model>, TrainError> {
    let FitPlan { stage, training, seed, checkpoints, stop } = *plan;
    let sizes = TaskSizes(task, std::marker::PhantomData::<B>);
    let batches_of = |epoch| micro_batches(&sizes, &training.batching, seed, stage, epoch);
    let steps_of = |batches: usize| batches.div_ceil(training.accumulation);
    let total_steps = match training.batching.max_tokens {
        None => steps_of(task.n_examples().div_ceil(training.batching.size)) * training.epochs,
        // How many batches an epoch has depends on its order.
        Some(_) => (1..=training.epochs).map(|epoch| steps_of(batches_of(epoch).len())).sum(),
    };
    let schedule = Schedule {
        kind: training.schedule,
        base_lr: training.lr,
        warmup_steps: training.warmup_steps,
        total_steps,
    };

    let mut optimizer = adamw(training.weight_decay).init::<B, T::Model>();
    let mut state = LoopState::new(training);
    let mut best: Option<T::Model> = None;
    let restored =
        checkpoints.map(|checkpoints| checkpoints.restore(&model, &task.device(), progress)).transpose()?;
    if let Some(restored) = restored.flatten() {
        model = restored.model;
        best = restored.best;
        optimizer = optimizer.load_record(restored.records);
        state = restored.state;
    }
    progress.resumed(stage, state.step, if state.finished { state.epoch } else { state.epoch - 1 });
    let (started, seconds_before) = (Instant::now(), state.seconds);
    let mut unread = UnreadLosses::default();

    progress.begin(stage, total_steps);
    while !state.finished {
        let batches = batches_of(state.epoch);
        let steps_of_epoch = steps_of(batches.len());
        let groups = batches.chunks(training.accumulation);
        for group in groups.skip(state.step_of_epoch) {
            let step_started = Instant::now();
            let lr = schedule.lr(state.step);
            let weight: f64 = group.iter().flatten().map(|&i| task.weight(i)).sum();
            let last = state.step_of_epoch + 1 == steps_of_epoch;
            let due = checkpoints.is_some_and(|checkpoints| checkpoints.due(state.step + 1));
            let log = (state.step + 1).is_multiple_of(training.log_every) || last;

            let work = || {
                let dropout_seed = |index: usize| {
                    mix(seed, &["dropout", stage, &state.step.to_string(), &index.to_string()])
                };
                let batches: Vec<_> = (0..)
                    .zip(group)
                    .map(|(index, examples)| MicroBatch { examples, dropout_seed: dropout_seed(index) })
                    .collect();
                let (sums, mut gradients) = gradients::of_step::<B, T>(task, &model, &batches, weight);
                for (sum, examples) in sums.into_iter().zip(group) {
                    unread.push(sum, examples);
                }
                if let Some(max_norm) = training.max_grad_norm {
                    gradients = gradients::clip_global_norm::<B, _>(&model, gradients, max_norm);
                }
                let model = optimizer.step(lr, model, gradients);
                // The one place where the loop waits for the device.
                let read = (log || due || stop.requested()).then(|| unread.read());
                (model, read.unwrap_or_default())
            };
            // A device that fails panics inside burn.
            let (stepped, losses) =
                catch_unwind(AssertUnwindSafe(work)).map_err(|panic| TrainError::Device {
                    stage: stage.to_owned(),
                    step: state.step + 1,
                    problem: panic_text(&*panic),
                    documents: describe::<B, T>(task, group.iter().flatten()),
                })?;
            model = stepped;
            state.step += 1;
            state.step_of_epoch += 1;
            state.tokens += group.iter().map(|examples| task.batch_tokens(examples)).sum::<usize>();
            let not_finite = |what: String, examples: &[usize], step| TrainError::NotFinite {
                stage: stage.to_owned(),
                step,
                what,
                documents: describe::<B, T>(task, examples),
            };
            for (sum, examples) in losses {
                let weight: f64 = examples.iter().map(|&i| task.weight(i)).sum();
                if !sum.is_finite() {
                    return Err(not_finite(format!("the loss is {}", sum / weight), &examples, state.step));
                }
                state.since_log.add(sum, weight);
                state.since_epoch.add(sum, weight);
            }
            state.train_seconds += step_started.elapsed().as_secs_f64();
            progress.step(
                stage,
                &StepReport {
                    step: state.step,
                    total_steps,
                    epoch: state.epoch,
                    loss: log.then(|| state.since_log.take()),
                    lr,
                    tokens_per_second: state.tokens as f64 / state.train_seconds,
                },
            );
            let stopped = stop.requested();
            if let Some(checkpoints) = checkpoints.filter(|_| due || stopped) {
                state.seconds = seconds_before + started.elapsed().as_secs_f64();
                checkpoints.save(&model, best.as_ref(), optimizer.to_record(), &state).map_err(|error| {
                    save_error(error, || not_finite(WEIGHTS.into(), &group.concat(), state.step))
                })?;
            }
            if stopped {
                progress.end();
                let saved = checkpoints.is_some();
                return Err(TrainError::Interrupted {
                    stage: stage.to_owned(),
                    step: state.step,
                    total_steps,
                    saved,
                });
            }
        }

        let metrics = task.evaluate(&model.valid())?;
        let observed =
            state.stopping.observe(state.epoch, metrics.get(training.monitor.key()).copied().flatten());
        state.seconds = seconds_before + started.elapsed().as_secs_f64();
        progress.epoch(
            stage,
            &EpochReport {
                epoch: state.epoch,
                step: state.step,
                train_loss: state.since_epoch.take(),
                metrics: metrics.clone(),
                best: observed == Verdict::Improved,
                seconds: state.seconds,
            },
        );
        // The first epoch is kept even where its metric is undefined: there must be something to restore.
        if observed == Verdict::Improved || best.is_none() {
            best = Some(model.clone());
            state.best = Some(metrics);
        }
        if observed == Verdict::Stop {
            progress
                .message(&format!("{stage}: no improvement for {} epochs, stopping", state.stopping.stale));
        }
        state.finished = observed == Verdict::Stop || state.epoch == training.epochs;
        if !state.finished {
            state.epoch += 1;
            state.step_of_epoch = 0;
        }
        if let Some(checkpoints) = checkpoints {
            let last = batches.last().map(Vec::as_slice).unwrap_or_default();
            checkpoints.save(&model, best.as_ref(), optimizer.to_record(), &state).map_err(|error| {
                save_error(error, || TrainError::NotFinite {
                    stage: stage.to_owned(),
                    step: state.step,
                    what: WEIGHTS.into(),
                    documents: describe::<B, T>(task, last),
                })
            })?;
        }
    }
    progress.end();
    Ok(FitOutcome::of(best.expect("an epoch was evaluated"), state))
}

/// What batching sees of a task.
struct TaskSizes<'a, B, T>(&'a T, std::marker::PhantomData<B>);

impl<B: TrainBackend, T: Task<B>> Sizes for TaskSizes<'_, B, T> {
    fn n_examples(&self) -> usize {
        self.0.n_examples()
    }
    fn tokens(&self, example: usize) -> usize {
        self.0.tokens(example)
    }
    fn documents(&self, example: usize) -> Vec<usize> {
        self.0.documents(example)
    }
}

const WEIGHTS: &str = "a weight or a moment of AdamW is not finite";

fn save_error(error: SaveError, not_finite: impl FnOnce() -> TrainError) -> TrainError {
    match error {
        SaveError::NotFinite => not_finite(),
        SaveError::Write(error) => error,
    }
}

fn describe<'a, B: TrainBackend, T: Task<B>>(
    task: &T,
    examples: impl IntoIterator<Item = &'a usize>,
) -> String {
    let documents: Vec<String> = examples.into_iter().map(|&i| task.describe(i)).collect();
    documents.join(", ")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").replace('\n', " ")
}

/// A weighted mean in the making.
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

    /// The mean, beginning anew.
    fn take(&mut self) -> f64 {
        let Self { sum, weight } = std::mem::take(self);
        sum / weight
    }
}

/// Losses that are still on the device: reading one waits for it.
struct UnreadLosses<B: Backend> {
    sums: Vec<Tensor<B, 1>>,
    examples: Vec<Vec<usize>>,
}

impl<B: Backend> Default for UnreadLosses<B> {
    fn default() -> Self {
        Self { sums: Vec::new(), examples: Vec::new() }
    }
}

impl<B: Backend> UnreadLosses<B> {
    /// Adds the weighted sum of the losses of some examples, `[1]`.
    fn push(&mut self, sum: Tensor<B, 1>, examples: &[usize]) {
        self.sums.push(sum);
        self.examples.push(examples.to_vec());
    }

    /// All of them with their examples, read in one go.
    fn read(&mut self) -> Vec<(f64, Vec<usize>)> {
        if self.sums.is_empty() {
            return Vec::new();
        }
        let sums = Tensor::cat(std::mem::take(&mut self.sums), 0).into_data();
        sums.iter::<f64>().zip(std::mem::take(&mut self.examples)).collect()
    }
}
