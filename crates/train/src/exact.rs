//! What the heads that are solved for have in common: training data as `heads` reads them, and its errors with ids.

use std::collections::BTreeMap;

use pair2score_heads::{HeadError, Judgement};

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
