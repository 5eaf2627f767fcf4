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

/// The means of what was evaluated of several traits, and of each its own as `metric[trait]`; of one trait, these are the
/// same and said once. A mean of which a part is undefined is undefined.
pub(crate) fn over_traits(mut of_each: Vec<(&str, Evaluation)>) -> Evaluation {
    if let [(_, only)] = &mut of_each[..] {
        return std::mem::take(only);
    }
    let mut all = Evaluation::new();
    for name in of_each.iter().flat_map(|(_, evaluation)| evaluation.keys()) {
        let values: Option<Vec<f64>> =
            of_each.iter().map(|(_, of)| of.get(name).copied().flatten()).collect();
        all.insert(name.clone(), values.map(|values| values.iter().sum::<f64>() / values.len() as f64));
    }
    for (target, evaluation) in &of_each {
        all.extend(evaluation.iter().map(|(name, value)| (format!("{name}[{target}]"), *value)));
    }
    all
}

/// What [`over_traits`] has of one of several traits, by the plain names.
pub(crate) fn of_trait(all: &Evaluation, target: &str) -> Evaluation {
    let ending = format!("[{target}]");
    let own = all.iter().filter_map(|(name, value)| Some((name.strip_suffix(&ending)?.to_owned(), *value)));
    own.collect()
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
