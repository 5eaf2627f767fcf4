//! Labels as people have them: continuous, by thirds.

use super::*;

/// The small corpus with labels that are no grades: from −3.05 to 4.95, with an offset for each document.
fn continuous() -> String {
    let offset = |place: usize| (place * 7 % 10) as f64 * 0.01 - 0.05;
    let line = |(place, line): (usize, &str)| {
        let (rest, grade) = line.rsplit_once(',').unwrap();
        match grade.parse::<f64>() {
            Ok(grade) => format!("{rest},{}\n", 2.0 * grade - 5.0 + offset(place)),
            Err(_) => format!("{line}\n"),
        }
    };
    essays().lines().enumerate().map(line).collect()
}

const RIDGE: &str = "run config.yaml --set stage1_relative.enabled=false --set stage2_absolute.mode=head_only \
                     --set stage2_absolute.head=ridge";

#[test]
fn a_continuous_scale_goes_from_labels_to_a_report_without_grades() {
    let folder = Folder::new();
    folder.write("essays.csv", continuous());
    let error = folder.run(RIDGE).stderr;
    assert!(error.contains("is not on the scale"), "{error}");
    let stdout = folder.run(&format!("{RIDGE} --set scale=auto --restart")).expect(0);
    assert!(stdout.contains("stage 2: test R² ") && !stdout.contains("QWK"), "{stdout}");

    let run = info(&folder, "out/absolute_metrics_info.txt");
    for key in [
        "test_r2",
        "test_pearson",
        "test_spearman",
        "test_mae",
        "test_rmse",
        "test_pair_accuracy",
        "left_out_r2",
    ] {
        assert!(run[key].parse::<f64>().is_ok_and(f64::is_finite), "{key}: {}", run[key]);
    }
    assert!(!run.keys().any(|key| key.contains("qwk")), "{run:?}");
    // By hand, from the predictions.
    let predictions = records(&folder.text("out/test_predictions.csv"));
    let column = |place: usize| -> Vec<f64> {
        predictions[1..].iter().map(|record| record[place].parse().unwrap()).collect()
    };
    let (labels, scores) = (column(1), column(2));
    let mean = labels.iter().sum::<f64>() / labels.len() as f64;
    let squares: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
    let errors: f64 = labels.iter().zip(&scores).map(|(label, score)| (label - score).powi(2)).sum();
    assert!((run["test_r2"].parse::<f64>().unwrap() - (1.0 - errors / squares)).abs() < 1e-6);
    assert!(predictions[1..].iter().all(|record| record[3].is_empty()), "{predictions:?}");

    // The ends are those of the training folds, in the frozen configuration and in the scorer.
    let trained: Vec<f64> = records(&continuous())[1..]
        .iter()
        .filter(|record| record[2] != "E")
        .map(|record| record[3].parse().unwrap())
        .collect();
    let ends =
        [f64::min as fn(f64, f64) -> f64, f64::max].map(|end| trained.iter().copied().reduce(end).unwrap());
    let scale = &folder.json("ckpt/absolute/scorer.json")["scale"];
    assert_eq!(*scale, json!({ "min": ends[0], "max": ends[1], "auto": true }));
    let frozen = folder.files("out").into_iter().rfind(|name| name.ends_with("_config.yaml")).unwrap();
    let frozen = config::load(&folder.path(&format!("out/{frozen}")), &[]).unwrap();
    assert_eq!((frozen.scale.min, frozen.scale.max, frozen.scale.auto), (ends[0], ends[1], true));
    // What the labels said is no setting that a run could have changed.
    folder.run(&format!("{RIDGE} --set scale=auto --resume")).expect(0);

    folder.run("score --scorer ckpt --input essays.csv --output scores.csv --calibrated").expect(0);
    let scored = records(&folder.text("scores.csv"));
    assert_eq!(scored[0], ["id", "score", "grade", "truncated"]);
    assert!(scored[1..].iter().all(|record| record[2].is_empty() && record[1].parse::<f64>().is_ok()));
    folder.run("score --scorer ckpt --input essays.csv --output scores.parquet").expect(0);
    let json = folder.run("evaluate --scorer ckpt --input essays.csv --fold E --json").expect(0);
    let evaluation: Value = serde_json::from_str(&json).unwrap();
    assert!(evaluation["qwk"].is_null());
    assert!((evaluation["r2"].as_f64().unwrap() - (1.0 - errors / squares)).abs() < 1e-4, "{evaluation}");
    let stdout = folder.run("evaluate --scorer ckpt --input essays.csv").expect(0);
    assert!(stdout.contains("\nR² ") && !stdout.contains("QWK"), "{stdout}");

    folder.run("report out --output report.html").expect(0);
    let table = folder.text("report.files/grammar-table.csv");
    assert!(table.starts_with("setting,folds,R²,"), "{table}");
    let named = |part: &str| folder.files("report.files").iter().any(|name| name.contains(part));
    assert!(named("errors-by-label") && named("-r2.csv") && !named("confusion"));

    for format in ["onnx", "hf"] {
        folder.run(&format!("export --scorer ckpt --format {format} --output {format}")).expect(0);
        let card = folder.text(&format!("{format}/README.md"));
        assert!(
            card.contains("| Scale | continuous; labels of training lie between") && card.contains("`r2` is")
        );
        assert!(!card.contains("Each next grade"), "{card}");
    }
    folder.run("score --scorer hf --input essays.csv --output again.csv --calibrated").expect(0);
    assert_same_scores(&super::scores(&folder, "again.csv"), &super::scores(&folder, "scores.csv"), 1e-4);
}

#[test]
fn labels_with_standard_errors_count_by_their_inverse_variance() {
    let folder = Folder::new();
    let with_errors = |error: fn(usize) -> f64| -> String {
        let line = |(place, line): (usize, &str)| match place {
            0 => format!("{line},se\n"),
            _ => format!("{line},{}\n", error(place)),
        };
        essays().lines().enumerate().map(line).collect()
    };
    let predictions = |error: fn(usize) -> f64, sets: &str| {
        folder.write("essays.csv", with_errors(error));
        folder.run(&format!("{RIDGE} --restart {sets}")).expect(0);
        folder.text("out/test_predictions.csv")
    };
    let alike = predictions(|_| 0.5, "");
    assert_eq!(
        predictions(|_| 0.5, "--set data.columns.label_se=se"),
        alike,
        "errors of one size change nothing"
    );
    let other = predictions(|place| if place % 2 == 0 { 0.2 } else { 2.0 }, "--set data.columns.label_se=se");
    assert_ne!(other, alike);
    // The published head, by gradients.
    let mlp = "--set data.columns.label_se=se --set stage2_absolute.head=mlp";
    assert_ne!(predictions(|place| 0.1 + place as f64, mlp), predictions(|_| 1.0, mlp));

    folder.write("essays.csv", with_errors(|place| if place == 3 { 0.0 } else { 1.0 }));
    let error = folder.run(&format!("{RIDGE} --restart --set data.columns.label_se=se"));
    assert!(error.stderr.contains("row 4: the standard error of the label is \"0\""), "{error:?}");
}

#[test]
fn a_run_on_parquet_is_a_run_on_csv() {
    let folder = Folder::new();
    folder.run(RIDGE).expect(0);
    let expected = folder.text("out/test_predictions.csv");
    let records = &records(&essays())[1..];
    super::batches::write_labelled_parquet(&folder.path("essays.parquet"), records);
    folder.run(&format!("{RIDGE} --restart --set paths.essays_csv=essays.parquet")).expect(0);
    assert_eq!(folder.text("out/test_predictions.csv"), expected);
    let [csv, parquet] = ["csv", "parquet"].map(|ending| {
        folder.run(&format!("evaluate --scorer ckpt --input essays.{ending} --fold E --json")).expect(0)
    });
    assert_eq!(csv, parquet);
}

#[test]
fn json_with_labels_is_read_as_csv_is() {
    let folder = Folder::new();
    folder.run(RIDGE).expect(0);
    let expected = folder.text("out/test_predictions.csv");
    let objects: Vec<String> = records(&essays())[1..]
        .iter()
        .map(|row| {
            let grade: f64 = row[3].parse().unwrap();
            json!({ "grammar": grade, "id": row[0], "text": row[1], "fold": row[2], "tags": ["x"] })
                .to_string()
        })
        .collect();
    folder.write("essays.jsonl", objects.join("\n"));
    folder.write("essays.json", format!("[{}]", objects.join(",\n")));
    for ending in ["jsonl", "json"] {
        folder.run(&format!("{RIDGE} --restart --set paths.essays_csv=essays.{ending}")).expect(0);
        assert_eq!(folder.text("out/test_predictions.csv"), expected, "{ending}");
    }
    let evaluate =
        |name: &str| folder.run(&format!("evaluate --scorer ckpt --input {name} --fold E --json")).expect(0);
    assert_eq!(evaluate("essays.jsonl"), evaluate("essays.csv"));
    folder.run("report out --output page.html --documents essays.jsonl").expect(0);
    let page = folder.text("page.html");
    folder.run("report out --output page.html --documents essays.csv").expect(0);
    assert_eq!(page, folder.text("page.html"));

    let without: String = objects.iter().map(|line| line.replacen("\"fold\"", "\"was\"", 1) + "\n").collect();
    folder.write("plain.jsonl", without);
    let missing = folder.run("run config.yaml --dry-run --set paths.essays_csv=plain.jsonl");
    assert!(missing.stderr.contains("plain.jsonl: no object has \"fold\" (fold); the keys of the first are"));
    folder.run("folds --input plain.jsonl --assign 5 --stratify grammar --output folds.csv").expect(0);
    let header = &records(&folder.text("folds.csv"))[0];
    assert_eq!(header.len(), 6, "{header:?}");
    let layout = "--set data.columns.id=id --set data.columns.text=text";
    folder.run(&format!("{RIDGE} --restart {layout} --set paths.essays_csv=folds.csv")).expect(0);
}

#[test]
fn pairs_of_continuous_labels_have_a_gap_in_deviations() {
    let folder = Folder::new();
    folder.write("essays.csv", continuous());
    let generate = "pairs generate --essays essays.csv --trait grammar --run-id 1 --seed 1 --pair-folds A,B,C,D \
                    --heldout-fold E --output-dir made";
    folder.run(&format!("{generate} --scale auto --min-gap 0.5sd")).expect(0);
    folder.run(&format!("{generate} --scale-min -4 --scale-max 6 --min-gap 0.5sd")).expect(0);
    let meta = folder.json("made/run1_grammar_meta.json");
    let gap = meta["min_score_gap"].as_f64().unwrap();
    assert!((1.0..2.0).contains(&gap), "half of a deviation of about 2.6: {gap}");
    let sets = "--set scale=auto --set stage1_relative.pairs_file=made/run1_grammar.jsonl";
    folder.run(&format!("run config.yaml {sets}")).expect(0);
}

#[test]
fn labels_by_thirds_are_grades_however_they_are_rounded() {
    let folder = Folder::new();
    let thirds = |line: &str| {
        let (rest, grade) = line.rsplit_once(',').unwrap();
        // 1 to 5 by halves becomes 1 to 3.67 by thirds, with two places.
        grade
            .parse::<f64>()
            .map_or(format!("{line}\n"), |grade| format!("{rest},{:.2}\n", (2.0 * grade + 1.0) / 3.0))
    };
    folder.write("essays.csv", essays().lines().map(thirds).collect::<String>());
    folder.run(&format!("{RIDGE} --set scale.max=3.67 --set scale.step=0.33")).expect(0);
    let counts = folder.json("ckpt/absolute/scorer.json")["label_counts"].clone();
    assert_eq!(counts.as_array().unwrap().len(), 9);
    folder.run("score --scorer ckpt --input essays.csv --output scores.csv").expect(0);
    for record in &records(&folder.text("scores.csv"))[1..] {
        let grade: f64 = record[2].parse().unwrap();
        assert!((grade * 3.0 - (grade * 3.0).round()).abs() < 1e-6, "{grade}");
    }
}

/// The small corpus in which documents of these places have no label.
fn with_missing(places: &[usize]) -> String {
    let missing = ["", "NA", "nan", "-"];
    let line = |(place, line): (usize, &str)| match places.iter().position(|missing| *missing == place) {
        None => format!("{line}\n"),
        Some(i) => format!("{},{}\n", line.rsplit_once(',').unwrap().0, missing[i % missing.len()]),
    };
    essays().lines().enumerate().map(line).collect()
}

#[test]
fn documents_without_a_label_take_part_in_all_but_stage_2() {
    let folder = Folder::new();
    // Lines count from the header: 1 is A0, 5 is E0.
    folder.write("essays.csv", with_missing(&[1, 2, 3, 5]));
    let outcome = folder.run("run config.yaml");
    assert!(
        outcome
            .stderr
            .contains("essays.csv: 4 of 40 documents have no grammar label (3 in the training folds)"),
        "{outcome:?}"
    );
    outcome.expect(0);
    let run = info(&folder, "out/absolute_metrics_info.txt");
    // 29 of 32 train or validate, a fifth of them validates; 7 of 8 test.
    assert_eq!([&run["train_size"], &run["val_size"], &run["test_size"]], ["24", "5", "7"]);
    assert_eq!(records(&folder.text("out/test_predictions.csv")).len(), 1 + 7);
    let embeddings = TensorFile::open(&folder.path("ckpt/relative/train_embeddings.safetensors")).unwrap();
    let ids: Vec<String> = serde_json::from_str(embeddings.metadata("ids").unwrap()).unwrap();
    assert!(["A0", "B0", "C0"].iter().all(|id| ids.iter().any(|other| other == id)), "{ids:?}");
    // All pairs are there, those about documents without a label too.
    let stage1 = info(&folder, "ckpt/relative/relative_run_info.txt");
    let pairs = ["train_pairs", "val_pairs", "test_pairs", "withheld_pairs"];
    let pairs: usize = pairs.iter().map(|key| stage1[*key].parse::<usize>().unwrap()).sum();
    assert_eq!(pairs, 40);

    let json = folder.run("evaluate --scorer ckpt --input essays.csv --json").expect(0);
    let evaluation: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&evaluation["documents"], &evaluation["unlabelled"]), (&json!(36), &json!(4)));
    let refused = folder.run("evaluate --scorer ckpt --input essays.csv --require-labels");
    assert!(
        refused.code == Some(2) && refused.stderr.contains("row 2: document \"A0\" has no label"),
        "{refused:?}"
    );
    folder.run("score --scorer ckpt --input essays.csv --output scores.csv").expect(0);
    assert_eq!(scores(&folder, "scores.csv").len(), 40);
}

#[test]
fn without_any_label_stage_1_is_all_there_is() {
    let folder = Folder::new();
    folder.write("essays.csv", with_missing(&(1..=40).collect::<Vec<_>>()));
    let refused = folder.run("run config.yaml");
    assert!(
        refused.stderr.contains("essays.csv: has no grammar label, without which there is no stage 2"),
        "{refused:?}"
    );
    folder.run("relative config.yaml --set paths.checkpoint_dir=ranks").expect(0);
    folder.write("a.txt", "She walks to school.");
    folder.write("b.txt", "She walk at school.");
    let compared = folder.run("compare --scorer ranks a.txt b.txt --json").expect(0);
    assert!(compared.contains("\"preference\":0."), "{compared}");
}

#[test]
fn preference_data_train_stage_1() {
    let folder = Folder::new();
    let of = |i: usize| json!({ "prompt": format!("Question {i}?"), "chosen": format!("A clear answer to {i}."), "rejected": "No idea." });
    let mut lines: Vec<String> = (0..12).map(|i| of(i).to_string()).collect();
    let said =
        |answer: &str| json!([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": answer}]);
    lines.push(json!({ "chosen": said("So."), "rejected": said("No.") }).to_string());
    folder.write("shared.jsonl", lines.join("\n"));
    folder.write("mine/documents.csv", "text_id,full_text\n");
    let refused = folder.run("pairs import shared.jsonl --output-dir mine");
    assert!(
        refused.code == Some(2) && refused.stderr.contains("mine/documents.csv: is there"),
        "{refused:?}"
    );
    assert_eq!(folder.text("mine/documents.csv"), "text_id,full_text\n");
    let stdout = folder.run("pairs import shared.jsonl --output-dir data").expect(0);
    assert!(stdout.contains("data/documents.csv: 26 documents") && stdout.contains("13 pairs"), "{stdout}");
    let documents = records(&folder.text("data/documents.csv"));
    assert_eq!(documents[0], ["text_id", "prompt", "full_text", "fold", "preference"]);
    assert_eq!(documents[25][1..3], ["Why?", "So."]);
    let mut text = folder.text("config.yaml");
    text = text
        .replace("essays.csv", "data/documents.csv")
        .replace("pairs/run1_grammar.jsonl", "data/pairs.jsonl");
    text = text.replace("trait: grammar", "trait: preference").replace("[A, B, C, D]", "[train, val]");
    folder.write("preferences.yaml", text.replace("test_fold: E", "test_fold: test"));
    folder.run("relative preferences.yaml").expect(0);
    let stage1 = info(&folder, "ckpt/relative/relative_run_info.txt");
    let counts = ["train_pairs", "val_pairs", "test_pairs", "withheld_pairs"].map(|key| stage1[key].as_str());
    assert_eq!(counts, ["11", "1", "1", "0"]);
}

#[test]
fn preference_data_come_as_parquet_too() {
    use parquet::data_type::{ByteArrayType, DoubleType};
    let folder = Folder::empty();
    let schema = "message preferences { optional binary system (UTF8); optional binary question (UTF8); \
                  optional binary chosen (UTF8); optional binary rejected (UTF8); optional double score_chosen; }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(folder.path("shared.parquet")).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for texts in [["", "", "S"], ["Why?", "Who?", "When?"], ["So.", "I.", "Now."], ["No.", "You.", "Never."]]
    {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts.map(Into::into), Some(&[1; 3]), None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[5.0; 3], Some(&[1; 3]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let stdout = folder.run("pairs import shared.parquet --output-dir data").expect(0);
    assert!(stdout.contains("not read: score_chosen\n"), "{stdout}");
    let documents = records(&folder.text("data/documents.csv"));
    let texts: Vec<&[String]> = documents[1..].iter().map(|document| &document[1..3]).collect();
    assert_eq!(texts[..2], [["Why?", "So."], ["Why?", "No."]]);
    assert_eq!(texts[4], ["system: S\n\nuser: When?", "Now."]);
}

#[test]
fn letters_of_the_training_texts_go_into_the_scorer_and_its_site() {
    let folder = Folder::new();
    // As short as the texts are, they say nothing of their letters.
    folder.run(RIDGE).expect(0);
    assert!(folder.json("ckpt/absolute/scorer.json")["letters"].is_null());
    let longer = |line: &str| {
        let parts: Vec<&str> = line.split('"').collect();
        match parts[..] {
            [id, text, rest] => format!("{id}\"{}\"{rest}\n", [text; 4].join(" ")),
            _ => format!("{line}\n"),
        }
    };
    folder.write("essays.csv", essays().lines().map(longer).collect::<String>());
    folder.run(&format!("{RIDGE} --restart")).expect(0);
    let letters = folder.json("ckpt/absolute/scorer.json")["letters"].clone();
    assert!(letters["alphabet"].as_str().is_some_and(|alphabet| alphabet.starts_with('e')), "{letters}");
    folder.write("page/index.html", "");
    folder.run("export --scorer ckpt --format web --page page --output site").expect(0);
    assert_eq!(folder.json("site/bundle/manifest.json")["scorer"]["letters"], letters);
}
