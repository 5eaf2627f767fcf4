//! Which pairs are proposed for judging.

use std::collections::BTreeSet;

use super::*;

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
