//! A head that is solved for instead of trained, where nothing below it trains.
//!
//! Training and validation documents together decide it: no epoch has to be chosen, and what is predicted of a
//! document by a head that did not see its label comes with the solution ([`pair2score_heads`]). So no label is held
//! back, and the predictions with each label left out measure and calibrate the head.

use std::time::Instant;

use ndarray::{Array1, Array2, Axis};
use pair2score_heads::{HeadError, Joint, Ridge, Variances, joint, ridge};
use pair2score_model::ScoreHead;

use super::inputs::HeadInputs;
use super::{AbsoluteModel, Goal};
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::exact;
use crate::examples::PairExample;
use crate::metrics;
use crate::task::{Evaluation, evaluation};

/// A solved head, and how it does on labels that it does not know.
#[derive(Debug)]
pub struct SolvedScores<B: TrainBackend> {
    /// The head; nothing trains below it.
    pub model: AbsoluteModel<B>,
    /// The documents whose labels decided the head: training, then validation.
    pub documents: Vec<usize>,
    /// The score of each of these documents by the labels of the others.
    pub left_out: Vec<f64>,
    /// How well these scores agree with the labels.
    pub metrics: Evaluation,
    /// What the data chose beside the weights.
    pub chosen: Chosen,
    /// Seconds it took.
    pub seconds: f64,
}

/// What the data choose beside the weights of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Chosen {
    /// The penalty with the smallest cross-validation error, on standardised embeddings.
    Penalty(f64),
    /// The variances with the largest evidence, for labels and so many judgements.
    Evidence {
        /// Judgements that the head was fitted to.
        judgements: usize,
        /// In units of the label.
        variances: Variances,
    },
}

/// A linear head as `heads` gives it.
struct Linear {
    weights: Array1<f64>,
    intercept: f64,
    left_out: Vec<f64>,
    chosen: Chosen,
}

/// Solves the head of these inputs, all of which are computed: from labels alone, or with the judgements that pairs of
/// documents are.
///
/// # Errors
/// When there are too few labelled documents, or an embedding is not finite.
pub fn solve<B: TrainBackend>(
    inputs: &HeadInputs<'_, B>,
    goal: &Goal,
    pairs: Option<&[PairExample]>,
) -> Result<SolvedScores<B>, TrainError> {
    let started = Instant::now();
    let examples = inputs.examples;
    let documents = [examples.splits.train.as_slice(), &examples.splits.val].concat();
    let labels = examples.labels(&documents);
    let head = match pairs {
        None => from_labels(&inputs.rows(&documents), &labels)
            .map_err(|problem| exact::named(problem, "absolute", examples, &documents))?,
        Some(pairs) => {
            let rows = Rows::new(&documents, pairs);
            from_both(&inputs.rows(&rows.documents), &labels, pairs, &rows)
                .map_err(|problem| exact::named(problem, "absolute", examples, &rows.documents))?
        }
    };
    let measured = metrics::regression(&labels, &head.left_out, &goal.scale)?;
    let agreement = match goal.scale.grades() {
        Some(_) => ("left_out_qwk", measured.qwk_nearest),
        None => ("left_out_r2", measured.r2),
    };
    let metrics = evaluation([
        agreement,
        ("left_out_mae", Some(measured.mae)),
        ("left_out_rmse", Some(measured.rmse)),
        ("left_out_pearson", measured.pearson),
    ]);
    let weights: Vec<f32> = head.weights.iter().map(|&weight| weight as f32).collect();
    let head_module = ScoreHead::linear(&weights, head.intercept as f32, inputs.device);
    Ok(SolvedScores {
        model: AbsoluteModel { adapter: None, head: head_module },
        documents,
        left_out: head.left_out,
        metrics,
        chosen: head.chosen,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Rows of embeddings: the labelled documents, then the others that pairs are about.
struct Rows {
    documents: Vec<usize>,
    row: std::collections::BTreeMap<usize, usize>,
}

impl Rows {
    fn new(labelled: &[usize], pairs: &[PairExample]) -> Self {
        let mut rows = Self { documents: Vec::new(), row: Default::default() };
        let judged = pairs.iter().flat_map(|pair| [pair.a, pair.b]);
        for document in labelled.iter().copied().chain(judged) {
            rows.row.entry(document).or_insert_with(|| {
                rows.documents.push(document);
                rows.documents.len() - 1
            });
        }
        rows
    }
}

fn from_labels(embeddings: &Array2<f32>, labels: &[f64]) -> Result<Linear, HeadError> {
    let targets = Array1::from(labels.to_vec()).insert_axis(Axis(1));
    let heads = ridge(embeddings.view(), targets.view())?;
    let Ridge { weights, intercept, penalty, leave_one_out } =
        heads.into_iter().next().expect("one target has one head");
    Ok(Linear { weights, intercept, left_out: leave_one_out, chosen: Chosen::Penalty(penalty) })
}

fn from_both(
    embeddings: &Array2<f32>,
    labels: &[f64],
    pairs: &[PairExample],
    rows: &Rows,
) -> Result<Linear, HeadError> {
    let mut known: Vec<Option<f64>> = labels.iter().copied().map(Some).collect();
    known.resize(rows.documents.len(), None);
    let judgements = exact::judgements(pairs, &rows.row);
    let Joint { weights, intercept, variances, leave_one_out } =
        joint(embeddings.view(), &known, &judgements)?;
    let variances = variances.expect("there are judgements");
    let chosen = Chosen::Evidence { judgements: judgements.len(), variances };
    Ok(Linear { weights, intercept, left_out: leave_one_out, chosen })
}
