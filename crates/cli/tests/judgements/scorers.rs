//! A scorer made of judgements, and the backbone or site that it is made on.

use super::*;

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
