//! How far judges can be trusted: consistency, care, position, pace, and weights that follow.

use std::collections::HashMap;

use serde::Serialize;

use super::davidson::Chances;
use super::{Agreement, Comparison, Fit, FitOptions, fit, judge_infit};
use crate::error::Result;

/// The account of one judge. A share is given as its parts, so that 1 of 1 does not look like 100 of 100.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeStats {
    /// The name.
    pub judge: String,
    /// Answers.
    pub judgements: usize,
    /// Answers that were ties.
    pub ties: usize,
    /// Answers that were no ties and whose sides are known.
    pub sided: usize,
    /// Of those, how many chose the document on the left.
    pub left: usize,
    /// Answers to a pair that the same judge had answered before.
    pub repeats: usize,
    /// Of those, how many agree with the answer before.
    pub consistent: usize,
    /// Answers of others to pairs that this judge answered too.
    pub compared: usize,
    /// Of those, how many are equal to this judge's.
    pub agreed: usize,
    /// Answers to pairs whose right answer is known.
    pub gold: usize,
    /// Of those, how many are right.
    pub gold_right: usize,
    /// The median of the times that are known, milliseconds.
    pub median_ms: Option<f64>,
    /// See [`judge_infit`].
    pub infit: Option<f64>,
}

/// The accounts of judges, in the order of their names in `judges`. `gold` maps pairs of documents (smaller index first)
/// to the answer for that order; `agreement` is that of the same list.
pub fn judge_stats(
    judges: &[String],
    list: &[Comparison],
    fit: &Fit,
    agreement: &Agreement,
    gold: &HashMap<(usize, usize), f64>,
) -> Vec<JudgeStats> {
    let infit = judge_infit(judges.len(), list, fit);
    let mut before: HashMap<(usize, (usize, usize)), f64> = HashMap::new();
    let mut times: Vec<Vec<u64>> = vec![Vec::new(); judges.len()];
    let empty = |(place, (judge, infit)): (usize, (&String, &Option<f64>))| {
        let (compared, agreed) = agreement.of_judge(place);
        JudgeStats {
            judge: judge.clone(),
            judgements: 0,
            ties: 0,
            sided: 0,
            left: 0,
            repeats: 0,
            consistent: 0,
            compared,
            agreed,
            gold: 0,
            gold_right: 0,
            median_ms: None,
            infit: *infit,
        }
    };
    let mut stats: Vec<JudgeStats> = judges.iter().zip(&infit).enumerate().map(empty).collect();
    for comparison in list {
        let of_judge = &mut stats[comparison.judge];
        let answer = comparison.y_unordered();
        of_judge.judgements += 1;
        if comparison.y == 0.5 {
            of_judge.ties += 1;
        } else if let Some(a_left) = comparison.a_left {
            of_judge.sided += 1;
            of_judge.left += usize::from(a_left == (comparison.y == 1.0));
        }
        if let Some(earlier) = before.insert((comparison.judge, comparison.unordered()), answer) {
            of_judge.repeats += 1;
            of_judge.consistent += usize::from(earlier == answer);
        }
        if let Some(&right) = gold.get(&comparison.unordered()) {
            of_judge.gold += 1;
            of_judge.gold_right += usize::from(right == answer);
        }
        times[comparison.judge].extend(comparison.ms);
    }
    for (stats, times) in stats.iter_mut().zip(&mut times) {
        stats.median_ms = median(times);
    }
    stats
}

/// Sorts; the mean of the middle two where their number is even.
pub(super) fn median(values: &mut [u64]) -> Option<f64> {
    values.sort_unstable();
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] as f64 + values[high] as f64) / 2.0)
}

/// Sharpness of a judge is known to this much before any answer: 1 ± 0.5.
const SHARPNESS_SD: f64 = 0.5;
/// Nobody counts for less than this or more than that, relative to the model.
const SHARPNESS_RANGE: (f64, f64) = (0.05, 4.0);

/// Reliability weights of judges, above 0: their mean over the judgements is 1, so that they change what counts and
/// not how much.
///
/// A judge's weight is the factor on the utilities of all *other* judges that explains the answers best (its prior is
/// normal around 1): a guesser's is near 0. Near d = 0 a judgement of such a judge has that weight's share of the
/// gradient. With one judge it is 1.
///
/// # Errors
/// As [`fit`].
pub fn judge_weights(
    n: usize,
    n_judges: usize,
    list: &[Comparison],
    options: FitOptions,
) -> Result<Vec<f64>> {
    let mut counts = vec![0.0; n_judges];
    list.iter().for_each(|comparison| counts[comparison.judge] += 1.0);
    if counts.iter().filter(|&&count| count > 0.0).count() < 2 {
        return Ok(vec![1.0; n_judges]);
    }
    let whole = fit(n, list, options, None)?;
    let mut weights = Vec::with_capacity(n_judges);
    for judge in 0..n_judges {
        let (own, others): (Vec<Comparison>, Vec<Comparison>) = list.iter().partition(|c| c.judge == judge);
        let others = fit(n, &others, options, Some(&whole))?;
        // Ties are a habit of the whole panel; one judge's others may have none.
        weights.push(sharpness(&own, &Fit { nu: whole.nu, ..others }));
    }
    let total: f64 = weights.iter().zip(&counts).map(|(weight, count)| weight * count).sum();
    let mean = total / list.len() as f64;
    Ok(weights.into_iter().map(|weight| weight / mean).collect())
}

/// The factor on utility differences at which the posterior of the answers is largest, by bisection of its slope.
fn sharpness(list: &[Comparison], fit: &Fit) -> f64 {
    let slope = |factor: f64| {
        let of_answer = |comparison: &Comparison| {
            let logit = fit.utilities[comparison.a] - fit.utilities[comparison.b];
            logit * (comparison.y - Chances::new(factor * logit, fit.nu).expected())
        };
        list.iter().map(of_answer).sum::<f64>() - (factor - 1.0) / SHARPNESS_SD.powi(2)
    };
    let (mut low, mut high) = SHARPNESS_RANGE;
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::{agreement, simulate};
    use crate::rng;

    #[test]
    fn accounts_by_hand() {
        let shown = |a, b, y, a_left, ms| Comparison {
            a_left: Some(a_left),
            ms: Some(ms),
            ..Comparison::new(a, b, y)
        };
        let list = [
            shown(0, 1, 1.0, true, 100),
            // The same pair, written and shown the other way round: the same document again, and now it was on the right.
            shown(1, 0, 0.0, true, 300),
            shown(0, 1, 0.5, true, 200),
            shown(2, 1, 0.0, false, 500),
            Comparison { judge: 1, ..Comparison::new(0, 2, 1.0) },
            // Ann's first answer to this pair was another one.
            Comparison { judge: 1, ..Comparison::new(1, 0, 1.0) },
            Comparison { judge: 2, ..Comparison::new(0, 1, 1.0) },
        ];
        let fit = Fit {
            utilities: vec![0.0; 3],
            coefficients: Vec::new(),
            nu: 0.0,
            options: FitOptions::default(),
        };
        // Document 0 is better than 1, 2 better than 1.
        let gold = HashMap::from([((0, 1), 1.0), ((1, 2), 0.0)]);
        let stats =
            judge_stats(&["ann", "bob", "cy"].map(str::to_owned), &list, &fit, &agreement(&list), &gold);
        let ann = &stats[0];
        assert_eq!((ann.judgements, ann.ties, ann.sided, ann.left), (4, 1, 3, 2));
        assert_eq!((ann.repeats, ann.consistent, ann.gold, ann.gold_right), (2, 1, 4, 2));
        assert_eq!(ann.median_ms, Some(250.0));
        let bob = &stats[1];
        assert_eq!((bob.judgements, bob.sided, bob.repeats, bob.gold, bob.median_ms), (2, 0, 0, 1, None));
        // Of the pair (0, 1) each of three judges has two answers of others; Cy agrees with Ann.
        let agreed: Vec<_> = stats.iter().map(|judge| (judge.compared, judge.agreed)).collect();
        assert_eq!(agreed, [(2, 1), (2, 0), (2, 1)]);
        assert_eq!(bob.infit, Some(1.0));
    }

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [7]), Some(7.0));
        assert_eq!(median(&mut [9, 1, 4]), Some(4.0));
        assert_eq!(median(&mut [9, 1, 4, 5]), Some(4.5));
    }

    #[test]
    fn a_guesser_weighs_less_and_the_mean_is_1() {
        let mut rng = rng::stream(3, &["judges"]);
        let n = 30;
        let truth: Vec<f64> = (0..n).map(|_| 2.0 * simulate::normal(&mut rng)).collect();
        let mut list = Vec::new();
        for judge in 0..4 {
            let sharpness = if judge == 3 { 0.0 } else { 1.0 };
            for _ in 0..150 {
                let a = rng::below(&mut rng, n);
                let b = (a + 1 + rng::below(&mut rng, n - 1)) % n;
                let y = simulate::answer(truth[a], truth[b], 0.3, sharpness, &mut rng);
                list.push(Comparison { judge, ..Comparison::new(a, b, y) });
            }
        }
        let weights = judge_weights(n, 4, &list, FitOptions::default()).unwrap();
        assert!(weights[..3].iter().all(|&weight| weight > 4.0 * weights[3]), "{weights:?}");
        assert!((weights.iter().sum::<f64>() / 4.0 - 1.0).abs() < 1e-12, "equal numbers of answers");
        assert_eq!(judge_weights(n, 1, &[Comparison::new(0, 1, 1.0)], FitOptions::default()).unwrap(), [1.0]);
    }
}
