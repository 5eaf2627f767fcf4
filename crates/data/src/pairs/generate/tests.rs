//! What seed, traits and options decide about a cache, and which options are refused.

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
    let ids = |pairs: &[Pair]| pairs.iter().map(|pair| (pair.a.clone(), pair.b.clone())).collect::<Vec<_>>();
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
    let with = |min_gap| generate(&set, &with(PairOptions { min_gap, ..PairOptions::default() })).unwrap();
    let (pairs, meta) = with(MinGap::Deviations(0.75));
    assert!((meta.min_score_gap - gap).abs() < 1e-12, "{} {gap}", meta.min_score_gap);
    assert_eq!(pairs, with(MinGap::Units(meta.min_score_gap)).0);
}
