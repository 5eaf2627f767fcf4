//! What judgements say of documents and judges: utilities, scores from anchors, and statistics.

use super::*;

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
