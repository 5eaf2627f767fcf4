//! Judgement logs and proposals from end to end.

#[path = "../common/mod.rs"]
mod common;

mod fits;
mod imports;
mod proposals;
mod scorers;

use std::collections::BTreeMap;

use common::{Folder, essays};
use serde_json::{Value, json};

/// The ids and grades of the small corpus, fold by fold.
fn grades() -> Vec<(String, f64)> {
    let csv = essays();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut grades: Vec<(String, f64)> = reader
        .records()
        .map(|record| record.unwrap())
        .map(|record| (record[0].to_owned(), record[3].parse().unwrap()))
        .collect();
    grades.sort_by(|a, b| a.0.cmp(&b.0));
    grades
}

/// A line of a log.
fn judgement(place: usize, a: &str, b: &str, y: f64) -> Value {
    let (judge, left) = (["ann", "bob"][place / 2 % 2], [a, b][place % 2]);
    json!({
        "run": 0, "trait": "grammar", "split": "train", "index": place, "a": a, "b": b, "y": y,
        "judge": judge, "shown_left": left, "ms": 1000 + place, "at": format!("2026-05-01T10:00:{place:03}Z"),
    })
}

/// Each of the first `n` documents against the next four, by two judges who see the grades; every seventh answer wrong.
fn log(n: usize) -> String {
    let grades = grades();
    let mut lines = String::new();
    let mut place = 0;
    for step in 1..=4 {
        for one in 0..n {
            let ((a, of_a), (b, of_b)) = (&grades[one], &grades[(one + step) % n]);
            let right = if of_a == of_b { 0.5 } else { f64::from(of_a > of_b) };
            let y = if place % 7 == 3 { 1.0 - right } else { right };
            lines += &format!("{}\n", judgement(place, a, b, y));
            place += 1;
        }
    }
    lines
}

const IMPORT: &str = "judgements import log.jsonl --documents essays.csv --output-dir cache --heldout-fold E";

/// The essays, every so many of which keep their grade as an anchor.
fn class(every: usize) -> String {
    let grades: BTreeMap<String, f64> = grades().into_iter().collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text_id", "full_text", "anchor"]).unwrap();
    for (place, record) in csv::Reader::from_reader(essays().as_bytes()).records().enumerate() {
        let record = record.unwrap();
        let anchor = if place % every == 0 { grades[&record[0]].to_string() } else { String::new() };
        writer.write_record([&record[0], &record[1], &anchor]).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}
