//! A head that is solved for instead of trained, where nothing below it trains.
//!
//! Training and validation documents together decide it: no epoch has to be chosen, and what is predicted of a
//! document by a head that did not see its label comes with the solution ([`pair2score_heads`]). So no label is held
//! back, and the predictions with each label left out measure and calibrate the head.

use std::time::Instant;

use ndarray::{Array1, Array2};
use pair2score_heads::{Joint, Ridge, Variances, joint, ridge};
use pair2score_model::ScoreHead;

use super::inputs::HeadInputs;
use super::{AbsoluteModel, Goal, Unseen};
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::exact;
use crate::examples::{PairExample, about, places};
use crate::metrics;
use crate::task::{Evaluation, evaluation, over_traits};

/// Solved heads, one for each trait, and how they do on labels that they do not know.
#[derive(Debug)]
pub struct SolvedScores<B: TrainBackend> {
    /// The heads; nothing trains below them.
    pub model: AbsoluteModel<B>,
    /// What comes with the head of each trait.
    pub traits: Vec<SolvedTrait>,
    /// How well scores of labels that were left out agree with the labels.
    pub metrics: Evaluation,
    /// Seconds it took.
    pub seconds: f64,
}

/// What comes with the solved head of a trait.
#[derive(Debug, Clone)]
pub struct SolvedTrait {
    /// The documents whose labels decided the head: training, then validation.
    pub documents: Vec<usize>,
    /// Their labels.
    pub labels: Vec<f64>,
    /// The score of each of these documents by the labels of the others.
    pub left_out: Vec<f64>,
    /// What the data chose beside the weights.
    pub chosen: Chosen,
}

impl SolvedTrait {
    /// The documents, each with the score that the others predict.
    pub fn unseen(&self) -> Unseen {
        let Self { documents, labels, left_out, .. } = self.clone();
        Unseen { documents, labels, scores: left_out }
    }
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

/// Solves the head of each trait on these inputs, all of which are computed: from labels alone, or with the judgements that
/// pairs of documents are.
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
    let known = [examples.splits.train.as_slice(), &examples.splits.val].concat();
    let labelled: Vec<_> = (0..examples.traits.len()).map(|place| examples.labelled(place, &known)).collect();
    let heads = match pairs {
        None => from_labels(inputs, &labelled)?,
        Some(pairs) => (0..labelled.len())
            .map(|place| from_both(inputs, &labelled[place], about(pairs, place)))
            .collect::<Result<_, _>>()?,
    };
    let (mut of_each, mut modules, mut traits) = (Vec::new(), Vec::new(), Vec::new());
    for ((of, (documents, labels)), head) in examples.traits.iter().zip(labelled).zip(heads) {
        of_each.push((of.target.as_str(), left_out_metrics(&labels, &head.left_out, goal)?));
        let weights: Vec<f32> = head.weights.iter().map(|&weight| weight as f32).collect();
        modules.push(ScoreHead::linear(&weights, head.intercept as f32, inputs.device));
        traits.push(SolvedTrait { documents, labels, left_out: head.left_out, chosen: head.chosen });
    }
    Ok(SolvedScores {
        model: AbsoluteModel { adapter: None, heads: modules },
        traits,
        metrics: over_traits(of_each),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn left_out_metrics(labels: &[f64], left_out: &[f64], goal: &Goal) -> Result<Evaluation, TrainError> {
    let measured = metrics::regression(labels, left_out, &goal.scale)?;
    let agreement = match goal.scale.grades() {
        Some(_) => ("left_out_qwk", measured.qwk_nearest),
        None => ("left_out_r2", measured.r2),
    };
    Ok(evaluation([
        agreement,
        ("left_out_mae", Some(measured.mae)),
        ("left_out_rmse", Some(measured.rmse)),
        ("left_out_pearson", measured.pearson),
    ]))
}

/// Documents and their labels.
type Labelled = (Vec<usize>, Vec<f64>);

/// The ridge of each trait on the labels that these documents have: weights and intercept, for inputs as they are.
///
/// # Errors
/// As [`solve`].
pub(super) fn ridges<B: TrainBackend>(
    inputs: &HeadInputs<'_, B>,
    documents: &[usize],
) -> Result<Vec<(Array1<f64>, f64)>, TrainError> {
    let traits = 0..inputs.examples.traits.len();
    let labelled: Vec<_> = traits.map(|place| inputs.examples.labelled(place, documents)).collect();
    let heads = from_labels(inputs, &labelled)?.into_iter();
    Ok(heads.map(|head| (head.weights, head.intercept)).collect())
}

/// The ridges of traits, from one decomposition for all that have labels of the same documents.
fn from_labels<B: TrainBackend>(
    inputs: &HeadInputs<'_, B>,
    labelled: &[Labelled],
) -> Result<Vec<Linear>, TrainError> {
    let mut heads: Vec<Option<Linear>> = labelled.iter().map(|_| None).collect();
    for first in 0..labelled.len() {
        if heads[first].is_some() {
            continue;
        }
        let documents = &labelled[first].0;
        let group: Vec<usize> = (first..labelled.len()).filter(|&of| labelled[of].0 == *documents).collect();
        let targets = Array2::from_shape_fn((documents.len(), group.len()), |(row, column)| {
            labelled[group[column]].1[row]
        });
        // Several traits have no standard errors, so the documents of a group count alike or it has one trait.
        let weights = inputs.examples.traits[first].weights_of(documents);
        let solved = ridge(inputs.rows(documents).view(), targets.view(), weights.as_deref())
            .map_err(|problem| exact::named(problem, "absolute", inputs.examples, documents))?;
        for (place, Ridge { weights, intercept, penalty, leave_one_out }) in group.into_iter().zip(solved) {
            let chosen = Chosen::Penalty(penalty);
            heads[place] = Some(Linear { weights, intercept, left_out: leave_one_out, chosen });
        }
    }
    Ok(heads.into_iter().flatten().collect())
}

/// The joint head of a trait.
fn from_both<'p, B: TrainBackend>(
    inputs: &HeadInputs<'_, B>,
    (documents, labels): &Labelled,
    pairs: impl Iterator<Item = &'p PairExample> + Clone,
) -> Result<Linear, TrainError> {
    // The labelled documents come first, then the others that pairs are about.
    let judged = pairs.clone().flat_map(|pair| [pair.a, pair.b]);
    let (rows, place) = places(documents.iter().copied().chain(judged));
    let mut known: Vec<Option<f64>> = labels.iter().copied().map(Some).collect();
    known.resize(rows.len(), None);
    let judgements = exact::judgements(pairs, &place);
    let Joint { weights, intercept, variances, leave_one_out } =
        joint(inputs.rows(&rows).view(), &known, &judgements)
            .map_err(|problem| exact::named(problem, "absolute", inputs.examples, &rows))?;
    let variances = variances.expect("there are judgements");
    let chosen = Chosen::Evidence { judgements: judgements.len(), variances };
    Ok(Linear { weights, intercept, left_out: leave_one_out, chosen })
}
