//! How good predictions are: pure functions over slices.
//!
//! Degenerate input is an error; a metric that is undefined for valid input is `None`, never 0.
//!
//! Two kappas are reported, since papers differ. *Nearest* puts every value on the nearest grade of the scale and
//! weighs disagreements by the distance of the grades. *Floor*, the published form, takes the highest grade not
//! above the value, clamped to the scale, and then numbers only the grades that occur in labels or predictions:
//! a grade nobody uses shortens the distance between its neighbours. That is scikit-learn's `cohen_kappa_score`
//! without `labels`. The two agree on scores that are grades only if every grade in between occurs. On a continuous
//! scale there are no grades and no kappas.

pub(crate) mod raters;
mod words;

use pair2score_data::{Grades, ScoreScale, pearson};
use serde::{Deserialize, Serialize};

pub use raters::RaterAgreement;
pub use words::ConstantPredictions;
pub(crate) use words::shown;

/// Why a metric cannot be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Nothing to measure.
    #[error("no values to compare, give at least one")]
    Empty,
    /// The slices do not belong together.
    #[error("{n_true} labels but {n_predicted} predictions, give one prediction per label")]
    Lengths {
        /// Number of labels.
        n_true: usize,
        /// Number of predictions.
        n_predicted: usize,
    },
    /// A value is infinite or not a number.
    #[error(
        "{what} {index} is {value}, not a finite number; training may have diverged, lower the learning rate"
    )]
    NotFinite {
        /// `label` or `prediction`.
        what: &'static str,
        /// Its place, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
}

/// Stage-2 metrics of one split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    /// Mean absolute error of the raw scores, in score units.
    pub mae: f64,
    /// Root mean squared error of the raw scores, in score units.
    pub rmse: f64,
    /// Share of the labels' variance that the scores explain, at most 1; below 0 for scores that err more than the mean
    /// of the labels would. `None` if the labels are constant.
    #[serde(default)]
    pub r2: Option<f64>,
    /// Kappa over nearest grades, at most 1; `None` without grades too. See the module.
    pub qwk_nearest: Option<f64>,
    /// Kappa over floored grades that occur, at most 1; `None` without grades too. See the module.
    pub qwk_floor: Option<f64>,
    /// Correlation, -1 to 1; `None` if either side is constant.
    pub pearson: Option<f64>,
    /// Correlation of the ranks, ties sharing their mean; `None` if either side is constant.
    pub spearman: Option<f64>,
    /// Number of documents.
    pub n: usize,
}

/// Compares predictions with labels, both in score units; `scale` must have passed its validation.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn regression(
    y_true: &[f64],
    y_pred: &[f64],
    scale: &ScoreScale,
) -> Result<RegressionMetrics, MetricsError> {
    check(y_true, y_pred)?;
    let n = y_true.len();
    let mean = |error: fn(f64) -> f64| {
        y_true.iter().zip(y_pred).map(|(label, score)| error(score - label)).sum::<f64>() / n as f64
    };
    Ok(RegressionMetrics {
        mae: mean(f64::abs),
        rmse: mean(|error| error * error).sqrt(),
        r2: r_squared(y_true, y_pred),
        qwk_nearest: scale.grades().and_then(|grades| kappa_of_nearest(y_true, y_pred, grades)),
        qwk_floor: scale.grades().and_then(|grades| kappa_of_floored(y_true, y_pred, grades)),
        pearson: pearson(y_true, y_pred),
        spearman: pearson(&ranks(y_true), &ranks(y_pred)),
        n,
    })
}

/// The share of the labels' variance that scores explain, at most 1; `None` where the labels are all the same.
pub fn r_squared(y_true: &[f64], y_pred: &[f64]) -> Option<f64> {
    let mean = y_true.iter().sum::<f64>() / y_true.len() as f64;
    let squares = y_true.iter().map(|label| (label - mean).powi(2)).sum::<f64>();
    let errors = y_true.iter().zip(y_pred).map(|(label, score)| (label - score).powi(2)).sum::<f64>();
    let differ = y_true.iter().any(|label| *label != y_true[0]);
    (differ && squares > 0.0).then(|| 1.0 - errors / squares)
}

fn kappa_of_nearest(y_true: &[f64], y_pred: &[f64], grades: &Grades) -> Option<f64> {
    let [labels, given] = bins([y_true, y_pred], grades, Grades::index_nearest);
    quadratic_weighted_kappa(&labels, &given, grades.n_grades())
}

fn kappa_of_floored(y_true: &[f64], y_pred: &[f64], grades: &Grades) -> Option<f64> {
    let floored = bins([y_true, y_pred], grades, Grades::index_floor);
    let ([labels, given], n_occurring) = squeeze(floored, grades.n_grades());
    quadratic_weighted_kappa(&labels, &given, n_occurring)
}

/// Indices of the grades of both sides.
fn bins(sides: [&[f64]; 2], grades: &Grades, bin: fn(&Grades, f64) -> usize) -> [Vec<usize>; 2] {
    sides.map(|values| values.iter().map(|&value| bin(grades, value)).collect())
}

pub(crate) fn check(y_true: &[f64], y_pred: &[f64]) -> Result<(), MetricsError> {
    if y_true.len() != y_pred.len() {
        return Err(MetricsError::Lengths { n_true: y_true.len(), n_predicted: y_pred.len() });
    }
    if y_true.is_empty() {
        return Err(MetricsError::Empty);
    }
    for (what, values) in [("label", y_true), ("prediction", y_pred)] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(MetricsError::NotFinite { what, index, value: values[index] });
        }
    }
    Ok(())
}

/// Renumbers the classes that occur on either side from 0 without gaps; also returns how many those are.
fn squeeze(sides: [Vec<usize>; 2], n_classes: usize) -> ([Vec<usize>; 2], usize) {
    let mut occurs = vec![false; n_classes];
    sides.iter().flatten().for_each(|&class| occurs[class] = true);
    let mut n_occurring = 0;
    let numbers: Vec<usize> = occurs
        .iter()
        .map(|&occurs| {
            let number = n_occurring;
            n_occurring += usize::from(occurs);
            number
        })
        .collect();
    (sides.map(|side| side.into_iter().map(|class| numbers[class]).collect()), n_occurring)
}

/// Mean, and the standard deviation of the sample (n − 1), which needs two values; `None` of no values.
pub fn mean_sd(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())))
}

/// Cohen's kappa with quadratic weights, 1 - (observed / chance disagreement), over classes 0 to `n - 1`.
///
/// With w = (i - j)², the mean disagreement by chance is mean(a²) + mean(b²) - 2 mean(a) mean(b), so no matrix is
/// needed and all sums are exact integers. `None` if there is no disagreement by chance (both sides always the
/// same class), and for slices that are empty, of unequal length or with a class beyond `n - 1`.
pub fn quadratic_weighted_kappa(a: &[usize], b: &[usize], n: usize) -> Option<f64> {
    if a.len() != b.len() || a.iter().chain(b).any(|&class| class >= n) {
        return None;
    }
    // 128 bits hold every product for class numbers below 2^32 and slices shorter than 2^30.
    let sum = |values: &[usize]| values.iter().map(|&class| class as u128).sum::<u128>();
    let squares = |values: &[usize]| values.iter().map(|&class| (class as u128).pow(2)).sum::<u128>();
    let observed: u128 = a.iter().zip(b).map(|(&a, &b)| (a.abs_diff(b) as u128).pow(2)).sum();
    let count = a.len() as u128;
    let by_chance = count * (squares(a) + squares(b)) - 2 * sum(a) * sum(b);
    (by_chance > 0).then(|| 1.0 - (count * observed) as f64 / by_chance as f64)
}

/// Ranks from 0; ties share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = start as f64 + (tied.len() - 1) as f64 / 2.0;
        tied.iter().for_each(|&place| ranks[place] = mean);
        start += tied.len();
    }
    ranks
}

/// Share of pairs ordered rightly, 0 to 1: the logit u(a) - u(b) has the sign that the label asks for.
///
/// A label is the preference for a: above 0.5 for a, below for b, and 0.5 is a tie, which does not count. A logit
/// of 0 counts half. `None` without a pair that counts.
///
/// # Errors
/// Unequal lengths, or a value that is not finite.
pub fn pair_accuracy(logits: &[f64], labels: &[f64]) -> Result<Option<f64>, MetricsError> {
    if labels.is_empty() && logits.is_empty() {
        return Ok(None);
    }
    check(labels, logits)?;
    let mut tally = Tally::default();
    for (logit, label) in logits.iter().zip(labels) {
        tally.add(*logit, label - 0.5);
    }
    Ok(tally.share())
}

/// As [`pair_accuracy`], over all pairs of documents whose labels differ. Quadratic in the number of documents.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn pair_accuracy_from_scores(y_true: &[f64], y_pred: &[f64]) -> Result<Option<f64>, MetricsError> {
    check(y_true, y_pred)?;
    let mut tally = Tally::default();
    for a in 0..y_true.len() {
        for b in 0..a {
            tally.add(y_pred[a] - y_pred[b], y_true[a] - y_true[b]);
        }
    }
    Ok(tally.share())
}

/// Counts orders in halves, which are exact.
#[derive(Default)]
struct Tally {
    halves_right: u64,
    pairs: u64,
}

impl Tally {
    /// Only the signs count; an expected 0 is a tie.
    fn add(&mut self, given: f64, expected: f64) {
        if expected != 0.0 {
            self.pairs += 1;
            self.halves_right +=
                if given == 0.0 { 1 } else { 2 * u64::from((given > 0.0) == (expected > 0.0)) };
        }
    }

    fn share(self) -> Option<f64> {
        (self.pairs > 0).then(|| self.halves_right as f64 / (2 * self.pairs) as f64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scorer/tests/fixtures/oracle/expected.json");
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = fixture["metrics"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let [min, max, step] = ["min", "max", "step"].map(|key| case[key].as_f64().unwrap());
            let scale = ScoreScale::graded(min, max, step);
            let metrics = regression(&numbers(&case["y_true"]), &numbers(&case["y_pred"]), &scale).unwrap();
            for (key, value) in [
                ("mae", Some(metrics.mae)),
                ("rmse", Some(metrics.rmse)),
                ("qwk_floor_bins", metrics.qwk_floor),
                ("qwk_nearest_grade", metrics.qwk_nearest),
            ] {
                match (value, case[key].as_f64()) {
                    // The order of the additions is the only difference.
                    (Some(value), Some(expected)) => {
                        assert!((value - expected).abs() < 1e-9, "{key}: {value}, expected {expected}");
                    }
                    (value, expected) => assert_eq!(value, expected, "{key}"),
                }
            }
        }
    }

    #[test]
    fn kappa_of_three_by_hand() {
        // Observed 0 + 1 + 0; by chance 3·(5 + 8) - 2·3·4 = 15; so 1 - 3·1 / 15.
        assert_eq!(quadratic_weighted_kappa(&[0, 1, 2], &[0, 2, 2], 3), Some(0.8));
    }

    #[test]
    fn kappa_of_opposites_is_minus_one() {
        assert_eq!(quadratic_weighted_kappa(&[0, 1], &[1, 0], 2), Some(-1.0));
    }

    #[test]
    fn kappa_without_chance_disagreement_is_undefined() {
        assert_eq!(quadratic_weighted_kappa(&[2, 2], &[2, 2], 3), None);
        assert_eq!(quadratic_weighted_kappa(&[], &[], 3), None);
    }

    #[test]
    fn kappa_of_a_constant_guess_is_zero() {
        assert_eq!(quadratic_weighted_kappa(&[0, 1, 2], &[1, 1, 1], 3), Some(0.0));
    }

    #[test]
    fn kappa_refuses_what_it_cannot_count() {
        assert_eq!(quadratic_weighted_kappa(&[0, 1], &[0], 3), None);
        assert_eq!(quadratic_weighted_kappa(&[0, 3], &[0, 1], 3), None);
    }

    #[test]
    fn an_unused_grade_shortens_distances_for_floor_only() {
        let labels = [1.0, 1.0, 5.0, 4.5];
        let metrics = regression(&labels, &[1.0, 4.5, 5.0, 5.0], &ScoreScale::default()).unwrap();
        // Numbered 0, 0, 2, 1 and 0, 1, 2, 2: 1 - 4·2 / (4·(5 + 9) - 2·3·5).
        assert_eq!(metrics.qwk_floor, Some(1.0 - 8.0 / 26.0));
        // Grades 0, 0, 8, 7 and 0, 7, 8, 8: 1 - 4·50 / (4·(113 + 177) - 2·15·23).
        assert_eq!(metrics.qwk_nearest, Some(1.0 - 200.0 / 470.0));
    }

    #[test]
    fn errors_by_hand() {
        let metrics = regression(&[1.0, 2.0], &[2.0, 4.0], &ScoreScale::default()).unwrap();
        assert_eq!((metrics.mae, metrics.rmse, metrics.n), (1.5, 2.5_f64.sqrt(), 2));
    }

    #[test]
    fn explained_variance_by_hand() {
        let of = |scores: &[f64]| regression(&[1.0, 2.0, 3.0], scores, &ScoreScale::default()).unwrap().r2;
        // Squared errors 0, 1, 0 of squared deviations 1, 0, 1.
        assert_eq!(of(&[1.0, 3.0, 3.0]), Some(0.5));
        // The mean explains nothing, and worse than the mean is below 0.
        assert_eq!((of(&[2.0; 3]), of(&[3.0, 2.0, 1.0])), (Some(0.0), Some(-3.0)));
        let constant = regression(&[2.0, 2.0], &[1.0, 2.0], &ScoreScale::default()).unwrap();
        assert_eq!(constant.r2, None);
    }

    #[test]
    fn a_continuous_scale_has_no_kappas() {
        let scale = ScoreScale::continuous(-4.0, 2.0);
        let metrics = regression(&[-1.5, 0.25], &[-1.0, 0.5], &scale).unwrap();
        assert_eq!((metrics.qwk_nearest, metrics.qwk_floor), (None, None));
        assert_eq!((metrics.pearson, metrics.mae), (Some(1.0), 0.375));
    }

    #[test]
    fn correlations_by_hand() {
        let metrics = regression(&[1.0, 2.0, 3.0], &[1.0, 2.0, 9.0], &ScoreScale::default()).unwrap();
        // Deviations -1, 0, 1 and -3, -2, 5: 8 / √(2 · 38). The last digits depend on the roots.
        assert!((metrics.pearson.unwrap() - 8.0 / 76.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(metrics.spearman, Some(1.0));
    }

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 5.0, 0.0]), [3.0, 1.0, 3.0, 3.0, 0.0]);
    }

    #[test]
    fn correlation_with_a_constant_is_undefined() {
        let metrics = regression(&[1.0, 2.0, 3.0], &[0.1; 3], &ScoreScale::default()).unwrap();
        assert_eq!((metrics.pearson, metrics.spearman), (None, None));
    }

    #[test]
    fn degenerate_input_is_an_error() {
        let measure = |labels: &[f64], scores: &[f64]| regression(labels, scores, &ScoreScale::default());
        assert_eq!(measure(&[], &[]), Err(MetricsError::Empty));
        assert_eq!(measure(&[1.0], &[]), Err(MetricsError::Lengths { n_true: 1, n_predicted: 0 }));
        let message = measure(&[1.0, 2.0], &[1.0, f64::NAN]).unwrap_err().to_string();
        assert!(message.starts_with("prediction 1 is NaN"), "{message}");
    }

    #[test]
    fn pair_accuracy_ignores_ties_and_halves_zeros() {
        let logits = [2.0, -1.0, 0.0, -3.0, 5.0];
        assert_eq!(pair_accuracy(&logits, &[1.0, 0.0, 1.0, 1.0, 0.5]), Ok(Some(2.5 / 4.0)));
    }

    #[test]
    fn swapping_a_and_b_keeps_the_accuracy() {
        let (logits, labels) = ([2.0, -1.0, 0.5], [1.0, 1.0, 0.0]);
        let (back, swapped) = (logits.map(|logit: f64| -logit), labels.map(|label: f64| 1.0 - label));
        assert_eq!(pair_accuracy(&logits, &labels), pair_accuracy(&back, &swapped));
    }

    #[test]
    fn accuracy_without_an_order_is_undefined() {
        assert_eq!(pair_accuracy(&[1.0], &[0.5]), Ok(None));
        assert_eq!(pair_accuracy(&[], &[]), Ok(None));
        assert_eq!(pair_accuracy_from_scores(&[3.0, 3.0], &[1.0, 2.0]), Ok(None));
    }

    #[test]
    fn accuracy_from_scores_by_hand() {
        // Of 1 and 2 right, 1 and 3 tied, 2 and 3 wrong, 1 and the other 3 right, 2 and the other 3 right.
        let share = pair_accuracy_from_scores(&[1.0, 2.0, 3.0, 3.0], &[0.0, 1.0, 0.0, 2.0]);
        assert_eq!(share, Ok(Some(3.5 / 5.0)));
    }
}
