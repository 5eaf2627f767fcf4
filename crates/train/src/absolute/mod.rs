//! Stage 2: learning the score, from scratch or from what stage 1 learned.
//!
//! Pair2Score (arXiv:2605.02069). The transfers differ only in data: which adapters are frozen, whether one trains,
//! and whether the frozen stage-1 embedding is concatenated before the head ([`Start`]). From these adapters come the
//! inputs of the head ([`HeadInputs`]); the head is fitted to a [`Goal`] by the training loop, for which stage 2 is an
//! [`AbsoluteTask`], or solved for where nothing below it trains ([`solve`]).

mod exact;
mod goal;
mod inputs;
mod start;
mod task;
mod units;

use burn::module::Module;
use burn::tensor::backend::Backend;
use pair2score_data::rng::stream;
use pair2score_model::{Adapter, ScoreHead};

pub use exact::{Chosen, SolvedScores, SolvedTrait, solve};
pub use goal::Goal;
pub use inputs::HeadInputs;
pub use start::Start;
pub use task::{AbsoluteTask, Measured};

/// What stage 2 trains.
#[derive(Module, Debug)]
pub struct AbsoluteModel<B: Backend> {
    /// The adapter that trains, if one does.
    pub adapter: Option<Adapter<B>>,
    /// Pooled embedding to the outputs of each trait.
    pub heads: Vec<ScoreHead<B>>,
}

/// Documents with a label of a trait that did not decide the scores.
#[derive(Debug)]
pub struct Unseen {
    /// The documents.
    pub documents: Vec<usize>,
    /// Their labels.
    pub labels: Vec<f64>,
    /// Their scores in rubric units.
    pub scores: Vec<f64>,
}

impl<B: Backend> AbsoluteModel<B> {
    /// The model before its first step: a fresh head for each of `traits`, which reads `width` values and gives
    /// `n_outputs`; same seed, same numbers on every device.
    pub fn init(
        adapter: Option<Adapter<B>>,
        traits: usize,
        width: usize,
        n_outputs: usize,
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let mut rng = stream(seed, &["init", "absolute", "head"]);
        let heads = (0..traits).map(|_| ScoreHead::init(width, n_outputs, &mut rng, device));
        Self { adapter, heads: heads.collect() }
    }
}
