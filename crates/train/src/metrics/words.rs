//! Metrics in words: what a run says of its scores.

use std::fmt::{self, Display};

use pair2score_data::ScoreScale;

use super::RegressionMetrics;

impl RegressionMetrics {
    /// How scores agree with labels: kappas where the scale has grades, else explained variance and correlation; and
    /// their errors.
    pub fn summary(&self, scale: &ScoreScale) -> String {
        let agreement = match scale.grades() {
            Some(_) => format!("QWK {} (floor {})", shown(self.qwk_nearest), shown(self.qwk_floor)),
            None => format!("R² {}, Pearson {}", shown(self.r2), shown(self.pearson)),
        };
        format!("{agreement}, MAE {:.4}, RMSE {:.4}", self.mae, self.rmse)
    }
}

/// A number as people read it; `undefined` where there is none.
pub(crate) fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".into(), |value| format!("{value:.4}"))
}

/// Predictions that tell no document from another, although their labels differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantPredictions {
    /// The grade that all scores are nearest to; `None` where there are no grades and all scores are the same.
    pub grade: Option<f64>,
    /// The lowest and the highest score.
    pub range: [f64; 2],
}

/// Scores that differ by less than this, relative to their size or to 1, are one score.
const SAME_SCORE: f64 = 1e-6;

impl ConstantPredictions {
    /// Whether all scores are nearest to one grade, or without grades are the same, while the labels differ.
    pub fn find(labels: &[f64], scores: &[f64], scale: &ScoreScale) -> Option<Self> {
        let [of_labels, range] = [labels, scores].map(ends);
        let Some(grades) = scale.grades() else {
            return (!is_one_score(of_labels) && is_one_score(range)).then_some(Self { grade: None, range });
        };
        let constant = |[lowest, highest]: [f64; 2]| {
            let [first, last] = [lowest, highest].map(|value| grades.index_nearest(value));
            (first == last).then(|| grades.grade(first))
        };
        let grade = constant(range).filter(|_| constant(of_labels).is_none())?;
        Some(Self { grade: Some(grade), range })
    }
}

/// The lowest and the highest value.
fn ends(values: &[f64]) -> [f64; 2] {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [lowest, highest]
}

fn is_one_score([lowest, highest]: [f64; 2]) -> bool {
    highest - lowest <= SAME_SCORE * highest.abs().max(1.0)
}

impl Display for ConstantPredictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lowest, highest] = self.range;
        match self.grade.filter(|_| !is_one_score(self.range)) {
            None => write!(f, "every test document gets the score {lowest:.4}"),
            Some(grade) => {
                write!(f, "every test document gets grade {grade} (scores {lowest:.4} to {highest:.4})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_of_one_grade_are_named() {
        let scale = ScoreScale::graded(0.0, 60.0, 1.0);
        let found = |labels: &[f64], scores: &[f64]| {
            ConstantPredictions::find(labels, scores, &scale).map(|constant| constant.to_string())
        };
        let labels = [10.0, 20.0, 50.0];
        assert_eq!(
            found(&labels, &[0.1, 0.25, -3.0]).unwrap(),
            "every test document gets grade 0 (scores -3.0000 to 0.2500)"
        );
        assert_eq!(found(&labels, &[2.75; 3]).unwrap(), "every test document gets the score 2.7500");
        assert_eq!(found(&labels, &[0.1, 0.6, 0.1]), None);
        // One grade is right where the labels have one.
        assert_eq!(found(&[3.0, 3.2], &[3.0, 2.9]), None);
        assert_eq!(found(&[3.0], &[1.0]), None);
    }

    #[test]
    fn equal_scores_are_named_where_there_are_no_grades() {
        let scale = ScoreScale::continuous(-4.0, 2.0);
        let found = |labels: &[f64], scores: &[f64]| ConstantPredictions::find(labels, scores, &scale);
        let constant = found(&[-1.0, 1.0], &[0.5, 0.5]).unwrap();
        assert_eq!(constant.to_string(), "every test document gets the score 0.5000");
        assert_eq!(found(&[-1.0, 1.0], &[0.5, 0.501]), None);
        assert_eq!(found(&[1.0, 1.0], &[0.5, 0.5]), None);
    }
}
