//! What a trained or exported scorer answers, and embeddings.

use super::*;

#[test]
fn a_trained_scorer_scores_evaluates_and_compares() {
    let folder = Folder::new();
    folder.run("run config.yaml").expect(0);
    assert_scorer_reproduces_the_run(&folder);
    let all = records(&essays());
    let scored = score_a_line_per_document(&folder, &all);
    score_texts_of_few_words(&folder, &all);
    score_in_another_order_and_format(&folder, &all, &scored);
    evaluate_as_the_run_did(&folder);
    compare_either_way_round(&folder, &all);
}

/// The first column of records, without the header.
fn ids(records: &[Vec<String>]) -> Vec<String> {
    records[1..].iter().map(|record| record[0].clone()).collect()
}

/// There is a line per document, in the order of the file.
fn score_a_line_per_document(folder: &Folder, all: &[Vec<String>]) -> Vec<Vec<String>> {
    let stdout = folder.run("score --scorer ckpt --input essays.csv --output all.csv").expect(0);
    assert!(stdout.contains("40 documents scored"), "{stdout}");
    let scored = records(&folder.text("all.csv"));
    assert_eq!(scored[0], ["id", "score", "grade", "truncated"]);
    assert_eq!(ids(&scored), ids(all));
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
    scored
}

/// A score of a few words is given, and not without a word.
fn score_texts_of_few_words(folder: &Folder, all: &[Vec<String>]) {
    let text = |text: &str| json!({ "id": text.len().to_string(), "text": text }).to_string();
    let longest = all[1..].iter().map(|record| &record[1]).max_by_key(|text| text.len()).unwrap();
    folder.write("short.jsonl", [text("Too little to say."), text(""), text(longest)].join("\n"));
    let stdout = folder.run("score --scorer ckpt --input short.jsonl --output short.csv").expect(0);
    assert!(stdout.contains("1 without text\ntexts of fewer than 24 tokens: 1;"), "{stdout}");
}

/// The order of the documents and the format of the file do not matter.
fn score_in_another_order_and_format(folder: &Folder, all: &[Vec<String>], scored: &[Vec<String>]) {
    let mut lines: Vec<Value> =
        all[1..].iter().map(|record| json!({ "id": record[0], "text": record[1] })).collect();
    lines.reverse();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    folder.write("reversed.jsonl", lines.join("\n"));
    folder.run("score --scorer ckpt/absolute --input reversed.jsonl --output reversed.csv").expect(0);
    let reversed = ids(&records(&folder.text("reversed.csv")));
    assert_eq!(reversed, ids(scored).into_iter().rev().collect::<Vec<_>>());
    // A row's place in a matrix product may change the last bit.
    assert_same_scores(&scores(folder, "reversed.csv"), &scores(folder, "all.csv"), 1e-5);
}

/// Evaluation on the test fold finds what the run found.
fn evaluate_as_the_run_did(folder: &Folder) {
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    let evaluation: Value = serde_json::from_str(&stdout).unwrap();
    let run = info(folder, "out/absolute_metrics_info.txt");
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
}

/// Swapping two documents negates the logit.
fn compare_either_way_round(folder: &Folder, all: &[Vec<String>]) {
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
    // Editors end the last line of a file, which is no part of the text.
    folder.write("c.txt", format!("{}\r\n", all[1][1]));
    assert_eq!(compare("c.txt b.txt"), there);
    folder.write("d.txt", " \n");
    let refused = folder.run("compare --scorer ckpt a.txt d.txt");
    assert!(refused.code == Some(2) && refused.stderr.contains("d.txt: is blank"), "{refused:?}");
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
    assert!(
        outcome.stderr.contains("plain: holds no calibration of grammar; leave out --calibrated"),
        "{outcome:?}"
    );
}

#[test]
fn intervals_hold_most_labels_and_are_asked_for_by_name() {
    let folder = Folder::new();
    let solved = "--set stage1_relative.enabled=false --set stage2_absolute.mode=head_only --set stage2_absolute.head=ridge";
    let stdout = folder.run(&format!("run config.yaml {solved}")).expect(0);
    assert!(stdout.contains("stage 2 intervals of 90 % hold "), "{stdout}");
    let intervals = folder.json("ckpt/absolute/scorer.json")["intervals"].clone();
    // All 32 documents of the training folds, as the others predict each: one region.
    assert_eq!((&intervals["level"], &intervals["documents"]), (&json!(0.9), &json!(32)));
    assert_eq!(intervals["thresholds"], json!([]));
    let half = intervals["half_widths"][0].as_f64().unwrap();
    // By hand: the grades within, of 1 to 5 by 0.5, and those given.
    let by_hand = |score: f64, grades: [f64; 2]| {
        let centre = score.clamp(1.0, 5.0);
        let low = (((centre - half).max(1.0) * 2.0 - 1e-6).ceil() / 2.0).min(grades[0].min(grades[1]));
        [low, (((centre + half).min(5.0) * 2.0 + 1e-6).floor() / 2.0).max(grades[0].max(grades[1]))]
    };
    let numbers = |row: &[String]| -> Vec<f64> { row.iter().map(|cell| cell.parse().unwrap()).collect() };

    let predictions = records(&folder.text("out/test_predictions.csv"));
    assert_eq!(predictions[0][4..], ["calibrated", "calibrated_grade", "low", "high"]);
    let (mut held, mut width) = (0.0, 0.0);
    for row in predictions[1..].iter().map(|row| numbers(&row[1..])) {
        assert_eq!(row[5..], by_hand(row[1], [row[2], row[4]]), "{row:?}");
        held += f64::from(u8::from(row[5] <= row[0] && row[0] <= row[6])) / 8.0;
        width += (row[6] - row[5]) / 8.0;
    }
    let metrics = info(&folder, "out/absolute_metrics_info.txt");
    assert_eq!((metrics["interval_level"].as_str(), metrics["interval_documents"].as_str()), ("0.9", "32"));
    assert_eq!(metrics["test_interval_coverage"], format!("{held:.6}"));
    assert_eq!(metrics["test_interval_width"], format!("{width:.6}"));
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    let evaluated: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(evaluated["intervals"], json!({ "level": 0.9, "coverage": held, "width": width }));

    folder.run("score --scorer ckpt --input essays.csv --output plain.csv").expect(0);
    for options in ["--intervals", "--intervals --calibrated"] {
        folder.run(&format!("score --scorer ckpt --input essays.csv --output new.csv {options}")).expect(0);
        let (plain, new) = (records(&folder.text("plain.csv")), records(&folder.text("new.csv")));
        assert_eq!(new[0], ["id", "score", "grade", "low", "high", "truncated"]);
        for (plain, new) in plain[1..].iter().zip(&new[1..]) {
            let (plain, new) = (numbers(&plain[1..3]), numbers(&new[1..5]));
            let [low, high] = by_hand(plain[0], [plain[1]; 2]);
            assert!(new[2] <= low && high <= new[3] && new[2] <= new[1] && new[1] <= new[3], "{new:?}");
        }
    }

    // Those of a scorer of an older version are asked for in vain.
    let mut settings = folder.json("ckpt/absolute/scorer.json");
    settings.as_object_mut().unwrap().remove("intervals").unwrap();
    folder.write("ckpt/absolute/scorer.json", settings.to_string());
    folder.run("score --scorer ckpt --input essays.csv --output again.csv").expect(0);
    assert_eq!(folder.text("again.csv"), folder.text("plain.csv"));
    let outcome = folder.run("score --scorer ckpt --input essays.csv --output x.csv --intervals");
    let expected = "ckpt: holds no intervals of grammar; leave out --intervals, or train stage 2 again, which writes them";
    assert!(outcome.code == Some(2) && outcome.stderr.contains(expected), "{outcome:?}");
}

#[test]
fn a_second_rating_says_what_people_and_scorers_reach() {
    let folder = Folder::new();
    let mut rows = records(&essays());
    rows[0].push("second".into());
    for (place, row) in rows[1..].iter_mut().enumerate() {
        // One in three documents is half a grade off, towards the middle; one has no second rating.
        let label: f64 = row[3].parse().unwrap();
        let second = if place % 3 == 0 { label + 0.5 * (3.0 - label).signum() } else { label };
        row.push(if place == 4 { String::new() } else { second.to_string() });
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    folder.write("essays.csv", writer.into_inner().unwrap());
    let solved = "--set stage1_relative.enabled=false --set stage2_absolute.mode=head_only --set stage2_absolute.head=ridge";
    let stdout =
        folder.run(&format!("run config.yaml {solved} --set data.columns.second_rating=second")).expect(0);
    assert!(stdout.contains("stage 2 two people agree at QWK "), "{stdout}");

    // By hand, on the documents of the test fold that were rated twice.
    let twice = rows[1..].iter().filter(|row| row[2] == "E" && !row[4].is_empty());
    let (a, b): (Vec<f64>, Vec<f64>) =
        twice.map(|row| (row[3].parse::<f64>().unwrap(), row[4].parse::<f64>().unwrap())).unzip();
    let n = a.len() as f64;
    assert_eq!(n, 7.0);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let product = |x: &[f64], y: &[f64]| {
        x.iter().zip(y).map(|(x1, y1)| (x1 - mean(x)) * (y1 - mean(y))).sum::<f64>() / n
    };
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / n;
    let qwk = 1.0 - apart / (product(&a, &a) + product(&b, &b) + (mean(&a) - mean(&b)).powi(2));
    let r = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
    let expected = [
        ("rater_qwk", qwk),
        ("rater_reliability", r),
        ("ceiling_perfect", 2.0 * r / (1.0 + r)),
        ("ceiling_rater", r),
    ];
    let metrics = info(&folder, "out/absolute_metrics_info.txt");
    assert_eq!(metrics["rated_twice"], "7");
    for (name, value) in expected {
        assert_eq!(metrics[&format!("test_{name}")], format!("{value:.6}"), "{name}");
    }
    // The scorer knows what people differ by: by hand, on the documents of the other folds.
    let trained = rows[1..].iter().filter(|row| row[2] != "E" && !row[4].is_empty());
    let apart: Vec<f64> =
        trained.map(|row| (row[3].parse::<f64>().unwrap() - row[4].parse::<f64>().unwrap()).abs()).collect();
    let settings: Value = serde_json::from_str(&folder.text("ckpt/absolute/scorer.json")).unwrap();
    let share = |most: f64| apart.iter().filter(|apart| **apart <= most).count() as f64 / apart.len() as f64;
    assert_eq!(settings["raters"]["documents"], apart.len());
    for (key, expected) in [
        ("difference", apart.iter().sum::<f64>() / apart.len() as f64),
        ("same", share(0.0)),
        ("neighbours", share(0.5)),
    ] {
        assert!(
            (settings["raters"][key].as_f64().unwrap() - expected).abs() < 1e-9,
            "{key}: {}",
            settings["raters"]
        );
    }

    let predictions = records(&folder.text("out/test_predictions.csv"));
    assert_eq!(predictions[0].last().unwrap(), "second_rating");
    assert_eq!(predictions[1..].iter().filter(|row| row.last().unwrap().is_empty()).count(), 1);

    let evaluate = "evaluate --scorer ckpt --input essays.csv --fold E --second-col second";
    let evaluated: Value =
        serde_json::from_str(&folder.run(&format!("{evaluate} --json")).expect(0)).unwrap();
    let raters = &evaluated["raters"];
    assert_eq!(raters["documents"], 7);
    for (key, value) in ["qwk", "reliability", "ceiling_perfect", "ceiling_rater"].into_iter().zip(expected) {
        assert!((raters[key].as_f64().unwrap() - value.1).abs() < 1e-9, "{raters}");
    }
    assert!(
        folder.run(evaluate).expect(0).contains(&format!("QWK, perfect scorer  {:.4}", 2.0 * r / (1.0 + r)))
    );
    let without = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    assert!(serde_json::from_str::<Value>(&without).unwrap()["raters"].is_null());
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
fn embeddings_come_from_a_cache_or_an_unfinished_command_as_they_were() {
    let folder = Folder::new();
    let embed = |output: &str, options: &str| {
        let args = format!("embed --backbone backbone --input essays.csv --output {output} {options}");
        folder.run(&args).expect(0);
        folder.bytes(output)
    };
    let plain = embed("e.safetensors", "");
    assert!(!folder.path("e.safetensors.unfinished").exists());
    assert!(embed("e.safetensors", "--cache kept") == plain);
    // What a command that was killed would have left.
    std::fs::rename(folder.path("kept"), folder.path("e.safetensors.unfinished")).unwrap();
    assert!(embed("e.safetensors", "") == plain);
    assert!(!folder.path("e.safetensors.unfinished").exists());
    let one = embed("one.safetensors", "--layers 1");
    assert!(one != plain);
    let outcome =
        folder.run("embed --backbone backbone --input essays.csv --output x.safetensors --layers 99");
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("99 decoder layers are to be read of a backbone that has"),
        "{outcome:?}"
    );
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
fn an_exported_scorer_scores_compares_and_evaluates_as_the_trained_one() {
    let folder = Folder::new();
    // Trained until no two utilities differ in their last digits alone, so that rounding orders no pair.
    let trained = "--set stage1_relative.training.epochs=4 --set stage1_relative.training.lr=0.01";
    folder
        .run(&format!("run config.yaml --set stage2_absolute.embedding_fusion.enabled=true {trained}"))
        .expect(0);
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
