//! Writes the demonstration corpus: `cargo run -p pair2score-corpus --example write_demo_corpus`.
//!
//! Without arguments: `data/demo/essays.csv`, and judgements of simulated raters in `data/demo/pairs/`. With `unlabelled N FILE.jsonl`: N further texts, one
//! `{"id": …, "text": …}` per line, for pretraining a small language model.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::error::Error;
use std::fs;
use std::path::Path;

use pair2score_corpus as corpus;
use pair2score_data::pairs;

/// The committed corpus, from the root of the repository.
const CORPUS: &str = "data/demo/essays.csv";
const PAIRS: &str = "data/demo/pairs";

const USAGE: &str = "usage: write_demo_corpus [unlabelled N FILE.jsonl]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let essays = corpus::generate(corpus::SEED, corpus::ESSAYS);
            write(&root.join(CORPUS), &corpus::to_csv(&essays))?;
            let (pairs, meta) = corpus::judge(&essays, corpus::JUDGEMENTS, corpus::SEED);
            pairs::write_cache(root.join(PAIRS), meta.run, &meta.target, &pairs, &meta)?;
            Ok(())
        }
        ["unlabelled", count, path] => {
            let count = count.parse().map_err(|_| format!("{count:?} is not a number of essays; {USAGE}"))?;
            let mut lines = String::new();
            for essay in corpus::generate(corpus::UNLABELLED_SEED, count) {
                // Not the scored essay of the same number.
                let id = essay.id.replace("demo", "unlabelled");
                let line = serde_json::json!({ "id": id, "text": essay.text });
                lines.push_str(&format!("{line}\n"));
            }
            write(Path::new(path), lines.as_bytes())
        }
        _ => Err(USAGE.into()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}
