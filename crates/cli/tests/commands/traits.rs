//! A scorer of several traits: a column each, and the numbers of as many scorers.

use serde_json::{Value, json};

use crate::common::Folder;
use crate::records;

const TRAITS: [&str; 2] = ["grammar", "Task 2, response"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// A scorer of both traits in `scorer/`, and the scorer of each in `first/` and `second/`.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.oracle("backbone", "backbone");
    let mut essays = "text_id,full_text,fold,grammar,\"Task 2, response\"\n".to_owned();
    for i in 0..8 {
        let text = ["A dog ran.", "It was good to see them all.", "Word word."][i % 3];
        // The second trait of one document is not labelled.
        let second = if i == 3 { "NA".into() } else { (1 + i % 5).to_string() };
        essays += &format!("d{i},{text} {i},{},{},{second}\n", ["A", "E"][i % 2], 1 + i % 4);
    }
    folder.write("essays.csv", essays);
    folder.scorer_of(&TRAITS, true);
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        let mut settings = folder.json("scorer/scorer.json");
        let of = settings["traits"][place].clone();
        settings.as_object_mut().unwrap().remove("traits");
        settings["format"] = 1.into();
        settings["target"] = of["target"].clone();
        settings["scale"] = of["scale"].clone();
        let up = |path: &Value| Value::from(format!("../scorer/{}", path.as_str().unwrap()));
        settings["relative"]["head"] = up(&of["relative"]);
        settings["relative"]["adapter"] = "../scorer/adapter".into();
        settings["score"]["adapters"][0] = "../scorer/adapter".into();
        settings["score"]["head"] = up(&of["score"]["head"]);
        settings["score"]["link"] = of["score"]["link"].clone();
        folder.write(&format!("{name}/scorer.json"), settings.to_string());
    }
    folder
}

#[test]
fn a_column_and_a_grade_for_each_trait() {
    let folder = folder();
    folder.run("score --scorer scorer --input essays.csv --output both.csv").expect(0);
    let both = records(&folder.text("both.csv"));
    assert_eq!(
        both[0],
        ["id", "grammar", "grammar_grade", "Task 2, response", "Task 2, response_grade", "truncated"]
    );
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        folder.run(&format!("score --scorer {name} --input essays.csv --output {name}.csv")).expect(0);
        let alone = records(&folder.text(&format!("{name}.csv")));
        assert_eq!(alone[0], ["id", "score", "grade", "truncated"]);
        for (row, alone) in both[1..].iter().zip(&alone[1..]) {
            let columns = [&row[0], &row[1 + 2 * place], &row[2 + 2 * place], &row[5]];
            assert_eq!(columns.to_vec(), alone.iter().collect::<Vec<_>>());
        }
    }
    // In parts, by way of kept embeddings, and as Parquet, which is read again as a table of texts is.
    folder
        .run("score --scorer scorer --input essays.csv --output parts.csv --shard 2/2 --cache kept")
        .expect(0);
    let part = records(&folder.text("parts-00002-of-00002.csv"));
    assert_eq!((part.len(), &part[0], &part[1][0]), (5, &both[0], &both[5][0]));
    folder.run("score --scorer scorer --input essays.csv --output both.parquet").expect(0);
    let schema = folder.bytes("both.parquet");
    let has = |name: &str| schema.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(has("Task 2, response_grade") && has("truncated"));
}

#[test]
fn each_trait_is_evaluated_on_the_documents_that_have_its_label() {
    let folder = folder();
    let json = |args: &str| -> Value {
        serde_json::from_str(&folder.run(&format!("evaluate --input essays.csv --json {args}")).expect(0))
            .unwrap()
    };
    let both = json("--scorer scorer");
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        let alone = json(&format!("--scorer {name}"));
        let mut of_both = both[place].clone();
        for key in ["mae", "rmse", "r2", "pearson", "qwk", "pair_accuracy", "utility_pair_accuracy"] {
            let (one, other) = (&mut of_both[key], &alone[key]);
            assert!(
                one == other || (number(one) - number(other)).abs() < 1e-6,
                "{name} {key}: {one} {other}"
            );
            *one = other.clone();
        }
        assert_eq!(of_both, alone, "{name}");
    }
    assert_eq!(
        (&both[0]["documents"], &both[1]["documents"], &both[1]["unlabelled"]),
        (&8.into(), &7.into(), &1.into())
    );
    assert_eq!(json("--scorer scorer --trait grammar --fold E")["documents"], 4);
    let text = folder.run("evaluate --scorer scorer --input essays.csv").expect(0);
    assert!(
        text.contains("grammar: 8 documents") && text.contains("\n\nTask 2, response: 7 documents"),
        "{text}"
    );
    let refused = folder.run("evaluate --scorer scorer --input essays.csv --label-col grammar");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("that is the column of one; name it with --trait"), "{refused:?}");
    let refused = folder.run("evaluate --scorer scorer --input essays.csv --trait syntax");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("scorer: rates grammar, Task 2, response, but not \"syntax\""),
        "{refused:?}"
    );
}

#[test]
fn calibrated_scores_are_offered_where_each_trait_has_some() {
    let folder = folder();
    let mut settings = folder.json("scorer/scorer.json");
    for (place, offered) in [(0, false), (1, true)] {
        settings["traits"][place]["calibration"] = json!({
            "method": "linear", "documents": 9, "knots": [[2.0, 1.0], [4.0, 5.0]],
            "thresholds": [2.1, 2.3, 2.6, 2.8, 3.1, 3.3, 3.6, 3.8],
        });
        folder.write("scorer/scorer.json", settings.to_string());
        let score = "score --scorer scorer --input essays.csv --output both.csv";
        let stdout = folder.run(score).expect(0);
        assert_eq!(stdout.contains("--calibrated writes them"), offered, "{stdout}");
        let calibrated = folder.run(&format!("{score} --calibrated"));
        assert_eq!(calibrated.code, Some(if offered { 0 } else { 2 }), "{calibrated:?}");
    }
}

#[test]
fn two_texts_are_compared_in_each_trait() {
    let folder = folder();
    folder.write("a.txt", "A dog ran.");
    folder.write("b.txt", "It was good to see them all.");
    let json = |scorer: &str| -> Value {
        serde_json::from_str(&folder.run(&format!("compare --scorer {scorer} a.txt b.txt --json")).expect(0))
            .unwrap()
    };
    let both = json("scorer");
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        assert_eq!(both[place]["trait"], TRAITS[place]);
        let (one, other) = (number(&both[place]["logit"]), number(&json(name)["logit"]));
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
    let text = folder.run("compare --scorer scorer a.txt b.txt").expect(0);
    assert!(text.starts_with("grammar\nA a.txt") && text.contains("\nTask 2, response\nA a.txt"), "{text}");
}

#[test]
fn judging_asks_which_trait_is_meant() {
    let folder = folder();
    let propose = "pairs propose --scorer scorer --documents essays.csv --n 2 --output pairs.csv";
    let refused = folder.run(propose);
    assert!(refused.stderr.contains("name one of these as the trait"), "{refused:?}");
    folder.run(&format!("{propose} --trait grammar")).expect(0);
    let chosen = folder.text("pairs.csv");
    // Judges may call it otherwise.
    let named = format!("{propose} --trait quality --scorer-trait");
    folder.run(&format!("{named} grammar")).expect(0);
    assert_eq!(folder.text("pairs.csv").replace("quality", "grammar"), chosen);
    let refused = folder.run(&format!("{named} syntax"));
    assert!(
        refused.stderr.contains("but not \"syntax\"; name one of these with --scorer-trait"),
        "{refused:?}"
    );
}
