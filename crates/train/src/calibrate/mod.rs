//! Fits a [`Calibration`] to the scores and labels of validation documents, and measures what it is worth.
//!
//! - *Linear*: `y = mean(labels) + sd(labels) / sd(scores) · (x - mean(scores))`, clamped to the scale.
//! - *Isotonic*: pool adjacent violators (Ayer et al., 1955). A block's value belongs to the mean of its scores, and
//!   the map is straight between these centres (centred isotonic regression, Oron and Flournoy, 2017): unlike steps,
//!   it keeps the order of documents.
//! - *Thresholds* between grades, where there are grades, are fitted beside either (`thresholds`).

mod thresholds;

use pair2score_data::ScoreScale;
use pair2score_scorer::{Calibration, CalibrationMethod};
use serde::{Deserialize, Serialize};

use crate::metrics::{MetricsError, RegressionMetrics, regression, shown};
use thresholds::thresholds;

/// Why documents that training did not see give no calibration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncalibrated {
    /// The scores say nothing about the labels: either is constant, or they do not rise together.
    #[error("the scores do not rise with the labels of unseen documents")]
    NoRise,
    /// What was fitted is no calibration, for example because scores lie too close together for an f64.
    #[error("what was fitted to unseen documents {0}")]
    Unfit(String),
}

/// Fits a calibration to documents that training did not see, or says why there is none; `scale` must have passed its
/// validation.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn fit(
    method: CalibrationMethod,
    labels: &[f64],
    scores: &[f64],
    scale: &ScoreScale,
) -> Result<Result<Calibration, Uncalibrated>, MetricsError> {
    let measured = regression(labels, scores, scale)?;
    if measured.pearson.is_none_or(|correlation| correlation <= 0.0) {
        return Ok(Err(Uncalibrated::NoRise));
    }
    let ends = [scale.min(), scale.max()];
    let knots = match method {
        CalibrationMethod::Linear => linear(labels, scores, ends),
        CalibrationMethod::Isotonic => isotonic(labels, scores, ends),
    };
    let thresholds = scale.grades().map(|grades| thresholds(labels, scores, grades)).unwrap_or_default();
    let calibration = Calibration { method, documents: labels.len(), knots, thresholds };
    let validated = calibration.validate(scale);
    Ok(validated.map(|()| calibration).map_err(Uncalibrated::Unfit))
}

/// The line that matches mean and standard deviation, from the lowest label of the scale to the highest.
fn linear(labels: &[f64], scores: &[f64], [min, max]: [f64; 2]) -> Vec<[f64; 2]> {
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    };
    let ((mean, sd), (score_mean, score_sd)) = (moments(labels), moments(scores));
    [min, max].map(|grade| [score_mean + (grade - mean) * score_sd / sd, grade]).to_vec()
}

/// A mean of labels that belongs to a mean of scores.
#[derive(Debug, Clone, Copy)]
struct Block {
    score: f64,
    label: f64,
    weight: f64,
}

impl Block {
    fn and(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| (a * self.weight + b * other.weight) / weight;
        Self { score: mean(self.score, other.score), label: mean(self.label, other.label), weight }
    }
}

/// Centres and values of the blocks of isotonic regression, on the scale from `min` to `max`.
fn isotonic(labels: &[f64], scores: &[f64], [min, max]: [f64; 2]) -> Vec<[f64; 2]> {
    let mut blocks: Vec<Block> = Vec::new();
    for tied in by_score(scores) {
        // Equal scores get one value whatever their labels.
        let label = tied.iter().map(|&i| labels[i]).sum::<f64>() / tied.len() as f64;
        let mut block = Block { score: scores[tied[0]], label, weight: tied.len() as f64 };
        while let Some(violator) = blocks.pop_if(|before| before.label >= block.label) {
            block = violator.and(block);
        }
        blocks.push(block);
    }
    // A mean of labels that are all at an end of the scale may lie beyond it by a rounding.
    blocks.into_iter().map(|block| [block.score, block.label.clamp(min, max)]).collect()
}

/// Indices in the order of their scores, equal ones together.
fn by_score(scores: &[f64]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order.chunk_by(|&a, &b| scores[a] == scores[b]).map(<[usize]>::to_vec).collect()
}

/// What a calibration is worth on documents that it was not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibratedMetrics {
    /// Agreement of the calibrated scores with the labels.
    pub scores: RegressionMetrics,
    /// Kappa of the grades by thresholds; `None` where it is undefined.
    pub qwk_thresholds: Option<f64>,
}

impl CalibratedMetrics {
    /// The metrics in words.
    pub fn summary(&self, scale: &ScoreScale) -> String {
        let RegressionMetrics { mae, rmse, r2, qwk_nearest, .. } = self.scores;
        let agreement = match scale.grades() {
            Some(_) => {
                format!("QWK {} (by thresholds {})", shown(qwk_nearest), shown(self.qwk_thresholds))
            }
            None => format!("R² {}", shown(r2)),
        };
        format!("calibrated: test {agreement}, MAE {mae:.4}, RMSE {rmse:.4}")
    }
}

/// Measures a calibration on raw scores.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn measure(
    calibration: &Calibration,
    labels: &[f64],
    scores: &[f64],
    scale: &ScoreScale,
) -> Result<CalibratedMetrics, MetricsError> {
    let calibrated: Vec<_> = scores.iter().map(|&score| calibration.apply(score, scale)).collect();
    let scores: Vec<f64> = calibrated.iter().map(|calibrated| calibrated.score).collect();
    let grades: Option<Vec<f64>> = calibrated.iter().map(|calibrated| calibrated.grade).collect();
    let by_thresholds = grades.map(|grades| regression(labels, &grades, scale)).transpose()?;
    Ok(CalibratedMetrics {
        scores: regression(labels, &scores, scale)?,
        qwk_thresholds: by_thresholds.and_then(|metrics| metrics.qwk_nearest),
    })
}

#[cfg(test)]
mod tests {
    use pair2score_data::Grades;

    use super::*;

    const SCALE: ScoreScale = ScoreScale::Graded(Grades { min: 1.0, max: 4.0, step: 1.0 });

    fn fitted(method: CalibrationMethod, labels: &[f64], scores: &[f64]) -> Calibration {
        fit(method, labels, scores, &SCALE).unwrap().unwrap()
    }

    #[test]
    fn the_linear_map_gives_scores_the_mean_and_spread_of_the_labels() {
        // Mean 2.5 and variance 1.25 against mean 2.5 and variance 1.25 / 16.
        let labels = [1.0, 2.0, 3.0, 4.0];
        let calibration = fitted(CalibrationMethod::Linear, &labels, &[2.125, 2.375, 2.625, 2.875]);
        assert_eq!(calibration.knots, [[2.125, 1.0], [2.875, 4.0]]);
        for (score, label) in [2.125, 2.375, 2.625, 2.875].into_iter().zip(labels) {
            assert!((calibration.apply(score, &SCALE).score - label).abs() < 1e-12);
        }
    }

    #[test]
    fn a_continuous_scale_has_a_map_and_no_thresholds() {
        let scale = ScoreScale::continuous(-4.0, 4.0);
        let (labels, scores) = ([-1.5, 0.5, 2.0, 3.0], [-0.75, 0.25, 1.0, 1.5]);
        for method in [CalibrationMethod::Linear, CalibrationMethod::Isotonic] {
            let calibration = fit(method, &labels, &scores, &scale).unwrap().unwrap();
            assert!(calibration.thresholds.is_empty());
            let measured = measure(&calibration, &labels, &scores, &scale).unwrap();
            // Labels are twice the scores.
            assert!(measured.scores.r2.unwrap() > 1.0 - 1e-12, "{measured:?}");
            assert_eq!(measured.qwk_thresholds, None);
        }
    }

    #[test]
    fn isotonic_blocks_by_hand() {
        // 1; then 3 and 2 are pooled to 2.5 at the centre 2.5; then two equal scores with 4 and 3 are 3.5; then 3
        // pulls them down: (3.5 · 2 + 3) / 3 at the centre (4 · 2 + 5) / 3.
        let (labels, scores) = ([3.0, 1.0, 2.0, 4.0, 3.0, 3.0], [2.0, 1.0, 3.0, 4.0, 4.0, 5.0]);
        let knots = fitted(CalibrationMethod::Isotonic, &labels, &scores).knots;
        let expected = [[1.0, 1.0], [2.5, 2.5], [13.0 / 3.0, 10.0 / 3.0]];
        assert_eq!(knots.len(), expected.len());
        for (knot, expected) in knots.iter().flatten().zip(expected.iter().flatten()) {
            assert!((knot - expected).abs() < 1e-12, "{knots:?}");
        }
    }

    #[test]
    fn scores_that_say_nothing_get_no_calibration() {
        for (labels, scores) in [
            ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]),
            ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),
            ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
        ] {
            for method in [CalibrationMethod::Linear, CalibrationMethod::Isotonic] {
                assert_eq!(fit(method, &labels, &scores, &SCALE), Ok(Err(Uncalibrated::NoRise)));
            }
        }
        assert!(fit(CalibrationMethod::Linear, &[1.0], &[f64::NAN], &SCALE).is_err());
    }

    #[test]
    fn scores_too_close_together_are_not_said_not_to_rise() {
        // Two blocks whose centres round to the same number.
        let labels = [4.0, 1.0, 3.0, 1.0, 2.0, 1.0, 2.0];
        let scores = [4.0, 4.0, 4.0, 3.0, 5.0, 3.0, 5.0].map(|steps| 1.7 + steps * f64::EPSILON);
        let problem = fit(CalibrationMethod::Isotonic, &labels, &scores, &SCALE).unwrap().unwrap_err();
        assert_eq!(
            problem.to_string(),
            "what was fitted to unseen documents has a calibration that is not monotone"
        );
    }

    #[test]
    fn labels_at_the_ends_of_the_scale_stay_on_it() {
        // The running means of three 0.7 and of seven 0.9 lie beyond them by a rounding.
        let (labels, scores) = ([[0.7; 3].as_slice(), &[0.9; 7]].concat(), (0..10).map(f64::from));
        let scale = ScoreScale::continuous(0.7, 0.9);
        let scores: Vec<f64> = scores.collect();
        let calibration = fit(CalibrationMethod::Isotonic, &labels, &scores, &scale).unwrap().unwrap();
        assert_eq!(calibration.knots, [[1.0, 0.7], [6.0, 0.9]]);
    }

    #[test]
    fn few_documents_move_thresholds_little() {
        // The line goes from (2.125, 1) to (2.875, 4), so it rounds at 2.25, 2.5 and 2.75, where kappa is highest
        // too; a fifth document of grade 4 below the last threshold moves that one by 5 / 305 of the way.
        let (labels, scores) = ([1.0, 2.0, 3.0, 4.0], [2.125, 2.375, 2.625, 2.875]);
        let thresholds = fitted(CalibrationMethod::Linear, &labels, &scores).thresholds;
        assert!(
            thresholds.iter().zip([2.25, 2.5, 2.75]).all(|(a, b)| (a - b).abs() < 1e-12),
            "{thresholds:?}"
        );
        let (labels, scores) = ([1.0, 2.0, 3.0, 4.0, 4.0], [1.0, 2.0, 3.0, 3.4, 4.0]);
        let line = linear(&labels, &scores, [1.0, 4.0]);
        let rounding = line[0][0] + 2.5 / 3.0 * (line[1][0] - line[0][0]);
        let found = fitted(CalibrationMethod::Linear, &labels, &scores).thresholds[2];
        assert!((found - (rounding + 5.0 / 305.0 * (3.2 - rounding))).abs() < 1e-12, "{found} {rounding}");
    }

    #[test]
    fn spread_and_thresholds_are_worth_what_they_were_made_for() {
        // Scores in the right order whose spread is a tenth of that of the labels.
        let labels: Vec<f64> = (0..40).map(|i| f64::from(1 + i / 10)).collect();
        let scores: Vec<f64> = labels.iter().map(|label| 2.3 + 0.1 * (label - 2.5)).collect();
        let plain = regression(&labels, &scores, &SCALE).unwrap().qwk_nearest;
        assert_eq!(plain, Some(0.0));
        let calibration = fitted(CalibrationMethod::Linear, &labels, &scores);
        let measured = measure(&calibration, &labels, &scores, &SCALE).unwrap();
        assert_eq!((measured.scores.qwk_nearest, measured.qwk_thresholds), (Some(1.0), Some(1.0)));
        assert!(measured.scores.mae < 1e-9);
    }
}
