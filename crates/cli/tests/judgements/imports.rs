//! A log as a cache of pairs: what trains on it, and what is left out.

use super::*;

const CACHE: &str = "--set stage1_relative.pairs_file=cache/run1_grammar.jsonl \
                     --set stage1_relative.pairs_meta=cache/run1_grammar_meta.json";

#[test]
fn an_imported_cache_trains_both_stages() {
    let folder = Folder::new();
    // 32 documents of folds A to D, and two judgements with documents of the held-out fold.
    let heldout = format!("{}\n{}\n", judgement(500, "A0", "E0", 1.0), judgement(501, "E1", "E2", 1.0));
    folder.write("log.jsonl", log(32) + &heldout);
    let stdout = folder.run(IMPORT).expect(0);
    assert!(
        stdout.contains("130 judgements, 0 copies left out") && stdout.contains("2 of the held-out"),
        "{stdout}"
    );
    folder.run("pairs stats cache").expect(0);
    let meta = folder.json("cache/run1_grammar_meta.json");
    assert_eq!((&meta["trait"], &meta["heldout_fold"]), (&json!("grammar"), &json!("E")));
    assert_eq!(meta["pair_folds"], json!(["A", "B", "C", "D"]));

    let plain = folder.run(&format!("run config.yaml {CACHE}"));
    assert!(plain.stderr.contains("pairs have a weight, and count 1"), "{}", plain.stderr);
    let both = "documents of training pairs that are in validation or test pairs too";
    assert!(!plain.stderr.contains(both), "{}", plain.stderr);
    plain.expect(0);
    let train = "\"split\":\"train\"";
    folder.write(
        "mixed.jsonl",
        folder.text("cache/run1_grammar.jsonl").replacen(train, "\"split\":\"val\"", 1),
    );
    let mixed = folder
        .run(&format!("run config.yaml {CACHE} --set stage1_relative.pairs_file=mixed.jsonl --dry-run"));
    assert!(mixed.stderr.contains(&format!("mixed.jsonl: {both}: 2;")), "{}", mixed.stderr);
    mixed.expect(0);
    let head = folder.bytes("ckpt/relative/relative_head.safetensors");
    let weighted = format!(
        "relative config.yaml {CACHE} --set stage1_relative.pair_weights=true --set paths.checkpoint_dir=weighted \
         --set paths.output_dir=weighted_out"
    );
    let weighted = folder.run(&weighted);
    assert!(!weighted.stderr.contains("have a weight"), "{}", weighted.stderr);
    weighted.expect(0);
    assert!(folder.bytes("weighted/relative/relative_head.safetensors") != head, "weights change nothing");

    // Held out is another fold: the meta file says so before a pair does.
    let other = "--set pipeline.test_fold=A --set pipeline.train_folds=[B,C,D,E]";
    let outcome = folder.run(&format!("run config.yaml {CACHE} {other} --dry-run"));
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("describes pairs from the test fold A"), "{}", outcome.stderr);
}

#[test]
fn copies_are_left_out_and_the_bytes_are_the_same() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(32));
    let twice = IMPORT.replace("log.jsonl", "log.jsonl log.jsonl").replace("cache", "twice");
    folder.run(IMPORT).expect(0);
    let stdout = folder.run(&twice).expect(0);
    assert!(stdout.contains("256 judgements, 128 copies left out"), "{stdout}");
    for file in ["run1_grammar.jsonl", "run1_grammar_meta.json"] {
        assert_eq!(folder.text(&format!("cache/{file}")), folder.text(&format!("twice/{file}")));
    }
}
