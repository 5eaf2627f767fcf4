//! What changes in a step of training: the model, the state of its optimiser, and the losses that are not read yet.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{AdamW, AdamWConfig, Optimizer};
use burn::tensor::{Tensor, backend::Backend};
use pair2score_data::rng::mix;

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::checkpoint::{AdamWRecords, Checkpoints, SaveError};
use crate::config::TrainingSettings;
use crate::gradients::{self, MicroBatch};
use crate::state::LoopState;
use crate::task::Task;

/// A model in training.
pub(crate) struct Trainer<'a, B: TrainBackend, T: Task<B>> {
    task: &'a T,
    /// Name of the stage, in random streams and messages.
    stage: &'a str,
    training: &'a TrainingSettings,
    /// Seed of dropout.
    seed: u64,
    /// The model after the steps done so far.
    pub(crate) model: T::Model,
    optimizer: OptimizerAdaptor<AdamW, T::Model, B>,
    unread: UnreadLosses<B::InnerBackend>,
}

impl<'a, B: TrainBackend, T: Task<B>> Trainer<'a, B, T> {
    /// A trainer that has done no step.
    pub(crate) fn new(
        task: &'a T,
        model: T::Model,
        stage: &'a str,
        training: &'a TrainingSettings,
        seed: u64,
    ) -> Self {
        let optimizer = adamw(training.weight_decay).init();
        Self { task, stage, training, seed, model, optimizer, unread: UnreadLosses::default() }
    }

    /// The trainer with the model and the moments of a checkpoint.
    pub(crate) fn restored(self, model: T::Model, moments: AdamWRecords<B, T::Model>) -> Self {
        Self { model, optimizer: self.optimizer.load_record(moments), ..self }
    }

    /// Does a step, the `step`-th from 1: accumulates the gradients of a group of micro-batches, clips them and updates
    /// the model. It does not wait for the device.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn step(self, group: &[Vec<usize>], step: usize, lr: f64) -> Result<Self, TrainError> {
        let (task, stage) = (self.task, self.stage);
        let update = move || {
            let Self { training, seed, model, mut optimizer, mut unread, .. } = self;
            let weight: f64 = group.iter().flatten().map(|&example| task.weight(example)).sum();
            // The streams of dropout count steps from 0.
            let place = (step - 1).to_string();
            let dropout_seed = |index: usize| mix(seed, &["dropout", stage, &place, &index.to_string()]);
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
            Self { task, stage, training, seed, model, optimizer, unread }
        };
        on_device::<B, T, _>(task, stage, step, group, update)
    }

    /// Adds the losses that are not read yet to the state. This waits for the device.
    ///
    /// # Errors
    /// When the device fails, or a loss is not finite.
    pub(crate) fn read_losses(
        &mut self,
        group: &[Vec<usize>],
        state: &mut LoopState,
    ) -> Result<(), TrainError> {
        let (task, unread) = (self.task, &mut self.unread);
        let losses = on_device::<B, T, _>(task, self.stage, state.step, group, || unread.read())?;
        for (sum, examples) in losses {
            let weight: f64 = examples.iter().map(|&example| task.weight(example)).sum();
            if !sum.is_finite() {
                return Err(self.not_finite(
                    &format!("the loss is {}", sum / weight),
                    &[examples],
                    state.step,
                ));
            }
            state.add_loss(sum, weight);
        }
        Ok(())
    }

    /// Saves the training in this state; messages name the last micro-batches, `group`.
    ///
    /// # Errors
    /// When the checkpoint cannot be written, or a weight is not finite.
    pub(crate) fn save(
        &self,
        checkpoints: &Checkpoints,
        best: Option<&T::Model>,
        state: &LoopState,
        group: &[Vec<usize>],
    ) -> Result<(), TrainError> {
        let saved = checkpoints.save(&self.model, best, self.optimizer.to_record(), state);
        saved.map_err(|error| match error {
            SaveError::Write(error) => error,
            SaveError::NotFinite => {
                self.not_finite("a weight or a moment of AdamW is not finite", group, state.step)
            }
        })
    }

    fn not_finite(&self, what: &str, group: &[Vec<usize>], step: usize) -> TrainError {
        TrainError::NotFinite {
            stage: self.stage.to_owned(),
            step,
            what: what.to_owned(),
            documents: describe::<B, T>(self.task, group),
        }
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

/// The result of some work of a step. A device that fails panics inside burn; here this becomes an error.
fn on_device<B: TrainBackend, T: Task<B>, R>(
    task: &T,
    stage: &str,
    step: usize,
    group: &[Vec<usize>],
    work: impl FnOnce() -> R,
) -> Result<R, TrainError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| TrainError::Device {
        stage: stage.to_owned(),
        step,
        problem: panic_text(&*panic),
        documents: describe::<B, T>(task, group),
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").replace('\n', " ")
}

/// Ids of the documents of some micro-batches.
fn describe<B: TrainBackend, T: Task<B>>(task: &T, group: &[Vec<usize>]) -> String {
    let documents: Vec<String> = group.iter().flatten().map(|&example| task.describe(example)).collect();
    documents.join(", ")
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
