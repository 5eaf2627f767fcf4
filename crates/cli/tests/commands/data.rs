//! Folds, pairs and devices.

use std::collections::BTreeSet;

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
fn tables_of_other_programs_are_read_as_they_are_described() {
    let folder = Folder::empty();
    folder.write(
        "windows.csv",
        b"text_id;full_text;grammar\r\na;\"don\x92t \\\"go\\\"; stay\";1\r\nb;Two.;2\r\n",
    );
    let described = "--encoding windows-1252 --escape \\ --delimiter ;";
    folder
        .run(&format!("folds --input windows.csv --assign 2 --stratify grammar --output out.csv {described}"))
        .expect(0);
    let written = records(&folder.text("out.csv"));
    assert_eq!(written[1][..3], ["a", "don\u{2019}t \"go\"; stay", "1"]);
    // What was written says everything itself.
    folder.write("map.json", "{\"a\": \"X\", \"b\": \"Y\"}");
    let semicolons = "text_id;full_text\na;One.\nb;Two.\n";
    folder.write("plain.csv", semicolons);
    folder.run("folds --input plain.csv --fold-map map.json --output plain_out.csv").expect(0);
    assert_eq!(folder.text("plain_out.csv"), "text_id,full_text,fold\na,One.,X\nb,Two.,Y\n");
}

#[test]
fn judgements_of_other_tools_need_no_more_than_an_answer() {
    let folder = Folder::empty();
    folder.write("decisions.csv", "Judge,Chosen,Not Chosen\nj1,AB,XY\nj1,XY,QQ\n");
    folder.run("judgements fit decisions.csv --trait quality --output fit.csv").expect(0);
    let fit = records(&folder.text("fit.csv"));
    let utility = |id: &str| fit.iter().find(|row| row[0] == id).unwrap()[1].parse::<f64>().unwrap();
    assert!(utility("AB") > utility("XY") && utility("XY") > utility("QQ"));
    folder.write("minimal.jsonl", "{\"a\": 1, \"b\": 2, \"y\": 1}\n");
    let stats = folder.run("judgements stats minimal.jsonl --trait quality --judge ann").expect(0);
    assert!(
        stats.starts_with("1 judgements (0 copies left out) of 1 pairs of 2 documents by 1 judges"),
        "{stats}"
    );
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
fn traits_that_are_named_together_share_their_groups() {
    let folder = Folder::new();
    let essays = folder.text("essays.csv");
    let reversed = |line: &str| {
        let grade = line.rsplit_once(',').unwrap().1;
        grade.parse::<f64>().map_or(format!("{line},syntax\n"), |grade| format!("{line},{}\n", 6.0 - grade))
    };
    folder.write("essays.csv", essays.lines().map(reversed).collect::<String>());
    let generate = "pairs generate --essays essays.csv --trait grammar --trait syntax --run-id 1 --seed 36 \
                    --pair-folds A,B,C,D,E --group-size 4 --target-usage 2 --output-dir new";
    folder.run(generate).expect(0);
    // The groups, as the sets of documents that pairs of either trait connect.
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for target in ["grammar", "syntax"] {
        for line in folder.text(&format!("new/run1_{target}.jsonl")).lines() {
            let pair: serde_json::Value = serde_json::from_str(line).unwrap();
            let ids: BTreeSet<String> = ["a", "b"].map(|side| pair[side].as_str().unwrap().to_owned()).into();
            let (touched, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| !group.is_disjoint(&ids));
            groups = apart;
            groups.push(touched.into_iter().flatten().chain(ids).collect());
        }
    }
    // 32 documents train, 4 validate and 4 test, and a group of equal grades may be in parts.
    assert!(groups.len() >= 10 && groups.iter().all(|group| group.len() <= 4), "{groups:?}");
}

#[test]
fn devices_lists_the_processor() {
    let stdout = Folder::empty().run("devices").expect(0);
    #[cfg(feature = "cpu")]
    assert!(stdout.lines().any(|line| line == "cpu"), "{stdout}");
    assert!(!stdout.is_empty());
}
