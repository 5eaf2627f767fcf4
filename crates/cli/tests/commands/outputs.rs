//! Outputs that would destroy something are refused, and standard output is one.

use super::*;

/// What every refusal leaves as it was.
fn unchanged(folder: &Folder, args: &str, expected: &str) {
    let content = |folder: &Folder| {
        let files = folder.files("");
        files.into_iter().map(|name| (name.clone(), folder.bytes(&name))).collect::<BTreeMap<_, _>>()
    };
    let before = content(folder);
    let outcome = folder.run(args);
    assert_eq!(outcome.code, Some(2), "{args}: {outcome:?}");
    assert!(outcome.stderr.contains(expected), "{args}: {outcome:?}");
    assert!(content(folder) == before, "{args}: a file has changed");
}

#[test]
fn what_a_command_reads_is_not_replaced() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("log.jsonl", pair_log());
    for (args, expected) in [
        (
            "score --scorer scorer --input essays.csv --output essays.csv",
            "essays.csv: is what the command reads",
        ),
        ("score --scorer scorer --input essays.csv --output ./essays.csv", "is what the command reads"),
        (
            "score --scorer scorer --input essays.csv --output scorer/scorer.json",
            "scorer/scorer.json: lies in scorer, which the command reads",
        ),
        (
            "score --scorer scorer --input essays.csv --output backbone/config.json",
            "backbone/config.json: lies in ",
        ),
        (
            "score --scorer scorer --input essays.csv --output scorer",
            "scorer: is a folder; name a file in it",
        ),
        (
            "embed --backbone backbone --input essays.csv --output backbone/model.safetensors",
            "backbone/model.safetensors: lies in backbone, which the command reads",
        ),
        ("embed --backbone backbone --input essays.csv --output essays.csv", "is what the command reads"),
        ("judgements fit log.jsonl --output log.jsonl", "log.jsonl: is what the command reads"),
        (
            "folds --input essays.csv --assign 2 --stratify grammar --output essays.csv",
            "is what the command reads",
        ),
        (
            "pairs propose --scorer scorer --documents essays.csv --n 3 --output essays.csv",
            "essays.csv: is what the command reads",
        ),
        ("export --scorer scorer --format hf --output scorer", "scorer: holds what the command reads"),
    ] {
        unchanged(&folder, args, expected);
    }
    folder.write("cache/run1_grammar.jsonl", folder.text("log.jsonl"));
    unchanged(
        &folder,
        "judgements import cache/run1_grammar.jsonl --documents essays.csv --output-dir cache",
        "cache/run1_grammar.jsonl: is what the command reads",
    );
}

/// Judgements of all pairs of thirty documents, by one judge.
fn pair_log() -> String {
    let mut lines = String::new();
    let ids: Vec<String> =
        (0..30).map(|n| format!("{}{}", ["A", "B", "C", "D", "E"][n % 5], n / 5)).collect();
    for (place, a) in ids.iter().enumerate() {
        for b in &ids[place + 1..] {
            let line = json!({
                "run": 0, "trait": "grammar", "split": "train", "index": lines.len(), "a": a, "b": b, "y": 1,
                "judge": "ann", "at": format!("2026-05-01T10:{place:02}:00Z"),
            });
            lines += &format!("{line}\n");
        }
    }
    lines
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_not_replaced() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("log.jsonl", pair_log());
    // A device like /dev/null, but not the machine's own: without the check it would be a file afterwards.
    let made = std::process::Command::new("mknod").arg(folder.path("null")).args(["c", "1", "3"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    for args in [
        "score --scorer scorer --input essays.csv --output null",
        "embed --backbone backbone --input essays.csv --output null",
        "judgements fit log.jsonl --output null",
        "folds --input essays.csv --assign 2 --stratify grammar --output null",
    ] {
        let outcome = folder.run(args);
        assert_eq!(outcome.code, Some(2), "{args}: {outcome:?}");
        assert!(
            outcome.stderr.contains("null: is no regular file and would be replaced by one"),
            "{outcome:?}"
        );
        assert!(!folder.path("null").is_file(), "{args}");
    }
}

#[test]
fn standard_output_takes_scores_and_logs() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("log.jsonl", pair_log());
    for (args, file) in [
        ("score --scorer scorer --input essays.csv --window 16 --output", "scores.csv"),
        ("judgements fit log.jsonl --output", "fit.csv"),
    ] {
        folder.run(&format!("{args} {file}")).expect(0);
        for name in ["-", "/dev/stdout"] {
            let outcome = folder.run(&format!("{args} {name}"));
            assert!(outcome.stderr.contains("wrote standard output: "), "{outcome:?}");
            assert_eq!(outcome.expect(0), folder.text(file));
        }
    }
    let outcome = folder.run("score --scorer scorer --input essays.csv --output - --resume");
    assert!(outcome.stderr.contains("--shard and --resume need a file that stays"), "{outcome:?}");
    let outcome = folder.run("embed --backbone backbone --input essays.csv --output -");
    assert!(outcome.stderr.contains("-: this command does not write to standard output"), "{outcome:?}");
    assert!(!folder.path("-").exists());
}

#[test]
fn a_reader_that_leaves_ends_scoring_quietly() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let folder = Folder::new();
    folder.scorer(true);
    // More than a pipe and its reader hold, so that the writer is never done first.
    let rows: String = (0..6000).map(|i| format!("an-identifier-that-is-long-{i},A text.\n")).collect();
    folder.write("many.csv", format!("text_id,full_text\n{rows}"));
    let mut command = folder.command("score --scorer scorer --input many.csv --window 1 --output -");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "id,score,grade,truncated\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}
