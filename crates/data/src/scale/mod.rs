//! What a label or a score can be: one of evenly spaced grades, or any number of an interval.

mod grades;

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
pub use grades::Grades;

/// An interval narrower than this share of its ends is lost in the f32 that scores are computed in.
const NARROWEST: f64 = 1e-5;

/// What a label or a score can be, in score units; by default the grades 1 to 5 by 0.5.
///
/// Methods other than [`validate`](Self::validate) expect a scale that passed it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum ScoreScale {
    /// Labels are grades, and a score has a nearest one.
    Graded(Grades),
    /// Labels are any numbers of the interval; there are no grades.
    Continuous(Interval),
}

/// The numbers of a continuous scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lowest label; finite.
    pub min: f64,
    /// Highest label; finite, above `min`.
    pub max: f64,
    /// Whether this is where the training labels lay, so that other labels may lie beyond.
    pub observed: bool,
}

impl Default for ScoreScale {
    fn default() -> Self {
        Self::graded(1.0, 5.0, 0.5)
    }
}

impl std::fmt::Display for ScoreScale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Graded(grades) => grades.fmt(f),
            Self::Continuous(Interval { min, max, observed }) => {
                write!(
                    f,
                    "{min} to {max}, continuous{}",
                    if *observed { ", as training labels are" } else { "" }
                )
            }
        }
    }
}

impl ScoreScale {
    /// A scale of grades, as people write them: see [`Grades::new`].
    pub fn graded(min: f64, max: f64, step: f64) -> Self {
        Self::Graded(Grades::new(min, max, step))
    }

    /// A scale on which every number from `min` to `max` is a label.
    pub fn continuous(min: f64, max: f64) -> Self {
        Self::Continuous(Interval { min, max, observed: false })
    }

    /// A scale on which every number is a label, as wide as these labels lie apart.
    ///
    /// # Errors
    /// Labels that are all alike, or none.
    pub fn observed(labels: impl IntoIterator<Item = f64>) -> Result<Self> {
        let ends = |(low, high): (f64, f64), label: f64| (low.min(label), high.max(label));
        let (min, max) = labels.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
        let scale = Self::Continuous(Interval { min, max, observed: true });
        match scale.validate() {
            Ok(()) => Ok(scale),
            Err(_) if min > max => Err(DataError::setting(
                "there are no training labels, from which the scale would follow",
                "give labels, or the scale",
            )),
            Err(_) => Err(DataError::setting(
                format!("all training labels lie at {min}, so no scale follows from them"),
                "give labels that differ, or the scale",
            )),
        }
    }

    /// Checks that the numbers describe a scale.
    ///
    /// # Errors
    /// Names the number that is wrong and what it should be.
    pub fn validate(&self) -> Result<()> {
        let Interval { min, max, .. } = match self {
            Self::Graded(grades) => return grades.validate(),
            Self::Continuous(interval) => *interval,
        };
        let refuse =
            |what: &str, remedy: &str| Err(DataError::setting(format!("scale {self}: {what}"), remedy));
        if !(min.is_finite() && max.is_finite()) {
            return refuse("min and max must be finite numbers", "correct the scale");
        }
        if min >= max {
            return refuse("min is not below max", "give the lowest label as min and the highest as max");
        }
        if !(max - min).is_finite() || max - min < NARROWEST * min.abs().max(max.abs()) {
            return refuse("min and max cannot be told apart in 32 bits", "rescale the labels");
        }
        Ok(())
    }

    /// The grades; `None` of a continuous scale.
    pub fn grades(&self) -> Option<&Grades> {
        match self {
            Self::Graded(grades) => Some(grades),
            Self::Continuous(_) => None,
        }
    }

    /// The lowest label.
    pub fn min(&self) -> f64 {
        match self {
            Self::Graded(grades) => grades.min,
            Self::Continuous(interval) => interval.min,
        }
    }

    /// The highest label; of an observed scale, of those that it was made from.
    pub fn max(&self) -> f64 {
        match self {
            Self::Graded(grades) => grades.max,
            Self::Continuous(interval) => interval.max,
        }
    }

    /// The label that people mean by a number, see [`Grades::label`]; `None` for a number that is no label.
    pub fn label(&self, number: f64) -> Option<f64> {
        match self {
            Self::Graded(grades) => grades.label(number),
            Self::Continuous(Interval { min, max, observed }) => {
                let is_label = if *observed { number.is_finite() } else { (*min..=*max).contains(&number) };
                is_label.then_some(number)
            }
        }
    }

    /// The grade nearest to a score, see [`Grades::nearest`]; `None` where there are no grades.
    pub fn nearest(&self, score: f64) -> Option<f64> {
        self.grades().map(|grades| grades.nearest(score))
    }
}

/// A scale in files: without a step it is continuous, and `auto` says that it was observed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    min: f64,
    max: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    auto: bool,
}

impl TryFrom<Written> for ScoreScale {
    type Error = &'static str;

    fn try_from(
        Written { min, max, step, auto: observed }: Written,
    ) -> std::result::Result<Self, Self::Error> {
        match step {
            None => Ok(Self::Continuous(Interval { min, max, observed })),
            Some(_) if observed => Err("a scale with a step cannot be auto"),
            Some(step) => Ok(Self::Graded(Grades { min, max, step })),
        }
    }
}

impl From<ScoreScale> for Written {
    fn from(scale: ScoreScale) -> Self {
        let (min, max) = (scale.min(), scale.max());
        match scale {
            ScoreScale::Graded(grades) => Self { min, max, step: Some(grades.step), auto: false },
            ScoreScale::Continuous(interval) => Self { min, max, step: None, auto: interval.observed },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuous_scale_has_every_number_between_its_ends() {
        let scale = ScoreScale::continuous(-4.0, 2.0);
        scale.validate().unwrap();
        assert_eq!(
            [-4.0, -0.340_259, 2.0].map(|number| scale.label(number)),
            [Some(-4.0), Some(-0.340_259), Some(2.0)]
        );
        assert_eq!([-4.001, 2.5, f64::NAN].map(|number| scale.label(number)), [None; 3]);
        assert_eq!((scale.nearest(0.3), scale.grades()), (None, None));
    }

    #[test]
    fn an_observed_scale_is_as_wide_as_its_labels_and_admits_others() {
        let scale = ScoreScale::observed([0.5, -3.0, 1.0]).unwrap();
        assert_eq!((scale.min(), scale.max()), (-3.0, 1.0));
        assert_eq!((scale.label(7.0), scale.label(f64::INFINITY)), (Some(7.0), None));
        for labels in [vec![], vec![2.0, 2.0], vec![1e9, 1e9 + 1.0]] {
            assert!(ScoreScale::observed(labels.clone()).is_err(), "{labels:?}");
        }
    }

    #[test]
    fn no_interval_is_refused() {
        for (min, max) in
            [(2.0, 1.0), (1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (-f64::MAX, f64::MAX)]
        {
            assert!(ScoreScale::continuous(min, max).validate().is_err(), "{min} {max}");
        }
    }

    #[test]
    fn files_say_which_kind_it_is() {
        for (scale, text) in [
            (ScoreScale::default(), r#"{"min":1.0,"max":5.0,"step":0.5}"#),
            (ScoreScale::continuous(-1.5, 2.0), r#"{"min":-1.5,"max":2.0}"#),
            (ScoreScale::observed([-1.5, 2.0]).unwrap(), r#"{"min":-1.5,"max":2.0,"auto":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&scale).unwrap(), text);
            assert_eq!(serde_json::from_str::<ScoreScale>(text).unwrap(), scale);
        }
        for text in
            [r#"{"min":1,"max":2,"step":1,"auto":true}"#, r#"{"min":1}"#, r#"{"min":1,"max":2,"by":1}"#]
        {
            assert!(serde_json::from_str::<ScoreScale>(text).is_err(), "{text}");
        }
    }
}
