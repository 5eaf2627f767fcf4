//! Distances of labels: the smallest one of a pair, and buckets, shared by the generator and the statistics.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The smallest label distance of a regular pair, above 0: a number, or one followed by `sd`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum MinGap {
    /// In score units.
    Units(f64),
    /// As a share of the standard deviation of the labels that are paired.
    Deviations(f64),
}

impl MinGap {
    /// In score units, among labels with this standard deviation.
    pub(super) fn units(self, deviation: f64) -> f64 {
        match self {
            Self::Units(gap) => gap,
            Self::Deviations(share) => share * deviation,
        }
    }
}

impl fmt::Display for MinGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(gap) => write!(f, "{gap}"),
            Self::Deviations(share) => write!(f, "{share}sd"),
        }
    }
}

impl FromStr for MinGap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, gap): (&str, fn(f64) -> Self) = match text.strip_suffix("sd") {
            Some(share) => (share, Self::Deviations),
            None => (text, Self::Units),
        };
        let number = number.trim().parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        number.map(gap).ok_or_else(|| {
            format!("{text:?} is no distance above 0, give one in score units like 1, or like 0.5sd as a share of the \
                     labels' standard deviation")
        })
    }
}

/// A distance in files: a number, or text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl TryFrom<Written> for MinGap {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(gap) => gap.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<MinGap> for Written {
    fn from(gap: MinGap) -> Self {
        match gap {
            MinGap::Units(gap) => Self::Number(gap),
            MinGap::Deviations(_) => Self::Text(gap.to_string()),
        }
    }
}

/// The number of buckets.
pub const N_GAPS: usize = 4;

/// Their names, from near to far; in smallest gaps of a regular pair, which are of the size of the scale.
pub const GAP_NAMES: [&str; N_GAPS] = ["<1", "1-2", "2-3", ">=3"];

/// Labels of a scale by 0.1 differ by 0.9999999999999998 where they mean 1. A share, as a scale may be of any size.
const TOLERANCE: f64 = 1e-6;

/// The bucket of a distance (score units, not negative), in units of the smallest gap: 0 below 1, 1 below 2, 2 below 3,
/// else 3.
pub fn gap_bucket(gap: f64, unit: f64) -> usize {
    [1.0, 2.0, 3.0].into_iter().filter(|&bound| at_least(gap, bound * unit)).count()
}

/// Whether `gap` reaches `bound`, rounding errors aside.
pub(super) fn at_least(gap: f64, bound: f64) -> bool {
    gap >= bound * (1.0 - TOLERANCE)
}

/// Whether two labels this far apart are the same, rounding errors aside, among labels of which the farthest are `spread` apart.
pub(super) fn is_tie(gap: f64, spread: f64) -> bool {
    gap <= TOLERANCE * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_gap_is_in_units_or_deviations() {
        for (text, gap, units) in [("1", MinGap::Units(1.0), 1.0), ("0.5sd", MinGap::Deviations(0.5), 2.0)] {
            assert_eq!(text.parse(), Ok(gap));
            assert_eq!((gap.to_string().as_str(), gap.units(4.0)), (text, units));
        }
        for text in ["0", "-1", "sd", "nan", "inf", "1 SD", "0sd"] {
            assert!(text.parse::<MinGap>().is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<MinGap>("1.5").unwrap(), MinGap::Units(1.5));
        assert_eq!(serde_json::from_str::<MinGap>("\"0.5sd\"").unwrap(), MinGap::Deviations(0.5));
        assert!(serde_json::from_str::<MinGap>("-1").is_err());
    }

    #[test]
    fn bounds_belong_to_the_bucket_above() {
        let gaps = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0];
        assert_eq!(gaps.map(|gap| gap_bucket(gap, 1.0)), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(gaps.map(|gap| gap_bucket(100.0 * gap, 100.0)), [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn rounding_errors_do_not_move_a_gap() {
        let gap = 2.3 - 1.3;
        assert!(gap < 1.0, "the premise: {gap}");
        assert_eq!(gap_bucket(gap, 1.0), 1);
        for scale in [1e-9, 1.0, 1e9] {
            assert_eq!(gap_bucket(gap * scale, scale), 1);
            assert_eq!(gap_bucket(0.9999 * scale, scale), 0);
            assert!(is_tie((1.1 - 0.1 - 1.0) * scale, scale) && !is_tie(1e-3 * scale, scale));
        }
    }
}
