//! A head that is solved for instead of trained, where nothing below it trains.
//!
//! Training and validation documents together decide it: no epoch has to be chosen, and what is predicted of a
//! document by a head that did not see it comes with the solution ([`pair2score_heads::ridge`]). So no label is held
//! back, and the predictions with each document left out measure and calibrate the head.

use std::time::Instant;

use ndarray::{Array1, Axis};
use pair2score_heads::{HeadError, Ridge, ridge};
use pair2score_model::ScoreHead;

use super::inputs::HeadInputs;
use super::task::Measured;
use super::{AbsoluteModel, Goal};
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::metrics;
use crate::state::FitOutcome;

/// A solved head, and how it does on documents that it does not know.
#[derive(Debug)]
pub struct ExactFit<M> {
    /// The model, with the metrics of `left_out` as those of its only epoch.
    pub outcome: FitOutcome<M>,
    /// The documents that decided the head: training, then validation.
    pub documents: Vec<usize>,
    /// Of each of these documents, the score by the others alone.
    pub left_out: Vec<f64>,
    /// The penalty that cross-validation chose, on standardised embeddings.
    pub penalty: f64,
}

/// Solves the head of these inputs, all of which are computed.
///
/// # Errors
/// When there are fewer than three labelled documents, or an embedding is not finite.
pub fn solve<B: TrainBackend>(
    inputs: &HeadInputs<'_, B>,
    goal: &Goal,
) -> Result<ExactFit<AbsoluteModel<B>>, TrainError> {
    let started = Instant::now();
    let examples = inputs.examples;
    let documents = [examples.splits.train.as_slice(), &examples.splits.val].concat();
    let labels = examples.labels(&documents);
    let embeddings = inputs.rows(&documents);
    let targets = Array1::from(labels.clone()).insert_axis(Axis(1));
    let heads = ridge(embeddings.view(), targets.view()).map_err(|problem| {
        let document = match problem {
            HeadError::NotFinite { row, .. } => Some(examples.id(documents[row]).to_owned()),
            HeadError::TooFew { .. } => None,
        };
        TrainError::Head { document, problem }
    })?;
    let Ridge { weights, intercept, penalty, leave_one_out } =
        heads.into_iter().next().expect("one target has one head");
    let metrics = metrics::regression(&labels, &leave_one_out, &goal.scale)?;
    // What a ridge minimises is the squared error.
    let measured = Measured { scores: leave_one_out, loss: metrics.rmse.powi(2), metrics };
    let best = measured.evaluation(goal.binning);
    let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
    let model =
        AbsoluteModel { adapter: None, head: ScoreHead::linear(&weights, intercept as f32, inputs.device) };
    let outcome = FitOutcome {
        model,
        best_epoch: 1,
        best,
        epochs: 1,
        steps: 0,
        tokens: 0,
        train_seconds: 0.0,
        seconds: started.elapsed().as_secs_f64(),
    };
    Ok(ExactFit { outcome, documents, left_out: measured.scores, penalty })
}
