//! How far two people agree, and how far a scorer can then agree with one of them.
//!
//! Classical test theory: a rating is a true score and an error that nothing explains, and the reliability of ratings is
//! the share of their variance that true scores have. With two ratings of each document, of equal variance and with errors
//! that are strangers to each other, their correlation estimates it. Quadratic weighted kappa of scores and ratings with
//! equal means is twice their covariance over the sum of their variances, which gives two ceilings from the reliability
//! `r` (Uto 2026, arXiv:2604.19131): a scorer that gives true scores, whose variance and covariance are `r` of that of the
//! ratings, reaches `2r / (1 + r)`, and one that errs as a single rater does reaches `r`.

use pair2score_data::{Grades, ScoreScale, pearson};
use pair2score_scorer::Raters;
use serde::{Deserialize, Serialize};

use super::{MetricsError, kappa_of_nearest, shown};

/// Two ratings of the same documents, the label and a second one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RaterAgreement {
    /// Documents with both.
    pub documents: usize,
    /// Kappa of both, at most 1; `None` where it is undefined.
    pub qwk: Option<f64>,
    /// Their correlation, -1 to 1; `None` where either is constant.
    pub reliability: Option<f64>,
    /// Kappa with a label of a scorer that gives true scores; `None` without grades, or where ratings share nothing.
    pub ceiling_perfect: Option<f64>,
    /// Kappa with a label of a scorer that errs as a single rater does; `None` as the other.
    pub ceiling_rater: Option<f64>,
}

impl RaterAgreement {
    /// Of labels and second ratings; `None` where no document has both.
    ///
    /// # Errors
    /// Unequal lengths, or a value that is not finite.
    pub fn new(
        labels: &[f64],
        second_ratings: &[Option<f64>],
        scale: &ScoreScale,
    ) -> Result<Option<Self>, MetricsError> {
        let both = labels.iter().zip(second_ratings).filter_map(|(label, second)| Some((*label, (*second)?)));
        let (labels, second): (Vec<f64>, Vec<f64>) = both.unzip();
        if labels.is_empty() {
            return Ok(None);
        }
        super::check(&labels, &second)?;
        let reliability = pearson(&labels, &second);
        let shared = reliability.filter(|r| *r > 0.0 && scale.grades().is_some());
        Ok(Some(Self {
            documents: labels.len(),
            qwk: scale.grades().and_then(|grades| kappa_of_nearest(&labels, &second, grades)),
            reliability,
            ceiling_perfect: shared.map(|r| 2.0 * r / (1.0 + r)),
            ceiling_rater: shared,
        }))
    }

    /// What two people and the best scorers reach, in words.
    pub fn summary(&self) -> String {
        let Self { documents, qwk, ceiling_perfect, ceiling_rater, .. } = self;
        format!(
            "two people agree at QWK {} on {documents} documents; a perfect scorer would reach {}, one that errs as a \
             single rater {}",
            shown(*qwk),
            shown(*ceiling_perfect),
            shown(*ceiling_rater)
        )
    }
}

/// Fewest documents that say how far raters lie apart.
const FEWEST: usize = 10;

/// How far labels and second ratings lie apart; `None` of fewer than ten documents with both.
pub(crate) fn between_ratings(
    labels: &[f64],
    second_ratings: &[Option<f64>],
    scale: &ScoreScale,
) -> Option<Raters> {
    let both = labels.iter().zip(second_ratings).filter_map(|(label, second)| Some((*label, (*second)?)));
    let both: Vec<(f64, f64)> = both.collect();
    let n = both.len() as f64;
    let steps = |grades: &Grades| -> Vec<usize> {
        let steps = |(a, b): &(f64, f64)| grades.index_nearest(*a).abs_diff(grades.index_nearest(*b));
        both.iter().map(steps).collect()
    };
    let steps = scale.grades().map(steps);
    let share = |most: usize| {
        let steps = steps.as_ref()?;
        Some(steps.iter().filter(|steps| **steps <= most).count() as f64 / n)
    };
    (both.len() >= FEWEST).then(|| Raters {
        documents: both.len(),
        difference: both.iter().map(|(a, b)| (a - b).abs()).sum::<f64>() / n,
        same: share(0),
        neighbours: share(1),
    })
}

/// How far two labels of a document would lie apart that have these standard errors: the mean distance of two normal
/// numbers with the deviation `s` is `2 s / sqrt(π)`. `None` of fewer than ten.
pub(crate) fn between_labels(errors: &[f64]) -> Option<Raters> {
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let difference = mean * 2.0 / std::f64::consts::PI.sqrt();
    (errors.len() >= FEWEST).then_some(Raters {
        documents: errors.len(),
        difference,
        same: None,
        neighbours: None,
    })
}

#[cfg(test)]
mod tests {
    use pair2score_data::rng::{stream, unit};

    use super::*;
    use crate::metrics::regression;

    #[test]
    fn agreement_by_hand() {
        // Deviations -1, 0, 1 and -1, 1, 0: a correlation of 1 / 2.
        let labels = [1.0, 2.0, 3.0, 4.0];
        let second = [Some(1.0), Some(3.0), Some(2.0), None];
        let found =
            RaterAgreement::new(&labels, &second, &ScoreScale::graded(1.0, 4.0, 1.0)).unwrap().unwrap();
        assert_eq!((found.documents, found.qwk), (3, Some(0.5)));
        assert!((found.reliability.unwrap() - 0.5).abs() < 1e-12);
        assert!((found.ceiling_perfect.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!((found.ceiling_rater.unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn distances_of_two_ratings_by_hand() {
        let labels = [2.0; 11];
        let mut second = [Some(2.0); 11];
        [second[0], second[1], second[2], second[10]] = [Some(2.5), Some(1.0), Some(3.0), None];
        let found = between_ratings(&labels, &second, &ScoreScale::graded(1.0, 5.0, 0.5)).unwrap();
        assert_eq!((found.documents, found.same, found.neighbours), (10, Some(0.7), Some(0.8)));
        assert!((found.difference - 0.25).abs() < 1e-12, "{found:?}");
        let continuous = between_ratings(&labels, &second, &ScoreScale::continuous(1.0, 5.0)).unwrap();
        assert_eq!((continuous.difference, continuous.same), (found.difference, None));
        assert_eq!(between_ratings(&labels[1..], &second[1..], &ScoreScale::default()), None);
    }

    #[test]
    fn standard_errors_say_what_two_draws_differ_by() {
        let mut rng = stream(36, &["raters"]);
        // Twelve uniform numbers have the deviation 1, and nearly a normal distribution.
        let mut normal = || (0..12).map(|_| unit(&mut rng)).sum::<f64>() - 6.0;
        let n = 40_000;
        let mean = (0..n).map(|_| 0.5 * (normal() - normal()).abs()).sum::<f64>() / f64::from(n);
        let found = between_labels(&[0.25, 0.75].repeat(5)).unwrap();
        assert!((found.difference - mean).abs() < 0.01, "{found:?}, {mean}");
        assert_eq!(between_labels(&[0.5; 9]), None);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let of =
            |second: [Option<f64>; 3], scale| RaterAgreement::new(&[1.0, 2.0, 3.0], &second, &scale).unwrap();
        let grades = ScoreScale::graded(1.0, 4.0, 1.0);
        assert_eq!(of([None; 3], grades), None);
        let against = of([Some(3.0), Some(2.0), Some(1.0)], grades).unwrap();
        assert_eq!((against.qwk, against.ceiling_perfect, against.ceiling_rater), (Some(-1.0), None, None));
        assert_eq!(of([Some(2.0); 3], grades).unwrap().reliability, None);
        let number = of([Some(1.0), Some(2.0), Some(3.0)], ScoreScale::continuous(1.0, 4.0)).unwrap();
        assert_eq!((number.qwk, number.reliability, number.ceiling_perfect), (None, Some(1.0), None));
    }

    #[test]
    fn scorers_reach_their_ceilings_in_a_simulation() {
        let scale = ScoreScale::graded(0.0, 100.0, 1.0);
        let mut rng = stream(36, &["raters"]);
        let mut error = |width: f64| width * (unit(&mut rng) + unit(&mut rng) - 1.0);
        let truth: Vec<f64> = (0..20_000).map(|_| 50.0 + error(25.0)).collect();
        let mut rated = || -> Vec<f64> { truth.iter().map(|truth| truth + error(20.0)).collect() };
        let (label, second, like_a_rater) = (rated(), rated(), rated());
        let second: Vec<Option<f64>> = second.into_iter().map(Some).collect();
        let found = RaterAgreement::new(&label, &second, &scale).unwrap().unwrap();
        let reached = |scores: &[f64]| regression(&label, scores, &scale).unwrap().qwk_nearest.unwrap();
        assert!((found.reliability.unwrap() - 625.0 / 1025.0).abs() < 0.01, "{found:?}");
        assert!((reached(&truth) - found.ceiling_perfect.unwrap()).abs() < 0.01, "{found:?}");
        assert!((reached(&like_a_rater) - found.ceiling_rater.unwrap()).abs() < 0.02, "{found:?}");
    }
}
