//! Broken inputs and what is said about each: one line that names the file, the place and the remedy.

#[path = "../common/mod.rs"]
mod common;

mod backbone;
mod config;
mod documents;
mod export;
mod judgements;
mod pairs;
mod scorer;
mod weights;

use std::collections::BTreeSet;
use std::process::Stdio;

use common::{Folder, Outcome};

/// One broken input: what is wrong, how to make it so (the closure gives the arguments), and what the error must
/// contain.
struct Row(&'static str, fn(&Folder) -> &'static str, &'static [&'static str]);

/// Options that every scoring command accepts.
const SCORE: &str = "score --scorer scorer --input essays.csv --output out.csv";
const EVALUATE: &str = "evaluate --scorer scorer --input essays.csv";
const EMBED: &str = "embed --backbone backbone --input essays.csv --output out.safetensors";
const EMBED_ADAPTER: &str =
    "embed --backbone backbone --adapter adapter --input essays.csv --output out.safetensors";
const RUN: &str = "run config.yaml";

#[test]
fn every_mistake_has_its_message() {
    let tables = [
        backbone::ROWS,
        config::ROWS,
        documents::ROWS,
        judgements::ROWS,
        pairs::ROWS,
        weights::ROWS,
        scorer::ROWS,
        export::ROWS,
    ];
    let rows: Vec<&Row> = tables.into_iter().flatten().collect();
    let names: BTreeSet<_> = rows.iter().map(|Row(name, ..)| name).collect();
    assert_eq!(names.len(), rows.len(), "two rows share a name");

    let mut failures = Vec::new();
    for Row(name, prepare, fragments) in rows {
        let folder = Folder::new();
        let args = prepare(&folder);
        let before = folder.files("");
        let outcome = folder.run(args);
        let after = folder.files("");
        let problems = check(&outcome, fragments, &before, &after);
        if !problems.is_empty() {
            failures.push(format!(
                "{name}: {}\n  pair2score {args}\n  exit code {:?}\n  stdout: {}\n  stderr: {}",
                problems.join("; "),
                outcome.code,
                outcome.stdout.trim(),
                outcome.stderr.trim()
            ));
        }
    }
    assert!(failures.is_empty(), "{} rows fail\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Everything wrong with an outcome; `before` and `after` are the files of the folder.
fn check(
    outcome: &Outcome,
    fragments: &[&str],
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Vec<String> {
    let Outcome { code, stdout, stderr } = outcome;
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    require(*code == Some(2), format!("exit code {code:?}"));
    require(!stdout.contains("panicked") && !stderr.contains("panicked"), "a panic".into());
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    require(errors.len() == 1, format!("{} error lines", errors.len()));
    let error = errors.first().copied().unwrap_or_default();
    // Clap adds a usage or a hint to what it refuses itself.
    require(stderr.contains("'--help'") || stderr.lines().last() == Some(error), "more lines follow".into());
    for fragment in fragments {
        require(error.contains(fragment), format!("no {fragment:?}"));
    }
    require(!repeats(error), "the message repeats itself".into());
    for file in after.difference(before) {
        // A run keeps a log of why it stopped and the empty locks of its folders, and nothing else.
        let log = file.starts_with("out/run_") || file == "out/metrics.jsonl" || file.ends_with("/.lock");
        require(log, format!("leaves {file} behind"));
    }
    require(before.is_subset(after), "a file is gone".into());
    problems
}

#[test]
fn a_reader_that_leaves_stops_nothing() {
    let folder = Folder::new();
    let mut child =
        folder.command("run config.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(folder.text("out/absolute_metrics_info.txt").contains("test_qwk"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_printed_is_an_error() {
    let folder = Folder::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = folder.command("pairs stats pairs/run1_grammar.jsonl").stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: standard output: ") && stderr.lines().count() == 1, "{stderr}");
    // Nobody is left to be told, and the work is done all the same.
    let status = folder.command("run config.yaml").stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(folder.text("out/absolute_metrics_info.txt").contains("test_qwk"));
}

/// Whether a clause occurs twice.
fn repeats(message: &str) -> bool {
    let clauses = message.split(": ").flat_map(|clause| clause.split("; ")).map(str::trim);
    let mut seen = BTreeSet::new();
    clauses.filter(|clause| clause.len() > 3).any(|clause| !seen.insert(clause))
}

#[test]
fn repetitions_are_recognised() {
    assert!(repeats("error: a.csv: no such file: no such file"));
    assert!(!repeats("error: a.csv: row 3: the id is empty; give every document an id"));
}
