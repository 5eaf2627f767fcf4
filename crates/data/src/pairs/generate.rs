//! Makes a pair cache from labelled documents.
//!
//! The published protocol: documents of the pairing folds are split 80/10/10, and pairs are drawn within each split,
//! so that no document of one split is seen in another. Two things differ. The random numbers are keyed by seed,
//! trait and split (the published ones differ per process). And a fallback pair of two equal labels has y = 0.5,
//! a tie, where the published code calls the first one better.

use serde::{Deserialize, Serialize};

use super::gap::{MinGap, is_tie};
use super::groups::{mean_and_deviation, spanning, standings};
use super::select::{MAX_CANDIDATES, Wanted, select};
use super::{Pair, PairMeta, PerSplit, SplitName, UsageStats};
use crate::document::{Document, DocumentSet};
use crate::error::{DataError, Result};
use crate::rng;

/// How to make a cache.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// The run, for the files.
    pub run: u32,
    /// The seed of the split and of the draws.
    pub seed: u64,
    /// The folds whose documents are paired; at least one.
    pub pair_folds: Vec<String>,
    /// The fold kept out, for the record; not among `pair_folds`.
    pub heldout_fold: Option<String>,
    /// Which pairs.
    pub pairs: PairOptions,
}

/// Which pairs a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairOptions {
    /// How many pairs a document should be in on average, at least 1. No document is in more than one pair above
    /// that (or 5, if higher), unless the pairs wanted cannot be had otherwise.
    pub target_usage: usize,
    /// The smallest label distance of a regular pair.
    pub min_gap: MinGap,
    /// The share of each split's documents to use, above 0 and at most 1.
    pub split_fraction: f64,
    /// Documents of a group, at least 2 and more than `target_usage`; pairs are then made within groups only. A batch
    /// that holds a group reads each of its documents once for all of their pairs (Ouyang et al. 2022, section 3.5, do so
    /// with the answers to one prompt). Each group spans the labels, and the groups are the same for all traits whose pairs
    /// are made together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_size: Option<usize>,
}

impl Default for PairOptions {
    /// The published values.
    fn default() -> Self {
        Self { target_usage: 5, min_gap: MinGap::Units(1.0), split_fraction: 1.0, group_size: None }
    }
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { run: 1, seed: 0, pair_folds: Vec::new(), heldout_fold: None, pairs: PairOptions::default() }
    }
}

impl GenerateOptions {
    /// # Errors
    /// An option out of range; names it, and what to give.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: String, remedy: &str| Err(DataError::setting(what, remedy));
        if self.pair_folds.is_empty() {
            return refuse("no folds to pair".into(), "name at least one");
        }
        if let Some(fold) = self.heldout_fold.as_ref().filter(|fold| self.pair_folds.contains(fold)) {
            return refuse(
                format!("held-out fold \"{fold}\" is also a fold to pair"),
                "remove it from those",
            );
        }
        if self.pairs.target_usage == 0 {
            return refuse("target usage 0".into(), "use at least 1; 5 as published");
        }
        if !(self.pairs.split_fraction > 0.0 && self.pairs.split_fraction <= 1.0) {
            let what = format!("split fraction {} is not above 0 and at most 1", self.pairs.split_fraction);
            return refuse(what, "use 1.0 for all documents, 0.5 for half");
        }
        let usage = self.pairs.target_usage;
        if let Some(size) = self.pairs.group_size.filter(|&size| size < 2 || size <= usage) {
            return refuse(
                format!("groups of {size} documents, each in {usage} pairs"),
                "a document has no more partners than others are in its group: use larger groups or a smaller target usage",
            );
        }
        Ok(())
    }
}

impl PairMeta {
    /// What of a cache is otherwise than these options would make it, its own value first; `None` where nothing is. A gap in deviations is not compared, as it depends on the labels.
    pub fn other_than(&self, options: &GenerateOptions) -> Option<String> {
        let PairOptions { target_usage, min_gap, split_fraction, group_size } = options.pairs;
        let gap = match min_gap {
            MinGap::Units(gap) => gap,
            MinGap::Deviations(_) => self.min_score_gap,
        };
        let size = |size: Option<usize>| size.map_or("none".to_owned(), |size| size.to_string());
        let sorted = |folds: &[String]| {
            let mut folds = folds.to_vec();
            folds.sort_unstable();
            folds.join(", ")
        };
        let compared = [
            ("seed", self.seed.to_string(), options.seed.to_string()),
            ("folds", sorted(&self.pair_folds), sorted(&options.pair_folds)),
            ("target_usage", self.target_usage.to_string(), target_usage.to_string()),
            ("min_gap", self.min_score_gap.to_string(), gap.to_string()),
            (
                "split_fraction",
                self.split_fraction.unwrap_or(split_fraction).to_string(),
                split_fraction.to_string(),
            ),
            ("group_size", size(self.group_size), size(group_size)),
        ];
        let other = compared.into_iter().find(|(_, own, wanted)| own != wanted);
        other.map(|(name, own, wanted)| format!("{name} {own} instead of {wanted}"))
    }
}

/// Makes the pairs of all three splits, in the order train, val, test, and the account of them: one cache for each trait,
/// given by its name and the same documents with its labels.
///
/// Same traits, documents, options and seed give the same pairs on every platform. The split depends on neither the trait
/// nor the labels, and a smaller `split_fraction` takes a part of the same split.
///
/// # Errors
/// An option out of range; a fold that does not occur (lists those that do); a split with fewer than two documents that
/// have a label. Others are in no pair.
///
/// # Panics
/// When two traits have a different number of documents.
pub fn generate(
    traits: &[(String, DocumentSet)],
    options: &GenerateOptions,
) -> Result<Vec<(Vec<Pair>, PairMeta)>> {
    options.validate()?;
    let Some((_, first)) = traits.first() else { return Ok(Vec::new()) };
    assert!(
        traits.iter().all(|(_, set)| set.len() == first.len()),
        "the traits are not of the same documents"
    );
    if let Some(heldout) = &options.heldout_fold {
        first.in_folds(std::slice::from_ref(heldout))?;
    }
    let groups = split_groups(first, traits, options)?;
    traits.iter().map(|(target, set)| generate_one(target, set, &groups, options)).collect()
}

/// The pairs of one trait within the groups of each split.
fn generate_one(
    target: &str,
    set: &DocumentSet,
    groups: &PerSplit<Vec<Vec<usize>>>,
    options: &GenerateOptions,
) -> Result<(Vec<Pair>, PairMeta)> {
    let splits = labelled(set, groups, options)?;
    let cap = options.pairs.target_usage.saturating_add(1).max(5);
    let all = SplitName::ALL.iter().flat_map(|&split| splits.get(split).iter().flatten());
    let all: Vec<f64> = all.filter_map(|&place| set.documents[place].label).collect();
    let min_gap = options.pairs.min_gap.units(mean_and_deviation(&all).1);
    let spread = spread(&all);
    let mut pairs = Vec::new();
    let mut usage = Vec::new();
    let mut requested = PerSplit::default();
    let mut actual = PerSplit::default();
    for split in SplitName::ALL {
        let mut stream = rng::stream(options.seed, &["pairs", target, split.as_str()]);
        // A document that is alone in its group has no partner.
        for group in splits.get(split).iter().filter(|group| group.len() > 1) {
            let documents: Vec<&Document> = group.iter().map(|&place| &set.documents[place]).collect();
            let wanted = Wanted {
                pairs: (documents.len() as f64 * options.pairs.target_usage as f64 / 2.0).round() as usize,
                min_gap,
                cap,
                max_candidates: MAX_CANDIDATES,
            };
            let places = select(&labels(&documents), &wanted, &mut stream);
            *requested.get_mut(split) += wanted.pairs;
            let first = usage.len();
            usage.resize(first + documents.len(), 0);
            for (one, other) in places {
                usage[first + one] += 1;
                usage[first + other] += 1;
                let index = *actual.get(split);
                *actual.get_mut(split) += 1;
                let both = [documents[one], documents[other]];
                pairs.push(pair(options.run, target, split, index, both, spread));
            }
        }
    }
    let ids = |split: SplitName| {
        let mut places = splits.get(split).concat();
        places.sort_unstable();
        places.into_iter().map(|place| set.documents[place].id.clone()).collect()
    };
    let meta = PairMeta {
        run: options.run,
        target: target.to_owned(),
        seed: options.seed,
        target_usage: options.pairs.target_usage,
        min_score_gap: min_gap,
        split_fraction: Some(options.pairs.split_fraction),
        group_size: options.pairs.group_size,
        pair_folds: options.pair_folds.clone(),
        heldout_fold: options.heldout_fold.clone(),
        splits: PerSplit {
            train: ids(SplitName::Train),
            val: ids(SplitName::Val),
            test: ids(SplitName::Test),
        },
        counts_requested: requested,
        counts_actual: actual,
        usage_stats: UsageStats {
            per_essay_limit: cap,
            max_usage: usage.iter().copied().max().unwrap_or(0),
            min_usage: usage.iter().copied().min().unwrap_or(0),
            mean_usage: usage.iter().sum::<usize>() as f64 / usage.len() as f64,
        },
    };
    Ok((pairs, meta))
}

/// The better of two labelled documents is `a`; see [`is_tie`] for `spread`.
fn pair(
    run: u32,
    target: &str,
    split: SplitName,
    index: usize,
    [one, other]: [&Document; 2],
    spread: f64,
) -> Pair {
    let (a, b) = if one.label >= other.label { (one, other) } else { (other, one) };
    let distance = a.label.zip(b.label).map(|(a, b)| a - b);
    Pair {
        run,
        target: target.to_owned(),
        split,
        index,
        a: a.id.clone(),
        b: b.id.clone(),
        y: if distance.is_some_and(|gap| is_tie(gap, spread)) { 0.5 } else { 1.0 },
        da: a.label,
        db: b.label,
        d: distance,
        judge: None,
        shown_left: None,
        ms: None,
        at: None,
        weight: None,
    }
}

fn labels(documents: &[&Document]) -> Vec<f64> {
    documents.iter().filter_map(|document| document.label).collect()
}

/// How far apart the lowest and the highest label are.
fn spread(labels: &[f64]) -> f64 {
    let ends = |(low, high): (f64, f64), label: &f64| (low.min(*label), high.max(*label));
    let (low, high) = labels.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
    high - low
}

/// The places of each split, group by group; without groups all in one, in random order.
fn split_groups(
    first: &DocumentSet,
    traits: &[(String, DocumentSet)],
    options: &GenerateOptions,
) -> Result<PerSplit<Vec<Vec<usize>>>> {
    let pool = first.in_folds(&options.pair_folds)?;
    let PerSplit { train, val, test } = split_80_10_10(&pool, options.seed);
    let Some(size) = options.pairs.group_size else {
        return Ok(PerSplit { train: vec![train], val: vec![val], test: vec![test] });
    };
    let standings = standings(traits, &pool);
    let mut stream = rng::stream(options.seed, &["pairs", "groups"]);
    let mut divide = |places: Vec<usize>| spanning(&places, &standings, size, &mut stream);
    Ok(PerSplit { train: divide(train), val: divide(val), test: divide(test) })
}

/// The share of each group's documents that has labels and is used, in file order within a group.
fn labelled(
    set: &DocumentSet,
    splits: &PerSplit<Vec<Vec<usize>>>,
    options: &GenerateOptions,
) -> Result<PerSplit<Vec<Vec<usize>>>> {
    let choose = |split: SplitName| {
        let groups = splits.get(split);
        let is_labelled = |place: &&usize| set.documents[**place].label.is_some();
        let count = groups.iter().flatten().filter(is_labelled).count();
        if count < 2 {
            let pool = set.in_folds(&options.pair_folds)?.len();
            let what = format!("{count} of {pool} documents in the {split} split");
            return Err(DataError::file(&set.path, what, "pair at least 15 documents with labels"));
        }
        let share = (count as f64 * options.pairs.split_fraction).round() as usize;
        // The groups, and what is in the only one, are in random order, so the first few are a random few.
        let mut left = share.clamp(2, count);
        let mut chosen: Vec<Vec<usize>> = Vec::new();
        for group in groups {
            let mut places: Vec<usize> = group.iter().filter(is_labelled).take(left).copied().collect();
            left -= places.len();
            places.sort_unstable();
            chosen.push(places);
        }
        Ok(chosen)
    };
    Ok(PerSplit {
        train: choose(SplitName::Train)?,
        val: choose(SplitName::Val)?,
        test: choose(SplitName::Test)?,
    })
}

/// A random tenth of the places of documents validates, another one tests, the rest trains; each list in random
/// order. The same places and seed give the same split.
pub fn split_80_10_10(places: &[usize], seed: u64) -> PerSplit<Vec<usize>> {
    let mut pool = places.to_vec();
    rng::shuffle(&mut rng::stream(seed, &["pairs", "split"]), &mut pool);
    let tenth = (pool.len() as f64 * 0.1).round() as usize;
    let (val, rest) = pool.split_at(tenth);
    let (test, train) = rest.split_at(tenth);
    PerSplit { train: train.to_vec(), val: val.to_vec(), test: test.to_vec() }
}

#[cfg(test)]
mod tests;
