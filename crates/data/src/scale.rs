//! The grades a label or a score can take: evenly spaced from `min` to `max`.

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};

/// How far a number may lie from a grade and still count as it, in score units and in steps.
const TOLERANCE: f64 = 1e-6;

/// More grades than this is taken for a mistake in `step`.
const MAX_GRADES: f64 = 1000.0;

/// Below this, [`TOLERANCE`] and the rounding of grades would no longer be small beside a step.
const MIN_STEP: f64 = 1e-3;

/// `min` and `max` may be this many steps from 0, so that an f64 tells neighbouring grades apart with room to spare.
const MAX_STEPS_FROM_ZERO: f64 = 1e9;

/// An evenly spaced grade scale in score units, by default 1 to 5 by 0.5.
///
/// Methods other than [`validate`](Self::validate) expect a scale that passed it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreScale {
    /// Lowest grade; finite.
    pub min: f64,
    /// Highest grade; finite, above `min`.
    pub max: f64,
    /// Distance of neighbouring grades; at least 0.001 and a 10⁻⁹ of `min` and `max`, divides `max - min`.
    pub step: f64,
}

impl Default for ScoreScale {
    fn default() -> Self {
        Self { min: 1.0, max: 5.0, step: 0.5 }
    }
}

impl std::fmt::Display for ScoreScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {} by {}", self.min, self.max, self.step)
    }
}

impl ScoreScale {
    /// Checks that the three numbers describe a scale of 2 to 1000 grades.
    ///
    /// # Errors
    /// Names the number that is wrong and what it should be.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |what: &str, remedy: &str| Err(DataError::setting(format!("scale {self}: {what}"), remedy));
        if ![self.min, self.max, self.step].iter().all(|value| value.is_finite()) {
            return refuse("min, max and step must be finite numbers", "correct the scale");
        }
        if self.min >= self.max {
            return refuse("min is not below max", "give the lowest grade as min and the highest as max");
        }
        if self.step <= 0.0 {
            return refuse("step is not above 0", "give the distance of neighbouring grades");
        }
        if self.step < MIN_STEP || self.min.abs().max(self.max.abs()) > MAX_STEPS_FROM_ZERO * self.step {
            return refuse("step is too small to tell grades apart", "rescale the labels");
        }
        let steps = (self.max - self.min) / self.step;
        if steps + 1.0 > MAX_GRADES + TOLERANCE {
            return refuse("more than 1000 grades", "use a larger step");
        }
        // A step larger than the range has 0 steps within the tolerance only if the range is nothing beside it.
        if (steps - steps.round()).abs() > TOLERANCE || steps.round() < 1.0 {
            return refuse("max is not a whole number of steps above min", "correct max or step");
        }
        Ok(())
    }

    /// The number of grades.
    pub fn n_grades(&self) -> usize {
        ((self.max - self.min) / self.step).round() as usize + 1
    }

    /// All grades, ascending.
    pub fn grades(&self) -> Vec<f64> {
        (0..self.n_grades()).map(|index| self.grade(index)).collect()
    }

    /// The grade at `index`, counted from 0; past the end, the highest.
    pub fn grade(&self, index: usize) -> f64 {
        if index + 1 >= self.n_grades() {
            return self.max;
        }
        let grade = self.min + index as f64 * self.step;
        // 1 + 13 × 0.1 is 2.3000000000000003; the grade is 2.3. Beyond 1e6 the rounding would itself lose digits.
        if grade.abs() < 1e6 { (grade * 1e9).round() / 1e9 } else { grade }
    }

    /// Whether `label` lies on a grade, within 1e-6.
    pub fn contains(&self, label: f64) -> bool {
        (label - self.nearest(label)).abs() <= TOLERANCE
    }

    /// The grade nearest to `score`, clamped to the scale. Halfway between two grades, the higher one.
    ///
    /// `NaN` gives `NaN`, so that an undefined score stays visible.
    pub fn nearest(&self, score: f64) -> f64 {
        if score.is_nan() { f64::NAN } else { self.grade(self.index_nearest(score)) }
    }

    /// The index of the [`nearest`](Self::nearest) grade. `NaN` has none: check first; it counts as the lowest.
    pub fn index_nearest(&self, score: f64) -> usize {
        self.index((self.steps_above_min(score) + 0.5).floor())
    }

    /// The index of the highest grade not above `score`, clamped to the scale: the published floor binning.
    ///
    /// A score within 1e-6 of a step below a grade counts as that grade, so that the grades of a scale such as
    /// 0 to 1 by 0.1 bin to themselves. `NaN` has no grade: check first; it counts as the lowest.
    pub fn index_floor(&self, score: f64) -> usize {
        self.index((self.steps_above_min(score) + TOLERANCE).floor())
    }

    fn steps_above_min(&self, score: f64) -> f64 {
        (score - self.min) / self.step
    }

    fn index(&self, steps: f64) -> usize {
        // `as` saturates: below 0 and NaN become 0.
        (steps as usize).min(self.n_grades() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTHS: ScoreScale = ScoreScale { min: 0.0, max: 1.0, step: 0.1 };

    #[test]
    fn default_has_nine_grades() {
        let scale = ScoreScale::default();
        assert_eq!(scale.grades(), [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]);
    }

    #[test]
    fn validate_refuses_what_is_no_scale() {
        let scale = |min, max, step| ScoreScale { min, max, step }.validate();
        assert!(scale(1.0, 5.0, 0.5).is_ok());
        assert!(scale(0.0, 999.0, 1.0).is_ok());
        assert!(TENTHS.validate().is_ok());
        for (min, max, step) in [
            (f64::NAN, 5.0, 0.5),
            (1.0, f64::INFINITY, 0.5),
            (5.0, 1.0, 0.5),
            (1.0, 1.0, 0.5),
            (1.0, 5.0, 0.0),
            (1.0, 5.0, -0.5),
            (1.0, 5.0, 0.3),
            (0.0, 1000.0, 1.0),
            (0.0, 1.0, 1e9),
            (-f64::MAX, f64::MAX, 1.0),
            (0.0, 1e-10, 1e-11),
            (1e16, 1e16 + 4.0, 1.0),
        ] {
            assert!(scale(min, max, step).is_err(), "{min} {max} {step}");
        }
    }

    #[test]
    fn half_goes_up() {
        let scale = ScoreScale::default();
        assert_eq!(scale.nearest(2.25), 2.5);
        assert_eq!(scale.nearest(2.75), 3.0);
        assert_eq!(scale.nearest(2.2499), 2.0);
    }

    #[test]
    fn scores_beyond_the_ends_are_clamped() {
        let scale = ScoreScale::default();
        assert_eq!((scale.nearest(-3.0), scale.nearest(9.0)), (1.0, 5.0));
        assert_eq!((scale.index_floor(f64::NEG_INFINITY), scale.index_floor(f64::INFINITY)), (0, 8));
    }

    #[test]
    fn floor_keeps_grades_and_lowers_the_rest() {
        let scale = ScoreScale::default();
        assert_eq!(scale.index_floor(3.4999), 4);
        assert_eq!(scale.index_floor(3.5), 5);
        for (index, grade) in TENTHS.grades().into_iter().enumerate() {
            assert_eq!(TENTHS.index_floor(grade), index);
        }
    }

    #[test]
    fn grades_print_as_people_write_them() {
        assert_eq!(TENTHS.grades()[3].to_string(), "0.3");
    }

    #[test]
    fn contains_only_grades() {
        let scale = ScoreScale::default();
        assert!(scale.contains(3.5) && scale.contains(3.5 + 1e-9));
        assert!(!scale.contains(3.25) && !scale.contains(5.5) && !scale.contains(f64::NAN));
    }

    #[test]
    fn undefined_stays_undefined() {
        assert!(ScoreScale::default().nearest(f64::NAN).is_nan());
    }
}
