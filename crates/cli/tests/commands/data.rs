//! Folds, pairs and devices.

use super::*;

#[test]
fn folds_come_from_a_map_or_a_draw() {
    let folder = Folder::empty();
    let essays = records(&essays());
    let mut map = serde_json::Map::new();
    let mut csv = String::new();
    for record in &essays {
        csv += &format!("{},{}\n", record[0], record[3]);
        map.insert(record[0].clone(), record[2].clone().into());
    }
    folder.write("essays.csv", csv);
    folder.write("map.json", Value::from(map).to_string());
    let stdout = folder.run("folds --input essays.csv --fold-map map.json --output mapped.csv").expect(0);
    assert!(stdout.starts_with("A: 8 documents\nB: 8 documents\n"), "{stdout}");
    let mapped = records(&folder.text("mapped.csv"));
    assert_eq!(mapped.len(), essays.len());
    for (mapped, essay) in mapped.iter().zip(&essays) {
        assert_eq!(*mapped, [&essay[0], &essay[3], &essay[2]].map(String::clone));
    }

    for (seed, output) in [(1, "one.csv"), (1, "again.csv"), (2, "two.csv")] {
        let args =
            format!("folds --input essays.csv --assign 4 --stratify grammar --seed {seed} --output {output}");
        let stdout = folder.run(&args).expect(0);
        for fold in ["A", "B", "C", "D"] {
            assert!(stdout.contains(&format!("{fold}: 10 documents")), "{stdout}");
        }
    }
    assert_eq!(folder.text("one.csv"), folder.text("again.csv"));
    assert_ne!(folder.text("one.csv"), folder.text("two.csv"));
}

#[test]
fn generated_pairs_are_sound_and_shared_documents_are_found() {
    let folder = Folder::new();
    let generate = "pairs generate --essays essays.csv --trait grammar --run-id 2 --seed 36 \
                    --pair-folds A,B,C,D --heldout-fold E --output-dir new";
    folder.run(generate).expect(0);
    assert_eq!(
        folder.files("new"),
        ["run2_grammar.jsonl", "run2_grammar_meta.json"].map(String::from).into()
    );
    let pairs = folder.text("new/run2_grammar.jsonl");
    assert!(!pairs.contains("\"E"), "a document of the held-out fold");
    folder.run("pairs stats new").expect(0);
    folder.run("run config.yaml --dry-run --set stage1_relative.pairs_file=new/run2_grammar.jsonl").expect(0);

    // One training pair becomes a validation pair: its documents are now in both splits.
    folder.write("new/leak.jsonl", pairs.replacen("\"train\"", "\"val\"", 1));
    let stdout = folder.run("pairs stats new").expect(1);
    assert!(stdout.contains("leak.jsonl"), "{stdout}");
}

#[test]
fn devices_lists_the_processor() {
    let stdout = Folder::empty().run("devices").expect(0);
    #[cfg(feature = "cpu")]
    assert!(stdout.lines().any(|line| line == "cpu"), "{stdout}");
    assert!(!stdout.is_empty());
}
