//! Numbers against those of the commands.

use serde_json::{Value, json};

use crate::common::Folder;
use crate::server::{Server, bundle, essays, score, scored};

/// What batches of other shapes change: the last digits of numbers of about 3.
const GROUPING: f64 = 2e-5;

fn preference(result: &Value) -> f64 {
    result["comparisons"]["grammar"]["preference"].as_f64().unwrap_or_else(|| panic!("{result}"))
}

#[test]
fn one_text_and_a_list_have_the_scores_of_the_command() {
    let (folder, texts) = (Folder::empty(), essays(12));
    let server = Server::of_bundle(&folder, "");
    let expected = scored(&folder, &bundle(), &texts);
    // A list that fits one batch is computed as the command computes it: the same bits.
    let results = server.results("/score", &json!({ "texts": texts }));
    assert_eq!(results.iter().map(score).collect::<Vec<_>>(), expected);
    // A text alone is the same as a file with it alone, and differs in the last digits from its score among others.
    let alone = score(&server.results("/score", &json!({ "text": texts[3] }))[0]);
    assert_eq!(alone, scored(&folder, &bundle(), &texts[3..4])[0]);
    assert!((alone.0 - expected[3].0).abs() < GROUPING, "{} {}", alone.0, expected[3].0);
}

#[test]
fn a_comparison_is_that_of_the_command() {
    let (folder, texts) = (Folder::empty(), essays(4));
    let server = Server::of_bundle(&folder, "");
    let pairs: Vec<Value> =
        [(0, 1), (3, 2)].iter().map(|&(a, b)| json!({ "a": texts[a], "b": texts[b] })).collect();
    for pair in &pairs {
        folder.write("a.txt", pair["a"].as_str().unwrap());
        folder.write("b.txt", pair["b"].as_str().unwrap());
        let said = folder.run(&format!("compare --scorer {} a.txt b.txt --json", bundle())).expect(0);
        let expected: Value = serde_json::from_str(&said).unwrap();
        let result = &server.results("/compare", pair)[0];
        for key in ["utilities", "logit", "preference"] {
            assert_eq!(result["comparisons"]["grammar"][key], expected[key], "{key}");
        }
        for side in 0..2 {
            assert_eq!(
                result["texts"][side]["scores"]["grammar"]["score"],
                expected["scores"][side]["score"]
            );
        }
    }
    let both = server.results("/compare", &json!({ "pairs": pairs }));
    let swapped = &server.results("/compare", &json!({ "a": texts[2], "b": texts[3] }))[0];
    let [one, other] = [&both[1], swapped].map(preference);
    assert!((one + other - 1.0).abs() < GROUPING, "{one} {other}");
}

/// With a head whose hidden units read single elements, a score is an element of the embedding.
#[test]
fn an_embedding_is_what_the_head_reads() {
    let folder = Folder::new();
    folder.scorer(true);
    let hidden = pair2score_model::hidden_width(crate::common::D_MODEL);
    folder.edit_tensors("scorer/head.safetensors", |tensors| {
        for (name, tensor) in tensors.iter_mut() {
            tensor.values.fill(0.0);
            // The value and its negative, so that ReLU loses nothing.
            match name.as_str() {
                "0.weight" => (tensor.values[5], tensor.values[crate::common::D_MODEL + 5]) = (1.0, -1.0),
                "2.weight" => (tensor.values[0], tensor.values[1]) = (1.0, -1.0),
                _ => {}
            }
        }
        assert!(hidden >= 2);
    });
    let server = Server::start(&folder, "--scorer scorer");
    let texts = ["The river is deep.", "She walk at school."];
    let embeddings = server.results("/embed", &json!({ "texts": texts }));
    let scores = server.results("/score", &json!({ "texts": texts }));
    for (embedded, scored) in embeddings.iter().zip(&scores) {
        let embedding = embedded["embedding"].as_array().unwrap();
        assert_eq!(embedding.len(), crate::common::D_MODEL);
        assert!((embedding[5].as_f64().unwrap() - score(scored).0).abs() < 1e-6, "{embedded} {scored}");
    }
    assert_ne!(embeddings[0], embeddings[1]);
}

#[test]
fn what_was_cut_is_said_and_can_be_refused() {
    let folder = Folder::new();
    folder.scorer(true);
    let server = Server::start(&folder, "--scorer scorer");
    let long = "The river is deep, and cold. ".repeat(20);
    let texts = json!({ "texts": [long, "Short."] });
    let results = server.results("/score", &texts);
    assert_eq!(
        (results[0]["truncated"].as_bool(), results[0]["tokens_read"].as_u64()),
        (Some(true), Some(48))
    );
    assert!(results[0]["tokens"].as_u64().unwrap() > 100);
    assert_eq!(
        (&results[1]["truncated"], &results[1]["tokens"]),
        (&json!(false), &results[1]["tokens_read"])
    );
    assert_eq!(score(&results[0]), scored(&folder, "scorer", &[long.clone(), "Short.".into()])[0]);
    let refused = server.results("/score?truncate=false", &texts);
    assert_eq!(refused[0]["error"]["code"], "too_long");
    assert!(
        refused[0]["error"]["message"].as_str().unwrap().contains("the scorer reads 48"),
        "{}",
        refused[0]
    );
    assert_eq!(refused[0].get("scores"), None);
    assert!(refused[1]["scores"].is_object());
}

#[test]
fn a_blank_text_has_an_error_and_the_others_their_scores() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    let results = server.results("/score", &json!({ "texts": ["", "A text.", " \n\t\u{a0}"] }));
    assert_eq!([0, 2].map(|place| results[place]["error"]["code"].clone()), ["blank", "blank"]);
    assert_eq!(score(&results[1]), scored(&folder, &bundle(), &["A text.".into()])[0]);
    let compared = &server.results("/compare", &json!({ "a": "A text.", "b": " " }))[0];
    assert!(compared["error"]["message"].as_str().unwrap().starts_with("text b is blank"), "{compared}");
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("pair2score_refused_total{code=\"blank\"} 3"), "{metrics}");
}

/// The row of a token stands for a product that overflows: twice in a text, the sum of its embedding does.
#[test]
fn a_text_whose_embedding_is_not_finite_has_an_error_and_the_others_their_scores() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.set_json("scorer/scorer.json", "final_norm", false);
    let token = folder.json("backbone/tokenizer.json")["model"]["vocab"]["?"].as_u64().unwrap() as usize;
    folder.edit_tensors("backbone/model.safetensors", |tensors| {
        let table = tensors.get_mut("model.embed_tokens.weight").unwrap();
        table.values[token * crate::common::D_MODEL..][..crate::common::D_MODEL].fill(3e38);
    });
    let server = Server::start(&folder, "--scorer scorer");
    let results = server.results("/score", &json!({ "texts": ["The river.", "? ?", "She walks."] }));
    assert_eq!(results[1]["error"]["code"], "not_finite", "{results:?}");
    assert_eq!(results[1].get("scores"), None);
    let expected = scored(&folder, "scorer", &["She walks.".into()])[0];
    assert_eq!(score(&results[2]), expected);
    assert!(results[0]["scores"].is_object());
}

#[test]
fn calibrated_scores_stand_beside_raw_ones() {
    let folder = Folder::new();
    folder.scorer(true);
    let thresholds: Vec<f64> = (0..8).map(|place| 0.1 * f64::from(place)).collect();
    let calibration = json!({ "method": "linear", "documents": 9, "knots": [[-10.0, 1.0], [10.0, 5.0]], "thresholds": thresholds });
    folder.set_json("scorer/scorer.json", "calibration", calibration);
    let server = Server::start(&folder, "--scorer essays=scorer");
    let result = &server.results("/score", &json!({ "text": "The river is deep." }))[0]["scores"]["grammar"];
    let raw = result["score"].as_f64().unwrap();
    assert_eq!(raw, scored(&folder, "scorer", &["The river is deep.".into()])[0].0);
    assert!((result["calibrated"]["score"].as_f64().unwrap() - (3.0 + 0.2 * raw)).abs() < 1e-9, "{result}");
    let about = &server.get("/scorers").json()["scorers"][0];
    assert_eq!((&about["name"], &about["max_length"]), (&json!("essays"), &json!(48)));
    assert_eq!(
        (&about["traits"][0]["name"], &about["traits"][0]["calibrated"]),
        (&json!("grammar"), &json!(true))
    );
    assert_eq!((&result["interval"], &about["traits"][0]["interval_level"]), (&Value::Null, &Value::Null));
}

#[test]
fn intervals_stand_beside_scores() {
    let folder = Folder::new();
    folder.scorer(true);
    let fitted = json!({ "level": 0.8, "documents": 9, "thresholds": [], "half_widths": [1.25] });
    folder.set_json("scorer/scorer.json", "intervals", fitted);
    let server = Server::start(&folder, "--scorer essays=scorer");
    let result = &server.results("/score", &json!({ "text": "The river is deep." }))[0]["scores"]["grammar"];
    // The grades within, around the end of the scale where the score lies beyond.
    let score = result["score"].as_f64().unwrap().clamp(1.0, 5.0);
    let low = ((score - 1.25).max(1.0) * 2.0).ceil() / 2.0;
    let high = ((score + 1.25).min(5.0) * 2.0).floor() / 2.0;
    assert_eq!(result["interval"], json!({ "low": low, "high": high }), "{result}");
    let about = &server.get("/scorers").json()["scorers"][0];
    assert_eq!(about["traits"][0]["interval_level"], json!(0.8));
}

#[test]
fn several_traits_stand_side_by_side() {
    let folder = Folder::new();
    folder.scorer_of(&["grammar", "style"], true);
    let server = Server::start(&folder, "--scorer scorer");
    let text = "The river is deep.";
    folder.write("texts.jsonl", json!({ "id": 1, "text": text }).to_string());
    folder.run("score --scorer scorer --input texts.jsonl --output scores.csv").expect(0);
    // id,grammar,grammar_grade,style,style_grade,truncated
    let written = folder.text("scores.csv");
    let cells: Vec<&str> = written.lines().nth(1).unwrap().split(',').collect();
    let scores = &server.results("/score", &json!({ "text": text }))[0]["scores"];
    for (name, place) in [("grammar", 1), ("style", 3)] {
        assert_eq!(scores[name]["score"].to_string(), cells[place], "{scores}");
    }
    assert_ne!(scores["grammar"], scores["style"]);
    let compared = &server.results("/compare", &json!({ "a": text, "b": "She walks." }))[0]["comparisons"];
    // The second trait's utilities are twice those of the first.
    let logits = ["grammar", "style"].map(|name| compared[name]["logit"].as_f64().unwrap());
    assert!((logits[1] - 2.0 * logits[0]).abs() < 1e-5, "{compared}");
    let embedded = &server.results("/embed", &json!({ "text": text }))[0]["embedding"];
    assert_eq!(embedded.as_array().unwrap().len(), crate::common::D_MODEL);
}

#[test]
fn several_scorers_answer_by_name() {
    let folder = Folder::new();
    folder.scorer(true);
    let server = Server::start(&folder, &format!("--scorer small=scorer {}", bundle()));
    let body = json!({ "text": "The river is deep." });
    let of = |name: &str| score(&server.results(&format!("/score?scorer={name}"), &body)[0]);
    for (name, scorer) in [("small", "scorer".to_owned()), ("bundle", bundle())] {
        assert_eq!(of(name), scored(&folder, &scorer, &["The river is deep.".into()])[0]);
    }
    let unnamed = server.post("/score", &body);
    assert_eq!((unnamed.status, &unnamed.json()["error"]["code"]), (400, &json!("which_scorer")));
    let unknown = server.post("/score?scorer=other", &body);
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["message"], "there is no scorer \"other\"; there are small, bundle");
    let document = server.get("/openapi.json").json();
    let parameter = &document["components"]["parameters"]["scorer"];
    assert_eq!(
        (&parameter["schema"]["enum"], &parameter["required"]),
        (&json!(["small", "bundle"]), &json!(true))
    );
}

#[test]
fn a_scorer_of_stage_1_ranks_and_does_not_score() {
    let folder = Folder::new();
    folder.scorer(false);
    let server = Server::start(&folder, "--scorer scorer");
    let refused = server.post("/score", &json!({ "text": "The river." }));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (422, &json!("cannot_score")));
    let compared = &server.results("/compare", &json!({ "a": "The river.", "b": "She walks." }))[0];
    assert!(preference(compared) > 0.0 && compared["texts"][0]["scores"].is_null(), "{compared}");
    assert_eq!(
        server.results("/embed", &json!({ "text": "The river." }))[0]["embedding"].as_array().unwrap().len(),
        64
    );
}
