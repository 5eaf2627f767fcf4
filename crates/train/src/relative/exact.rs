//! Stage 1 without an adapter: the head of utilities, solved for on embeddings of the frozen backbone.
//!
//! The same model as the trained head, `logit(a, b) = u(a) − u(b)`, fitted exactly and with a penalty that the judgements
//! choose ([`pair2score_heads::joint()`] without labels). Validation pairs measure it and take no part.

use std::time::Instant;

use ndarray::Array2;
use pair2score_heads::{Joint, joint};
use pair2score_model::UtilityHead;

use super::PairMetrics;
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::embeddings::Embeddings;
use crate::exact;
use crate::examples::{Examples, PairExample, Pairs, distinct};
use crate::task::{Evaluation, evaluation};

/// A head of utilities that was solved for.
#[derive(Debug)]
pub struct SolvedUtilities {
    /// `[d_model]`
    weights: Vec<f32>,
    /// Metrics of the validation pairs.
    pub validation: Evaluation,
    /// Seconds it took.
    pub seconds: f64,
}

impl SolvedUtilities {
    /// Solves for the head of these pairs, of whose documents there are embeddings.
    ///
    /// # Errors
    /// When an embedding or a logit is not finite.
    pub(crate) fn new(
        embeddings: &Embeddings,
        examples: &Examples,
        pairs: &Pairs,
    ) -> Result<Self, TrainError> {
        let started = Instant::now();
        let (documents, row) = distinct(&pairs.train);
        let values: Vec<f32> =
            documents.iter().flat_map(|&document| embeddings.row(document)).copied().collect();
        let width = values.len() / documents.len();
        let x = Array2::from_shape_vec((documents.len(), width), values).expect("rows are of one width");
        let judgements = exact::judgements(&pairs.train, &row);
        let Joint { weights, .. } = joint(x.view(), &vec![None; documents.len()], &judgements)
            .map_err(|problem| exact::named(problem, "relative", examples, &documents))?;
        let weights = weights.iter().map(|&weight| weight as f32).collect();
        let solved = Self { weights, validation: Evaluation::new(), seconds: 0.0 };
        let PairMetrics { accuracy, loss } = solved.measure(embeddings, &pairs.val)?;
        let validation = evaluation([("val_acc", accuracy), ("val_loss", Some(loss))]);
        Ok(Self { validation, seconds: started.elapsed().as_secs_f64(), ..solved })
    }

    /// Accuracy and mean loss over pairs, of whose documents there are embeddings.
    ///
    /// # Errors
    /// When a logit is not finite.
    pub(crate) fn measure(
        &self,
        embeddings: &Embeddings,
        pairs: &[PairExample],
    ) -> Result<PairMetrics, TrainError> {
        let utility = |document: usize| -> f64 {
            let row = embeddings.row(document).iter().zip(&self.weights);
            row.map(|(&x, &weight)| f64::from(x) * f64::from(weight)).sum()
        };
        let logits: Vec<f64> = pairs.iter().map(|pair| utility(pair.a) - utility(pair.b)).collect();
        PairMetrics::of(&logits, pairs)
    }

    /// The head as a module.
    pub fn head<B: TrainBackend>(&self, device: &B::Device) -> UtilityHead<B> {
        UtilityHead::linear(self.weights.clone(), device)
    }
}
