//! How far utilities can be trusted: scale separation, split halves, and fit of documents and judges.

use serde::Serialize;

use super::{Comparison, Fit, FitOptions, fit};
use crate::correlation::pearson;
use crate::error::Result;
use crate::rng;

/// Reliability of the means of a posterior: the share of the variance of utilities that is known,
/// var(m) / (var(m) + mean(v)) with means m and variances v, n − 1 in the variance. Unlike [`scale_separation`] it is for
/// means that are shrunken by their prior, and from 0 to 1. `None` for fewer than two documents.
pub fn posterior_reliability(means: &[f64], standard_errors: &[f64]) -> Option<f64> {
    let n = means.len() as f64;
    if means.len() < 2 {
        return None;
    }
    let mean = means.iter().sum::<f64>() / n;
    let told = means.iter().map(|utility| (utility - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let open = standard_errors.iter().map(|error| error * error).sum::<f64>() / n;
    Some(told / (told + open)).filter(|share| share.is_finite())
}

/// Scale separation reliability: the share of the variance of the utilities that is not error,
/// (var(u) − mean(se²)) / var(u), with n − 1 in the variance. At most 1; negative where error exceeds spread. `None`
/// for fewer than two documents or equal utilities.
///
/// It takes the errors at their word. Adaptive selection gives each document opponents that match its luck so far, which
/// widens the scale and inflates the coefficient (Bramley 2015): show it with [`split_half`] beside it.
pub fn scale_separation(utilities: &[f64], standard_errors: &[f64]) -> Option<f64> {
    let n = utilities.len() as f64;
    if utilities.len() < 2 {
        return None;
    }
    let mean = utilities.iter().sum::<f64>() / n;
    let variance = utilities.iter().map(|utility| (utility - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = standard_errors.iter().map(|error| error * error).sum::<f64>() / n;
    (variance > 0.0).then(|| (variance - error) / variance)
}

/// What is divided into halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Halves {
    /// The judgements, whoever made them.
    Judgements,
    /// The judges, each with all judgements: what another panel would say.
    Judges,
}

/// Reliability from fits to random halves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SplitHalf {
    /// The mean correlation (Pearson) of the utilities of two halves.
    pub correlation: f64,
    /// The standard deviation of that correlation over the divisions.
    pub sd: f64,
    /// 2 r / (1 + r) of the mean correlation r, −1 to 1: what the whole promises (Spearman 1910, Brown 1910). `None`
    /// where the halves contradict each other so far, r below −1/3, that the formula gives no coefficient.
    pub reliability: Option<f64>,
    /// Divisions that gave a correlation.
    pub divisions: usize,
}

/// Divides comparisons of `n` documents at random `divisions` times, fits each half and correlates the utilities of the
/// documents that both have. `None` where no division leaves three such documents, or there are fewer than two judges
/// to divide.
///
/// # Errors
/// As [`fit`].
pub fn split_half(
    n: usize,
    list: &[Comparison],
    by: Halves,
    options: FitOptions,
    divisions: usize,
    seed: u64,
) -> Result<Option<SplitHalf>> {
    let of_judge = |comparison: &Comparison| comparison.judge;
    let n_groups = match by {
        Halves::Judgements => list.len(),
        Halves::Judges => list.iter().map(of_judge).max().map_or(0, |last| last + 1),
    };
    let mut values = Vec::new();
    for division in 0..divisions {
        let mut order: Vec<usize> = (0..n_groups).collect();
        rng::shuffle(&mut rng::stream(seed, &["split-half", &division.to_string()]), &mut order);
        let mut second = vec![false; n_groups];
        order.iter().take(n_groups / 2).for_each(|&group| second[group] = true);
        let mut halves = [Vec::new(), Vec::new()];
        for (place, comparison) in list.iter().enumerate() {
            let group = match by {
                Halves::Judgements => place,
                Halves::Judges => comparison.judge,
            };
            halves[usize::from(second[group])].push(*comparison);
        }
        values.extend(correlate_halves(n, &halves, options)?);
    }
    if values.is_empty() {
        return Ok(None);
    }
    let count = values.len() as f64;
    let correlation = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - correlation).powi(2)).sum();
    Ok(Some(SplitHalf {
        correlation,
        sd: (squares / (count - 1.0).max(1.0)).sqrt(),
        reliability: spearman_brown(correlation),
        divisions: values.len(),
    }))
}

/// The reliability of a whole whose halves correlate by `r`; `None` where that is no number from −1 to 1.
fn spearman_brown(r: f64) -> Option<f64> {
    let reliability = 2.0 * r / (1.0 + r);
    // The bound itself may be missed by a rounding error.
    (reliability >= -1.0 - f64::EPSILON).then(|| reliability.clamp(-1.0, 1.0))
}

fn correlate_halves(n: usize, halves: &[Vec<Comparison>; 2], options: FitOptions) -> Result<Option<f64>> {
    let mut seen = [vec![false; n], vec![false; n]];
    for (half, seen) in halves.iter().zip(&mut seen) {
        for comparison in half {
            seen[comparison.a] = true;
            seen[comparison.b] = true;
        }
    }
    let shared: Vec<usize> = (0..n).filter(|&document| seen[0][document] && seen[1][document]).collect();
    if shared.len() < 3 {
        return Ok(None);
    }
    let mut utilities = [Vec::new(), Vec::new()];
    for (half, utilities) in halves.iter().zip(&mut utilities) {
        let fitted = fit(n, half, options, None)?;
        utilities.extend(shared.iter().map(|&document| fitted.utilities[document]));
    }
    Ok(pearson(&utilities[0], &utilities[1]))
}

/// Infit mean square of each of `n` documents: Σ (x − E x)² / Σ Var x over its comparisons. 1 is what the model expects;
/// well above it, judges disagree about the document more than its utility explains. `None` without comparisons.
pub fn document_infit(n: usize, list: &[Comparison], fit: &Fit) -> Vec<Option<f64>> {
    infit(n, list, fit, |comparison| [comparison.a, comparison.b])
}

/// Infit mean square of each of `n_judges` judges, as [`document_infit`]; well above 1, a judge answers otherwise than
/// the utilities that all judges gave.
pub fn judge_infit(n_judges: usize, list: &[Comparison], fit: &Fit) -> Vec<Option<f64>> {
    infit(n_judges, list, fit, |comparison| [comparison.judge])
}

fn infit<const G: usize>(
    n_groups: usize,
    list: &[Comparison],
    fit: &Fit,
    groups: impl Fn(&Comparison) -> [usize; G],
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); n_groups];
    for comparison in list {
        let chances = fit.chances(comparison.a, comparison.b);
        let square = (comparison.y - chances.expected()).powi(2);
        for group in groups(comparison) {
            sums[group].0 += square;
            sums[group].1 += chances.variance();
        }
    }
    sums.into_iter().map(|(squares, variances)| (variances > 0.0).then(|| squares / variances)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separation_by_hand() {
        // The variance of 1, 2, 3 is 1; the mean square of the errors 0.5, 0.5, 0.1 is 0.17.
        let value = scale_separation(&[1.0, 2.0, 3.0], &[0.5, 0.5, 0.1]).unwrap();
        assert!((value - 0.83).abs() < 1e-15);
        assert_eq!(scale_separation(&[1.0], &[0.1]), None);
        assert_eq!(scale_separation(&[1.0, 1.0], &[0.1, 0.1]), None);
        assert!(scale_separation(&[1.0, 1.1], &[1.0, 1.0]).unwrap() < 0.0);
    }

    #[test]
    fn infit_by_hand() {
        // At equal utilities E x = 1/2 and Var x = 1/4 without ties: every answer has x − E x = ±1/2.
        let fit = Fit {
            utilities: vec![0.0, 0.0, 2.0 * 2.0_f64.ln()],
            coefficients: Vec::new(),
            nu: 0.0,
            options: FitOptions::default(),
        };
        let list = [Comparison::new(0, 1, 1.0), Comparison { judge: 1, ..Comparison::new(2, 0, 0.0) }];
        // The second: P = 4/5, so (0 − 4/5)² = 16/25 against 4/25.
        let documents = document_infit(4, &list, &fit);
        assert!((documents[0].unwrap() - (0.25 + 0.64) / (0.25 + 0.16)).abs() < 1e-12);
        assert!((documents[1].unwrap() - 1.0).abs() < 1e-12);
        assert!((documents[2].unwrap() - 4.0).abs() < 1e-12);
        assert_eq!(documents[3], None);
        let judges = judge_infit(2, &list, &fit);
        assert!((judges[0].unwrap() - 1.0).abs() < 1e-12 && (judges[1].unwrap() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_whole_of_contrary_halves_promises_nothing() {
        // By hand: 2 · 0.5 / 1.5, and 2 · (−0.25) / 0.75; below −1/3 the formula leaves the range of a correlation.
        for (correlation, expected) in [
            (0.5, Some(2.0 / 3.0)),
            (-0.25, Some(-2.0 / 3.0)),
            (-1.0 / 3.0, Some(-1.0)),
            (-0.34, None),
            (-0.923, None),
            (-1.0, None),
        ] {
            let found = spearman_brown(correlation);
            let close = |expected: f64| found.is_some_and(|found| (found - expected).abs() < 1e-12);
            assert!(expected.map_or(found.is_none(), close), "{correlation}: {found:?}");
        }
        // Two judges who contradict each other everywhere.
        let answers = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (0, 3, 1.0)];
        let list: Vec<Comparison> = (0..2)
            .flat_map(|judge| {
                let y = |y: f64| if judge == 0 { y } else { 1.0 - y };
                answers.map(|(a, b, answer)| Comparison { judge, ..Comparison::new(a, b, y(answer)) })
            })
            .collect();
        let split = split_half(4, &list, Halves::Judges, FitOptions::default(), 3, 1).unwrap().unwrap();
        assert!((split.correlation + 1.0).abs() < 1e-9, "{split:?}");
        assert_eq!(split.reliability, None);
    }

    #[test]
    fn halves_that_share_nothing_are_undefined() {
        let split = |list: &[Comparison], by| split_half(4, list, by, FitOptions::default(), 5, 1).unwrap();
        assert_eq!(split(&[], Halves::Judgements), None);
        assert_eq!(split(&[Comparison::new(0, 1, 1.0)], Halves::Judgements), None);
        let one_judge = [Comparison::new(0, 1, 1.0), Comparison::new(1, 2, 1.0), Comparison::new(2, 3, 1.0)];
        assert_eq!(split(&one_judge, Halves::Judges), None);
    }

    #[test]
    fn equal_halves_correlate_fully() {
        // Two judges who said the same: each half is one of them.
        let answers = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 0.0), (0, 3, 1.0)];
        let list: Vec<Comparison> = (0..2)
            .flat_map(|judge| answers.map(|(a, b, y)| Comparison { judge, ..Comparison::new(a, b, y) }))
            .collect();
        let split = split_half(4, &list, Halves::Judges, FitOptions::default(), 3, 1).unwrap().unwrap();
        assert!((split.reliability.unwrap() - 1.0).abs() < 1e-9 && split.sd < 1e-9);
        assert_eq!(split.divisions, 3);
    }
}
