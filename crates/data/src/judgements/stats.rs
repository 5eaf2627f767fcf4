//! Everything there is to say about a log, in one place for the command line and the page.

use std::collections::HashMap;

use serde::Serialize;

use super::judges::median;
use super::reliability::{Halves, SplitHalf, document_infit, scale_separation, split_half};
use super::select::n_parts;
use super::{
    Agreement, Comparison, Comparisons, Fit, FitOptions, JudgeStats, Trust, agreement, fit, judge_stats,
    judge_weights, standard_errors,
};
use crate::error::Result;

/// What to compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatsOptions {
    /// The fit.
    pub fit: FitOptions,
    /// Whether judges count by their reliability.
    pub weigh_judges: bool,
    /// Random divisions for split-half reliability.
    pub divisions: usize,
    /// The seed of the divisions.
    pub seed: u64,
}

impl Default for StatsOptions {
    fn default() -> Self {
        Self { fit: FitOptions::default(), weigh_judges: false, divisions: 20, seed: 36 }
    }
}

/// The account of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Judgements.
    pub judgements: usize,
    /// Different pairs of documents.
    pub pairs: usize,
    /// Judgements that are ties.
    pub ties: usize,
    /// Davidson's ν.
    pub nu: f64,
    /// How far the order can be trusted, by the smaller of the first two coefficients below.
    pub trust: Trust,
    /// Parts that no judgement connects; 1 in a sound log.
    pub unconnected_parts: usize,
    /// See [`scale_separation`]; inflated where pairs were chosen adaptively.
    pub scale_separation: Option<f64>,
    /// See [`split_half`], over judgements.
    pub split_half: Option<SplitHalf>,
    /// See [`split_half`], over judges.
    pub split_half_judges: Option<SplitHalf>,
    /// Decided judgements whose sides are known, and how many of them chose the left.
    pub sided: usize,
    /// See `sided`.
    pub left: usize,
    /// Median time of a judgement, milliseconds.
    pub median_ms: Option<f64>,
    /// Between judges; their indices are those of `judges`.
    pub agreement: Agreement,
    /// Accounts of the judges, in the order of their names.
    pub judges: Vec<JudgeStats>,
    /// The weight of each judge; empty when judges are not weighed.
    pub judge_weights: Vec<f64>,
    /// Accounts of the documents, in the order of their ids.
    pub documents: Vec<DocumentStats>,
}

impl Stats {
    /// The documents as CSV: `id,utility,se,n,wins,ties,losses,infit`.
    ///
    /// # Panics
    /// Never: memory takes what is written.
    pub fn fit_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(DocumentStats::HEADER).expect("memory takes what is written");
        for document in &self.documents {
            writer.write_record(document.row()).expect("memory takes what is written");
        }
        let bytes = writer.into_inner().expect("memory takes what is written");
        String::from_utf8(bytes).expect("strings were written")
    }
}

/// The account of one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentStats {
    /// The id.
    pub id: String,
    /// Logits; over documents they add up to 0.
    pub utility: f64,
    /// Standard error, logits.
    pub se: f64,
    /// Judgements.
    pub n: usize,
    /// Judgements in which it was called better.
    pub wins: usize,
    /// Ties.
    pub ties: usize,
    /// Judgements in which the other one was called better.
    pub losses: usize,
    /// See [`document_infit`].
    pub infit: Option<f64>,
}

impl DocumentStats {
    /// The names of its columns in a table.
    pub(super) const HEADER: [&'static str; 8] =
        ["id", "utility", "se", "n", "wins", "ties", "losses", "infit"];

    /// Its row in a table.
    pub(super) fn row(&self) -> [String; 8] {
        let [utility, se] = [self.utility, self.se].map(|value| value.to_string());
        let [n, wins, ties, losses] =
            [self.n, self.wins, self.ties, self.losses].map(|count| count.to_string());
        let infit = self.infit.map_or_else(String::new, |infit| infit.to_string());
        [self.id.clone(), utility, se, n, wins, ties, losses, infit]
    }
}

/// Fits a log and counts. `gold` maps pairs of documents (by index, smaller first) to the answer for that order.
///
/// # Errors
/// As [`fit`].
pub fn stats(
    comparisons: &Comparisons,
    gold: &HashMap<(usize, usize), f64>,
    options: &StatsOptions,
) -> Result<Stats> {
    let n = comparisons.documents.len();
    let mut list = comparisons.list.clone();
    let mut weights = Vec::new();
    if options.weigh_judges {
        weights = judge_weights(n, comparisons.judges.len(), &list, options.fit)?;
        list.iter_mut().for_each(|comparison| comparison.weight = weights[comparison.judge]);
    }
    let fitted = fit(n, &list, options.fit, None)?;
    let errors = standard_errors(n, &list, &fitted)?;
    let halves = |by| split_half(n, &list, by, options.fit, options.divisions, options.seed);
    let agreement = agreement(&list);
    let judges = judge_stats(&comparisons.judges, &list, &fitted, &agreement, gold);
    let mut times: Vec<u64> = list.iter().filter_map(|comparison| comparison.ms).collect();
    let mut pairs: Vec<(usize, usize)> = list.iter().map(Comparison::unordered).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let unconnected_parts = n_parts(n, pairs.iter().copied());
    let scale_separation = scale_separation(&fitted.utilities, &errors);
    let split_half = halves(Halves::Judgements)?;
    // Where pairs are chosen by what is known so far, the first is too high.
    let known = [scale_separation, split_half.as_ref().and_then(|half| half.reliability)];
    let known = known.into_iter().flatten().reduce(f64::min);
    Ok(Stats {
        trust: Trust::of(list.len(), n, unconnected_parts, known),
        judgements: list.len(),
        ties: judges.iter().map(|judge| judge.ties).sum(),
        nu: fitted.nu,
        unconnected_parts,
        pairs: pairs.len(),
        scale_separation,
        split_half,
        split_half_judges: halves(Halves::Judges)?,
        sided: judges.iter().map(|judge| judge.sided).sum(),
        left: judges.iter().map(|judge| judge.left).sum(),
        median_ms: median(&mut times),
        agreement,
        documents: document_stats(&comparisons.documents, &list, &fitted, &errors),
        judges,
        judge_weights: weights,
    })
}

pub(super) fn document_stats(
    ids: &[String],
    list: &[Comparison],
    fit: &Fit,
    errors: &[f64],
) -> Vec<DocumentStats> {
    let infit = document_infit(ids.len(), list, fit);
    // Losses, ties, wins.
    let mut answers = vec![[0; 3]; ids.len()];
    for comparison in list {
        answers[comparison.a][(2.0 * comparison.y) as usize] += 1;
        answers[comparison.b][(2.0 - 2.0 * comparison.y) as usize] += 1;
    }
    let document = |(place, id): (usize, &String)| DocumentStats {
        id: id.clone(),
        utility: fit.utilities[place],
        se: errors[place],
        n: answers[place].iter().sum(),
        wins: answers[place][2],
        ties: answers[place][1],
        losses: answers[place][0],
        infit: infit[place],
    };
    ids.iter().enumerate().map(document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let by = |judge, a, b, y| Comparison {
            judge,
            a_left: Some(true),
            ms: Some(10),
            ..Comparison::new(a, b, y)
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let comparisons = Comparisons {
            documents: names(&["p", "q", "r", "s"]),
            judges: names(&["ann", "bob"]),
            list: vec![by(0, 0, 1, 1.0), by(1, 1, 0, 0.0), by(0, 1, 0, 0.5), by(1, 2, 3, 1.0)],
        };
        let stats = stats(&comparisons, &HashMap::new(), &StatsOptions::default()).unwrap();
        assert_eq!((stats.judgements, stats.pairs, stats.ties, stats.unconnected_parts), (4, 2, 1, 2));
        assert_eq!((stats.sided, stats.left, stats.median_ms), (3, 2, Some(10.0)));
        let p = &stats.documents[0];
        assert_eq!((p.n, p.wins, p.ties, p.losses), (3, 2, 1, 0));
        let q = &stats.documents[1];
        assert_eq!((q.n, q.wins, q.ties, q.losses), (3, 0, 1, 2));
        assert!(p.utility > 0.0 && (p.utility + q.utility).abs() < 1e-9);
        assert_eq!(stats.agreement.shared_pairs, 1);
        assert!(stats.judge_weights.is_empty());
        let csv = stats.fit_csv();
        assert!(csv.starts_with("id,utility,se,n,wins,ties,losses,infit\np,") && csv.lines().count() == 5);
        assert!(csv.lines().nth(1).unwrap().contains(",3,2,1,0,"), "{csv}");
        let weighed = StatsOptions { weigh_judges: true, ..Default::default() };
        assert_eq!(super::stats(&comparisons, &HashMap::new(), &weighed).unwrap().judge_weights.len(), 2);
    }
}
