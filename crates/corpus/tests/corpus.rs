//! The committed demonstration corpus is what the generator writes, and its texts follow its labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pair2score_corpus::{self as corpus, Essay};
use pair2score_data::pairs::{read_meta, read_pairs};

fn corpus() -> Vec<Essay> {
    corpus::generate(corpus::SEED, corpus::ESSAYS)
}

/// Pearson's correlation; the inputs are never constant here.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / n, y + pair.1 / n));
    let sums = pairs.iter().fold((0.0, 0.0, 0.0), |(xy, xx, yy), pair| {
        let (dx, dy) = (pair.0 - x, pair.1 - y);
        (xy + dx * dy, xx + dx * dx, yy + dy * dy)
    });
    sums.0 / (sums.1 * sums.2).sqrt()
}

/// The mean of a measure over essays with scores up to 2.0, from 2.5 to 3.5, and from 4.0.
fn means_by_level(
    essays: &[Essay],
    score: impl Fn(&Essay) -> f64,
    measure: impl Fn(&Essay) -> f64,
) -> [f64; 3] {
    [(1.0, 2.0), (2.5, 3.5), (4.0, 5.0)].map(|(low, high)| {
        let chosen = essays.iter().filter(|essay| (low..=high).contains(&score(essay)));
        let values: Vec<f64> = chosen.map(&measure).collect();
        values.iter().sum::<f64>() / values.len() as f64
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphabetic() && letter != '-').filter(|word| !word.is_empty())
}

#[test]
fn committed_file_is_what_the_generator_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/demo/essays.csv");
    let committed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let same = committed == corpus::to_csv(&corpus());
    assert!(same, "run `cargo run -p pair2score-corpus --example write_demo_corpus`");
}

#[test]
fn committed_judgements_are_what_the_raters_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/demo/pairs");
    let committed = read_pairs(folder.join("run1_grammar.jsonl")).unwrap().pairs;
    let (pairs, meta) = corpus::judge(&corpus(), corpus::JUDGEMENTS, corpus::SEED);
    assert!(committed == pairs, "run `cargo run -p pair2score-corpus --example write_demo_corpus`");
    assert_eq!(read_meta(folder.join("run1_grammar_meta.json")).unwrap(), meta);
}

#[test]
fn raters_err_as_often_as_they_should() {
    let essays = corpus();
    let of = |id: &str| essays.iter().find(|essay| essay.id == *id).unwrap();
    let (pairs, meta) = corpus::judge(&essays, corpus::JUDGEMENTS, corpus::SEED);
    assert_eq!((meta.counts_actual.train, meta.counts_actual.val), (1500, 150));
    assert!(pairs.iter().all(|pair| of(&pair.a).fold != 'E' && of(&pair.b).fold != 'E'));
    // At a difference of one grade step, 0.5, errors of deviation 0.5 · √2 leave P(better) = Φ(0.25 / 0.707) = 0.638 and
    // P(worse) = Φ(−0.75 / 0.707) = 0.144.
    let step: Vec<f64> = pairs
        .iter()
        .filter(|pair| (of(&pair.a).grammar - of(&pair.b).grammar).abs() == 0.5)
        .map(|pair| if of(&pair.a).grammar > of(&pair.b).grammar { pair.y } else { 1.0 - pair.y })
        .collect();
    let share = |y: f64| step.iter().filter(|&&answer| answer == y).count() as f64 / step.len() as f64;
    assert!(step.len() > 200 && (share(1.0) - 0.638).abs() < 0.1 && (share(0.0) - 0.144).abs() < 0.08);
}

#[test]
fn csv_reads_back() {
    let essays = corpus();
    let bytes = corpus::to_csv(&essays);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let read: Vec<Essay> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let score = |column: usize| record[column].parse().unwrap();
            Essay {
                id: record[0].to_owned(),
                text: record[1].to_owned(),
                grammar: score(2),
                vocabulary: score(3),
                syntax: score(4),
                fold: record[5].parse().unwrap(),
            }
        })
        .collect();
    assert_eq!(read, essays);
}

#[test]
fn an_essay_depends_on_seed_and_place_only() {
    let (few, many) = (corpus::generate(3, 5), corpus::generate(3, 50));
    for (one, other) in few.iter().zip(&many) {
        assert_eq!((&one.id, &one.text, one.grammar), (&other.id, &other.text, other.grammar));
    }
    assert_ne!(few[0].text, corpus::generate(4, 1)[0].text);
    assert!(corpus::generate(3, 0).is_empty());
}

#[test]
fn ids_and_texts_are_unique() {
    let essays = corpus();
    let ids: BTreeSet<_> = essays.iter().map(|essay| &essay.id).collect();
    let texts: BTreeSet<_> = essays.iter().map(|essay| &essay.text).collect();
    assert_eq!((ids.len(), texts.len()), (essays.len(), essays.len()));
}

#[test]
fn texts_have_45_to_120_words() {
    for essay in corpus::generate(corpus::UNLABELLED_SEED, 2000) {
        let count = essay.text.split(' ').count();
        assert!((45..=120).contains(&count), "{count} words: {}", essay.text);
        let clean =
            essay.text.chars().all(|letter| letter.is_ascii_alphabetic() || " .,;:'-".contains(letter));
        assert!(clean && !essay.text.contains("  "), "{}", essay.text);
    }
}

#[test]
fn every_grade_occurs_and_no_other() {
    let grades: Vec<u32> = (2..=10).collect();
    let mut found = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for essay in corpus() {
        for (found, score) in found.iter_mut().zip([essay.grammar, essay.vocabulary, essay.syntax]) {
            assert_eq!((score * 2.0).fract(), 0.0, "{}", essay.id);
            found.insert((score * 2.0) as u32);
        }
    }
    assert!(found.iter().all(|found| found.iter().eq(&grades)), "{found:?}");
}

#[test]
fn folds_are_balanced_in_number_and_score() {
    let mut folds: BTreeMap<char, Vec<f64>> = BTreeMap::new();
    for essay in corpus() {
        folds.entry(essay.fold).or_default().push((essay.grammar + essay.vocabulary + essay.syntax) / 3.0);
    }
    assert_eq!(folds.keys().collect::<String>(), "ABCDE");
    for (fold, means) in folds {
        assert_eq!(means.len(), corpus::ESSAYS / 5, "{fold}");
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        // The essays of a five differ by a few tenths at the ends of the scale only.
        assert!((mean - 3.0).abs() < 0.1, "{fold}: {mean}");
    }
}

#[test]
fn traits_are_correlated_but_not_the_same() {
    let essays = corpus();
    let with = |pair: fn(&Essay) -> (f64, f64)| correlation(&essays.iter().map(pair).collect::<Vec<_>>());
    let found = [
        with(|essay| (essay.grammar, essay.vocabulary)),
        with(|essay| (essay.grammar, essay.syntax)),
        with(|essay| (essay.vocabulary, essay.syntax)),
    ];
    assert!(found.iter().all(|r| (0.5..0.7).contains(r)), "{found:?}");
}

#[test]
fn words_get_longer_with_vocabulary() {
    let mean_length = |essay: &Essay| {
        let lengths: Vec<usize> = words(&essay.text).map(str::len).collect();
        lengths.iter().sum::<usize>() as f64 / lengths.len() as f64
    };
    let means = means_by_level(&corpus(), |essay| essay.vocabulary, mean_length);
    assert!(means[0] + 0.1 < means[1] && means[1] + 0.1 < means[2], "{means:?}");
}

#[test]
fn sentences_get_longer_with_syntax() {
    // Only essays with few errors: a forgotten full stop makes a sentence longer too.
    let essays: Vec<_> = corpus().into_iter().filter(|essay| essay.grammar >= 3.5).collect();
    let mean_length =
        |essay: &Essay| words(&essay.text).count() as f64 / essay.text.matches('.').count() as f64;
    let means = means_by_level(&essays, |essay| essay.syntax, mean_length);
    assert!(means[0] + 0.5 < means[1] && means[1] + 0.5 < means[2], "{means:?}");
}

#[test]
fn unknown_words_get_rarer_with_grammar() {
    let flawless =
        corpus::generate(corpus::UNLABELLED_SEED, 3000).into_iter().filter(|essay| essay.grammar == 5.0);
    let known: BTreeSet<String> =
        flawless.flat_map(|essay| words(&essay.text).map(str::to_owned).collect::<Vec<_>>()).collect();
    let unknown = |essay: &Essay| {
        let found = words(&essay.text).filter(|word| !known.contains(*word)).count();
        found as f64 / words(&essay.text).count() as f64
    };
    let means = means_by_level(&corpus(), |essay| essay.grammar, unknown);
    assert!(means[0] > 1.5 * means[1] && means[1] > 1.5 * means[2], "{means:?}");
}
