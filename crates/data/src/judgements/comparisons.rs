//! Judgements as numbers: documents and judges are indices.

use std::collections::BTreeMap;

use super::JudgementLog;
use crate::document::DocumentSet;
use crate::error::Result;

/// One judgement as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Index of one document.
    pub a: usize,
    /// Index of the other document.
    pub b: usize,
    /// 1 when `a` is better, 0 when `b` is, 0.5 for a tie.
    pub y: f64,
    /// Index of the judge.
    pub judge: usize,
    /// How much it counts in a fit, above 0.
    pub weight: f64,
    /// Whether `a` was shown on the left, where that is known.
    pub a_left: Option<bool>,
    /// How long the judge took, milliseconds, where that is known.
    pub ms: Option<u64>,
}

impl Comparison {
    /// A comparison of weight 1 by judge 0.
    pub fn new(a: usize, b: usize, y: f64) -> Self {
        Self { a, b, y, judge: 0, weight: 1.0, a_left: None, ms: None }
    }

    /// The documents in a fixed order.
    pub fn unordered(&self) -> (usize, usize) {
        (self.a.min(self.b), self.a.max(self.b))
    }

    /// The answer for the pair in that order: 1 when the document of the smaller index is better.
    pub fn y_unordered(&self) -> f64 {
        if self.a < self.b { self.y } else { 1.0 - self.y }
    }
}

/// The judgements of a log as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparisons {
    /// The ids of the documents, sorted.
    pub documents: Vec<String>,
    /// The names of the judges, sorted.
    pub judges: Vec<String>,
    /// The judgements, in the order of the log.
    pub list: Vec<Comparison>,
}

impl From<&JudgementLog> for Comparisons {
    /// Of the documents that were judged. Every judgement counts 1, whatever weight its line has: weights are for
    /// training.
    fn from(log: &JudgementLog) -> Self {
        let ids = log.judgements.iter().flat_map(|judgement| [&judgement.pair.a, &judgement.pair.b]);
        let (documents, document) = numbered(ids.map(String::as_str));
        Self::numbered(log, documents, |id| document[id])
    }
}

impl Comparisons {
    /// Of all documents of a set, judged or not, in its order.
    ///
    /// # Errors
    /// A judgement of another document: with its file and line.
    pub fn among(documents: &DocumentSet, log: &JudgementLog) -> Result<Self> {
        log.check_documents(|id| documents.index_of(id).is_some())?;
        let place = |id: &str| documents.index_of(id).expect("it was checked");
        Ok(Self::numbered(log, documents.ids().map(str::to_owned).collect(), place))
    }

    /// Of all documents with these ids, judged or not, in their order.
    ///
    /// # Errors
    /// As [`among`](Self::among).
    pub fn among_ids(documents: Vec<String>, log: &JudgementLog) -> Result<Self> {
        let places: BTreeMap<&str, usize> =
            documents.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        log.check_documents(|id| places.contains_key(id))?;
        let numbered = Self::numbered(log, Vec::new(), |id| places[id]);
        drop(places);
        Ok(Self { documents, ..numbered })
    }

    fn numbered(log: &JudgementLog, documents: Vec<String>, document: impl Fn(&str) -> usize) -> Self {
        let (judges, judge) = numbered(log.judgements.iter().map(|judgement| judgement.judge()));
        let compare = |judgement: &super::Judgement| {
            let pair = &judgement.pair;
            Comparison {
                a: document(&pair.a),
                b: document(&pair.b),
                y: pair.y,
                judge: judge[judgement.judge()],
                weight: 1.0,
                a_left: pair.shown_left.as_ref().map(|left| *left == pair.a),
                ms: pair.ms,
            }
        };
        Self { list: log.judgements.iter().map(compare).collect(), documents, judges }
    }
}

/// The different names, sorted, and the place of each.
fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> (Vec<String>, BTreeMap<&'a str, usize>) {
    let mut places: BTreeMap<&str, usize> = names.map(|name| (name, 0)).collect();
    for (place, value) in places.values_mut().enumerate() {
        *value = place;
    }
    (places.keys().map(|&name| name.to_owned()).collect(), places)
}
