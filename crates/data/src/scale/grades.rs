//! Evenly spaced grades from `min` to `max`.

use crate::error::{DataError, Result};

/// How far a number may lie from a grade and still count as it, in score units and in steps.
const TOLERANCE: f64 = 1e-6;

/// More grades than this is taken for a mistake in `step`.
const MAX_GRADES: f64 = 1000.0;

/// Below this, [`TOLERANCE`] and the rounding of grades would no longer be small beside a step.
const MIN_STEP: f64 = 1e-3;

/// `min` and `max` may be this many steps from 0, so that an f64 tells neighbouring grades apart with room to spare.
const MAX_STEPS_FROM_ZERO: f64 = 1e9;

/// A number with more decimal places than this, like a third, is written rounded.
const LONGEST_DECIMAL: usize = 6;

/// A number written with fewer decimal places than this is not taken for a rounded one: 0.3 is no third.
const FEWEST_ROUNDED: usize = 2;

/// Evenly spaced grades in score units.
///
/// Methods other than [`validate`](Self::validate) expect grades that passed it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grades {
    /// Lowest grade; finite.
    pub min: f64,
    /// Highest grade; finite, above `min`.
    pub max: f64,
    /// Distance of neighbouring grades; at least 0.001 and a 10⁻⁹ of `min` and `max`, divides `max - min`.
    pub step: f64,
}

impl std::fmt::Display for Grades {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {} by {}", self.min, self.max, self.step)
    }
}

impl Grades {
    /// Grades as people write them: where `step` is a rounded reciprocal that does not divide the range (0.33), the
    /// reciprocal is meant (a third), and so are its multiples where `min` and `max` are rounded (4.67).
    pub fn new(min: f64, max: f64, step: f64) -> Self {
        let written = Self { min, max, step };
        if written.has_whole_steps() || step <= 0.0 {
            return written;
        }
        let parts = (1.0 / step).round();
        let multiple = |number: f64| {
            let multiple = (number * parts).round() / parts;
            if is_rounded(number, multiple) { multiple } else { number }
        };
        let meant = Self { min: multiple(min), max: multiple(max), step: 1.0 / parts };
        if is_rounded(step, meant.step) && meant.has_whole_steps() { meant } else { written }
    }

    fn has_whole_steps(&self) -> bool {
        let steps = (self.max - self.min) / self.step;
        (steps - steps.round()).abs() <= TOLERANCE && steps.round() >= 1.0
    }

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
        if !self.has_whole_steps() {
            return refuse("max is not a whole number of steps above min", "correct max or step");
        }
        Ok(())
    }

    /// The number of grades.
    pub fn n_grades(&self) -> usize {
        ((self.max - self.min) / self.step).round() as usize + 1
    }

    /// All grades, ascending.
    pub fn all(&self) -> Vec<f64> {
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

    /// The label that people mean by a number: the number where it lies on a grade, and the grade where the number is
    /// that grade rounded (1.67 on a scale by thirds). `None` where no grade is meant.
    pub fn label(&self, number: f64) -> Option<f64> {
        let grade = self.nearest(number);
        match self.contains(number) {
            true => Some(number),
            false => is_rounded(number, grade).then_some(grade),
        }
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

    /// The index of the lowest grade not below `score`, clamped to the scale, with the same tolerance.
    pub fn index_ceil(&self, score: f64) -> usize {
        self.index((self.steps_above_min(score) - TOLERANCE).ceil())
    }

    fn steps_above_min(&self, score: f64) -> f64 {
        (score - self.min) / self.step
    }

    fn index(&self, steps: f64) -> usize {
        // `as` saturates: below 0 and NaN become 0.
        (steps as usize).min(self.n_grades() - 1)
    }
}

/// Whether `number` is written as `exact` rounded to fewer decimal places, as 1.67 for five thirds.
fn is_rounded(number: f64, exact: f64) -> bool {
    let places = decimal_places(number);
    places >= FEWEST_ROUNDED
        && decimal_places(exact) > LONGEST_DECIMAL
        // Half a unit of the last place, and what an f64 loses.
        && (number - exact).abs() <= 0.5 * 10_f64.powi(-(places as i32)) + 1e-12 * exact.abs()
}

/// Digits after the point in the shortest decimal form of a number.
fn decimal_places(number: f64) -> usize {
    number.to_string().split_once('.').map_or(0, |(_, places)| places.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves() -> Grades {
        Grades { min: 1.0, max: 5.0, step: 0.5 }
    }

    const TENTHS: Grades = Grades { min: 0.0, max: 1.0, step: 0.1 };

    #[test]
    fn one_to_five_by_halves_has_nine_grades() {
        let scale = halves();
        assert_eq!(scale.all(), [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]);
    }

    #[test]
    fn validate_refuses_what_is_no_scale() {
        let scale = |min, max, step| Grades { min, max, step }.validate();
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
        let scale = halves();
        assert_eq!(scale.nearest(2.25), 2.5);
        assert_eq!(scale.nearest(2.75), 3.0);
        assert_eq!(scale.nearest(2.2499), 2.0);
    }

    #[test]
    fn scores_beyond_the_ends_are_clamped() {
        let scale = halves();
        assert_eq!((scale.nearest(-3.0), scale.nearest(9.0)), (1.0, 5.0));
        assert_eq!((scale.index_floor(f64::NEG_INFINITY), scale.index_floor(f64::INFINITY)), (0, 8));
    }

    #[test]
    fn floor_keeps_grades_and_lowers_the_rest() {
        let scale = halves();
        assert_eq!(scale.index_floor(3.4999), 4);
        assert_eq!(scale.index_floor(3.5), 5);
        for (index, grade) in TENTHS.all().into_iter().enumerate() {
            assert_eq!(TENTHS.index_floor(grade), index);
        }
    }

    #[test]
    fn ceil_keeps_grades_and_raises_the_rest() {
        let scale = halves();
        assert_eq!([3.0001, 3.5, -2.0, 9.0].map(|score| scale.index_ceil(score)), [5, 5, 0, 8]);
        for (index, grade) in TENTHS.all().into_iter().enumerate() {
            assert_eq!(TENTHS.index_ceil(grade), index);
        }
    }

    #[test]
    fn grades_print_as_people_write_them() {
        assert_eq!(TENTHS.all()[3].to_string(), "0.3");
    }

    #[test]
    fn contains_only_grades() {
        let scale = halves();
        assert!(scale.contains(3.5) && scale.contains(3.5 + 1e-9));
        assert!(!scale.contains(3.25) && !scale.contains(5.5) && !scale.contains(f64::NAN));
    }

    #[test]
    fn undefined_stays_undefined() {
        assert!(halves().nearest(f64::NAN).is_nan());
    }

    #[test]
    fn thirds_are_exact_however_they_are_rounded() {
        for step in [0.33, 0.333, 0.333_333, 1.0 / 3.0] {
            for (min, max, n) in [(1.0, 4.0, 10), (0.67, 4.33, 12), (1.0, 4.667, 12)] {
                let thirds = Grades::new(min, max, step);
                thirds.validate().unwrap_or_else(|error| panic!("{min} {max} {step}: {error}"));
                assert_eq!(thirds.n_grades(), n, "{min} {max} {step}");
            }
        }
        let thirds = Grades::new(1.0, 4.0, 0.33);
        let means = |number| thirds.label(number).map(|label| (label * 3.0).round() as i64);
        let numbers = [1.0, 1.33, 1.333, 1.67, 3.666_667, 4.0];
        assert_eq!(numbers.map(means), [Some(3), Some(4), Some(4), Some(5), Some(11), Some(12)]);
        // Grades themselves, not their roundings, so that scores are compared with thirds.
        assert!((thirds.label(1.33).unwrap() - 4.0 / 3.0).abs() < 1e-8);
        for number in [1.3, 1.34, 1.66, 1.5, 0.67, 4.33, 1.668] {
            assert_eq!(thirds.label(number), None, "{number}");
        }
    }

    #[test]
    fn what_divides_the_range_is_meant_as_it_stands() {
        let fourteenths = Grades::new(0.0, 1.4, 0.14);
        assert_eq!(fourteenths, Grades { min: 0.0, max: 1.4, step: 0.14 });
        assert!(fourteenths.validate().is_ok());
        // A grade with a short decimal form is written in full.
        let grades = Grades { min: 1.0, max: 1.03, step: 0.015 };
        assert_eq!((grades.label(1.015), grades.label(1.02), grades.label(1.01)), (Some(1.015), None, None));
        for step in [0.3, 0.31, 0.35] {
            assert!(Grades::new(1.0, 5.0, step).validate().is_err(), "{step}");
        }
    }
}
