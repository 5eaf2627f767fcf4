//! From a raw score to a calibrated one and to its grade.
//!
//! A model that errs little on average stays near the mean: its scores are spread less than the grades of people, and
//! plain rounding then hardly ever gives the lowest and the highest grades. A calibration is what validation documents
//! say about that: a monotone map of the score, and the scores at which one grade ends and the next begins.
//!
//! Every map is piecewise linear, given by its knots and constant beyond them: the linear one, clamped to the scale,
//! has two knots, an isotonic one has a knot per block. So one function applies them all, and one hidden layer says
//! them to other programs ([`Calibration::hinges`]).

use pair2score_data::{Grades, ScoreScale};
use serde::{Deserialize, Serialize};

/// How the map of a [`Calibration`] was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibrationMethod {
    /// Mean and standard deviation of the scores become those of the labels.
    Linear,
    /// The monotone map with the least squared error.
    Isotonic,
}

impl CalibrationMethod {
    /// Its name in configurations and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Isotonic => "isotonic",
        }
    }
}

/// Learned from validation documents; see the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How the map was fitted.
    pub method: CalibrationMethod,
    /// Documents it was fitted on.
    pub documents: usize,
    /// Raw score and calibrated score, both in rubric units: at least two, raw scores rising, calibrated ones not
    /// falling and on the scale.
    pub knots: Vec<[f64; 2]>,
    /// The raw score from which on the next grade is given, one for every grade but the lowest; not falling. None on a
    /// continuous scale.
    pub thresholds: Vec<f64>,
}

/// What a [`Calibration`] makes of a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// In rubric units, on the scale.
    pub score: f64,
    /// By the thresholds; `None` on a continuous scale.
    pub grade: Option<f64>,
}

impl Calibration {
    /// Checks that it is one, for this scale.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self, scale: &ScoreScale) -> Result<(), String> {
        let Self { knots, thresholds, .. } = self;
        if knots.len() < 2 || !knots.iter().flatten().all(|value| value.is_finite()) {
            return Err("has a calibration without two knots of finite numbers".into());
        }
        if !knots.is_sorted_by(|[x0, y0], [x1, y1]| x0 < x1 && y0 <= y1) {
            return Err("has a calibration that is not monotone".into());
        }
        if knots.iter().any(|[_, y]| !(scale.min()..=scale.max()).contains(y)) {
            return Err(format!("has a calibration that leaves the scale of {scale}"));
        }
        match (scale.grades().map(Grades::n_grades), thresholds.len()) {
            (Some(grades), n) if n + 1 != grades => {
                return Err(format!("has {n} thresholds of calibration between {grades} grades"));
            }
            (None, 1..) => return Err("has thresholds of calibration on a continuous scale".into()),
            _ => {}
        }
        if !thresholds.iter().all(|value| value.is_finite()) || !thresholds.is_sorted() {
            return Err("has thresholds of calibration that are not in order".into());
        }
        Ok(())
    }

    /// Calibrated score and grade of a raw score in rubric units; `NaN` stays `NaN`.
    pub fn apply(&self, score: f64, scale: &ScoreScale) -> Calibrated {
        if score.is_nan() {
            return Calibrated { score, grade: scale.nearest(score) };
        }
        let index = self.thresholds.partition_point(|threshold| *threshold <= score);
        Calibrated { score: self.map(score), grade: scale.grades().map(|grades| grades.grade(index)) }
    }

    /// The calibrated score of a raw one.
    fn map(&self, score: f64) -> f64 {
        let Self { knots, .. } = self;
        match knots.partition_point(|[x, _]| *x <= score) {
            0 => knots[0][1],
            n if n == knots.len() => knots[n - 1][1],
            n => {
                let ([x0, y0], [x1, y1]) = (knots[n - 1], knots[n]);
                // Rounding must not carry it beyond the knot.
                (y0 + (y1 - y0) * (score - x0) / (x1 - x0)).min(y1)
            }
        }
    }

    /// Calibrated units per raw unit between knots, from the lowest.
    fn slopes(&self) -> impl Iterator<Item = f64> {
        self.knots.windows(2).map(|pair| (pair[1][1] - pair[0][1]) / (pair[1][0] - pair[0][0]))
    }

    /// The largest slope: a difference of raw scores grows by at most this factor.
    pub fn steepest(&self) -> f64 {
        self.slopes().fold(0.0, f64::max)
    }

    /// The map as `constant + Σ change · max(0, score - place)`: the constant, and place and change of slope of each
    /// knot.
    pub fn hinges(&self) -> (f64, Vec<[f64; 2]>) {
        let slopes: Vec<f64> = self.slopes().collect();
        let change = |knot: usize| {
            let after = slopes.get(knot).copied().unwrap_or(0.0);
            after - knot.checked_sub(1).map_or(0.0, |before| slopes[before])
        };
        let hinges = self.knots.iter().enumerate().map(|(knot, [place, _])| [*place, change(knot)]);
        (self.knots[0][1], hinges.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: ScoreScale = ScoreScale::Graded(Grades { min: 1.0, max: 3.0, step: 1.0 });

    /// From 1 at 1.5 over 2 at 2 to 3 at 3.
    fn bent() -> Calibration {
        Calibration {
            method: CalibrationMethod::Isotonic,
            documents: 10,
            knots: vec![[1.5, 1.0], [2.0, 2.0], [3.0, 3.0]],
            thresholds: vec![1.75, 2.25],
        }
    }

    #[test]
    fn scores_follow_the_knots_and_grades_the_thresholds() {
        let calibration = bent();
        calibration.validate(&SCALE).unwrap();
        for (raw, score, grade) in [
            (-4.0, 1.0, 1.0),
            (1.5, 1.0, 1.0),
            (1.75, 1.5, 2.0),
            (2.0, 2.0, 2.0),
            (2.2499, 2.2499, 2.0),
            (2.25, 2.25, 3.0),
            (9.0, 3.0, 3.0),
        ] {
            let calibrated = calibration.apply(raw, &SCALE);
            assert!((calibrated.score - score).abs() < 1e-12, "{raw}: {calibrated:?}");
            assert_eq!(calibrated.grade, Some(grade), "{raw}");
        }
        let undefined = calibration.apply(f64::NAN, &SCALE);
        assert!(undefined.score.is_nan() && undefined.grade.unwrap().is_nan());
        assert_eq!(calibration.steepest(), 2.0);
    }

    #[test]
    fn hinges_are_the_same_map() {
        let calibration = bent();
        let (constant, hinges) = calibration.hinges();
        assert_eq!((constant, hinges.as_slice()), (1.0, &[[1.5, 2.0], [2.0, -1.0], [3.0, -1.0]][..]));
        for raw in (-20..=60).map(|tenth| f64::from(tenth) / 10.0) {
            let sum: f64 = hinges.iter().map(|[place, change]| change * (raw - place).max(0.0)).sum();
            assert!((constant + sum - calibration.apply(raw, &SCALE).score).abs() < 1e-12, "{raw}");
        }
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        let broken = |change: fn(&mut Calibration)| {
            let mut calibration = bent();
            change(&mut calibration);
            calibration.validate(&SCALE).unwrap_err()
        };
        assert!(broken(|c| c.knots.truncate(1)).contains("two knots"));
        assert!(broken(|c| c.knots[1][0] = f64::NAN).contains("finite"));
        assert!(broken(|c| c.knots[1][0] = 1.5).contains("monotone"));
        assert!(broken(|c| c.knots[1][1] = 0.5).contains("monotone"));
        assert!(broken(|c| c.knots[2][1] = 3.5).contains("leaves the scale"));
        assert!(broken(|c| c.thresholds.truncate(1)).contains("1 thresholds"));
        assert!(broken(|c| c.thresholds.reverse()).contains("order"));
        assert!(broken(|c| c.thresholds[1] = f64::INFINITY).contains("order"));
    }
}
