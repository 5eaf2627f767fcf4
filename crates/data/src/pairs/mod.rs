//! Pairs of documents with a preference: generated from labels, or judged by people.
//!
//! One file format serves both, JSONL with one [`Pair`] per line. A generated cache also has a [`PairMeta`] beside
//! it, which says how it was made and which documents belong to which split.

mod cache;
mod conversation;
mod gap;
mod generate;
mod groups;
mod preferences;
mod select;
mod stats;

use serde::{Deserialize, Serialize, Serializer};

use crate::json;

pub use cache::{PairCache, cache_files, parse_pairs, read_meta, read_pairs, write_cache};
pub use gap::{GAP_NAMES, MinGap, N_GAPS, gap_bucket};
pub use generate::{GenerateOptions, PairOptions, generate, split_80_10_10};
pub use preferences::{Answer, Preferences, read_preferences};
pub use stats::{PairStats, SplitStats, stats, table};

/// The role of a pair; its documents appear in no other role of the same cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitName {
    /// Pairs whose loss is minimised.
    Train,
    /// Pairs that choose the best epoch.
    Val,
    /// Pairs measured once, at the end.
    Test,
}

impl SplitName {
    /// All splits, in the order in which files list them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name of the split in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Two documents and which is better. The field order is the order of keys in files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The run it was made for.
    pub run: u32,
    /// The rated attribute, `trait` in files.
    #[serde(rename = "trait")]
    pub target: String,
    /// Its role.
    pub split: SplitName,
    /// Its place within the split, from 0.
    pub index: usize,
    /// The id of one document; in generated pairs the better one.
    #[serde(deserialize_with = "json::id")]
    pub a: String,
    /// The id of the other document.
    #[serde(deserialize_with = "json::id")]
    pub b: String,
    /// 1 when `a` is better, 0 when `b` is, 0.5 for a tie.
    #[serde(serialize_with = "whole_if_possible")]
    pub y: f64,
    /// The label of `a`, score units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub da: Option<f64>,
    /// The label of `b`, score units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<f64>,
    /// `da - db`, score units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d: Option<f64>,
    /// Who judged; absent in generated pairs, as are the next three.
    #[serde(default, deserialize_with = "json::optional_id", skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// The document shown on the left.
    #[serde(default, deserialize_with = "json::optional_id", skip_serializing_if = "Option::is_none")]
    pub shown_left: Option<String>,
    /// How long the judge took, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// When it was judged, as the judge's program wrote it.
    #[serde(default, deserialize_with = "json::optional_id", skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How much it counts, above 0; `None` counts 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

impl Pair {
    /// The distance of the two labels in score units, where the pair carries it.
    pub fn gap(&self) -> Option<f64> {
        let difference = self.d.or_else(|| Some(self.da? - self.db?));
        difference.map(f64::abs)
    }

    /// What the judgement says about the document called `id`, one of the two: 1 better, 0.5 tie, 0 worse.
    pub fn y_of(&self, id: &str) -> f64 {
        if self.a == id { self.y } else { 1.0 - self.y }
    }

    /// The two ids in a fixed order: equal for (a, b) and (b, a).
    pub fn unordered(&self) -> (&str, &str) {
        if self.a <= self.b { (&self.a, &self.b) } else { (&self.b, &self.a) }
    }

    /// What makes the pair useless, with the remedy; `None` for a good one.
    pub(crate) fn defect(&self) -> Option<(String, &'static str)> {
        if self.a.trim().is_empty() || self.b.trim().is_empty() {
            return Some(("an id is empty".into(), "name two documents"));
        }
        if self.a == self.b {
            return Some((format!("document \"{}\" is paired with itself", self.a), "name two documents"));
        }
        if ![0.0, 0.5, 1.0].contains(&self.y) {
            return Some((format!("y is {}", self.y), "write 1 (a is better), 0 (b is better) or 0.5 (tie)"));
        }
        match self.weight {
            Some(weight) if !(weight > 0.0 && weight.is_finite()) => {
                Some((format!("weight is {weight}"), "give a number above 0, or leave it out"))
            }
            _ => None,
        }
    }
}

/// Files hold `1` and `0`, as published, and `0.5`.
fn whole_if_possible<S: Serializer>(y: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if *y == 0.0 || *y == 1.0 { serializer.serialize_u8(*y as u8) } else { serializer.serialize_f64(*y) }
}

/// One value per split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerSplit<T> {
    /// The value of [`SplitName::Train`].
    pub train: T,
    /// The value of [`SplitName::Val`].
    pub val: T,
    /// The value of [`SplitName::Test`].
    pub test: T,
}

impl<T> PerSplit<T> {
    /// The value of one split.
    pub fn get(&self, split: SplitName) -> &T {
        match split {
            SplitName::Train => &self.train,
            SplitName::Val => &self.val,
            SplitName::Test => &self.test,
        }
    }

    /// The value of one split, to change.
    pub fn get_mut(&mut self, split: SplitName) -> &mut T {
        match split {
            SplitName::Train => &mut self.train,
            SplitName::Val => &mut self.val,
            SplitName::Test => &mut self.test,
        }
    }
}

/// How a cache was made: the `_meta.json` beside it, keys as published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairMeta {
    /// The run it was made for.
    pub run: u32,
    /// The rated attribute, `trait` in files.
    #[serde(rename = "trait")]
    pub target: String,
    /// The seed of the generator.
    pub seed: u64,
    /// How many pairs a document should be in, on average.
    pub target_usage: usize,
    /// The smallest label distance of a regular pair, score units.
    pub min_score_gap: f64,
    /// The share of each split's documents that is used, where a generator that notes it made the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_fraction: Option<f64>,
    /// Documents of a group, where pairs are made within groups only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_size: Option<usize>,
    /// The folds whose documents are paired.
    pub pair_folds: Vec<String>,
    /// The fold kept out, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heldout_fold: Option<String>,
    /// The ids of each split's documents, in file order.
    pub splits: PerSplit<Vec<String>>,
    /// How many pairs were wanted.
    pub counts_requested: PerSplit<usize>,
    /// How many pairs there are; fewer where the documents allow no more.
    pub counts_actual: PerSplit<usize>,
    /// How often documents are used, over all splits.
    pub usage_stats: UsageStats,
}

/// How many pairs documents are in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsageStats {
    /// The soft cap; `max_usage` is above it where the pairs wanted could not be had otherwise.
    pub per_essay_limit: usize,
    /// Pairs of the document that is in most.
    pub max_usage: usize,
    /// Pairs of the document that is in fewest; at least 1.
    pub min_usage: usize,
    /// Over documents.
    pub mean_usage: f64,
}
