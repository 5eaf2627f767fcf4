//! How far an order of documents can be trusted, in one plain sentence: the same on the command line and on every page.

use std::fmt;

use serde::{Serialize, Serializer};

/// The coefficient from which on an order is called reliable, as is usual.
pub const ENOUGH: f64 = 0.8;
/// Below this, a coefficient says nothing about how many judgements are missing.
const FAINT: f64 = 0.4;
/// Judgements of a document after which an order is usually reliable; each judgement is of two. In simulations with 30
/// documents whose utilities spread by 1.5 logits, 240 to 300 judgements were.
const USUAL: f64 = 16.0;

/// How far an order can be trusted. Displayed as a sentence without its full stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trust {
    /// Nothing was judged.
    Unjudged,
    /// Some documents were never compared with the others.
    Apart,
    /// So many judgements are missing, where that can be told.
    Missing(Option<f64>),
    /// A coefficient of 0.8 or more.
    Enough(f64),
}

impl Trust {
    /// From a coefficient of judgements alone, of documents in so many parts that no judgement connects. What is missing
    /// follows by Spearman and Brown's formula, as far as the coefficient allows.
    pub(super) fn of(judgements: usize, documents: usize, parts: usize, known: Option<f64>) -> Self {
        let (made, known) = (judgements as f64, known.unwrap_or(0.0));
        if judgements == 0 {
            return Self::Unjudged;
        }
        if parts > 1 {
            return Self::Apart;
        }
        if known >= ENOUGH {
            return Self::Enough(known);
        }
        Self::Missing(Some(match known < FAINT {
            true => (USUAL * documents as f64 / 2.0 - made).max(made),
            false => made * ((ENOUGH * (1.0 - known)) / (known * (1.0 - ENOUGH)) - 1.0),
        }))
    }

    /// From a reliability of the posterior, and the judgements until it is 0.8 where they tell something.
    pub fn told(reliability: Option<f64>, missing: Option<usize>) -> Self {
        match reliability.filter(|known| *known >= ENOUGH) {
            Some(known) => Self::Enough(known),
            None => Self::Missing(missing.map(|missing| missing as f64)),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unjudged => f.write_str("No judgements yet"),
            Self::Apart => f.write_str("Not reliable yet: some texts were never compared with the others"),
            Self::Missing(None) => f.write_str("Not reliable yet"),
            Self::Missing(Some(missing)) => {
                write!(f, "Not reliable yet: about {} more judgements", roughly(*missing))
            }
            Self::Enough(known) => write!(f, "Reliable: {known:.2} of 1"),
        }
    }
}

/// As its sentence.
impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of judgements as people say it: to the next ten, thousands apart.
fn roughly(count: f64) -> String {
    let mut rest = 10 * ((count / 10.0).round() as u64).max(1);
    let mut text = String::new();
    while rest >= 1000 {
        text = format!(",{:03}{text}", rest % 1000);
        rest /= 1000;
    }
    format!("{rest}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(judgements: usize, known: f64) -> String {
        Trust::of(judgements, 12, 1, Some(known)).to_string()
    }

    #[test]
    fn missing_judgements_follow_from_the_coefficient() {
        // Spearman and Brown: from 0.5 to 0.8 takes 0.8 · 0.5 / (0.5 · 0.2) = 4 times the judgements.
        assert_eq!(words(40, 0.5), "Not reliable yet: about 120 more judgements");
        // From 0.75 it takes 4/3 times as many: 33.3 more.
        assert_eq!(words(100, 0.75), "Not reliable yet: about 30 more judgements");
        assert_eq!(words(100, 0.86), "Reliable: 0.86 of 1");
        assert_eq!(words(0, 0.0), "No judgements yet");
    }

    #[test]
    fn coefficients_near_0_say_nothing_and_sixteen_judgements_of_a_document_are_usual() {
        assert_eq!(words(20, -3.66), "Not reliable yet: about 80 more judgements");
        assert_eq!(words(80, 0.1), "Not reliable yet: about 80 more judgements");
        assert_eq!(Trust::of(20, 12, 1, None).to_string(), words(20, -3.66));
        let apart = Trust::of(20, 12, 2, Some(0.9)).to_string();
        assert_eq!(apart, "Not reliable yet: some texts were never compared with the others");
    }

    #[test]
    fn what_texts_tell_counts_where_they_were_read() {
        assert_eq!(Trust::told(Some(0.8), Some(0)).to_string(), "Reliable: 0.80 of 1");
        assert_eq!(
            Trust::told(Some(0.3), Some(12_344)).to_string(),
            "Not reliable yet: about 12,340 more judgements"
        );
        assert_eq!(Trust::told(None, None).to_string(), "Not reliable yet");
    }

    #[test]
    fn numbers_as_people_say_them() {
        let said = [0.0, 4.0, 15.0, 994.0, 999.0, 1_234_567.0].map(roughly);
        assert_eq!(said, ["10", "10", "20", "990", "1,000", "1,234,570"]);
    }
}
