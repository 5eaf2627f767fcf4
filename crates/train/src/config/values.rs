//! Types of values: what a reader is told of them, and how their ranges are checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pair2score_data::{Encoding, Mark, PromptTemplate};
use pair2score_model::{Pooling, Projection};
use pair2score_scorer::WeightDType;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::choices::{
    Binning, Calibration, DeviceKind, Head, HeadInit, Mode, Monitor, MonitorMode, Objective, Quantization,
    RelativeMode, UtilityInit,
};
use super::scalar::{Layers, Name, Required};
use crate::schedule::ScheduleKind;

/// What has to hold of a value beyond its type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    /// Nothing.
    Any,
    /// It is a whole number from the first to the second.
    Count(usize, usize),
    /// It is a finite number that the function accepts; the text says in words which those are.
    Number(&'static str, fn(f64) -> bool),
    /// It is given; the text is an example of it.
    Required(&'static str),
}

pub(super) const ABOVE_0: Range = Range::Number("above 0", |value| value > 0.0);
pub(super) const FROM_0: Range = Range::Number("0 or more", |value| value >= 0.0);
/// A share that leaves something on both sides.
pub(super) const SHARE: Range = Range::Number("above 0 and below 1", |value| value > 0.0 && value < 1.0);
pub(super) const DROPOUT: Range = Range::Number("0 or more and below 1", |value| (0.0..1.0).contains(&value));
/// A learning rate beyond 1 has lost the minus sign of its exponent.
pub(super) const RATE: Range = Range::Number("above 0 and at most 1", |value| value > 0.0 && value <= 1.0);

/// Larger counts are taken for mistakes; below them, products of counts fit into a `usize`.
pub(super) const MAX_EPOCHS: usize = 100_000;
pub(super) const MAX_BATCH: usize = 65_536;
pub(super) const MAX_STEPS: usize = 1_000_000_000;
pub(super) const MAX_RANK: usize = 4096;
pub(super) const MAX_LAYERS: usize = 1000;
pub(super) const MAX_TOKENS: usize = 131_072;

/// The value of a key.
pub(super) trait Leaf: Serialize {
    /// The values there are, in words.
    fn words(range: &Range) -> String;

    /// What is wrong with this one.
    fn problem(&self, _range: &Range) -> Option<String> {
        None
    }
}

impl Leaf for bool {
    fn words(_: &Range) -> String {
        "`true` or `false`".into()
    }
}

impl Leaf for usize {
    fn words(range: &Range) -> String {
        match range {
            Range::Count(from, to) => format!("{from} to {to}"),
            _ => "a whole number".into(),
        }
    }

    fn problem(&self, range: &Range) -> Option<String> {
        match range {
            Range::Count(from, to) if !(from..=to).contains(&self) => {
                Some(format!("{self} is not in {from} to {to}"))
            }
            _ => None,
        }
    }
}

impl Leaf for Layers {
    fn words(range: &Range) -> String {
        format!("{}, `auto`", usize::words(range))
    }

    fn problem(&self, range: &Range) -> Option<String> {
        match self {
            Self::First(layers) => layers.problem(range).map(|problem| problem + " or auto"),
            Self::Auto => None,
        }
    }
}

impl Leaf for u64 {
    fn words(_: &Range) -> String {
        "a whole number".into()
    }
}

impl Leaf for f64 {
    fn words(range: &Range) -> String {
        match range {
            Range::Number(words, _) => (*words).into(),
            _ => "a number".into(),
        }
    }

    fn problem(&self, range: &Range) -> Option<String> {
        match range {
            Range::Number(words, accepts) if !self.is_finite() || !accepts(*self) => {
                Some(format!("{self} is not {words}"))
            }
            _ => None,
        }
    }
}

impl Leaf for String {
    fn words(_: &Range) -> String {
        "text".into()
    }
}

impl Leaf for Name {
    fn words(_: &Range) -> String {
        "a name".into()
    }
}

impl Leaf for PromptTemplate {
    fn words(_: &Range) -> String {
        "text with `{prompt}` and `{text}`".into()
    }
}

impl Leaf for Mark {
    fn words(_: &Range) -> String {
        "one character, `tab`".into()
    }
}

impl Leaf for Encoding {
    fn words(_: &Range) -> String {
        Encoding::ALL.map(|(_, name)| format!("`{name}`")).join(", ")
    }
}

impl Leaf for PathBuf {
    fn words(_: &Range) -> String {
        "a path".into()
    }
}

impl Leaf for BTreeMap<String, String> {
    fn words(_: &Range) -> String {
        "names and texts".into()
    }
}

impl<T: Leaf> Leaf for Vec<T> {
    fn words(range: &Range) -> String {
        format!("a list of: {}", T::words(range))
    }

    fn problem(&self, range: &Range) -> Option<String> {
        match range {
            Range::Required(example) if self.is_empty() => Some(format!("missing, give {example}")),
            _ => self.iter().find_map(|value| value.problem(range)),
        }
    }
}

impl<T: Leaf> Leaf for Option<T> {
    fn words(range: &Range) -> String {
        format!("{}, or `null`", T::words(range))
    }

    fn problem(&self, range: &Range) -> Option<String> {
        self.as_ref()?.problem(range).map(|problem| problem + " or null")
    }
}

impl<T: Leaf> Leaf for Required<T> {
    fn words(range: &Range) -> String {
        T::words(range)
    }

    fn problem(&self, range: &Range) -> Option<String> {
        match range {
            Range::Required(example) if !self.is_given() => Some(format!("missing, give {example}")),
            _ => None,
        }
    }
}

/// Types of which only some words are values; they know themselves which.
macro_rules! words_of {
    ($($type:ty),+) => {
        $(impl Leaf for $type {
            fn words(_: &Range) -> String {
                spellings::<Self>()
            }
        })+
    };
}
words_of!(
    Binning,
    Head,
    HeadInit,
    Calibration,
    DeviceKind,
    Mode,
    Monitor,
    MonitorMode,
    Objective,
    Pooling,
    Projection,
    Quantization,
    RelativeMode,
    ScheduleKind,
    UtilityInit,
    WeightDType
);

/// The words that a type accepts, as it says itself when it refuses another.
fn spellings<T: DeserializeOwned>() -> String {
    let refusal = serde_yaml::from_str::<T>("'?'").err().map(|error| error.to_string()).unwrap_or_default();
    let words = refusal.split_once("expected ").map_or("", |(_, words)| words);
    let end = words.rfind('`').map_or(0, |end| end + 1);
    words[..end].trim_start_matches("one of ").to_owned()
}
