//! The commands from end to end, on the oracle's tiny backbone and a small corpus.

#[path = "../common/mod.rs"]
mod common;

mod backbone;
mod batches;
mod data;
mod labels;
mod outputs;
mod prompts;
mod runs;
mod scorers;
mod several;
mod traits;

use std::collections::{BTreeMap, BTreeSet};

use common::{D_MODEL, Folder, essays, oracle};
use pair2score_scorer::TensorFile;
use pair2score_train::config;
use serde_json::{Value, json};

/// A CSV file as records, the header first.
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The column `score` of a CSV file by the first column, the id.
fn scores(folder: &Folder, name: &str) -> BTreeMap<String, f64> {
    let records = records(&folder.text(name));
    let column = records[0].iter().position(|column| column == "score").unwrap();
    records[1..].iter().map(|record| (record[0].clone(), record[column].parse().unwrap())).collect()
}

fn assert_same_scores(actual: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>, tolerance: f64) {
    assert!(!expected.is_empty());
    assert_eq!(actual.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (id, expected) in expected {
        assert!((actual[id] - expected).abs() <= tolerance, "{id}: {} and {expected}", actual[id]);
    }
}

/// A `key: value` file.
fn info(folder: &Folder, name: &str) -> BTreeMap<String, String> {
    let text = folder.text(name);
    let pairs = text.lines().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line:?}")));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Scores the test fold with the saved scorer and compares with what the run predicted for it.
fn assert_scorer_reproduces_the_run(folder: &Folder) {
    let test: Vec<String> = essays()
        .lines()
        .filter(|line| line.starts_with("text_id") || line.starts_with('E'))
        .map(String::from)
        .collect();
    folder.write("test.csv", test.join("\n"));
    folder.run("score --scorer ckpt --input test.csv --output scores.csv").expect(0);
    // Scoring computes embeddings in f32 anew; the run may have batched them with other documents.
    assert_same_scores(&scores(folder, "scores.csv"), &scores(folder, "out/test_predictions.csv"), 1e-4);
}
