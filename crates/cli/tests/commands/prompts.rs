//! Texts that answer a prompt, from training to every command that reads texts.

use super::*;

/// The small corpus with a prompt for each fold.
fn with_prompts() -> String {
    let mut csv = "task,text_id,full_text,fold,grammar\n".to_owned();
    for line in essays().lines().skip(1) {
        csv += &format!("Write about {}.,{line}\n", ["the river", "a school"][csv.len() % 2]);
    }
    csv
}

/// The same with each prompt written before its text.
fn written_out() -> String {
    let mut csv = "text_id,full_text,fold,grammar\n".to_owned();
    for record in &records(&with_prompts())[1..] {
        csv += &format!("{},\"{}\n\n{}\",{},{}\n", record[1], record[0], record[2], record[3], record[4]);
    }
    csv
}

const RIDGE: &str = "run config.yaml --set stage1_relative.enabled=false --set stage2_absolute.mode=head_only \
                     --set stage2_absolute.head=ridge --set model.max_length=256";

#[test]
fn a_prompt_is_read_before_its_text_by_every_command() {
    let folder = Folder::new();
    folder.write("essays.csv", written_out());
    folder.run(RIDGE).expect(0);
    let expected = folder.text("out/test_predictions.csv");
    folder.write("essays.csv", with_prompts());
    folder.run(&format!("{RIDGE} --set data.columns.prompt=task --restart")).expect(0);
    assert_eq!(folder.text("out/test_predictions.csv"), expected);
    assert_eq!(folder.json("ckpt/absolute/scorer.json")["prompt_template"], "{prompt}\n\n{text}");

    let score = "score --scorer ckpt --input essays.csv --output scores.csv";
    let error = folder.run(score);
    assert_eq!(error.code, Some(2));
    assert!(
        error.stderr.contains("reads the prompt of a text with it") && error.stderr.contains("--prompt-col")
    );
    folder.run(&format!("{score} --prompt-col task")).expect(0);
    let scored = records(&folder.text("scores.csv"));
    for prediction in &records(&expected)[1..] {
        let row = scored.iter().find(|row| row[0] == prediction[0]).unwrap();
        let difference = row[1].parse::<f64>().unwrap() - prediction[2].parse::<f64>().unwrap();
        assert!(difference.abs() < 1e-5, "{row:?} {prediction:?}");
    }

    // As JSON, and what an export reads again.
    let line =
        |record: &Vec<String>| json!({ "id": record[1], "text": record[2], "task": record[0] }).to_string();
    let lines: Vec<String> = records(&with_prompts())[1..].iter().map(line).collect();
    folder.write("essays.jsonl", lines.join("\n"));
    folder.run("export --scorer ckpt --format hf --output hf").expect(0);
    assert!(folder.text("hf/README.md").contains("{prompt}\\n\\n{text}"));
    folder.run("score --scorer hf --input essays.jsonl --output again.csv --prompt-col task").expect(0);
    assert_same_scores(&super::scores(&folder, "again.csv"), &super::scores(&folder, "scores.csv"), 1e-4);

    folder.write("page/index.html", "");
    folder.run("export --scorer ckpt --format web --page page --output site").expect(0);
    let manifest = folder.json("site/bundle/manifest.json");
    assert_eq!(manifest["scorer"]["prompt_template"], "{prompt}\n\n{text}");
    folder.run("score --scorer site --input essays.csv --output again.csv --prompt-col task").expect(0);
    assert_same_scores(&super::scores(&folder, "again.csv"), &super::scores(&folder, "scores.csv"), 1e-4);

    // What was scored with one prompt does not count for another.
    let resumed = format!("{score} --prompt-col task --resume");
    folder.run(&resumed).expect(0);
    folder.write("essays.csv", with_prompts().replacen("the river", "the sea", 1));
    let refused = folder.run(&resumed);
    assert!(refused.stderr.contains("was made from another input"), "{refused:?}");
    folder.write("essays.csv", with_prompts());

    let json =
        folder.run("evaluate --scorer ckpt --input essays.csv --fold E --prompt-col task --json").expect(0);
    let evaluation: Value = serde_json::from_str(&json).unwrap();
    let measured = info(&folder, "out/absolute_metrics_info.txt");
    let difference = evaluation["mae"].as_f64().unwrap() - measured["test_mae"].parse::<f64>().unwrap();
    assert!(difference.abs() < 1e-4, "{evaluation}");

    for (name, text) in [("a", "She walks."), ("b", "She walk."), ("prompt", "Write about a school.")] {
        folder.write(&format!("{name}.txt"), text);
    }
    let missing = folder.run("compare --scorer ckpt a.txt b.txt");
    assert!(missing.stderr.contains("name the prompts with --prompt"), "{missing:?}");
    folder.run("compare --scorer ckpt a.txt b.txt --prompt prompt.txt").expect(0);
}

#[test]
fn prompts_that_a_scorer_does_not_read_are_refused() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("essays.csv", with_prompts());
    let outcome = folder.run("score --scorer scorer --input essays.csv --output s.csv --prompt-col task");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("reads texts without prompts; leave out --prompt-col"), "{outcome:?}");
}
