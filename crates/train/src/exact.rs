//! What the heads that are solved for have in common: training data as `heads` reads them, its errors with ids, and
//! embeddings in its units.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use ndarray::Array1;
use pair2score_heads::{HeadError, Judgement, Standardisation};

use crate::TrainError;
use crate::examples::{Examples, PairExample};

/// Pairs as judgements about rows; `row` has that of every document.
pub(crate) fn judgements<'p>(
    pairs: impl IntoIterator<Item = &'p PairExample>,
    row: &BTreeMap<usize, usize>,
) -> Vec<Judgement> {
    let judgement =
        |pair: &PairExample| Judgement { a: row[&pair.a], b: row[&pair.b], y: pair.y, weight: pair.weight };
    pairs.into_iter().map(judgement).collect()
}

/// The error of a stage whose rows are these documents.
pub(crate) fn named(
    problem: HeadError,
    stage: &'static str,
    examples: &Examples,
    documents: &[usize],
) -> TrainError {
    let document = match problem {
        HeadError::NotFinite { row, .. } => Some(examples.id(documents[row]).to_owned()),
        HeadError::TooFew { .. } => None,
    };
    TrainError::Head { stage, document, problem }
}

/// Embeddings `[documents, width]` with the means and deviations of these units taken out.
pub(crate) fn standardised<B: Backend>(units: &Standardisation, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let device = embeddings.device();
    let row = |values: Array1<f64>| {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let shape = [1, values.len()];
        Tensor::<B, 2>::from_data(TensorData::new(values, shape), (&device, DType::F32))
    };
    (embeddings - row(units.mean.clone())) * row(1.0 / &units.deviation)
}
