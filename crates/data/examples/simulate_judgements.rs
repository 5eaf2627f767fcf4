//! Judgements of simulated raters about scored essays, and the folds to train on them:
//! `cargo run --release -p pair2score-data --example simulate_judgements -- ESSAYS.csv TRAIT SEED FOLDER`.
//!
//! A rater sees each essay's score with an error of their own for every judgement (normal, `NOISE` score units) and calls
//! two essays equal that look closer than `TIE`. `scripts/studies/judgements_buy.sh` uses it.
//!
//! Of the essays outside fold E, some keep their labels for stage 2 and 400 others are judged (fold J); the rest is left
//! out. Writes `essays.csv`, in which fold L50 has fifty labelled essays, L100 fifty more and L200 a hundred more;
//! `judged.csv` with the judged ones; and `judgements_N.jsonl` for each number N of judgements: the first of one list, all
//! within the split that `judgements import` makes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::error::Error;
use std::path::Path;

use pair2score_data::files::write_atomic;
use pair2score_data::judgements::select::{Mix, balanced, show_all};
use pair2score_data::judgements::simulate::normal;
use pair2score_data::pairs::{SplitName, split_80_10_10};
use pair2score_data::{Document, Layout, ScoreScale, read_labelled, rng};

/// Essays in fold L50, in L50 and L100, and in all three.
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
    let [essays, target, seed, folder] = arguments.as_slice() else {
        return Err("usage: simulate_judgements ESSAYS.csv TRAIT SEED FOLDER".into());
    };
    let seed: u64 = seed.parse()?;
    let folder = Path::new(folder);
    let set = read_labelled(essays, &Layout::default(), target, &ScoreScale::default())?;
    let in_test = |document: &&Document| document.fold.as_deref() == Some(TEST_FOLD);
    let mut pool: Vec<&Document> = set.iter().filter(|document| !in_test(document)).collect();
    rng::shuffle(&mut rng::stream(seed, &["simulate", "pool"]), &mut pool);
    let most = LABELLED[LABELLED.len() - 1];
    if pool.len() < most + JUDGED {
        return Err(
            format!("{essays}: {} essays outside fold E, {} needed", pool.len(), most + JUDGED).into()
        );
    }
    let judged = &pool[most..most + JUDGED];
    let test: Vec<&Document> = set.iter().filter(in_test).collect();
    let folds = LABELLED.map(|count| format!("L{count}"));
    let mut parts = vec![("J", judged), (TEST_FOLD, test.as_slice())];
    let mut from = 0;
    for (fold, count) in folds.iter().zip(LABELLED) {
        parts.push((fold, &pool[from..count]));
        from = count;
    }
    write_csv(&folder.join("essays.csv"), target, &parts)?;
    write_csv(&folder.join("judged.csv"), target, &[("J", judged)])?;
    let lines = judge(judged, target, seed)?;
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
fn judge(judged: &[&Document], target: &str, seed: u64) -> Result<Vec<String>, Box<dyn Error>> {
    // The documents file of an import lists the judged ones alone, in this order; it is given the same seed.
    let splits = split_80_10_10(&(0..judged.len()).collect::<Vec<_>>(), seed);
    let wanted = JUDGEMENTS[JUDGEMENTS.len() - 1];
    let per_document = (2 * wanted).div_ceil(judged.len());
    // Each split's pairs keep their order; where they stand in the whole depends on how far along they are.
    let mut pairs = Vec::new();
    for split in SplitName::ALL {
        let places = splits.get(split);
        let of_split = balanced(places.len(), per_document, seed);
        let count = of_split.len() as f64;
        let placed = of_split.into_iter().enumerate();
        pairs.extend(placed.map(|(place, (a, b))| (place as f64 / count, (places[a], places[b]))));
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let pairs: Vec<(usize, usize)> = pairs.into_iter().map(|(_, pair)| pair).collect();
    let mut rng = rng::stream(seed, &["simulate", "answers"]);
    let mut lines = Vec::new();
    for (place, showing) in show_all(&pairs, &[], &Mix::default(), seed).iter().enumerate() {
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
