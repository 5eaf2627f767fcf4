//! The gradients of a step, computed on one device or on several at once, and their norm.
//!
//! The key decision: devices divide the micro-batches of a step, whose gradients are summed anyway. Micro-batch i goes
//! to device i modulo the number of devices, and the first device sums all gradients in the order of the micro-batches,
//! so the number of devices changes no bit. What trains is small beside the frozen backbone, of which every device has
//! a copy, so each step sends the model to all devices and takes whole gradients back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::backend::TrainBackend;
use crate::task::Task;

/// Examples of a step that are computed at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MicroBatch<'a> {
    /// Examples of the task.
    pub(crate) examples: &'a [usize],
    /// Decides what dropout takes away.
    pub(crate) dropout_seed: u64,
}

impl MicroBatch<'_> {
    /// The sum of the losses on the task's device, `[1]`; `add` gets the terms that sum to the gradients of
    /// `sum / weight`.
    fn gradients<B: TrainBackend, T: Task<B>>(
        &self,
        task: &T,
        model: &T::Model,
        weight: f64,
        add: impl FnMut(GradientsParams),
    ) -> Tensor<B::InnerBackend, 1> {
        // The model gets leaves of its own: a backward pass of another thread may free a graph that was just built on a
        // shared leaf, and then gradients are missing without an error (tracel-ai/burn#5573).
        let model = model.clone().fork(&task.device());
        let loss = task.loss(&model, self.examples, self.dropout_seed);
        let sum = loss.sum.clone().inner();
        loss.backward(weight, &model, add);
        sum
    }
}

/// What another device answers: loss and gradients of a micro-batch, or the panic that ended its work.
type Answer<B> = Result<(Tensor<B, 1>, Vec<GradientsParams>), Box<dyn Any + Send>>;

/// The sum of losses of each micro-batch, `[1]`, and the gradients of all of them over `weight`.
pub(crate) fn of_step<B: TrainBackend, T: Task<B>>(
    task: &T,
    model: &T::Model,
    batches: &[MicroBatch<'_>],
    weight: f64,
) -> (Vec<Tensor<B::InnerBackend, 1>>, GradientsParams) {
    let mut accumulator = GradientsAccumulator::new();
    let mut add = |gradients| accumulator.accumulate(model, gradients);
    let others = task.replicas();
    let n_devices = 1 + others.len();
    let sums = thread::scope(|scope| {
        let answers: Vec<mpsc::Receiver<Answer<B::InnerBackend>>> = (1..)
            .zip(others)
            .map(|(place, other)| {
                let (sender, receiver) = mpsc::channel();
                let model = model.clone();
                let work = move || {
                    let share = || {
                        let home = task.device();
                        for batch in batches.iter().skip(place).step_by(n_devices) {
                            let mut terms = Vec::new();
                            let add =
                                |term: GradientsParams| terms.push(term.to_device::<B, _>(&home, &model));
                            let sum = batch.gradients(other, &model, weight, add).to_device(&home);
                            // The receiver is gone where another device failed.
                            if sender.send(Ok((sum, terms))).is_err() {
                                return;
                            }
                        }
                    };
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(share)) {
                        let _ = sender.send(Err(panic));
                    }
                };
                scope.spawn(work);
                receiver
            })
            .collect();
        let sum_of = |(index, batch): (usize, &MicroBatch<'_>)| match index % n_devices {
            0 => batch.gradients(task, model, weight, &mut add),
            place => {
                let answer = answers[place - 1].recv().expect("an answer for every batch");
                let (sum, terms) = answer.unwrap_or_else(|panic| resume_unwind(panic));
                terms.into_iter().for_each(&mut add);
                sum
            }
        };
        batches.iter().enumerate().map(sum_of).collect()
    });
    (sums, accumulator.grads())
}

/// Scales all gradients together so that their joint norm is at most `max_norm`, as PyTorch's
/// `clip_grad_norm_`. The scale stays on the device.
pub(crate) fn clip_global_norm<B: TrainBackend, M: AutodiffModule<B>>(
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
