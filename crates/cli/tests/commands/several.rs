//! Runs of several traits: one pass through the backbone, and what as many runs of one trait learn.

use std::collections::{BTreeMap, BTreeSet};

use pair2score_scorer::TensorFile;
use serde_json::Value;

use crate::common::{Folder, essays, pairs};
use crate::{info, records, scores};

const TRAITS: [&str; 6] = ["cohesion", "syntax", "vocabulary", "phraseology", "grammar", "conventions"];

/// The label of a document in a trait: the grammar's, turned and shifted, so that each trait asks for another head.
fn label(grammar: f64, place: usize, row: usize) -> f64 {
    let turned = if place.is_multiple_of(2) { grammar } else { 6.0 - grammar };
    (turned + 0.5 * ((row * (place + 2)) % 3) as f64 - 0.5).clamp(1.0, 5.0)
}

/// A folder whose documents have labels of all traits; where `missing`, some documents lack some of them.
fn folder(missing: bool) -> Folder {
    let folder = Folder::new();
    let mut table = format!("text_id,full_text,fold,{}\n", TRAITS.join(","));
    for (row, record) in records(&essays()).into_iter().skip(1).enumerate() {
        let [id, text, fold, grammar] = record.try_into().unwrap();
        let grammar: f64 = grammar.parse().unwrap();
        let labels = (0..6).map(|place| match missing && (row + place).is_multiple_of(7) {
            true => "NA".to_owned(),
            false => label(grammar, place, row).to_string(),
        });
        table += &format!("{id},\"{text}\",{fold},{}\n", labels.collect::<Vec<_>>().join(","));
    }
    folder.write("essays.csv", table);
    folder
}

/// Runs these traits with heads on frozen embeddings into `NAME/out` and `NAME/ckpt`.
fn run(folder: &Folder, name: &str, traits: &str, sets: &[&str]) {
    let mut command = folder.command("run config.yaml");
    let paths = [format!("paths.output_dir={name}/out"), format!("paths.checkpoint_dir={name}/ckpt")];
    let ours = ["pipeline.trait=null".to_owned(), format!("pipeline.traits=[{traits}]")];
    let cache = "paths.embedding_dir=kept".to_owned();
    for set in paths.into_iter().chain(ours).chain([cache]).chain(sets.iter().map(|set| (*set).to_owned())) {
        command.args(["--set", &set]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const RIDGE: &[&str] = &[
    "stage1_relative.enabled=false",
    "stage2_absolute.mode=head_only",
    "stage2_absolute.head=ridge",
    "stage2_absolute.lora.reuse_relative_adapter=false",
];

#[test]
fn six_traits_at_once_are_six_runs() {
    for missing in [false, true] {
        let folder = folder(missing);
        run(&folder, "all", &TRAITS.join(", "), RIDGE);
        folder.run("score --scorer all/ckpt --input essays.csv --output all.csv").expect(0);
        let all = records(&folder.text("all.csv"));
        for (place, target) in TRAITS.into_iter().enumerate() {
            // With missing labels, the runs of one trait validate on other documents, which a ridge does not mind.
            run(&folder, target, target, RIDGE);
            let alone = scores(&folder, &format!("{target}/out/test_predictions.csv"));
            let together = scores(&folder, &format!("all/out/{target}/test_predictions.csv"));
            assert_eq!(together.len(), alone.len());
            let predicted: BTreeMap<&String, f64> =
                all[1..].iter().map(|row| (&row[0], row[1 + 2 * place].parse().unwrap())).collect();
            for (id, score) in &alone {
                assert!((together[id] - score).abs() < 1e-6, "{target} {id}: {} {score}", together[id]);
                assert!((predicted[id] - score).abs() < 1e-4, "{target} {id}");
            }
            let [one, of_all] = [format!("{target}/out"), format!("all/out/{target}")]
                .map(|place| info(&folder, &format!("{place}/absolute_metrics_info.txt")));
            assert_eq!(
                (&one["test_qwk"], one.get("calibration_documents")),
                (&of_all["test_qwk"], of_all.get("calibration_documents"))
            );
            let whole = info(&folder, "all/out/absolute_metrics_info.txt");
            assert_eq!(whole[&format!("test_qwk[{target}]")], one["test_qwk"]);
            // What is said of one trait is of the documents that have its label.
            for key in ["left_out_qwk", "left_out_mae", "penalty", "test_size"] {
                assert_eq!(whole[&format!("{key}[{target}]")], of_all[key], "{target} {key}");
            }
            let sizes = |info: &BTreeMap<String, String>| {
                ["train_size", "val_size", "test_size"].map(|key| info[key].parse::<usize>().unwrap())
            };
            assert_eq!(sizes(&one).iter().sum::<usize>(), sizes(&of_all).iter().sum::<usize>());
            assert!(!of_all.keys().any(|key| key.contains('[')), "{of_all:?}");
            let settings = folder.json("all/ckpt/absolute/scorer.json")["traits"][place].clone();
            let single = folder.json(&format!("{target}/ckpt/absolute/scorer.json"));
            assert_eq!(settings["target"], single["target"]);
            if !missing {
                assert_eq!(settings["calibration"], single["calibration"]);
                assert_eq!(settings["label_counts"], single["label_counts"]);
            }
        }
        // The page of a report has each trait, and the run of all beside that of one.
        folder.run("report all/out grammar/out --output report.html --resamples 20").expect(0);
        let table = folder.text("report.md");
        assert!(TRAITS.iter().all(|target| table.contains(&format!("### {target}"))), "{table}");
    }
}

/// Share of pairs of documents that the scores of a run order as the labels.
fn pair_accuracy(folder: &Folder, name: &str, target: &str) -> f64 {
    let json =
        folder.run(&format!("evaluate --scorer {name}/ckpt --input essays.csv --trait {target} --json"));
    let json: Value = serde_json::from_str(&json.expect(0)).unwrap();
    json["pair_accuracy"].as_f64().unwrap()
}

#[test]
fn trained_heads_and_a_trained_adapter_learn_every_trait() {
    let folder = folder(true);
    let stage1 = "stage1_relative.enabled=false";
    let reuse = "stage2_absolute.lora.reuse_relative_adapter=false";
    let training = ["stage2_absolute.training.epochs=25", "stage2_absolute.head_init=data"];
    for (mode, lr) in [("head_only", "0.01"), ("base", "0.003")] {
        let (mode, lr) =
            (&format!("stage2_absolute.mode={mode}"), &format!("stage2_absolute.training.lr={lr}"));
        let sets =
            [&[stage1, reuse, mode, lr, "stage2_absolute.trait_weights=[1, 2]"], &training[..]].concat();
        run(&folder, "two", "grammar, syntax", &sets);
        // The labels of one fall as those of the other rise.
        for target in ["grammar", "syntax"] {
            let accuracy = pair_accuracy(&folder, "two", target);
            assert!(accuracy > 0.55, "{mode} {target}: {accuracy}");
        }
        let metrics = folder.text("two/out/metrics.jsonl");
        let epoch: Value =
            serde_json::from_str(metrics.lines().rfind(|line| line.contains("val_mae")).unwrap()).unwrap();
        let [mean, one, other] =
            ["val_mae", "val_mae[grammar]", "val_mae[syntax]"].map(|key| epoch[key].as_f64().unwrap());
        assert!((mean - (one + other) / 2.0).abs() < 1e-9, "{epoch}");
    }
}

#[test]
fn a_run_of_several_traits_goes_on_where_it_stopped() {
    let folder = folder(true);
    let sets = ["stage1_relative.enabled=false", "stage2_absolute.lora.reuse_relative_adapter=false"];
    run(&folder, "whole", "grammar, syntax", &[&sets[..], &["stage2_absolute.training.epochs=3"]].concat());
    run(&folder, "parts", "grammar, syntax", &[&sets[..], &["stage2_absolute.training.epochs=3"]].concat());
    let again = "stage 2: is over, its results are kept";
    let outcome = folder.run(&format!(
        "run config.yaml --resume --set pipeline.trait=null --set pipeline.traits=[grammar,syntax] --set {} --set {} \
         --set paths.output_dir=whole/out --set paths.checkpoint_dir=whole/ckpt --set paths.embedding_dir=kept \
         --set stage2_absolute.training.epochs=3",
        sets[0], sets[1]
    ));
    assert!(outcome.stderr.contains(again) || outcome.stdout.contains(again), "{outcome:?}");
    for head in ["grammar", "syntax"] {
        let name = format!("ckpt/absolute/heads/{head}.safetensors");
        assert_eq!(folder.bytes(&format!("whole/{name}")), folder.bytes(&format!("parts/{name}")));
    }
}

/// The pairs of grammar, and the same turned round about syntax.
fn pairs_of_both() -> [String; 2] {
    let turned = pairs().replace("\"grammar\"", "\"syntax\"");
    let turned = turned
        .replace("\"y\": 1", "\"y\": x")
        .replace("\"y\": 0", "\"y\": 1")
        .replace("\"y\": x", "\"y\": 0");
    [pairs(), turned]
}

#[test]
fn pairs_of_several_traits_share_an_adapter() {
    let folder = folder(false);
    let [grammar, syntax] = pairs_of_both();
    folder.write("both.jsonl", format!("{grammar}{syntax}"));
    folder.write("of_grammar.jsonl", &grammar);
    folder.write("of_syntax.jsonl", &syntax);
    let epochs = "stage1_relative.training.epochs=4";
    for (name, file) in [("one", "both.jsonl"), ("each", "of_{trait}.jsonl")] {
        run(&folder, name, "grammar, syntax", &[&format!("stage1_relative.pairs_file={file}"), epochs]);
    }
    let heads =
        ["grammar", "syntax"].map(|target| format!("ckpt/relative/relative_heads/{target}.safetensors"));
    for head in &heads {
        // The same pairs in the same order, from one file or two.
        assert_eq!(folder.bytes(&format!("one/{head}")), folder.bytes(&format!("each/{head}")));
        assert_eq!(
            TensorFile::open(&folder.path(&format!("one/{head}"))).unwrap().names().collect::<Vec<_>>(),
            ["weight"]
        );
    }
    let stage1 = info(&folder, "one/ckpt/relative/relative_run_info.txt");
    for key in ["test_acc", "test_acc[grammar]", "test_acc[syntax]", "best_val_acc[syntax]"] {
        assert!(stage1.contains_key(key), "{key}");
    }
    // Which of two texts is better depends on the trait: the judgements are each other's opposite.
    folder.write("a.txt", "The plan was expensive. Nobody knew the answer.");
    folder.write("b.txt", "The plan it was expensives. Nobody not know answer.");
    let compared: Value =
        serde_json::from_str(&folder.run("compare --scorer one/ckpt a.txt b.txt --json").expect(0)).unwrap();
    let [one, other] = [0, 1].map(|place| compared[place]["logit"].as_f64().unwrap());
    assert!(one * other < 0.0, "{one} {other}");
}

#[test]
fn solved_utilities_of_several_traits_are_as_many_runs() {
    let folder = folder(false);
    let [grammar, syntax] = pairs_of_both();
    folder.write("of_grammar.jsonl", &grammar);
    folder.write("of_syntax.jsonl", &syntax);
    let sets = [
        "stage1_relative.pairs_file=of_{trait}.jsonl",
        "stage1_relative.mode=head_only",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.head=joint",
        "stage2_absolute.lora.reuse_relative_adapter=false",
    ];
    run(&folder, "all", "grammar, syntax", &sets);
    for target in ["grammar", "syntax"] {
        run(&folder, target, target, &sets);
        let read = |name: String| TensorFile::open(&folder.path(&name)).unwrap();
        let together =
            read(format!("all/ckpt/relative/relative_heads/{target}.safetensors")).stored("weight").unwrap();
        let alone =
            read(format!("{target}/ckpt/relative/relative_head.safetensors")).stored("weight").unwrap();
        assert_eq!(together.values, alone.values, "{target}");
        let alone = scores(&folder, &format!("{target}/out/test_predictions.csv"));
        for (id, score) in scores(&folder, &format!("all/out/{target}/test_predictions.csv")) {
            assert!((score - alone[&id]).abs() < 1e-6, "{target} {id}");
        }
    }
}

#[test]
fn what_several_traits_cannot_have_is_refused() {
    let folder = folder(false);
    for (sets, expected) in [
        (
            "--set pipeline.traits=[grammar,syntax]",
            "pipeline.traits: given beside pipeline.trait, remove one",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,syntax] --set scale=auto",
            "scale.auto: true, but several traits share one scale",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,Grammar]",
            "names the trait \"Grammar\", whose column \"Grammar\" another one has",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,Metrics.jsonl] --dry-run",
            "names the trait \"Metrics.jsonl\", as a file of the outputs is called, rename its column",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,syntax] --set data.columns.label=x",
            "data.columns.label: given, but several traits name a column each",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,syntax] --set stage2_absolute.trait_weights=[1]",
            "stage2_absolute.trait_weights: 1 weights for 2 traits",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,syntax]",
            "leaves 0 training and 0 validation pairs about \"syntax\"; both need at least one",
        ),
        (
            "--set pipeline.trait=null --set pipeline.traits=[grammar,rhythm] --set stage1_relative.enabled=false",
            "no column \"rhythm\" (label)",
        ),
    ] {
        let outcome = folder.run(&format!("run config.yaml {sets}"));
        assert_eq!(outcome.code, Some(2), "{sets}");
        assert!(outcome.stderr.contains(expected), "{expected}\n{}", outcome.stderr);
    }
    let essays = folder.text("essays.csv");
    let without = |line: &str| match line.starts_with('E') {
        true => format!("{},NA", line.rsplit_once(',').unwrap().0),
        false => line.to_owned(),
    };
    folder.write("essays.csv", essays.lines().map(without).collect::<Vec<_>>().join("\n"));
    for dry in ["", " --dry-run"] {
        let outcome = folder.run(&format!(
            "run config.yaml --set pipeline.trait=null --set pipeline.traits=[grammar,conventions] --set \
             stage1_relative.enabled=false --set stage2_absolute.lora.reuse_relative_adapter=false{dry}"
        ));
        assert!(
            outcome.stderr.contains(
                "has no conventions label of a document that tests; give more, or train conventions"
            ),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_run_with_other_traits_leaves_nothing_of_the_one_before() {
    let folder = folder(false);
    let files = |below: &str, ending: &str| -> Vec<String> {
        folder.files(below).into_iter().filter(|name| name.ends_with(ending)).collect()
    };
    let results = ["absolute_metrics_info.txt", "test_predictions.csv"];
    let of = |targets: &[&str]| -> Vec<String> {
        let files = targets.iter().flat_map(|target| results.map(|name| format!("{target}/{name}")));
        files.chain(["absolute_metrics_info.txt".to_owned()]).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let both = |below: &str| -> Vec<String> {
        let names = folder.files(below).into_iter();
        names.filter(|name| results.iter().any(|result| name.ends_with(result))).collect()
    };
    run(&folder, "one", "grammar, syntax", RIDGE);
    assert_eq!(both("one/out"), of(&["grammar", "syntax"]));
    folder.write("one/out/grammar/notes.txt", "mine");
    run(&folder, "one", "syntax, vocabulary", RIDGE);
    assert_eq!(both("one/out"), of(&["syntax", "vocabulary"]));
    assert_eq!(files("one/ckpt/absolute/heads", ""), ["syntax.safetensors", "vocabulary.safetensors"]);
    run(&folder, "one", "syntax", RIDGE);
    assert_eq!(both("one/out"), results);
    assert_eq!(files("one/ckpt/absolute", "safetensors"), ["anchors.safetensors", "head.safetensors"]);
    run(&folder, "one", "syntax, vocabulary", RIDGE);
    assert_eq!(both("one/out"), of(&["syntax", "vocabulary"]));
    assert_eq!(
        files("one/ckpt/absolute", "safetensors"),
        ["anchors.safetensors", "heads/syntax.safetensors", "heads/vocabulary.safetensors"]
    );
    assert_eq!(folder.text("one/out/grammar/notes.txt"), "mine");
    folder.run("score --scorer one/ckpt --input essays.csv --output scores.csv").expect(0);
}

#[test]
fn a_sweep_of_one_scorer_has_a_row_for_each_trait() {
    let folder = folder(false);
    folder.write(
        "sweep.yaml",
        "base: config.yaml\noutput_dir: sweep/out\ncheckpoint_dir: sweep/ckpt\ntraits: [grammar, syntax]\none_scorer: true\n\
         folds: [{test: E, train: [A, B, C, D], seed: 1}]\nsettings:\n  ridge: {stage1_relative: {enabled: false}, \
         stage2_absolute: {mode: head_only, head: ridge, lora: {reuse_relative_adapter: false}}}\n",
    );
    let stdout = folder.run("sweep sweep.yaml").expect(0);
    assert!(stdout.contains("| Setting | grammar | syntax |"), "{stdout}");
    let runs = records(&folder.text("sweep/out/runs.csv"));
    let of = |row: &Vec<String>| (row[0].clone(), row[1].clone());
    assert_eq!(
        runs[1..].iter().map(of).collect::<Vec<_>>(),
        ["grammar", "syntax"].map(|of| ("ridge".to_owned(), of.to_owned()))
    );
    for (row, target) in runs[1..].iter().zip(["grammar", "syntax"]) {
        let one =
            info(&folder, &format!("sweep/out/ridge/all_traits/fold_E/{target}/absolute_metrics_info.txt"));
        assert_eq!(row[4], one["test_qwk"]);
    }
}
