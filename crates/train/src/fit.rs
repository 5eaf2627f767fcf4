//! The training loop.

use std::time::Instant;

use burn::module::AutodiffModule;

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::{Sizes, micro_batches};
use crate::checkpoint::Checkpoints;
use crate::config::TrainingSettings;
use crate::report::{EpochReport, Progress, StepReport};
use crate::schedule::Schedule;
use crate::state::{FitOutcome, LoopState};
use crate::stopping::Verdict;
use crate::task::{Stop, Task};
use crate::trainer::Trainer;

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
    /// Looked at once after each step.
    pub stop: &'a Stop,
    /// Whether the model before the first step is one that may be kept: epoch 0, which every other has to improve on.
    pub start_counts: bool,
}

impl<'a> FitPlan<'a> {
    /// A plan that saves nothing and runs to its end.
    pub fn new(stage: &'a str, training: &'a TrainingSettings, seed: u64) -> Self {
        static NEVER: Stop = Stop::new();
        Self { stage, training, seed, checkpoints: None, stop: &NEVER, start_counts: false }
    }

    /// Micro-batches of an epoch, in the order in which they are trained.
    fn batches(&self, sizes: &dyn Sizes, epoch: usize) -> Vec<Vec<usize>> {
        micro_batches(sizes, &self.training.batching(), self.seed, self.stage, epoch)
    }

    /// The learning rate over the steps of the training, which are those of all epochs unless `max_steps` ends it
    /// before.
    fn schedule(&self, sizes: &dyn Sizes) -> Schedule {
        let training = self.training;
        let steps = |batches: usize| batches.div_ceil(training.accumulation);
        let total_steps = match training.max_batch_tokens {
            None => steps(sizes.n_examples().div_ceil(training.batch_size)) * training.epochs,
            // How many batches an epoch has depends on its order.
            Some(_) => (1..=training.epochs).map(|epoch| steps(self.batches(sizes, epoch).len())).sum(),
        };
        let total_steps = training.max_steps.map_or(total_steps, |max| total_steps.min(max));
        Schedule {
            kind: training.schedule,
            base_lr: training.lr,
            warmup_steps: training.warmup_steps,
            total_steps,
        }
    }
}

/// Trains a task and restores its best epoch; goes on from the newest checkpoint where there is one.
///
/// # Errors
/// When the loss or a weight leaves the finite numbers, the device fails, the data admit no evaluation, a checkpoint
/// cannot be read or written, or a stop was asked for. What was saved before stays.
pub fn fit<B: TrainBackend, T: Task<B>>(
    task: &T,
    model: T::Model,
    plan: &FitPlan<'_>,
    progress: &mut dyn Progress,
) -> Result<FitOutcome<T::Model>, TrainError> {
    let FitPlan { stage, training, checkpoints, stop, .. } = *plan;
    let schedule = plan.schedule(task);
    let total_steps = schedule.total_steps;
    let Start { mut trainer, mut state, mut best } = Start::of(task, model, plan, progress)?;
    let (started, seconds_before) = (Instant::now(), state.seconds);
    progress.resumed(stage, state.step, state.epochs_done());
    progress.begin(stage, total_steps);

    while !state.finished {
        let batches = plan.batches(task, state.epoch);
        let groups = batches.chunks(training.accumulation);
        let steps_before = state.step - state.step_of_epoch;
        let steps_of_epoch = groups.len().min(total_steps - steps_before);
        for group in groups.take(steps_of_epoch).skip(state.step_of_epoch) {
            let step_started = Instant::now();
            let lr = schedule.lr(state.step);
            trainer = trainer.step(group, state.step + 1, lr)?;
            state.end_step(group.iter().map(|examples| task.batch_tokens(examples)).sum());

            // Asked once a step: if a stop came between two questions, a checkpoint could be saved without the losses
            // of this step.
            let stopped = stop.requested();
            let due = checkpoints.is_some_and(|checkpoints| checkpoints.due(state.step));
            let log = state.step.is_multiple_of(training.log_every) || state.step_of_epoch == steps_of_epoch;
            if log || due || stopped {
                // The one place where the loop waits for the device.
                trainer.read_losses(group, &mut state)?;
            }
            state.train_seconds += step_started.elapsed().as_secs_f64();
            let loss = log.then(|| state.take_logged_loss());
            progress.step(stage, &StepReport::new(&state, total_steps, loss, lr));
            if let Some(checkpoints) = checkpoints.filter(|_| due || stopped) {
                state.seconds = seconds_before + started.elapsed().as_secs_f64();
                trainer.save(checkpoints, best.as_ref(), &state, group)?;
            }
            if stopped {
                progress.end();
                let (stage, step, saved) = (stage.to_owned(), state.step, checkpoints.is_some());
                return Err(TrainError::Interrupted { stage, step, total_steps, saved });
            }
        }

        let metrics = task.evaluate(&trainer.model.valid())?;
        let verdict = state.judge(training.monitor, &metrics);
        state.seconds = seconds_before + started.elapsed().as_secs_f64();
        let train_loss = state.take_epoch_loss();
        progress.epoch(stage, &EpochReport::new(&state, train_loss, metrics.clone(), verdict));
        // The first epoch is kept even where its metric is undefined: there must be something to restore.
        if verdict == Verdict::Improved || best.is_none() {
            best = Some(trainer.model.clone());
            state.best = Some(metrics);
        }
        if verdict == Verdict::Stop {
            let stale = state.stopping.stale;
            progress.message(&format!("{stage}: no improvement for {stale} epochs, stopping"));
        }
        state.end_epoch(verdict, state.step == total_steps);
        if let Some(checkpoints) = checkpoints {
            let last = batches.last().map(std::slice::from_ref).unwrap_or_default();
            trainer.save(checkpoints, best.as_ref(), &state, last)?;
        }
    }
    progress.end();
    Ok(FitOutcome::new(best.expect("an epoch was evaluated"), state))
}

/// Where the loop begins.
struct Start<'a, B: TrainBackend, T: Task<B>> {
    trainer: Trainer<'a, B, T>,
    state: LoopState,
    /// The best model so far, where there is one.
    best: Option<T::Model>,
}

impl<'a, B: TrainBackend, T: Task<B>> Start<'a, B, T> {
    /// At the newest checkpoint, or else at the model as it is.
    fn of(
        task: &'a T,
        model: T::Model,
        plan: &FitPlan<'a>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let restored = match plan.checkpoints {
            Some(checkpoints) => checkpoints.restore(&model, &task.device(), progress)?,
            None => None,
        };
        let trainer = Trainer::new(task, model, plan.stage, plan.training, plan.seed);
        if let Some(restored) = restored {
            let trainer = trainer.restored(restored.model, restored.records);
            return Ok(Self { trainer, state: restored.state, best: restored.best });
        }
        let (mut state, mut best) = (LoopState::new(plan.training), None);
        if plan.start_counts {
            let metrics = task.evaluate(&trainer.model.valid())?;
            progress.message(&state.judge_start(plan.stage, plan.training.monitor, metrics));
            best = Some(trainer.model.clone());
        }
        Ok(Self { trainer, state, best })
    }
}
