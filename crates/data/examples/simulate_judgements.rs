//! Judgements of simulated raters about scored essays, and the folds to train on them:
//! `cargo run --release -p pair2score-data --example simulate_judgements -- ESSAYS.csv TRAIT FOLDER`.
//!
//! A rater sees each essay's score with an error of their own for every judgement (normal, `NOISE` score units) and calls
//! two essays equal that look closer than `TIE`. `scripts/judgements_buy.sh` uses it.
//!
//! Of the essays outside fold E, `LABELLED` keep their labels for stage 2 (fold L), `JUDGED` are judged (fold J), and
//! the rest is left out. Writes `essays_K.csv` for each number K of labelled essays, `judged.csv` with the judged ones, and
//! `judgements_N.jsonl`: the first N judgements of one list, all within the split that `judgements import` makes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::error::Error;
use std::path::Path;

use pair2score_data::files::write_atomic;
use pair2score_data::judgements::select::{Mix, balanced, show_all};
use pair2score_data::judgements::simulate::normal;
use pair2score_data::pairs::{SplitName, split_80_10_10};
use pair2score_data::{Columns, Document, ScoreScale, read_labelled, rng};

const SEED: u64 = 36;
const LABELLED: [usize; 3] = [50, 100, 200];
const JUDGED: usize = 400;
const JUDGEMENTS: [usize; 3] = [500, 1000, 2000];
const NOISE: f64 = 0.5;
const TIE: f64 = 0.25;
const RATERS: usize = 5;
/// Documents of the test fold keep it.
const TEST_FOLD: &str = "E";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [essays, target, folder] = arguments.as_slice() else {
        return Err("usage: simulate_judgements ESSAYS.csv TRAIT FOLDER".into());
    };
    let folder = Path::new(folder);
    let set = read_labelled(essays, &Columns::default(), target, &ScoreScale::default())?;
    let in_test = |document: &&Document| document.fold.as_deref() == Some(TEST_FOLD);
    let mut pool: Vec<&Document> = set.iter().filter(|document| !in_test(document)).collect();
    rng::shuffle(&mut rng::stream(SEED, &["simulate", "pool"]), &mut pool);
    let most = LABELLED[LABELLED.len() - 1];
    if pool.len() < most + JUDGED {
        return Err(
            format!("{essays}: {} essays outside fold E, {} needed", pool.len(), most + JUDGED).into()
        );
    }
    let judged = &pool[most..most + JUDGED];
    let test: Vec<&Document> = set.iter().filter(in_test).collect();
    for count in LABELLED {
        let parts = [("L", &pool[..count]), ("J", judged), (TEST_FOLD, &test)];
        write_csv(&folder.join(format!("essays_{count}.csv")), target, &parts)?;
    }
    write_csv(&folder.join("judged.csv"), target, &[("J", judged)])?;
    let lines = judge(judged, target)?;
    for count in JUDGEMENTS {
        let text = lines[..count.min(lines.len())].concat();
        write_atomic(folder.join(format!("judgements_{count}.jsonl")), text.as_bytes())?;
    }
    println!("wrote {}: {JUDGED} essays, {} judgements by {RATERS} raters", folder.display(), lines.len());
    Ok(())
}

/// Writes documents with the fold of their part.
fn write_csv(path: &Path, target: &str, parts: &[(&str, &[&Document])]) -> Result<(), Box<dyn Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text_id", "full_text", target, "fold"])?;
    for (fold, documents) in parts {
        for document in *documents {
            let label = document.label.ok_or("a document without a label")?.to_string();
            writer.write_record([&document.id, &document.text, &label, *fold])?;
        }
    }
    Ok(write_atomic(path, &writer.into_inner()?)?)
}

/// Judgements in an order in which every beginning uses the essays about equally often.
fn judge(judged: &[&Document], target: &str) -> Result<Vec<String>, Box<dyn Error>> {
    // The documents file of an import lists the judged ones alone, in this order.
    let splits = split_80_10_10(&(0..judged.len()).collect::<Vec<_>>(), SEED);
    let wanted = JUDGEMENTS[JUDGEMENTS.len() - 1];
    let per_document = (2 * wanted).div_ceil(judged.len());
    // Each split's pairs keep their order; where they stand in the whole depends on how far along they are.
    let mut pairs = Vec::new();
    for split in SplitName::ALL {
        let places = splits.get(split);
        let of_split = balanced(places.len(), per_document, SEED);
        let count = of_split.len() as f64;
        let placed = of_split.into_iter().enumerate();
        pairs.extend(placed.map(|(place, (a, b))| (place as f64 / count, (places[a], places[b]))));
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let pairs: Vec<(usize, usize)> = pairs.into_iter().map(|(_, pair)| pair).collect();
    let mut rng = rng::stream(SEED, &["simulate", "answers"]);
    let mut lines = Vec::new();
    for (place, showing) in show_all(&pairs, &[], &Mix::default(), SEED).iter().enumerate() {
        let mut seen = |place: usize| -> Result<f64, Box<dyn Error>> {
            Ok(judged[place].label.ok_or("a document without a label")? + NOISE * normal(&mut rng))
        };
        let gap = seen(showing.left)? - seen(showing.right)?;
        let y = if gap.abs() < TIE { 0.5 } else { f64::from(gap > 0.0) };
        let (left, right) = (&judged[showing.left].id, &judged[showing.right].id);
        let line = serde_json::json!({
            "run": 0, "trait": target, "split": "train", "index": place, "a": left, "b": right, "y": y,
            "judge": format!("rater {}", place % RATERS), "shown_left": left, "at": place.to_string(),
        });
        lines.push(format!("{line}\n"));
    }
    lines.truncate(wanted);
    Ok(lines)
}
