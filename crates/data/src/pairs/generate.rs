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
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// `n` documents in folds A, B, C in turn, with labels 1 to 5 by 0.5, the middle ones more often.
    fn documents(n: usize) -> DocumentSet {
        let mut rng = rng::stream(2, &["labels"]);
        let mut half = || rng::below(&mut rng, 5) as f64;
        let mut document = |place: usize| Document {
            id: format!("d{place}"),
            text: "x".into(),
            fold: Some(["A", "B", "C"][place % 3].into()),
            label: Some(1.0 + (half() + half()) / 2.0),
            row: place + 2,
            ..Document::default()
        };
        DocumentSet::new("essays.csv", (0..n).map(&mut document).collect()).unwrap()
    }

    fn options(seed: u64) -> GenerateOptions {
        GenerateOptions {
            seed,
            pair_folds: vec!["A".into(), "B".into()],
            heldout_fold: Some("C".into()),
            ..Default::default()
        }
    }

    /// The cache of one trait.
    fn cache_of(target: &str, set: &DocumentSet, options: &GenerateOptions) -> Result<(Vec<Pair>, PairMeta)> {
        Ok(super::generate(&[(target.into(), set.clone())], options)?.remove(0))
    }

    fn generate(set: &DocumentSet, options: &GenerateOptions) -> Result<(Vec<Pair>, PairMeta)> {
        cache_of("grammar", set, options)
    }

    fn with(pairs: PairOptions) -> GenerateOptions {
        GenerateOptions { pairs, ..options(1) }
    }

    #[test]
    fn seed_decides_and_nothing_else() {
        let set = documents(150);
        assert_eq!(generate(&set, &options(1)).unwrap(), generate(&set, &options(1)).unwrap());
        assert_ne!(generate(&set, &options(1)).unwrap().0, generate(&set, &options(2)).unwrap().0);
    }

    #[test]
    fn documents_are_split_80_10_10_without_overlap() {
        let set = documents(150);
        let (_, meta) = generate(&set, &options(1)).unwrap();
        let PerSplit { train, val, test } = &meta.splits;
        assert_eq!((train.len(), val.len(), test.len()), (80, 10, 10));
        let all: BTreeSet<_> = train.iter().chain(val).chain(test).collect();
        assert_eq!(all.len(), 100);
        assert!(all.iter().all(|id| set.get(id).unwrap().fold.as_deref() != Some("C")));
    }

    #[test]
    fn pairs_stay_within_their_split() {
        let (pairs, meta) = generate(&documents(150), &options(1)).unwrap();
        for pair in &pairs {
            let ids = meta.splits.get(pair.split);
            assert!(ids.contains(&pair.a) && ids.contains(&pair.b));
        }
    }

    #[test]
    fn split_does_not_depend_on_the_trait() {
        let set = documents(150);
        let (pairs, meta) = generate(&set, &options(1)).unwrap();
        let (other_pairs, other_meta) = cache_of("syntax", &set, &options(1)).unwrap();
        assert_eq!(meta.splits, other_meta.splits);
        let ids =
            |pairs: &[Pair]| pairs.iter().map(|pair| (pair.a.clone(), pair.b.clone())).collect::<Vec<_>>();
        assert_ne!(ids(&pairs), ids(&other_pairs));
    }

    #[test]
    fn fraction_takes_a_part_of_the_same_split() {
        let set = documents(150);
        let (_, all) = generate(&set, &options(1)).unwrap();
        let (_, half) =
            generate(&set, &with(PairOptions { split_fraction: 0.5, ..PairOptions::default() })).unwrap();
        assert_eq!((half.splits.train.len(), half.splits.val.len()), (40, 5));
        assert!(half.splits.train.iter().all(|id| all.splits.train.contains(id)));
        let (_, few) =
            generate(&set, &with(PairOptions { split_fraction: 0.01, ..PairOptions::default() })).unwrap();
        assert_eq!((few.splits.train.len(), few.splits.val.len()), (2, 2));
    }

    #[test]
    fn pairs_of_groups_connect_no_two_groups_and_those_of_every_trait_are_the_same() {
        let set = documents(600);
        let grouped = PairOptions { target_usage: 4, group_size: Some(8), ..PairOptions::default() };
        // A trait of other labels, some of them missing.
        let mut other = set.clone();
        for (place, document) in other.documents.iter_mut().enumerate() {
            let label = document.label.take();
            document.label = label.filter(|_| place % 9 > 0).map(|label| (label * 7.0 + place as f64) % 4.0);
        }
        let traits = [("grammar".into(), set), ("syntax".into(), other)];
        let mut caches = super::generate(&traits, &with(grouped)).unwrap();
        let (other_pairs, _) = caches.remove(1);
        let (pairs, meta) = caches.remove(0);
        // Documents that pairs of either trait connect, by repeated renaming to the smallest id.
        let mut name: BTreeMap<&str, &str> = BTreeMap::new();
        let all = || pairs.iter().chain(&other_pairs).map(|pair| (pair.a.as_str(), pair.b.as_str()));
        for (a, b) in all() {
            name.insert(a, a);
            name.insert(b, b);
        }
        for _ in 0..16 {
            for (a, b) in all() {
                let least = name[a].min(name[b]);
                name.insert(a, least);
                name.insert(b, least);
            }
        }
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        name.values().for_each(|group| *sizes.entry(group).or_default() += 1);
        // 320 documents in 40 groups, twice 40 in 5; one of equal labels may be in two parts.
        assert_eq!(sizes.values().sum::<usize>(), 400);
        assert!((50..60).contains(&sizes.len()) && sizes.values().all(|&size| size <= 8), "{sizes:?}");
        assert_eq!(meta.counts_requested, PerSplit { train: 640, val: 80, test: 80 });
        // Not every group has 16 pairs of grades that are a unit apart.
        let PerSplit { train, val, test } = meta.counts_actual;
        assert_eq!(train + val + test, pairs.len());
        assert!((560..640).contains(&train), "{train}");
        assert_eq!(meta.group_size, Some(8));
    }

    #[test]
    fn a_cache_tells_what_other_options_would_make_otherwise() {
        let set = documents(150);
        let (_, meta) = generate(&set, &options(1)).unwrap();
        assert_eq!(meta.other_than(&options(1)), None);
        let other = |options: GenerateOptions| meta.other_than(&options).unwrap();
        assert_eq!(other(options(2)), "seed 1 instead of 2");
        let pairs = PairOptions { split_fraction: 0.5, ..PairOptions::default() };
        assert_eq!(other(with(pairs)), "split_fraction 1 instead of 0.5");
        let pairs = PairOptions { group_size: Some(8), ..PairOptions::default() };
        assert_eq!(other(with(pairs)), "group_size none instead of 8");
        let folds = GenerateOptions { pair_folds: vec!["B".into(), "A".into()], ..options(1) };
        assert_eq!(meta.other_than(&folds), None);
    }

    #[test]
    fn counts_and_usage_are_reported() {
        let (pairs, meta) = generate(&documents(600), &options(1)).unwrap();
        // 400 documents: 320/40/40, each 2.5 pairs.
        assert_eq!(meta.counts_requested, PerSplit { train: 800, val: 100, test: 100 });
        assert_eq!(meta.counts_actual, meta.counts_requested);
        assert_eq!(pairs.len(), 1000);
        assert_eq!((meta.usage_stats.per_essay_limit, meta.usage_stats.mean_usage), (6, 5.0));
        assert!(meta.usage_stats.min_usage >= 1);
    }

    #[test]
    fn a_is_better_and_ties_say_so() {
        let (pairs, _) = generate(&documents(600), &options(1)).unwrap();
        for pair in &pairs {
            let (da, db) = (pair.da.unwrap(), pair.db.unwrap());
            assert_eq!(pair.d, Some(da - db));
            assert_eq!(pair.y, if da > db { 1.0 } else { 0.5 });
            assert!(da >= db);
        }
        let mut same = documents(60);
        same.documents.iter_mut().for_each(|document| document.label = Some(3.0));
        assert!(generate(&same, &options(1)).unwrap().0.iter().all(|pair| pair.y == 0.5));
    }

    #[test]
    fn pairs_do_not_depend_on_the_size_of_the_scale() {
        let set = documents(600);
        let on_scale = |factor: f64| {
            let mut set = set.clone();
            let labels = set.documents.iter_mut().filter_map(|document| document.label.as_mut());
            labels.for_each(|label| *label *= factor);
            let pairs = PairOptions { min_gap: MinGap::Units(factor), ..PairOptions::default() };
            let pairs = generate(&set, &with(pairs)).unwrap().0;
            pairs.into_iter().map(|pair| (pair.a, pair.b, pair.y)).collect::<Vec<_>>()
        };
        // Powers of two, so that the same labels are equal.
        for exponent in [-24, 24] {
            assert_eq!(on_scale(2_f64.powi(exponent)), on_scale(1.0));
        }
    }

    #[test]
    fn index_counts_within_each_split() {
        let (pairs, meta) = generate(&documents(150), &options(1)).unwrap();
        for split in SplitName::ALL {
            let indices: Vec<_> =
                pairs.iter().filter(|pair| pair.split == split).map(|pair| pair.index).collect();
            assert_eq!(indices, (0..*meta.counts_actual.get(split)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        let set = documents(150);
        let says = |options: GenerateOptions, what: &str| {
            let message = generate(&set, &options).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        };
        says(GenerateOptions { heldout_fold: Some("A".into()), ..options(1) }, "held-out fold \"A\"");
        says(GenerateOptions { pair_folds: vec!["Z".into()], ..options(1) }, "its folds are A, B, C");
        says(GenerateOptions { heldout_fold: Some("Z".into()), ..options(1) }, "its folds are A, B, C");
        says(GenerateOptions { pair_folds: vec![], ..options(1) }, "no folds");
        says(with(PairOptions { target_usage: 0, ..PairOptions::default() }), "target usage");
        says(with(PairOptions { group_size: Some(5), ..PairOptions::default() }), "groups of 5 documents");
        says(with(PairOptions { split_fraction: 1.5, ..PairOptions::default() }), "split fraction");
    }

    #[test]
    fn small_splits_are_refused() {
        let message = generate(&documents(15), &options(1)).unwrap_err().to_string();
        assert!(message.contains("val split") && message.contains("at least 15"), "{message}");
    }

    #[test]
    fn documents_without_a_label_are_in_no_pair_and_move_no_other() {
        let set = documents(150);
        let (_, all) = generate(&set, &options(1)).unwrap();
        let mut some = set.clone();
        some.documents.iter_mut().step_by(7).for_each(|document| document.label = None);
        let (pairs, meta) = generate(&some, &options(1)).unwrap();
        let has_label = |id: &String| some.get(id).unwrap().label.is_some();
        assert!(pairs.iter().all(|pair| has_label(&pair.a) && has_label(&pair.b)));
        let labelled: Vec<&String> = all.splits.train.iter().filter(|id| has_label(id)).collect();
        assert_eq!(meta.splits.train.iter().collect::<Vec<_>>(), labelled);
    }

    #[test]
    fn a_gap_in_deviations_is_that_many_units() {
        let set = documents(600);
        let labels: Vec<f64> = set
            .iter()
            .filter(|document| document.fold.as_deref() != Some("C"))
            .map(|document| document.label.unwrap())
            .collect();
        let mean = labels.iter().sum::<f64>() / labels.len() as f64;
        let squares: f64 = labels.iter().map(|label| (label - mean) * (label - mean)).sum();
        let gap = 0.75 * (squares / (labels.len() as f64 - 1.0)).sqrt();
        let with =
            |min_gap| generate(&set, &with(PairOptions { min_gap, ..PairOptions::default() })).unwrap();
        let (pairs, meta) = with(MinGap::Deviations(0.75));
        assert!((meta.min_score_gap - gap).abs() < 1e-12, "{} {gap}", meta.min_score_gap);
        assert_eq!(pairs, with(MinGap::Units(meta.min_score_gap)).0);
    }
}
