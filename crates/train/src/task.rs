//! What the training loop knows of a stage, and how it is asked to stop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::AutodiffModule;

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::Sizes;
use crate::loss::Loss;

/// Validation metrics by name; `None` where a metric is undefined.
pub type Evaluation = BTreeMap<String, Option<f64>>;

/// An [`Evaluation`] of these metrics.
pub(crate) fn evaluation<const N: usize>(metrics: [(&str, Option<f64>); N]) -> Evaluation {
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A stage as the loop sees it: examples with a loss, and an evaluation.
pub trait Task<B: TrainBackend>: Sizes + Sync {
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
    /// Weight of an example in the loss, greater than 0.
    fn weight(&self, _example: usize) -> f64 {
        1.0
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

/// A request to stop that a signal handler or another thread may make.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// No stop has been requested.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Requests a stop after the current step; true when one was requested before.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether a stop has been requested.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
