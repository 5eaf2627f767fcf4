//! The commands from end to end, on the oracle's tiny backbone and a small corpus.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{D_MODEL, Folder, essays, oracle};
use pair2score_scorer::TensorFile;
use pair2score_train::config;
use serde_json::{Value, json};

/// A CSV file as records, the header first.
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The column `score` of a CSV file by the first column, the id.
fn scores(folder: &Folder, name: &str) -> BTreeMap<String, f64> {
    let records = records(&folder.text(name));
    let column = records[0].iter().position(|column| column == "score").unwrap();
    records[1..].iter().map(|record| (record[0].clone(), record[column].parse().unwrap())).collect()
}

fn assert_same_scores(actual: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>, tolerance: f64) {
    assert!(!expected.is_empty());
    assert_eq!(actual.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (id, expected) in expected {
        assert!((actual[id] - expected).abs() <= tolerance, "{id}: {} and {expected}", actual[id]);
    }
}

/// A `key: value` file.
fn info(folder: &Folder, name: &str) -> BTreeMap<String, String> {
    let text = folder.text(name);
    let pairs = text.lines().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line:?}")));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Scores the test fold with the saved scorer and compares with what the run predicted for it.
fn assert_scorer_reproduces_the_run(folder: &Folder) {
    let test: Vec<String> = essays()
        .lines()
        .filter(|line| line.starts_with("text_id") || line.starts_with('E'))
        .map(String::from)
        .collect();
    folder.write("test.csv", test.join("\n"));
    folder.run("score --scorer ckpt --input test.csv --output scores.csv").expect(0);
    // Scoring computes embeddings in f32 anew; the run may have batched them with other documents.
    assert_same_scores(&scores(folder, "scores.csv"), &scores(folder, "out/test_predictions.csv"), 1e-4);
}

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
fn run_writes_the_files_of_the_contract() {
    let folder = Folder::new();
    let stdout = folder.run("run config.yaml").expect(0);
    for line in ["stage 1: ", "stage 2: ", "scorer: ckpt/absolute", "outputs: out"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    let checkpoint = [
        ".lock",
        "absolute/absolute_run_info.txt",
        "absolute/adapter/adapter_config.json",
        "absolute/adapter/adapter_model.safetensors",
        "absolute/head.safetensors",
        "absolute/relative/adapter/adapter_config.json",
        "absolute/relative/adapter/adapter_model.safetensors",
        "absolute/relative/relative_head.safetensors",
        "absolute/scorer.json",
        "absolute/training/finished.json",
        "absolute/training/step_00000007.safetensors",
        "relative/adapter/adapter_config.json",
        "relative/adapter/adapter_model.safetensors",
        "relative/relative_head.safetensors",
        "relative/relative_run_info.txt",
        "relative/scorer.json",
        "relative/train_embeddings.safetensors",
        "relative/training/finished.json",
        "relative/training/step_00000005.safetensors",
    ];
    assert_eq!(folder.files("ckpt"), checkpoint.map(String::from).into());
    let outputs = folder.files("out");
    let (stamped, plain): (BTreeSet<String>, BTreeSet<String>) =
        outputs.into_iter().partition(|name| name.starts_with("run_"));
    // An event file per stage, whose names have times.
    let (events, plain): (BTreeSet<String>, BTreeSet<String>) =
        plain.into_iter().partition(|name| name.starts_with("tensorboard/"));
    let stages: Vec<&str> = events.iter().filter_map(|name| name.split('/').nth(1)).collect();
    assert_eq!(stages, ["absolute", "relative"], "{events:?}");
    assert_eq!(
        plain,
        [".lock", "absolute_metrics_info.txt", "metrics.jsonl", "test_predictions.csv"]
            .map(String::from)
            .into()
    );
    assert_eq!(stamped.len(), 2, "{stamped:?}");

    let tensors = |name: &str| TensorFile::open(&folder.path(name)).unwrap();
    let head = tensors("ckpt/relative/relative_head.safetensors");
    assert_eq!(head.names().collect::<Vec<_>>(), ["weight"]);
    assert_eq!(head.shape("weight"), Some(&[1, D_MODEL][..]));
    let embeddings = tensors("ckpt/relative/train_embeddings.safetensors");
    let ids: Vec<String> = serde_json::from_str(embeddings.metadata("ids").unwrap()).unwrap();
    // 32 documents in the training folds, a fifth of which validates.
    assert_eq!(ids.len(), 26);
    assert_eq!(embeddings.shape("embeddings"), Some(&[26, D_MODEL][..]));
    assert_eq!(folder.json("ckpt/relative/adapter/adapter_config.json")["peft_type"], "LORA");

    let stage1 = info(&folder, "ckpt/relative/relative_run_info.txt");
    for key in
        ["train_pairs", "val_pairs", "test_pairs", "withheld_pairs", "best_epoch", "test_acc", "test_loss"]
    {
        assert!(stage1.contains_key(key), "{key}");
    }
    let stage2 = info(&folder, "out/absolute_metrics_info.txt");
    for key in ["test_qwk", "test_qwk_floor", "test_mae", "test_rmse", "best_epoch", "test_pair_accuracy"] {
        assert!(stage2[key].parse::<f64>().is_ok_and(f64::is_finite), "{key}: {}", stage2[key]);
    }
    assert_eq!((stage2["transfer"].as_str(), stage2["test_size"].as_str()), ("warm start", "8"));
    assert_eq!(
        folder.text("out/absolute_metrics_info.txt"),
        folder.text("ckpt/absolute/absolute_run_info.txt")
    );

    let metrics: Vec<Value> =
        folder.text("out/metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(metrics[0]["experiment"], "small");
    for (stage, metric) in [("relative", "val_acc"), ("absolute", "val_qwk")] {
        let of_stage = || metrics.iter().filter(|line| line["stage"] == stage);
        assert!(of_stage().any(|line| line["loss"].is_number()), "{stage}");
        assert!(of_stage().any(|line| line.get(metric).is_some()), "{stage}");
    }
    let resolved = stamped.iter().find(|name| name.ends_with("_config.yaml")).unwrap();
    let load = |name: &str| config::load(&folder.path(name), &[]).unwrap();
    assert_eq!(load(&format!("out/{resolved}")), load("config.yaml"));
    assert!(
        stamped
            .iter()
            .any(|name| name.ends_with(".log") && folder.text(&format!("out/{name}")).contains("loss"))
    );
}

#[test]
fn a_trained_scorer_scores_evaluates_and_compares() {
    let folder = Folder::new();
    folder.run("run config.yaml").expect(0);
    assert_scorer_reproduces_the_run(&folder);
    let all = records(&essays());

    // Scores: a line per document, in the order of the file.
    let stdout = folder.run("score --scorer ckpt --input essays.csv --output all.csv").expect(0);
    assert!(stdout.contains("40 documents scored"), "{stdout}");
    let scored = records(&folder.text("all.csv"));
    assert_eq!(scored[0], ["id", "score", "grade", "truncated"]);
    let ids = |records: &[Vec<String>]| records[1..].iter().map(|r| r[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&scored), ids(&all));
    for value in ["true", "false"] {
        assert!(scored.iter().any(|record| record[3] == value), "no document has truncated {value}");
    }
    for record in &scored[1..] {
        let (score, grade): (f64, f64) = (record[1].parse().unwrap(), record[2].parse().unwrap());
        assert!(
            (1.0..=5.0).contains(&grade) && (score.clamp(1.0, 5.0) - grade).abs() <= 0.25 + 1e-9,
            "{record:?}"
        );
    }

    // The order of the documents and the format of the file do not matter.
    let mut lines: Vec<Value> =
        all[1..].iter().map(|record| json!({ "id": record[0], "text": record[1] })).collect();
    lines.reverse();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    folder.write("reversed.jsonl", lines.join("\n"));
    folder.run("score --scorer ckpt/absolute --input reversed.jsonl --output reversed.csv").expect(0);
    let reversed = ids(&records(&folder.text("reversed.csv")));
    assert_eq!(reversed, ids(&scored).into_iter().rev().collect::<Vec<_>>());
    // A row's place in a matrix product may change the last bit.
    assert_same_scores(&scores(&folder, "reversed.csv"), &scores(&folder, "all.csv"), 1e-5);

    // Evaluation on the test fold finds what the run found.
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    let evaluation: Value = serde_json::from_str(&stdout).unwrap();
    let run = info(&folder, "out/absolute_metrics_info.txt");
    assert_eq!((&evaluation["documents"], &evaluation["trait"]), (&json!(8), &json!("grammar")));
    for (ours, theirs) in [
        ("qwk", "test_qwk"),
        ("qwk_floor", "test_qwk_floor"),
        ("mae", "test_mae"),
        ("rmse", "test_rmse"),
        ("pearson", "test_pearson"),
        ("spearman", "test_spearman"),
        ("pair_accuracy", "test_pair_accuracy"),
    ] {
        let (ours, theirs) = (evaluation[ours].as_f64().unwrap(), run[theirs].parse::<f64>().unwrap());
        assert!((ours - theirs).abs() < 2e-6, "{theirs}: the file has six decimals");
    }
    assert!(evaluation["utility_pair_accuracy"].is_number());
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv").expect(0);
    assert!(
        stdout.starts_with("grammar: 40 documents") && stdout.contains("\npair accuracy (u)"),
        "{stdout}"
    );

    // Swapping two documents negates the logit.
    folder.write("a.txt", &all[1][1]);
    folder.write("b.txt", &all[8][1]);
    let compare = |files: &str| -> Value {
        let stdout = folder.run(&format!("compare --scorer ckpt {files} --json")).expect(0);
        serde_json::from_str(&stdout).unwrap()
    };
    let (there, back) = (compare("a.txt b.txt"), compare("b.txt a.txt"));
    let logit = there["logit"].as_f64().unwrap();
    assert!(logit != 0.0);
    assert_eq!(back["logit"].as_f64(), Some(-logit));
    assert_eq!(there["utilities"][0], back["utilities"][1]);
    assert_eq!(there["scores"][0], back["scores"][1]);
    let preferences = there["preference"].as_f64().unwrap() + back["preference"].as_f64().unwrap();
    assert!((preferences - 1.0).abs() < 1e-12);
    let stdout = folder.run("compare --scorer ckpt a.txt b.txt").expect(0);
    assert!(stdout.contains("\nlogit ") && stdout.contains("preference for A"), "{stdout}");
}

#[test]
fn a_calibration_is_fitted_on_validation_documents_and_asked_for_by_name() {
    let folder = Folder::new();
    // Enough steps for scores to rise with the labels.
    let training = "--set stage2_absolute.training.epochs=6 --set stage2_absolute.training.lr=0.02";
    let stdout = folder.run(&format!("run config.yaml {training}")).expect(0);
    assert!(stdout.contains("stage 2 calibrated: test QWK "), "{stdout}");
    let settings = folder.json("ckpt/absolute/scorer.json");
    let calibration = &settings["calibration"];
    assert_eq!(calibration["method"], "linear");
    let documents = info(&folder, "out/absolute_metrics_info.txt")["val_size"].clone();
    assert_eq!(calibration["documents"].to_string(), documents);

    // By hand: the line through both knots, clamped, and the thresholds.
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let [low, high] = [0, 1].map(|knot| [0, 1].map(|side| number(&calibration["knots"][knot][side])));
    let line = |raw: f64| {
        let slope = (high[1] - low[1]) / (high[0] - low[0]);
        (low[1] + slope * (raw - low[0])).clamp(low[1], high[1])
    };
    let thresholds: Vec<f64> = calibration["thresholds"].as_array().unwrap().iter().map(number).collect();
    let grade =
        |raw: f64| 1.0 + 0.5 * thresholds.iter().filter(|&&threshold| threshold <= raw).count() as f64;

    let predictions = records(&folder.text("out/test_predictions.csv"));
    assert_eq!(predictions[0], ["id", "label", "score", "grade", "calibrated", "calibrated_grade"]);
    for record in &predictions[1..] {
        let numbers: Vec<f64> = record[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!((numbers[3] - line(numbers[1])).abs() < 1e-9, "{record:?}");
        assert_eq!(numbers[4], grade(numbers[1]), "{record:?}");
    }
    folder.run("score --scorer ckpt --input essays.csv --output raw.csv").expect(0);
    folder.run("score --scorer ckpt --input essays.csv --output new.csv --calibrated").expect(0);
    let (raw, new) = (records(&folder.text("raw.csv")), records(&folder.text("new.csv")));
    assert_eq!(raw[0], new[0]);
    for (raw, new) in raw.iter().zip(&new).skip(1) {
        let score: f64 = raw[1].parse().unwrap();
        assert!((new[1].parse::<f64>().unwrap() - line(score)).abs() < 1e-9, "{raw:?} {new:?}");
        assert_eq!(new[2].parse::<f64>().unwrap(), grade(score), "{raw:?} {new:?}");
    }
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    let evaluated: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let metrics = info(&folder, "out/absolute_metrics_info.txt");
    for (key, name) in [("qwk", "test_qwk_calibrated"), ("qwk_thresholds", "test_qwk_thresholds")] {
        let expected: f64 = metrics[name].parse().unwrap();
        assert!((number(&evaluated["calibrated"][key]) - expected).abs() < 1e-6, "{evaluated}");
    }

    // Without it there is nothing to ask for.
    let none = "--set stage2_absolute.calibration=none --set paths.checkpoint_dir=plain --set paths.output_dir=plain";
    folder.run(&format!("run config.yaml {none}")).expect(0);
    assert!(folder.json("plain/absolute/scorer.json").get("calibration").is_none());
    assert_eq!(records(&folder.text("plain/test_predictions.csv"))[0].len(), 4);
    let outcome = folder.run("score --scorer plain --input essays.csv --output x.csv --calibrated");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("plain: holds no calibration; leave out --calibrated"), "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_one_command_or_two() {
    const FILES: [&str; 4] = [
        "relative/relative_head.safetensors",
        "relative/adapter/adapter_model.safetensors",
        "absolute/adapter/adapter_model.safetensors",
        "absolute/head.safetensors",
    ];
    let folder = Folder::new();
    let sets = |name: &str| format!("--set paths.checkpoint_dir={name} --set paths.output_dir=out_{name}");
    folder.run(&format!("run config.yaml {}", sets("once"))).expect(0);
    folder.run(&format!("run config.yaml {}", sets("again"))).expect(0);
    folder.run(&format!("run config.yaml {} --set pipeline.seed=37", sets("other"))).expect(0);
    folder.run(&format!("relative config.yaml {}", sets("apart"))).expect(0);
    assert!(!folder.path("apart/absolute").exists());
    let scores = folder.run("evaluate --scorer apart --input essays.csv").expect(0);
    assert!(scores.contains("pair accuracy (u)") && !scores.contains("QWK"), "{scores}");
    folder.run(&format!("absolute config.yaml {}", sets("apart"))).expect(0);
    for file in FILES {
        let of = |name: &str| folder.bytes(&format!("{name}/{file}"));
        assert!(of("again") == of("once"), "a second run differs in {file}");
        assert!(of("apart") == of("once"), "relative and absolute differ from run in {file}");
        assert!(of("other") != of("once"), "the seed does not matter for {file}");
    }
}

#[test]
fn every_transfer_gives_a_scorer_that_loads() {
    const STAGE2: &str = "--set stage2_absolute.";
    for (name, sets) in [
        ("scratch", vec!["mode=scratch"]),
        ("head only", vec!["mode=head_only"]),
        ("warm start, frozen adapter", vec!["mode=warm_start", "lora.train_reused_adapter=false"]),
        ("stacked", vec!["mode=stacked"]),
        ("fusion", vec!["mode=fusion"]),
        ("fusion, frozen adapter", vec!["mode=fusion", "lora.train_reused_adapter=false"]),
        ("fusion, fresh adapter", vec!["mode=fusion", "lora.reuse_relative_adapter=false"]),
    ] {
        let folder = Folder::new();
        let sets: Vec<String> = sets.iter().map(|set| format!("{STAGE2}{set}")).collect();
        folder.run(&format!("run config.yaml {}", sets.join(" "))).expect(0);
        assert_eq!(info(&folder, "out/absolute_metrics_info.txt")["transfer"], name);
        assert_scorer_reproduces_the_run(&folder);
    }
}

#[test]
fn every_objective_scores_and_those_with_grades_stay_on_the_scale() {
    let folder = Folder::new();
    for objective in ["l1", "mse", "huber", "ordinal", "classification"] {
        let args = format!(
            "run config.yaml --set stage1_relative.enabled=false --set stage2_absolute.mode=head_only \
             --set stage2_absolute.objective={objective}"
        );
        folder.run(&args).expect(0);
        assert_eq!(info(&folder, "out/absolute_metrics_info.txt")["objective"], objective);
        assert_scorer_reproduces_the_run(&folder);
        let graded = ["ordinal", "classification"].contains(&objective);
        for (id, score) in scores(&folder, "scores.csv") {
            assert!(
                score.is_finite() && (!graded || (1.0..=5.0).contains(&score)),
                "{objective} {id}: {score}"
            );
        }
    }
}

#[test]
fn every_option_of_the_loop_runs() {
    let folder = Folder::new();
    let mut args = "run config.yaml --set model.pooling=last --set stage2_absolute.qwk=floor".to_owned();
    for stage in ["stage1_relative", "stage2_absolute"] {
        for set in [
            "epochs=2",
            "length_grouped=true",
            "gradient_accumulation=2",
            "max_grad_norm=0.5",
            "schedule=cosine",
            "warmup_steps=3",
            "max_batch_tokens=150",
        ] {
            args += &format!(" --set {stage}.training.{set}");
        }
    }
    folder.run(&args).expect(0);
    assert_eq!(folder.json("ckpt/absolute/scorer.json")["pooling"], "last");
    assert_scorer_reproduces_the_run(&folder);
    let metrics = folder.text("out/metrics.jsonl");
    let rates: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["stage"] == "absolute")
        .filter_map(|line| line["lr"].as_f64())
        .collect();
    // 26 documents, 8 a step: 4 steps an epoch, logged every second.
    assert_eq!(rates.len(), 4, "{rates:?}");
    assert!(rates[0] < rates[1] && rates[3] < rates[2], "warm-up, then decay: {rates:?}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let folder = Folder::new();
    let before = folder.files("");
    let stdout = folder.run("run config.yaml --dry-run").expect(0);
    assert_eq!(folder.files(""), before);
    for line in
        ["train 26, val 6, test 8\n", " withheld from training\n", "(warm start)\n", " MiB (estimate)\n"]
    {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    let resolved =
        stdout.strip_prefix("# resolved configuration\n").unwrap().split("\n\n# documents").next().unwrap();
    folder.write("resolved.yaml", resolved);
    let load = |name: &str| config::load(&folder.path(name), &[]).unwrap();
    assert_eq!(load("resolved.yaml"), load("config.yaml"));
}

#[test]
fn embeddings_agree_with_transformers_and_peft() {
    let folder = Folder::new();
    folder.oracle("adapter", "adapter");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(oracle().join("expected.json")).unwrap()).unwrap();
    let texts = expected["texts"].as_array().unwrap().iter().enumerate();
    let lines: Vec<String> = texts.map(|(id, text)| json!({ "id": id, "text": text }).to_string()).collect();
    folder.write("texts.jsonl", lines.join("\n"));
    let reference = TensorFile::open(&oracle().join("expected.safetensors")).unwrap();
    for (option, name) in [("", "pooled"), ("--adapter adapter", "pooled.adapter")] {
        let args =
            "embed --backbone backbone --input texts.jsonl --output new/out.safetensors --max-length 48";
        let stdout = folder.run(&format!("{args} {option}")).expect(0);
        assert!(stdout.contains("1 documents cut at 48 tokens"), "{stdout}");
        let file = TensorFile::open(&folder.path("new/out.safetensors")).unwrap();
        let ids: Vec<String> = serde_json::from_str(file.metadata("ids").unwrap()).unwrap();
        assert_eq!(ids, (0..lines.len()).map(|id| id.to_string()).collect::<Vec<_>>());
        let (actual, expected) = (file.stored("embeddings").unwrap(), reference.stored(name).unwrap());
        assert_eq!(actual.shape, expected.shape);
        for (a, e) in actual.values.iter().zip(&expected.values) {
            // What the oracle promises in f32.
            assert!((a - e).abs() <= 1e-4, "{name}: {a} and {e}");
        }
    }
}

#[test]
fn a_pretrained_backbone_embeds() {
    let folder = Folder::new();
    let config = "pretrain:
  documents: [essays.csv]
  output: new
  tokenizer: {vocab_size: 280}
  architecture: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}
  training: {sequence_length: 32, batch_size: 2, warmup_steps: 2, val_ratio: 0.2}
";
    folder.write("pretrain.yaml", config);
    let stdout = folder.run("pretrain pretrain.yaml").expect(0);
    assert!(stdout.contains("perplexity") && stdout.ends_with("backbone: new\n"), "{stdout}");
    folder.run("embed --backbone new --input essays.csv --output out.safetensors --last-token").expect(0);
    let file = TensorFile::open(&folder.path("out.safetensors")).unwrap();
    assert_eq!(file.shape("embeddings"), Some(&[40, 16][..]));
}

#[test]
fn devices_lists_the_processor() {
    let stdout = Folder::empty().run("devices").expect(0);
    #[cfg(feature = "cpu")]
    assert!(stdout.lines().any(|line| line == "cpu"), "{stdout}");
    assert!(!stdout.is_empty());
}

#[test]
fn an_exported_scorer_scores_compares_and_evaluates_as_the_trained_one() {
    let folder = Folder::new();
    folder.run("run config.yaml --set stage2_absolute.embedding_fusion.enabled=true").expect(0);
    let stdout = folder.run("export --scorer ckpt --format hf --output exported").expect(0);
    for line in [
        "wrote exported: hf in f32",
        "largest weight deviation",
        "largest score difference",
        "largest utility",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    // Away from the run and its backbone: the folder is whole.
    std::fs::rename(folder.path("backbone"), folder.path("elsewhere")).unwrap();
    folder.run("score --scorer exported --input essays.csv --output after.csv").expect(0);
    let evaluated = folder.run("evaluate --scorer exported --input essays.csv --json").expect(0);
    std::fs::rename(folder.path("elsewhere"), folder.path("backbone")).unwrap();
    folder.run("score --scorer ckpt --input essays.csv --output before.csv").expect(0);
    assert_same_scores(&scores(&folder, "after.csv"), &scores(&folder, "before.csv"), 1e-4);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let expected = json(&folder.run("evaluate --scorer ckpt --input essays.csv --json").expect(0));
    assert_eq!(json(&evaluated)["qwk"], expected["qwk"]);
    assert_eq!(json(&evaluated)["utility_pair_accuracy"], expected["utility_pair_accuracy"]);

    // Other formats are no scorers for `--scorer`, and an earlier export makes room.
    folder.run("export --scorer exported --format onnx --output exported_onnx --dtype f16").expect(0);
    folder.run("export --scorer ckpt --format onnx --output exported").expect(0);
    let outcome = folder.run("score --scorer exported --input essays.csv --output x.csv");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}

/// Parquet by pyarrow's layout rules: two row groups, a nullable column, dictionary pages.
fn write_parquet(path: &std::path::Path, documents: &[[String; 2]]) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    let schema = "message texts { optional int64 number; required binary text_id (UTF8); optional binary full_text (UTF8); }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    for rows in documents.chunks(documents.len().div_ceil(2)) {
        let mut group = writer.next_row_group().unwrap();
        let levels = vec![1; rows.len()];
        let numbers: Vec<i64> = (0..rows.len() as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None).unwrap();
        column.close().unwrap();
        for (place, levels) in [(0, None), (1, Some(levels.as_slice()))] {
            let values: Vec<ByteArray> = rows.iter().map(|row| row[place].as_str().into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn read_parquet(path: &std::path::Path) -> Vec<Vec<String>> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let text = |field: Field| match field {
            Field::Str(text) => text,
            Field::Double(number) => number.to_string(),
            other => other.to_string(),
        };
        row.unwrap().into_columns().into_iter().map(|(_, field)| text(field)).collect()
    });
    rows.collect()
}

/// A scorer that was never trained, on the forty documents of `essays.csv`.
fn untrained() -> Folder {
    let folder = Folder::new();
    folder.scorer(true);
    folder
}

const SCORE: &str = "score --scorer scorer --input essays.csv --output";

#[test]
fn parquet_and_csv_hold_the_same() {
    let folder = untrained();
    folder.run(&format!("{SCORE} scores.csv")).expect(0);
    folder.run(&format!("{SCORE} scores.parquet --window 7")).expect(0);
    let expected = records(&folder.text("scores.csv"));
    let ids = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let rows = read_parquet(&folder.path("scores.parquet"));
    assert_eq!(ids(&rows), ids(&expected[1..]));
    for (row, expected) in rows.iter().zip(&expected[1..]) {
        let difference = row[1].parse::<f64>().unwrap() - expected[1].parse::<f64>().unwrap();
        // Other documents in the batch, other rounding.
        assert!(difference.abs() < 1e-5 && row[2..] == expected[2..], "{row:?} {expected:?}");
    }

    let essays = records(&folder.text("essays.csv"));
    let documents: Vec<[String; 2]> =
        essays[1..].iter().map(|row| [row[0].clone(), row[1].clone()]).collect();
    write_parquet(&folder.path("essays.parquet"), &documents);
    folder.run("score --scorer scorer --input essays.parquet --output again.csv").expect(0);
    assert_eq!(folder.text("again.csv"), folder.text("scores.csv"));
    // Row 33 lies in the second row group.
    folder.run("score --scorer scorer --input essays.parquet --output part.csv --shard 5/5").expect(0);
    let part = records(&folder.text("part-00005-of-00005.csv"));
    assert_eq!(ids(&part[1..]), ids(&expected[33..]));
}

#[test]
fn what_is_wrong_with_a_parquet_file_is_named() {
    let folder = untrained();
    let score = "score --scorer scorer --input texts.parquet --output scores.csv";
    folder.write("texts.parquet", "text_id,full_text\n1,a\n");
    let error = folder.run(score);
    assert!(error.stderr.contains("texts.parquet: not a Parquet file, or damaged"), "{error:?}");
    let documents: Vec<[String; 2]> = (0..9).map(|n| [format!("d{}", n % 8), "Text.".into()]).collect();
    write_parquet(&folder.path("texts.parquet"), &documents);
    let error = folder.run(score);
    assert!(error.stderr.contains("texts.parquet: row 9: id \"d0\" is already used in row 1"), "{error:?}");
    let error = folder.run(&format!("{score} --text-col essay"));
    assert!(
        error.stderr.contains("no column \"essay\" (text); its columns are number, text_id, full_text"),
        "{error:?}"
    );
    let error = folder.run(&format!("{score} --text-col number"));
    assert!(error.stderr.contains("column \"number\" (text) is INT64, not text"), "{error:?}");
    assert!(!folder.files("").iter().any(|name| name.contains("partial")));
}

#[test]
fn shards_one_after_the_other_are_the_whole() {
    let folder = untrained();
    folder.run(&format!("{SCORE} scores.csv")).expect(0);
    let mut ids = Vec::new();
    for shard in 1..=3 {
        folder.run(&format!("{SCORE} parts/scores.csv --shard {shard}/3")).expect(0);
        let part = records(&folder.text(&format!("parts/scores-0000{shard}-of-00003.csv")));
        assert_eq!(part[0], ["id", "score", "grade", "truncated"]);
        ids.extend(part[1..].iter().map(|row| row[0].clone()));
    }
    let whole: Vec<String> =
        records(&folder.text("scores.csv"))[1..].iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, whole);
    let marks: Vec<String> =
        folder.files("parts").into_iter().filter(|name| name.ends_with(".state.json")).collect();
    assert_eq!(marks.len(), 3);
    assert_eq!(folder.json(&format!("parts/{}", marks[0]))["finished"], true);
    // What is done is not done again.
    let again = folder.run(&format!("{SCORE} parts/scores.csv --shard 2/3 --resume")).expect(0);
    assert!(again.contains("is done, 13 documents scored"), "{again}");
    folder.remove("parts/scores-00002-of-00003.csv");
    let again = folder.run(&format!("{SCORE} parts/scores.csv --shard 2/3 --resume")).expect(0);
    assert!(again.starts_with("wrote "), "{again}");
}

#[test]
fn scoring_that_was_stopped_goes_on_to_the_same_bytes() {
    let folder = untrained();
    folder.run(&format!("{SCORE} whole.csv --window 8")).expect(0);
    let essays = folder.text("essays.csv");
    // A mistake of the same length in row 30, after three windows of eight.
    let broken = essays.replacen("\nA5,", "\n  ,", 1);
    assert_ne!(essays, broken);
    folder.write("essays.csv", &broken);
    let stopped = folder.run(&format!("{SCORE} scores.csv --window 8 --resume"));
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    assert!(!folder.path("scores.csv").exists());
    let state = folder.json("scores.csv.state.json");
    assert_eq!((&state["documents"], &state["finished"]), (&24.into(), &false.into()));

    folder.write("essays.csv", &essays);
    folder.run(&format!("{SCORE} scores.csv --window 8 --resume")).expect(0);
    assert_eq!(folder.text("scores.csv"), folder.text("whole.csv"));
    // Another scorer is not gone on with.
    folder.set_json("scorer/scorer.json", "max_length", 40);
    let other = folder.run(&format!("{SCORE} scores.csv --window 8 --resume"));
    assert!(other.stderr.contains("was made from another input or scorer"), "{other:?}");
    assert_eq!(other.code, Some(2));
    // Without --resume nothing is left of what was stopped.
    folder.write("essays.csv", &broken);
    folder.run(&format!("{SCORE} new.csv --window 8")).expect(2);
    assert!(!folder.files("").iter().any(|name| name.contains("new.csv")));
}
