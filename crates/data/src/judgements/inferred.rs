//! The account of documents that were judged or not: utilities with what else is known of them, and scores from anchors.

use serde::Serialize;

use super::select::judgements_until;
use super::stats::{DocumentStats, document_stats};
use super::trust::ENOUGH;
use super::{
    Anchored, Comparison, Comparisons, Features, FitOptions, JudgedHeads, Posterior, Trust, anchored_scores,
    check_anchors, judge_weights, posterior_reliability, posterior_with,
};
use crate::error::Result;
use crate::scale::ScoreScale;

/// Judgements to come that are followed, times documents: each costs what choosing a pair among them does.
const FOLLOWED: usize = 100_000;
/// Anchors that are left out in turn, at most.
pub const MOST_LEFT_OUT: usize = 100;

/// What judgements, and what else is known, say of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// Means, ν and the estimated prior.
    pub posterior: Posterior,
    /// Accounts of the documents, in the order of their ids.
    pub documents: Vec<DocumentStats>,
    /// Their scores, where there are anchors.
    pub scores: Option<(ScoreScale, Anchored)>,
}

/// Infers utilities of all documents of `comparisons`, with `features` in the same order, and scores from the grades of
/// some of them: `anchors`, documents by index.
///
/// # Errors
/// As [`posterior_with`] and [`anchored_scores`].
pub fn infer(
    comparisons: &Comparisons,
    features: &Features,
    anchors: Option<(&[(usize, f64)], ScoreScale)>,
    weigh_judges: bool,
) -> Result<Inferred> {
    let list = weighed(comparisons, weigh_judges)?;
    let posterior = posterior_with(features, &list)?;
    let covariance = posterior.covariance(features, &list)?;
    let documents =
        document_stats(&comparisons.documents, &list, &posterior.fit, &covariance.standard_errors()?);
    let scores = match anchors {
        None => None,
        Some((anchors, scale)) => {
            Some((scale, anchored_scores(&posterior.fit, &covariance, anchors, &scale)?))
        }
    };
    Ok(Inferred { posterior, documents, scores })
}

/// The judgements, weighed by the reliability of their judges where that is asked for.
fn weighed(comparisons: &Comparisons, weigh_judges: bool) -> Result<Vec<Comparison>> {
    let mut list = comparisons.list.clone();
    if weigh_judges {
        let n = comparisons.documents.len();
        let weights = judge_weights(n, comparisons.judges.len(), &list, FitOptions::default())?;
        list.iter_mut().for_each(|comparison| comparison.weight = weights[comparison.judge]);
    }
    Ok(list)
}

/// The grades of anchors, each with the score that [`infer`] gives its document without its grade and its judgements: as
/// a text to come. None where the other anchors say too little. Each costs a posterior, so of more than
/// [`MOST_LEFT_OUT`] anchors as many are taken, evenly over their list. `progress` hears how many are done.
///
/// # Errors
/// As [`infer`].
pub fn left_out(
    comparisons: &Comparisons,
    features: &Features,
    (anchors, scale): (&[(usize, f64)], ScoreScale),
    weigh_judges: bool,
    mut progress: impl FnMut(usize),
) -> Result<Vec<(f64, f64)>> {
    let list = weighed(comparisons, weigh_judges)?;
    let taken = anchors.len().min(MOST_LEFT_OUT);
    let mut unseen = Vec::with_capacity(taken);
    for place in 0..taken {
        let (document, grade) = anchors[place * anchors.len() / taken];
        let others: Vec<(usize, f64)> =
            anchors.iter().copied().filter(|(other, _)| *other != document).collect();
        if check_anchors(&others).is_err() {
            return Ok(Vec::new());
        }
        let list: Vec<Comparison> =
            list.iter().copied().filter(|judged| ![judged.a, judged.b].contains(&document)).collect();
        let posterior = posterior_with(features, &list)?;
        let covariance = posterior.covariance(features, &list)?;
        let scores = anchored_scores(&posterior.fit, &covariance, &others, &scale)?.scores;
        unseen.push((grade, scores[document].score));
        progress(unseen.len());
    }
    Ok(unseen)
}

/// How much of an order is known, and what it takes to know more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prospect {
    /// Share of the spread of utilities that is known.
    pub told: Option<f64>,
    /// Judgements until that share is 0.8; `None` where they tell nothing.
    pub enough: Option<usize>,
    /// Judgements until intervals are half as wide; `None` where they tell nothing.
    pub half: Option<usize>,
    /// The same in words.
    pub trust: Trust,
}

impl Inferred {
    /// What `list`, from which this was inferred, leaves open.
    pub fn prospect(&self, list: &[Comparison]) -> Prospect {
        let (known, n) = (&self.posterior, self.documents.len());
        let errors: Vec<f64> = self.documents.iter().map(|document| document.se).collect();
        let told = posterior_reliability(&known.fit.utilities, &errors);
        let open = known.mean_variance();
        // The spread stays while what is open of it falls.
        let total = told.map_or(0.0, |told| open / (1.0 - told).max(1e-9));
        let goals = [(1.0 - ENOUGH) * total, open / 4.0];
        let [enough, half] = judgements_until(list, known, goals, FOLLOWED / n.max(1));
        let trust = if list.is_empty() { Trust::Unjudged } else { Trust::told(told, enough) };
        Prospect { told, enough, half, trust }
    }

    /// Heads for texts to come, from the features that it was inferred with; `None` without anchors. `unseen` is what is
    /// [left out](left_out) in turn.
    pub fn heads(&self, features: &Features, target: String, unseen: Vec<(f64, f64)>) -> Option<JudgedHeads> {
        let (scale, anchored) = self.scores.as_ref()?;
        let utility = features.head(&self.posterior.fit.coefficients);
        Some(JudgedHeads { target, scale: *scale, utility, score: anchored.head(features), unseen })
    }

    /// The documents as CSV: `id,utility,se,n,wins,ties,losses,infit`, and with anchors `score,low,high`, on a scale of
    /// grades followed by `grade` and a column per grade with its probability, `p_1.5` for example.
    ///
    /// # Panics
    /// Never: memory takes what is written.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = DocumentStats::HEADER.map(str::to_owned).into();
        let grades = self.scores.as_ref().and_then(|(scale, _)| scale.grades()).map(|grades| grades.all());
        if self.scores.is_some() {
            header.extend(["score", "low", "high"].map(str::to_owned));
        }
        if let Some(grades) = &grades {
            header.push("grade".to_owned());
            header.extend(grades.iter().map(|grade| format!("p_{grade}")));
        }
        writer.write_record(&header).expect("memory takes what is written");
        for (place, document) in self.documents.iter().enumerate() {
            let mut row: Vec<String> = document.row().into();
            if let Some((scale, anchored)) = &self.scores {
                let score = &anchored.scores[place];
                row.extend([score.score, score.low, score.high].map(|number| number.to_string()));
                row.extend(scale.nearest(score.score).map(|grade| grade.to_string()));
                row.extend(score.grades.iter().map(|share| share.to_string()));
            }
            writer.write_record(&row).expect("memory takes what is written");
        }
        let bytes = writer.into_inner().expect("memory takes what is written");
        String::from_utf8(bytes).expect("strings were written")
    }
}
