//! Judgement logs and proposals from end to end.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Folder, essays};
use serde_json::{Value, json};

/// The ids and grades of the small corpus, fold by fold.
fn grades() -> Vec<(String, f64)> {
    let csv = essays();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut grades: Vec<(String, f64)> = reader
        .records()
        .map(|record| record.unwrap())
        .map(|record| (record[0].to_owned(), record[3].parse().unwrap()))
        .collect();
    grades.sort_by(|a, b| a.0.cmp(&b.0));
    grades
}

/// A line of a log.
fn judgement(place: usize, a: &str, b: &str, y: f64) -> Value {
    let (judge, left) = (["ann", "bob"][place / 2 % 2], [a, b][place % 2]);
    json!({
        "run": 0, "trait": "grammar", "split": "train", "index": place, "a": a, "b": b, "y": y,
        "judge": judge, "shown_left": left, "ms": 1000 + place, "at": format!("2026-05-01T10:00:{place:03}Z"),
    })
}

/// Each of the first `n` documents against the next four, by two judges who see the grades; every seventh answer wrong.
fn log(n: usize) -> String {
    let grades = grades();
    let mut lines = String::new();
    let mut place = 0;
    for step in 1..=4 {
        for one in 0..n {
            let ((a, of_a), (b, of_b)) = (&grades[one], &grades[(one + step) % n]);
            let right = if of_a == of_b { 0.5 } else { f64::from(of_a > of_b) };
            let y = if place % 7 == 3 { 1.0 - right } else { right };
            lines += &format!("{}\n", judgement(place, a, b, y));
            place += 1;
        }
    }
    lines
}

const IMPORT: &str = "judgements import log.jsonl --documents essays.csv --output-dir cache --heldout-fold E";
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
    plain.expect(0);
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

#[test]
fn a_fit_ranks_documents_and_stats_account_for_judges() {
    let folder = Folder::empty();
    folder.write("log.jsonl", log(40));
    let stdout = folder.run("judgements fit log.jsonl --output fit.csv").expect(0);
    assert!(
        stdout.contains("scale separation (SSR)") && stdout.contains("split-half, judgements"),
        "{stdout}"
    );
    let csv = folder.text("fit.csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["id", "utility", "se", "n", "wins", "ties", "losses", "infit"]
    );
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
    let utility: BTreeMap<&str, f64> = records.iter().map(|r| (&r[0], r[1].parse().unwrap())).collect();
    assert_eq!(utility.len(), 40);
    assert!(utility.values().sum::<f64>().abs() < 1e-9);
    assert!(records.iter().all(|r| &r[3] == "8" && r[2].parse::<f64>().unwrap() > 0.0));
    let grades = grades();
    let mean = |wanted: fn(f64) -> bool| {
        let chosen: Vec<f64> =
            grades.iter().filter(|(_, grade)| wanted(*grade)).map(|(id, _)| utility[id.as_str()]).collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    assert!(mean(|grade| grade >= 4.0) > mean(|grade| grade <= 2.0) + 2.0);

    // The prior that fits is one like any other: given as a number it makes the same file.
    folder.run("judgements fit log.jsonl --output fitting.csv --prior-sd estimated").expect(0);
    let json = folder.run("judgements stats log.jsonl --prior-sd estimated --json").expect(0);
    let sd = serde_json::from_str::<Value>(&json).unwrap()["prior_sd"].as_f64().unwrap();
    assert!((0.5..10.0).contains(&sd) && (sd - 3.0).abs() > 0.01, "{sd}");
    folder.run(&format!("judgements fit log.jsonl --output given.csv --prior-sd {sd}")).expect(0);
    assert_eq!(folder.text("fitting.csv"), folder.text("given.csv"));
    assert_ne!(folder.text("fitting.csv"), csv);

    // A pair that both judges answered, and a repeat.
    let mut shared = log(40);
    for (place, judge, y) in [(900, "ann", 1.0), (901, "bob", 1.0), (902, "ann", 0.0)] {
        let mut line = judgement(place, "A0", "C0", y);
        line["judge"] = judge.into();
        shared += &format!("{line}\n");
    }
    folder.write("shared.jsonl", shared);
    folder.write("gold.jsonl", r#"{"a":"C0","b":"A0","y":0}"#);
    let json = folder.run("judgements stats shared.jsonl shared.jsonl --gold gold.jsonl --json").expect(0);
    let stats: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&stats["judgements"], &stats["duplicates"]), (&json!(163), &json!(163)));
    assert_eq!(stats["agreement"]["percentage"], json!(1.0));
    let ann = &stats["judges"][0];
    assert_eq!((&ann["judge"], &ann["repeats"], &ann["consistent"]), (&json!("ann"), &json!(1), &json!(0)));
    assert_eq!((&ann["gold"], &ann["gold_right"]), (&json!(2), &json!(1)));
    assert!(stats["scale_separation"].is_number() && stats["split_half"]["reliability"].is_number());
    let text = folder.run("judgements stats shared.jsonl --weigh-judges").expect(0);
    for part in
        ["163 judgements", "Krippendorff's alpha", "share of left choices", "\nann ", "\nbob ", "median time"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The essays, every so many of which keep their grade as an anchor.
fn class(every: usize) -> String {
    let grades: BTreeMap<String, f64> = grades().into_iter().collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text_id", "full_text", "anchor"]).unwrap();
    for (place, record) in csv::Reader::from_reader(essays().as_bytes()).records().enumerate() {
        let record = record.unwrap();
        let anchor = if place % every == 0 { grades[&record[0]].to_string() } else { String::new() };
        writer.write_record([&record[0], &record[1], &anchor]).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

#[test]
fn texts_and_anchors_give_every_document_a_score() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("log.jsonl", log(20));
    // Every eighth essay keeps its grade; the log is about half of the essays.
    folder.write("class.csv", class(8));
    let fit = "judgements fit log.jsonl --documents class.csv --anchors anchor --output scores.csv";
    for known in ["", " --scorer scorer"] {
        let stdout = folder.run(&format!("{fit}{known}")).expect(0);
        assert!(stdout.contains("40 documents, 20 of them judged, scores from 5 anchors"), "{stdout}");
        let csv = folder.text("scores.csv");
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let header = reader.headers().unwrap().iter().collect::<Vec<_>>().join(",");
        assert!(header.starts_with("id,utility,se,n,wins,ties,losses,infit,score,low,high,grade,p_1,p_1.5"));
        for record in reader.records().map(|record| record.unwrap()) {
            let number = |column: usize| record[column].parse::<f64>().unwrap();
            assert!(1.0 <= number(9) && number(9) <= number(8) && number(8) <= number(10), "{record:?}");
            let sum: f64 = (12..record.len()).map(number).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{record:?}");
        }
    }
    // Five grades do not show where a scale ends.
    let refused = folder.run(&format!("{fit} --scale auto"));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("give --scale-min and --scale-max"), "{refused:?}");
    // What was judged steers what is proposed.
    let propose = "pairs propose --scorer scorer --documents class.csv --n 10 --output next.jsonl";
    folder.run(propose).expect(0);
    let before = folder.text("next.jsonl");
    folder.run(&format!("{propose} --judgements log.jsonl")).expect(0);
    assert_ne!(before, folder.text("next.jsonl"));
}

/// The rows of a table by their ids, columns by their names.
fn rows(csv: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    rows.map(|row| row.unwrap()).map(|row| (row["id"].clone(), row)).collect()
}

#[test]
fn a_scorer_of_judgements_scores_as_they_infer() {
    let folder = Folder::new();
    folder.write("page/index.html", "");
    folder.scorer(false);
    std::fs::rename(folder.path("scorer"), folder.path("ranks")).unwrap();
    folder.scorer(true);
    folder.write("log.jsonl", log(20));
    folder.write("class.csv", class(6));
    folder.run("export --scorer scorer --format web --page page --output packed --quantize q8").expect(0);
    folder.run("export --backbone backbone --max-length 48 --format web --page page --output bare").expect(0);
    // A head of scores, one of utilities, none, and sites of the first and the last.
    let alone = "--backbone backbone --max-length 48 --layers 1";
    for base in ["--scorer scorer", "--scorer ranks", alone, "--scorer packed", "--scorer bare"] {
        let given = format!("log.jsonl --documents class.csv --anchors anchor {base}");
        folder.run(&format!("judgements fit {given} --output fit.csv")).expect(0);
        let stdout = folder.run(&format!("judgements scorer {given} --output judged")).expect(0);
        assert!(
            stdout.contains("a scorer of grammar from 80 judgements of 40 documents, 7 of which"),
            "{stdout}"
        );
        assert!(stdout.contains("7 anchors are too few for intervals of grammar"), "{stdout}");
        folder.run("score --scorer judged --input class.csv --output scores.csv").expect(0);
        let (fit, scores) = (rows(&folder.text("fit.csv")), rows(&folder.text("scores.csv")));
        let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
        let inferred: Vec<_> =
            fit.values().filter(|row| row["n"] == "0" && row["low"] != row["high"]).collect();
        assert!(inferred.len() > 10);
        for row in inferred {
            let score = number(&scores[&row["id"]], "score").clamp(1.0, 5.0);
            assert!((score - number(row, "score")).abs() < 1e-5, "{base}: {score} is not {row:?}");
        }
        if folder.path("judged/scorer.json").is_file() {
            let info = folder.json("judged/scorer.json");
            assert_eq!((&info["target"], info.get("calibration")), (&json!("grammar"), None));
        }
        // With every third essay graded there are intervals, here and in what is made of it.
        folder.write("graded.csv", class(3));
        let graded = given.replace("class.csv", "graded.csv");
        let stdout = folder.run(&format!("judgements scorer {graded} --output judged")).expect(0);
        assert!(stdout.contains("14 of which are anchors") && !stdout.contains("too few"), "{stdout}");
        folder.run("evaluate --scorer judged --input essays.csv").expect(0);
        folder.run("export --scorer judged --format web --page page --output site").expect(0);
        folder.run("score --scorer site --input class.csv --output site.csv --intervals").expect(0);
        let scored = rows(&folder.text("site.csv"));
        assert_eq!(scored.len(), 40);
        for row in scored.values() {
            assert!(
                number(row, "low") <= number(row, "grade") && number(row, "grade") <= number(row, "high"),
                "{row:?}"
            );
        }
    }
}

#[test]
fn a_manifest_in_the_working_directory_is_not_that_of_a_backbone() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(20));
    folder.write("class.csv", class(6));
    folder.write("manifest.json", r#"{"name": "A page"}"#);
    let given = "log.jsonl --documents class.csv --anchors anchor --backbone backbone --max-length 48";
    folder.run(&format!("judgements scorer {given} --output judged")).expect(0);
    assert!(folder.path("judged/scorer.json").is_file());
}

#[test]
fn a_folder_of_somebody_else_is_refused_before_documents_are_read() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(20));
    folder.write("mine/notes.txt", "Mine.");
    let given = "log.jsonl --documents none.csv --anchors anchor --backbone backbone";
    let refused = folder.run(&format!("judgements scorer {given} --output mine"));
    assert!(refused.code == Some(2) && refused.stderr.contains("error: mine"), "{refused:?}");
}

#[test]
fn a_scorer_of_judgements_reads_the_prompts_that_it_was_made_with() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(20));
    let mut table = csv::Writer::from_writer(Vec::new());
    for (place, record) in
        csv::ReaderBuilder::new().has_headers(false).from_reader(class(6).as_bytes()).records().enumerate()
    {
        let mut record = record.unwrap();
        record.push_field(
            ["task", "Tell of a river.", "Describe your school, and those who work there."]
                [place.min(1 + place % 2)],
        );
        table.write_record(&record).unwrap();
    }
    folder.write("class.csv", table.into_inner().unwrap());
    let given = "log.jsonl --documents class.csv --anchors anchor --prompt-col task --backbone backbone --max-length 48";
    folder.run(&format!("judgements fit {given} --output fit.csv")).expect(0);
    folder.run(&format!("judgements scorer {given} --output judged")).expect(0);
    assert_eq!(folder.json("judged/scorer.json")["prompt_template"], "{prompt}\n\n{text}");
    let score = "score --scorer judged --input class.csv --output scores.csv";
    let without = folder.run(score);
    assert!(
        without.code == Some(2) && without.stderr.contains("name the prompts with --prompt-col"),
        "{without:?}"
    );
    folder.run(&format!("{score} --prompt-col task")).expect(0);
    let (fit, scores) = (rows(&folder.text("fit.csv")), rows(&folder.text("scores.csv")));
    let inferred: Vec<_> = fit.values().filter(|row| row["n"] == "0" && row["low"] != row["high"]).collect();
    assert!(inferred.len() > 10);
    for row in inferred {
        let score = scores[&row["id"]]["score"].parse::<f64>().unwrap().clamp(1.0, 5.0);
        assert!((score - row["score"].parse::<f64>().unwrap()).abs() < 1e-5, "{score} is not {row:?}");
    }
}

#[test]
fn a_backbone_alone_is_a_site_for_judging() {
    let folder = Folder::new();
    folder.write("page/index.html", "");
    let export = "export --backbone backbone --max-length 48 --page page --output site --format";
    let stdout = folder.run(&format!("{export} web")).expect(0);
    assert!(stdout.contains("largest embedding difference"), "{stdout}");
    let refused = |args: &str, part: &str| {
        let outcome = folder.run(args);
        assert!(outcome.code == Some(2) && outcome.stderr.contains(part), "{outcome:?}");
    };
    refused(&format!("{export} hf"), "backbone: is a backbone alone, which says nothing of a text");
    refused("score --scorer site --input essays.csv --output x.csv", "site: is a backbone alone");
    refused("evaluate --scorer site --input essays.csv", "site: is a backbone alone");
    // It tells of documents what the backbone does.
    folder.write("log.jsonl", log(20));
    let fit = "judgements fit log.jsonl --documents essays.csv --output";
    folder.run(&format!("{fit} backbone.csv --backbone backbone --max-length 48")).expect(0);
    folder.run(&format!("{fit} site.csv --scorer site")).expect(0);
    assert_eq!(folder.text("backbone.csv"), folder.text("site.csv"));
    let scorer = "judgements scorer log.jsonl --documents essays.csv --anchors grammar --output judged";
    refused(scorer, "give --scorer or --backbone");
}

fn pairs(folder: &Folder, name: &str) -> Vec<(String, String)> {
    let text = folder.text(name);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            let id = |key: &str| line[key].as_str().unwrap().to_owned();
            assert!([id("a"), id("b")].contains(&id("shown_left")) && id("a") < id("b"));
            (id("a"), id("b"))
        })
        .collect()
}

#[test]
fn pairs_of_other_documents_are_counted_where_they_tell_nothing() {
    let folder = Folder::new();
    folder.scorer(false);
    folder.write("log.jsonl", log(20) + &format!("{}\n", judgement(900, "X1", "X2", 1.0)));
    let propose = "pairs propose --scorer scorer --documents essays.csv --n 3 --output next.jsonl";
    let outcome = folder.run(&format!("{propose} --judgements log.jsonl --without log.jsonl"));
    for option in ["--judgements", "--without"] {
        let said = format!("{option}: 1 of 81 pairs are of other documents and left out");
        assert!(outcome.stderr.contains(&said), "{outcome:?}");
    }
    outcome.expect(0);
}

#[test]
fn proposals_are_what_the_scorer_is_least_sure_of() {
    let folder = Folder::new();
    folder.scorer(false);
    let propose = "pairs propose --scorer scorer --documents essays.csv --n 30 --random-share 0 --output";
    let stdout = folder.run(&format!("{propose} first.jsonl")).expect(0);
    assert!(stdout.contains("30 pairs of"), "{stdout}");
    let first = pairs(&folder, "first.jsonl");
    assert_eq!((first.len(), first.iter().collect::<BTreeSet<_>>().len()), (30, 30));
    folder.run(&format!("{propose} again.jsonl")).expect(0);
    assert_eq!(folder.text("first.jsonl"), folder.text("again.jsonl"));

    // What was proposed does not come again.
    folder.run(&format!("{propose} second.jsonl --without first.jsonl")).expect(0);
    let second = pairs(&folder, "second.jsonl");
    assert!(second.len() == 30 && second.iter().all(|pair| !first.contains(pair)));

    // The scorer itself is less sure of them than of others.
    let texts: BTreeMap<String, String> = csv::Reader::from_reader(essays().as_bytes())
        .records()
        .map(|record| record.unwrap())
        .map(|record| (record[0].to_owned(), record[1].to_owned()))
        .collect();
    let logit = |a: &str, b: &str| {
        folder.write("a.txt", &texts[a]);
        folder.write("b.txt", &texts[b]);
        let stdout = folder.run("compare --scorer scorer a.txt b.txt --json").expect(0);
        serde_json::from_str::<Value>(&stdout).unwrap()["logit"].as_f64().unwrap().abs()
    };
    let proposed: f64 = first[..5].iter().map(|(a, b)| logit(a, b)).sum();
    let others: f64 = (0..5).map(|place| logit(&format!("A{place}"), &format!("D{}", 7 - place))).sum();
    assert!(proposed < others, "{proposed} and {others}");
}

#[test]
fn proposals_within_splits_are_all_imported() {
    let folder = Folder::new();
    folder.scorer(false);
    let propose = "pairs propose --scorer scorer --documents essays.csv --n 60 --heldout-fold E --within-splits \
                   --repeat-share 0.2 --output list.jsonl";
    folder.run(propose).expect(0);
    let list = pairs(&folder, "list.jsonl");
    assert!(folder.text("list.jsonl").contains("\"kind\":\"repeat\""));
    let lines: Vec<String> =
        list.iter().enumerate().map(|(place, (a, b))| judgement(place, a, b, 1.0).to_string()).collect();
    folder.write("log.jsonl", lines.join("\n"));
    let stdout = folder.run(IMPORT).expect(0);
    assert!(
        stdout.contains(&format!("{} in the cache", list.len())) && stdout.contains(" 0 across"),
        "{stdout}"
    );
}

#[test]
fn what_documents_leave_no_choice_about_is_refused() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(20));
    for option in ["--prior-sd 1", "--prior-sd estimated", "--seed 7"] {
        let outcome =
            folder.run(&format!("judgements fit log.jsonl --documents essays.csv --output fit.csv {option}"));
        let name = option.split(' ').next().unwrap();
        let said = outcome.stderr.contains("cannot be used with") && outcome.stderr.contains(name);
        assert!(outcome.code == Some(2) && said, "{outcome:?}");
    }
    assert!(!folder.path("fit.csv").exists());
}

#[test]
fn anchors_that_contradict_the_judgements_are_spoken_of() {
    let folder = Folder::new();
    folder.write("log.jsonl", log(20));
    let fit = "judgements fit log.jsonl --anchors grade --output fit.csv --documents";
    let documents = |grade: fn(f64) -> f64| -> String {
        let grades = grades().into_iter().enumerate();
        let line = |(place, (id, of)): (usize, (String, f64))| match place < 8 {
            true => json!({ "id": id, "text": "A text.", "grade": grade(of) }),
            false => json!({ "id": id, "text": "A text." }),
        };
        grades.map(|entry| line(entry).to_string() + "\n").collect()
    };
    // From JSON, where others have no grade at all.
    folder.write("documents.jsonl", documents(|grade| grade));
    let agreed = folder.run(&format!("{fit} documents.jsonl"));
    assert!(!agreed.stderr.contains("warning"), "{agreed:?}");
    assert!(agreed.expect(0).contains("scores from 8 anchors"));
    folder.write("turned.jsonl", documents(|grade| 6.0 - grade));
    let turned = folder.run(&format!("{fit} turned.jsonl"));
    let said = "warning: the anchors' grades fall where the judgements rise (correlation -0.";
    assert!(turned.stderr.contains(said), "{turned:?}");
    turned.expect(0);
    folder.write("alike.jsonl", documents(|_| 3.0));
    let alike = folder.run(&format!("{fit} alike.jsonl"));
    assert!(alike.stderr.contains("alike.jsonl: all anchors have the grade 3"), "{alike:?}");
    let missing =
        folder.run(&format!("{} documents.jsonl", fit.replace("--anchors grade", "--anchors mark")));
    assert!(missing.stderr.contains("documents.jsonl: no object has \"mark\" (label)"), "{missing:?}");
    assert!(missing.stderr.contains("--anchors"), "{missing:?}");
}

#[test]
fn how_a_backbone_is_read_is_no_matter_of_a_scorer() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("log.jsonl", log(20));
    let fit = "judgements fit log.jsonl --documents essays.csv --output fit.csv --scorer scorer";
    for (args, name) in [
        (format!("{fit} --layers 1"), "--layers"),
        (format!("{fit} --max-length 48"), "--max-length"),
        ("export --scorer scorer --format hf --output hf --layers 1".to_owned(), "--layers"),
    ] {
        let outcome = folder.run(&args);
        assert_eq!(outcome.code, Some(2), "{args}");
        let said = format!("{name}: scorer reads texts as it was trained; leave it out, or give --backbone");
        assert!(outcome.stderr.contains(&said), "{outcome:?}");
    }
    let alone = folder.run("judgements fit log.jsonl --documents essays.csv --output fit.csv --layers 1");
    assert!(alone.stderr.contains("--backbone"), "{alone:?}");
}

#[test]
fn annotations_without_an_answer_are_counted() {
    let folder = Folder::empty();
    let result = |selected: &str| json!([{ "type": "pairwise", "from_name": "pw", "to_name": "t1,t2", "value": { "selected": selected } }]);
    let annotations =
        json!([{ "completed_by": 1, "result": result("left") }, { "completed_by": 2, "result": [] }]);
    let tasks = json!([{ "id": 1, "data": { "id1": "p", "id2": "q" }, "annotations": annotations }]);
    folder.write("export.json", tasks.to_string());
    let outcome = folder.run("judgements stats export.json --trait style");
    assert_eq!(outcome.stderr, "1 annotations without an answer are left out\n");
    assert!(outcome.expect(0).contains("1 judgements (0 copies left out)"));
}
