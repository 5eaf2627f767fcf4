//! Exports of Label Studio.

use std::path::Path;

use serde_json::{Value, json};

use super::in_order;
use crate::error::Result;
use crate::judgements::{JudgementLog, LogDefaults};

fn read(tasks: &Value, target: Option<&str>) -> Result<JudgementLog> {
    let defaults = LogDefaults { target: target.map(str::to_owned), judge: None };
    JudgementLog::parse(Path::new("export.json"), &tasks.to_string(), &defaults)?.of_trait(target)
}

/// Which document is better, by judge.
fn answers(log: &JudgementLog) -> Vec<(&str, &str, &str, f64)> {
    let pairs = log.judgements.iter().map(|judgement| &judgement.pair);
    pairs.map(|pair| (pair.judge.as_deref().unwrap(), pair.a.as_str(), pair.b.as_str(), pair.y)).collect()
}

fn task(annotations: Value) -> Value {
    json!({"id": 1, "data": {"id1": "p", "id2": "q"}, "annotations": annotations})
}

fn pairwise(question: &str, names: &str, selected: &str) -> Value {
    json!({"from_name": question, "to_name": names, "type": "pairwise", "value": {"selected": selected}})
}

fn choice(answer: &str) -> Value {
    json!({"from_name": "other", "to_name": "t1", "type": "choices", "value": {"choices": [answer]}})
}

#[test]
fn several_questions_are_several_traits() {
    let both = json!([pairwise("style", "t1,t2", "left"), pairwise("logic", "t1,t2", "right")]);
    let turned = json!([pairwise("logic", "t1,t2", "right"), pairwise("style", "t1,t2", "left")]);
    let tasks =
        json!([task(json!([{"completed_by": 4, "result": both}, {"completed_by": 5, "result": turned}]))]);
    let log = read(&tasks, Some("logic")).unwrap();
    assert_eq!(answers(&log), [("4", "p", "q", 0.0), ("5", "p", "q", 0.0)]);
    let log = read(&tasks, Some("style")).unwrap();
    assert_eq!(answers(&log), [("4", "p", "q", 1.0), ("5", "p", "q", 1.0)]);
    let message = read(&tasks, None).unwrap_err().to_string();
    assert!(message.contains("several traits (logic, style); choose one with --trait"), "{message}");
    let message = read(&tasks, Some("depth")).unwrap_err().to_string();
    assert!(message.contains("no judgement about \"depth\", only about logic, style"), "{message}");
    // One question may be called anything.
    let one = json!([task(json!([{"completed_by": 4, "result": [pairwise("pw", "t1,t2", "left")]}]))]);
    assert_eq!(read(&one, Some("depth")).unwrap().judgements[0].pair.target, "depth");
}

#[test]
fn ties_are_read_and_what_has_no_answer_is_counted() {
    let tasks = json!([task(json!([
        {"completed_by": 1, "result": [pairwise("pw", "t1,t2", "left")]},
        {"completed_by": 2, "result": [choice("Tie")]},
        {"completed_by": 3, "result": [choice("off topic")]},
        {"completed_by": 4, "result": []},
        {"completed_by": 5, "was_cancelled": true, "result": [pairwise("pw", "t1,t2", "left")]},
        {"completed_by": 6, "result": [choice("off topic"), pairwise("pw", "t1,t2", "right")]},
    ]))]);
    let log = read(&tasks, Some("style")).unwrap();
    assert_eq!(answers(&log), [("1", "p", "q", 1.0), ("2", "p", "q", 0.5), ("6", "p", "q", 0.0)]);
    assert_eq!(log.unanswered, 3);
    for (result, what) in [
        (json!([pairwise("pw", "t1,t2", "left"), choice("tie")]), "selects a document and chooses a tie"),
        (json!([pairwise("pw", "t1,t2", "left"), pairwise("pw", "t1,t2", "right")]), "answers \"pw\" twice"),
    ] {
        let tasks = json!([task(json!([{"completed_by": 1, "result": result}]))]);
        let message = read(&tasks, Some("style")).unwrap_err().to_string();
        assert!(message.contains("line 1: an annotation") && message.contains(what), "{message}");
    }
    let message =
        read(&json!([task(json!([{"completed_by": 1, "result": []}]))]), Some("style")).unwrap_err();
    assert!(message.to_string().contains("no judgements, and 1 annotations without an answer"), "{message}");
}

#[test]
fn left_is_what_stood_on_the_left() {
    for (names, left) in [
        ("text1,text2", "p"),
        ("text2,text1", "q"),
        ("txt-2,txt-1", "q"),
        ("right_text,left_text", "q"),
        ("answerA,answerB", "p"),
        ("essay_b, essay_a", "q"),
        ("t10,t9", "q"),
    ] {
        let tasks = json!([task(json!([{"completed_by": 1, "result": [pairwise("pw", names, "left")]}]))]);
        let log = read(&tasks, Some("style")).unwrap();
        let pair = &log.judgements[0].pair;
        assert_eq!((pair.y_of(left), pair.shown_left.as_deref()), (1.0, Some(left)), "{names}");
    }
    let tasks =
        json!([task(json!([{"completed_by": 1, "result": [pairwise("pw", "ours,theirs", "left")]}]))]);
    let message = read(&tasks, Some("style")).unwrap_err().to_string();
    assert!(message.contains("line 1: to_name \"ours,theirs\" does not say which"), "{message}");
    assert_eq!(in_order(["same", "same"]), None);
}

#[test]
fn the_short_form_is_refused_by_name() {
    let tasks = json!([{"id": 1, "id1": "p", "id2": "q", "pw": {"selected": "left"}, "annotator": 1, "annotation_id": 3}]);
    let message = read(&tasks, Some("style")).unwrap_err().to_string();
    assert!(message.contains("\"pw\" is an answer in Label Studio's JSON_MIN"), "{message}");
    assert!(message.contains("export the project as JSON"), "{message}");
}
