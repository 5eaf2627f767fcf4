//! The ready scorer of `export/`.

use std::fs;
use std::path::Path;

use burn::backend::Flex;
use pair2score_scorer::{Manifest, PerTrait, Scorer};

const READY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../export/bundle");

#[test]
fn the_ready_scorer_gives_its_golden_scores() {
    let manifest = fs::read_to_string(Path::new(READY).join("manifest.json")).unwrap();
    let golden = Manifest::parse(&manifest).unwrap().golden;
    assert!(golden.len() >= 24);
    let scorer = Scorer::<Flex>::load(Path::new(READY), &Default::default()).unwrap();
    let texts: Vec<&str> = golden.iter().map(|golden| golden.text.as_str()).collect();
    let documents = scorer.encode(&texts).unwrap();
    let scores = scorer.score(&documents, |_| ()).unwrap().unwrap();
    let utilities = scorer.utilities(&documents, |_| ()).unwrap().unwrap();
    let number = |number: &Option<PerTrait>| match number {
        Some(PerTrait::One(number)) => *number,
        other => panic!("not the number of one trait: {other:?}"),
    };
    let scores: Vec<f64> = scores.iter().flatten().map(|scored| scored.score).collect();
    for (golden, (score, utility)) in golden.iter().zip(scores.iter().zip(utilities.iter().flatten())) {
        assert!((score - number(&golden.score)).abs() < 1e-3, "{golden:?} {score}");
        assert!((utility - number(&golden.utility)).abs() < 1e-3, "{golden:?} {utility}");
    }
    // Scores that do not differ would agree with anything.
    let extremes = |(low, high): (f64, f64), score: f64| (low.min(score), high.max(score));
    let (low, high) = scores.iter().copied().fold((f64::MAX, f64::MIN), extremes);
    assert!(high - low > 0.5, "{low} {high}");
}

#[test]
fn the_ready_scorer_is_small() {
    let bytes: u64 = fs::read_dir(READY).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 4 << 20, "{bytes}");
}
