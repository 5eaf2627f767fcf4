//! Stage 1 without an adapter: the head of utilities, solved for on embeddings of the frozen backbone.
//!
//! The same model as the trained head, `logit(a, b) = u(a) − u(b)`, fitted exactly and with a penalty that the judgements
//! choose ([`pair2score_heads::joint()`] without labels). Validation pairs measure it and take no part.

use std::time::Instant;

use pair2score_heads::{Joint, joint};
use pair2score_model::UtilityHead;

use super::MeasuredPairs;
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::embeddings::Embeddings;
use crate::exact;
use crate::examples::{Examples, PairExample, Pairs, about, places};
use crate::task::Evaluation;

/// The heads of utilities that were solved for, one for each trait.
#[derive(Debug)]
pub struct SolvedUtilities {
    /// Of each trait, `[d_model]`.
    weights: Vec<Vec<f32>>,
    /// Metrics of the validation pairs.
    pub validation: Evaluation,
    /// Seconds it took.
    pub seconds: f64,
}

impl SolvedUtilities {
    /// Solves for the heads of these pairs, of whose documents there are embeddings.
    ///
    /// # Errors
    /// When an embedding or a logit is not finite.
    pub(crate) fn new(
        embeddings: &Embeddings,
        examples: &Examples,
        pairs: &Pairs,
    ) -> Result<Self, TrainError> {
        let started = Instant::now();
        let weights = utilities(embeddings, examples, &pairs.train)?;
        let solved = Self { weights, validation: Evaluation::new(), seconds: 0.0 };
        let validation = solved.measure(embeddings, examples, &pairs.val)?.evaluation();
        Ok(Self { validation, seconds: started.elapsed().as_secs_f64(), ..solved })
    }

    /// Accuracy and mean loss over pairs, of whose documents there are embeddings.
    ///
    /// # Errors
    /// When a logit is not finite.
    pub(crate) fn measure(
        &self,
        embeddings: &Embeddings,
        examples: &Examples,
        pairs: &[PairExample],
    ) -> Result<MeasuredPairs, TrainError> {
        let utility = |document: usize, of: usize| -> f64 {
            let row = embeddings.row(document).iter().zip(&self.weights[of]);
            row.map(|(&x, &weight)| f64::from(x) * f64::from(weight)).sum()
        };
        let logit = |pair: &PairExample| utility(pair.a, pair.target) - utility(pair.b, pair.target);
        let logits: Vec<f64> = pairs.iter().map(logit).collect();
        MeasuredPairs::of(&logits, pairs, examples)
    }

    /// The heads as modules.
    pub fn heads<B: TrainBackend>(&self, device: &B::Device) -> Vec<UtilityHead<B>> {
        self.weights.iter().map(|weights| UtilityHead::linear(weights.clone(), device)).collect()
    }
}

/// The weights of the head of each trait, `[d_model]`, for embeddings as they are.
///
/// # Errors
/// When an embedding is not finite.
pub(super) fn utilities(
    embeddings: &Embeddings,
    examples: &Examples,
    pairs: &[PairExample],
) -> Result<Vec<Vec<f32>>, TrainError> {
    let solve = |place| weights(embeddings, examples, about(pairs, place));
    (0..examples.traits.len()).map(solve).collect()
}

/// The weights of the head of some pairs, `[d_model]`.
fn weights<'p>(
    embeddings: &Embeddings,
    examples: &Examples,
    pairs: impl Iterator<Item = &'p PairExample> + Clone,
) -> Result<Vec<f32>, TrainError> {
    let (documents, row) = places(pairs.clone().flat_map(|pair| [pair.a, pair.b]));
    let x = embeddings.rows(&documents);
    let judgements = exact::judgements(pairs, &row);
    let Joint { weights, .. } = joint(x.view(), &vec![None; documents.len()], &judgements)
        .map_err(|problem| exact::named(problem, "relative", examples, &documents))?;
    Ok(weights.iter().map(|&weight| weight as f32).collect())
}
