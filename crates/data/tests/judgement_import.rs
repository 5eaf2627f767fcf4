//! From logs to pair caches.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use pair2score_data::judgements::select::balanced;
use pair2score_data::judgements::{Dropped, ImportOptions, JudgementLog, LogDefaults, to_cache};
use pair2score_data::pairs::{SplitName, split_80_10_10};
use pair2score_data::{Document, DocumentSet};

/// `n` documents in folds A to D in turn, and the last tenth in E.
fn documents(n: usize) -> DocumentSet {
    let document = |place: usize| Document {
        id: format!("d{place}"),
        text: "x".into(),
        fold: Some(if place >= n - n / 10 { "E" } else { ["A", "B", "C", "D"][place % 4] }.into()),
        label: None,
        row: place + 2,
        ..Document::default()
    };
    DocumentSet::new("essays.csv", (0..n).map(document).collect()).unwrap()
}

/// Two judges in turn, who prefer the document of the smaller number.
fn log(pairs: &[(usize, usize)]) -> JudgementLog {
    let mut lines = String::new();
    for (place, (a, b)) in pairs.iter().enumerate() {
        let y = u8::from(a < b);
        let judge = ["ann", "bob"][place % 2];
        lines += &format!(
            "{{\"run\":0,\"trait\":\"t\",\"split\":\"train\",\"index\":{place},\"a\":\"d{a}\",\"b\":\"d{b}\",\"y\":{y},\
             \"judge\":\"{judge}\",\"at\":\"{place}\"}}\n"
        );
    }
    JudgementLog::parse(Path::new("log.jsonl"), &lines, &LogDefaults::default()).unwrap()
}

#[test]
fn documents_have_one_role_and_the_shares_are_kept() {
    let import = to_cache(&log(&balanced(200, 10, 1)), &documents(200), &ImportOptions::default()).unwrap();
    let mut roles: HashMap<&str, SplitName> = HashMap::new();
    for pair in &import.pairs {
        for id in [&pair.a, &pair.b] {
            assert_eq!(*roles.entry(id).or_insert(pair.split), pair.split);
        }
    }
    let splits = &import.meta.splits;
    // Documents whose judgements all cross are in no split.
    assert!(splits.train.len() >= 155 && splits.train.len() <= 160, "{}", splits.train.len());
    assert!(splits.val.len() <= 20 && splits.test.len() <= 20);
    assert_eq!(import.pairs.len() + import.dropped.crossing, 1000);
    let counts = &import.meta.counts_actual;
    assert_eq!(counts.train + counts.val + counts.test, import.pairs.len());
}

#[test]
fn exchanges_keep_more_than_a_random_split() {
    let pairs = balanced(200, 10, 1);
    let splits = split_80_10_10(&(0..200).collect::<Vec<_>>(), 36);
    let role = |place: usize| SplitName::ALL.into_iter().find(|&split| splits.get(split).contains(&place));
    let random = |split: SplitName| {
        pairs.iter().filter(|&&(a, b)| role(a) == Some(split) && role(b) == Some(split)).count()
    };
    let import = to_cache(&log(&pairs), &documents(200), &ImportOptions::default()).unwrap();
    let total: usize = SplitName::ALL.into_iter().map(random).sum();
    assert!(import.pairs.len() > total + 50, "{} and {total}", import.pairs.len());
    let counts = import.meta.counts_actual;
    assert!(
        counts.val > 2 * random(SplitName::Val) && counts.test > 2 * random(SplitName::Test),
        "{counts:?}"
    );
}

#[test]
fn pairs_within_the_same_split_are_all_kept() {
    let splits = split_80_10_10(&(0..180).collect::<Vec<_>>(), 7);
    let mut pairs = Vec::new();
    for split in SplitName::ALL {
        let places = splits.get(split);
        pairs.extend(balanced(places.len(), 6, 1).into_iter().map(|(a, b)| (places[a], places[b])));
    }
    let options = ImportOptions { seed: 7, heldout_fold: Some("E".into()), ..Default::default() };
    let import = to_cache(&log(&pairs), &documents(200), &options).unwrap();
    assert_eq!((import.pairs.len(), import.dropped), (pairs.len(), Dropped::default()));
    let trained: BTreeSet<&String> = import.meta.splits.train.iter().collect();
    assert_eq!(trained.len(), splits.train.len());
}

#[test]
fn the_heldout_fold_and_rare_documents_stay_out() {
    let mut pairs = balanced(180, 8, 1);
    // Document 190 is in fold E; documents 0 and 1 get one judgement each, from one another.
    pairs.retain(|pair| ![pair.0, pair.1].iter().any(|place| *place < 2));
    let regular = pairs.len();
    pairs.extend([(3, 190), (0, 1)]);
    let options = ImportOptions { min_per_document: 2, heldout_fold: Some("E".into()), ..Default::default() };
    let import = to_cache(&log(&pairs), &documents(200), &options).unwrap();
    assert_eq!((import.dropped.heldout, import.dropped.rare), (1, 1));
    assert_eq!(import.pairs.len() + import.dropped.crossing, regular);
    assert_eq!(import.meta.pair_folds, ["A", "B", "C", "D"]);
    assert_eq!(import.meta.heldout_fold.as_deref(), Some("E"));
}

#[test]
fn leaving_out_a_document_may_leave_another_with_too_few() {
    // A chain hangs on a well connected group: its end goes first, then the next, and so on.
    let mut pairs = balanced(100, 8, 1);
    pairs.extend([(0, 100), (100, 101), (101, 102)]);
    let options = ImportOptions { min_per_document: 2, ..Default::default() };
    assert_eq!(to_cache(&log(&pairs), &documents(110), &options).unwrap().dropped.rare, 3);
}

#[test]
fn judges_weigh_and_a_single_one_does_not() {
    let both = log(&balanced(100, 8, 1));
    let import = to_cache(&both, &documents(100), &ImportOptions::default()).unwrap();
    let weights: BTreeSet<String> =
        import.pairs.iter().map(|pair| format!("{:?} {:?}", pair.judge, pair.weight)).collect();
    assert_eq!(weights.len(), 2);
    assert!(import.pairs.iter().all(|pair| pair.weight.unwrap() > 0.0));
    let mut one = both;
    one.judgements.iter_mut().for_each(|judgement| judgement.pair.judge = Some("ann".into()));
    let import = to_cache(&one, &documents(100), &ImportOptions::default()).unwrap();
    assert!(import.pairs.iter().all(|pair| pair.weight.is_none()));
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let log = log(&balanced(100, 8, 1));
    let with = |seed| {
        to_cache(&log, &documents(100), &ImportOptions { seed, ..Default::default() }).unwrap().meta.splits
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn what_cannot_be_used_is_refused() {
    let set = documents(100);
    let message =
        to_cache(&log(&[(0, 1), (2, 500)]), &set, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("log.jsonl: line 2: document \"d500\" is not in essays.csv"), "{message}");
    let message = to_cache(&log(&[(0, 1)]), &set, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.contains("1 judgements leave") && message.contains("0 for validation"), "{message}");
    let unknown = ImportOptions { heldout_fold: Some("Z".into()), ..Default::default() };
    let message = to_cache(&log(&[(0, 1)]), &set, &unknown).unwrap_err().to_string();
    assert!(message.contains("no fold \"Z\""), "{message}");
}
