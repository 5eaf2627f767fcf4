//! The training loop.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::{Tensor, backend::AutodiffBackend};
use pair2score_data::rng::mix;
use pair2score_model::Kernels;

use crate::TrainError;
use crate::batches::micro_batches;
use crate::config::TrainingSettings;
use crate::report::{EpochReport, Progress, StepReport};
use crate::schedule::{EarlyStopping, Schedule, Verdict};

/// A backend that can train our models.
pub trait TrainBackend: AutodiffBackend<InnerBackend: Kernels> + Kernels {}
impl<B: AutodiffBackend<InnerBackend: Kernels> + Kernels> TrainBackend for B {}

/// Validation metrics by name; `None` where a metric is undefined.
pub type Evaluation = BTreeMap<&'static str, Option<f64>>;

/// What a stage is to the loop: examples with a loss, and an evaluation.
pub trait Task<B: TrainBackend> {
    /// What is trained.
    type Model: AutodiffModule<B>;

    /// Number of training examples.
    fn n_examples(&self) -> usize;
    /// Real tokens of an example.
    fn tokens(&self, example: usize) -> usize;
    /// Weight of an example in the loss, greater than 0.
    fn weight(&self, _example: usize) -> f64 {
        1.0
    }
    /// Ids of the documents of an example, for messages.
    fn describe(&self, example: usize) -> String;
    /// Sum of the weighted losses of the examples, `[1]`.
    fn loss(&self, model: &Self::Model, examples: &[usize]) -> Tensor<B, 1>;
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
#[derive(Debug, Clone)]
pub struct FitPlan<'a> {
    /// Name of the stage, in random streams and reports.
    pub stage: &'a str,
    /// Hyperparameters.
    pub training: &'a TrainingSettings,
    /// Seed of order and dropout.
    pub seed: u64,
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
    /// Seconds altogether.
    pub seconds: f64,
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

/// Trains a task and restores its best epoch.
///
/// # Errors
/// When the loss is not finite or the data admit no evaluation.
pub fn fit<B: TrainBackend, T: Task<B>>(
    task: &T,
    mut model: T::Model,
    plan: &FitPlan<'_>,
    device: &B::Device,
    progress: &mut dyn Progress,
) -> Result<FitOutcome<T::Model>, TrainError> {
    let FitPlan { stage, training, seed } = plan;
    let per_step = training.batch_size * training.accumulation;
    let steps_per_epoch = task.n_examples().div_ceil(per_step);
    let total_steps = steps_per_epoch * training.epochs;
    let schedule = Schedule {
        kind: training.schedule,
        base_lr: training.lr,
        warmup_steps: training.warmup_steps,
        total_steps,
    };
    let lengths = |i: usize| task.tokens(i);
    let lengths = training.length_grouped.then_some(&lengths as &dyn Fn(usize) -> usize);

    let mut optimizer = adamw(training.weight_decay).init::<B, T::Model>();
    let mut stopping =
        EarlyStopping::new(training.monitor.higher_is_better(), training.patience, training.min_delta);
    let mut best: Option<(T::Model, Evaluation)> = None;
    let (mut step, mut tokens, mut epochs) = (0, 0, 0);
    let (started, mut train_seconds) = (Instant::now(), 0.0);

    progress.begin(stage, total_steps);
    for epoch in 1..=training.epochs {
        let epoch_started = Instant::now();
        let batches = micro_batches(task.n_examples(), training.batch_size, lengths, *seed, stage, epoch);
        let (mut since_log, mut since_epoch) = (RunningLoss::default(), 0.0);
        for (group_index, group) in batches.chunks(training.accumulation).enumerate() {
            let lr = schedule.lr(step);
            let weight: f64 = group.iter().flatten().map(|&i| task.weight(i)).sum();
            let mut accumulator = GradientsAccumulator::new();
            for (index, examples) in group.iter().enumerate() {
                B::seed(device, mix(*seed, &["dropout", stage, &step.to_string(), &index.to_string()]));
                let loss = task.loss(&model, examples).div_scalar(weight);
                let share: f64 = examples.iter().map(|&i| task.weight(i)).sum();
                since_log.add(loss.clone().inner().mul_scalar(weight), share);
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                accumulator.accumulate(&model, gradients);
                tokens += examples.iter().map(|&i| task.tokens(i)).sum::<usize>();
            }
            let mut gradients = accumulator.grads();
            if let Some(max_norm) = training.max_grad_norm {
                gradients = clip_global_norm::<B, _>(&model, gradients, max_norm);
            }
            model = optimizer.step(lr, model, gradients);
            step += 1;

            let last = group_index + 1 == steps_per_epoch;
            let loss = (step % training.log_every == 0 || last).then(|| {
                // The one place where the loop waits for the device.
                let (sum, mean) = since_log.take();
                since_epoch += sum;
                mean
            });
            if let Some(loss) = loss.filter(|loss| !loss.is_finite()) {
                let documents: Vec<_> = group.iter().flatten().map(|&i| task.describe(i)).collect();
                let documents = documents.join(", ");
                return Err(TrainError::NotFinite { stage: stage.to_string(), step, loss, documents });
            }
            let seconds = train_seconds + epoch_started.elapsed().as_secs_f64();
            let tokens_per_second = tokens as f64 / seconds;
            progress.step(stage, &StepReport { step, total_steps, epoch, loss, lr, tokens_per_second });
        }
        train_seconds += epoch_started.elapsed().as_secs_f64();

        epochs = epoch;
        let metrics = task.evaluate(&model.valid())?;
        let observed = stopping.observe(epoch, metrics.get(training.monitor.key()).copied().flatten());
        let weight: f64 = (0..task.n_examples()).map(|i| task.weight(i)).sum();
        progress.epoch(
            stage,
            &EpochReport {
                epoch,
                step,
                train_loss: since_epoch / weight,
                metrics: metrics.clone(),
                best: observed == Verdict::Improved,
                seconds: started.elapsed().as_secs_f64(),
            },
        );
        // The first epoch is kept even where its metric is undefined: there must be something to restore.
        if observed == Verdict::Improved || best.is_none() {
            best = Some((model.clone(), metrics));
        }
        if observed == Verdict::Stop {
            progress.message(&format!("{stage}: no improvement for {} epochs, stopping", stopping.stale));
            break;
        }
    }
    progress.end();
    let (model, best) = best.expect("the configuration asks for at least one epoch");
    Ok(FitOutcome {
        model,
        best_epoch: stopping.best_epoch.unwrap_or(1),
        best,
        epochs,
        steps: step,
        tokens,
        train_seconds,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Losses summed on the device, read when a report is due.
struct RunningLoss<B: burn::tensor::backend::Backend> {
    sum: Option<Tensor<B, 1>>,
    /// Weight of the examples in `sum`.
    weight: f64,
}

impl<B: burn::tensor::backend::Backend> Default for RunningLoss<B> {
    fn default() -> Self {
        Self { sum: None, weight: 0.0 }
    }
}

impl<B: burn::tensor::backend::Backend> RunningLoss<B> {
    /// Adds the weighted sum of the losses of examples with this total weight.
    fn add(&mut self, loss: Tensor<B, 1>, weight: f64) {
        self.weight += weight;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
    }

    fn take(&mut self) -> (f64, f64) {
        let sum = self.sum.take().map_or(0.0, |sum| sum.into_data().iter::<f64>().sum());
        let weight = std::mem::take(&mut self.weight);
        (sum, sum / weight)
    }
}

/// Scales all gradients together so that their joint norm is at most `max_norm`, as PyTorch's
/// `clip_grad_norm_`. The scale stays on the device.
fn clip_global_norm<B: TrainBackend, M: AutodiffModule<B>>(
    model: &M,
    gradients: GradientsParams,
    max_norm: f64,
) -> GradientsParams {
    struct SumOfSquares<'a, B: TrainBackend>(&'a GradientsParams, Option<Tensor<B::InnerBackend, 1>>);
    impl<B: TrainBackend> ModuleVisitor<B> for SumOfSquares<'_, B> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            if let Some(gradient) = self.0.get::<B::InnerBackend, D>(param.id) {
                let square = (gradient.clone() * gradient).sum();
                self.1 = Some(match self.1.take() {
                    Some(sum) => sum + square,
                    None => square,
                });
            }
        }
    }
    struct Scale<'a, B: TrainBackend>(&'a mut GradientsParams, Tensor<B::InnerBackend, 1>);
    impl<B: TrainBackend> ModuleVisitor<B> for Scale<'_, B> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            if let Some(gradient) = self.0.remove::<B::InnerBackend, D>(param.id) {
                let scaled = gradient * self.1.clone().reshape([1; D]);
                self.0.register::<B::InnerBackend, D>(param.id, scaled);
            }
        }
    }
    let mut squares = SumOfSquares::<B>(&gradients, None);
    model.visit(&mut squares);
    let Some(sum) = squares.1 else { return gradients };
    let scale = sum.sqrt().add_scalar(1e-6).recip().mul_scalar(max_norm).clamp_max(1.0);
    let mut gradients = gradients;
    model.visit(&mut Scale::<B>(&mut gradients, scale));
    gradients
}
