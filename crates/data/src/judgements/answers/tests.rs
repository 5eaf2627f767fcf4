//! Answers of tables and lines as people have them.

use std::path::Path;

use crate::error::Result;
use crate::judgements::{JudgementLog, LogDefaults};
use crate::pairs::Pair;

fn read(name: &str, text: &str) -> Result<Vec<Pair>> {
    let defaults = LogDefaults { target: Some("style".into()), judge: Some("me".into()) };
    let log = JudgementLog::parse(Path::new(name), text, &defaults)?;
    Ok(log.judgements.into_iter().map(|judgement| judgement.pair).collect())
}

/// A table with `;` between its rows.
fn table(rows: &str) -> String {
    rows.replace(';', "\n")
}

/// The answers of a table.
fn ys(rows: &str) -> Vec<f64> {
    read("log.csv", &table(rows)).unwrap().iter().map(|pair| pair.y).collect()
}

fn refusal(rows: &str) -> String {
    read("log.csv", &table(rows)).unwrap_err().to_string()
}

#[test]
fn answers_of_a_file_are_read_in_one_way() {
    // The essays are called like sides: as ids, the second row would have no answer.
    assert_eq!(ys("a,b,winner;B,A,A;Q,R,A;A,B,B"), [1.0, 1.0, 0.0]);
    assert_eq!(ys("a,b,winner;B,A,A;Q,A,Q;A,B,B"), [0.0, 1.0, 0.0]);
    assert_eq!(ys("left,right,winner;tie,left,tie;left,p,p"), [1.0, 0.0]);
    // Both ways say the same.
    assert_eq!(ys("a,b,winner;A,B,A;A,B,B;A,B,tie"), [1.0, 0.0, 0.5]);
    // Each row can be read in one way only.
    assert_eq!(ys("left,right,winner;p,q,left;p,q,q"), [1.0, 0.0]);
    for (rows, what) in [
        (
            "a,b,winner;A,B,A;B,A,A;A,B,B",
            "line 3: the answer \"A\" of \"winner\" is both a document and a side",
        ),
        ("left,right,winner;tie,q,tie", "line 2: the answer \"tie\" of \"winner\" is both"),
        ("left,right,Label;p,q,p;p,q,w", "line 3: the answer \"w\" is neither \"p\" nor \"q\" (\"Label\")"),
    ] {
        let message = refusal(rows);
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn numbers_are_answers_as_y_or_as_ids_only() {
    assert_eq!(ys("left,right,winner;0,1,1;1,0,1;7,0,0"), [0.0, 1.0, 0.0]);
    assert_eq!(ys("a,b,y;0,1,1;1,0,1"), [1.0, 1.0]);
    for rows in [
        "left,right,winner;7,9,1;8,6,0;0,1,1;1,0,1",
        "rater,left,right,choice;r,p,q,0;r,p,s,0",
        "a,b,label;p,q,1",
        "a,b,winner;p,q,0.5",
        "left,right,preferred;p,q,2",
    ] {
        let message = refusal(rows);
        assert!(message.contains("line 2: the answer") && message.contains("only as \"y\""), "{message}");
    }
    let message = refusal("left,right,y;p,q,1");
    assert!(
        message.contains("line 2: \"y\" is about a and b") && message.contains("call the documents"),
        "{message}"
    );
}

#[test]
fn columns_of_ties_count_beside_ranked_documents() {
    assert_eq!(ys("winner,loser,draw;p,q,0;q,s,1;p,s,"), [1.0, 0.5, 1.0]);
    assert_eq!(ys("chosen,rejected,Is Tie;p,q,FALSE;q,s,TRUE"), [1.0, 0.5]);
    assert_eq!(ys("better,worse,is_draw;p,q,no;q,s,Yes"), [1.0, 0.5]);
    assert_eq!(ys("left,right,winner,tie;p,q,p,no;q,s,,yes;q,s,tie,yes"), [1.0, 0.5, 0.5]);
    for key in ["Is it a tie?", "ties", "isTie", "istie", "was_drawn", "winner_tie"] {
        assert_eq!(ys(&format!("winner,loser,{key};p,q,1;q,s,0")), [0.5, 1.0], "{key}");
    }
    assert_eq!(ys("winner,loser,draw_number,tie breaker;p,q,1,1"), [1.0]);
    assert_eq!(ys("winner,loser,Result;p,q,win;q,s,draw"), [1.0, 0.5]);
    assert_eq!(ys("a,b,outcome;p,q,b;q,s,draw"), [0.0, 0.5]);
    let lines = "{\"chosen\": \"p\", \"rejected\": \"q\", \"tie\": true}\n{\"chosen\": \"p\", \"rejected\": \"q\", \"tie\": 0}";
    assert_eq!(read("log.jsonl", lines).unwrap().iter().map(|pair| pair.y).collect::<Vec<_>>(), [0.5, 1.0]);
    assert_eq!(ys("winner,loser,verdict;p,q,won;q,s,No preference;p,s,"), [1.0, 0.5, 1.0]);
    for word in ["1/2-1/2", "½", "unsure", "0.5", "Unentschieden", "rejected"] {
        let message = refusal(&format!("winner,loser,verdict;p,q,{word}"));
        let expected =
            format!("line 2: \"verdict\" is \"{word}\", which is neither a win nor a tie; write win");
        assert!(message.contains(&expected), "{message}");
    }
    let line = "{\"chosen\": \"p\", \"rejected\": \"q\", \"outcome\": 0.5}";
    let message = read("log.jsonl", line).unwrap_err().to_string();
    assert!(message.contains("\"outcome\" is \"0.5\", which is neither"), "{message}");
    let message = refusal("winner,loser,draw;p,q,perhaps");
    assert!(message.contains("line 2: \"draw\" is \"perhaps\", which is neither yes nor no"), "{message}");
}

#[test]
fn columns_may_not_contradict_each_other() {
    assert_eq!(ys("a,b,y,winner;p,q,1,p;p,q,0.5,tie;p,q,,q;p,q,0,"), [1.0, 0.5, 0.0, 0.0]);
    assert_eq!(ys("left,right,winner,loser;p,q,p,q;p,q,right,left"), [1.0, 0.0]);
    for (rows, keys) in [
        ("a,b,y,winner;p,q,1,q", "\"y\" and \"winner\""),
        ("a,b,y,Loser;p,q,1,p", "\"y\" and \"Loser\""),
        ("chosen,rejected,y;p,q,0", "\"chosen\" and \"y\""),
        ("chosen,rejected,y;p,q,0.5", "\"chosen\" and \"y\""),
        ("winner,loser,label;p,q,q", "\"winner\" and \"label\""),
        ("winner,loser,tie,y;p,q,1,1", "\"tie\" and \"y\""),
        ("a,b,y,verdict;p,q,1,q", "\"y\" and \"verdict\""),
        ("a,b,y,tie;p,q,0.5,false", "\"y\" and \"tie\""),
        ("a,b,y,draw;p,q,1,yes", "\"draw\" and \"y\""),
        ("left,right,winner,label;p,q,p,right", "\"winner\" and \"label\""),
    ] {
        let message = refusal(rows);
        assert!(message.contains(&format!("line 2: {keys} contradict each other")), "{rows}: {message}");
    }
}

#[test]
fn sides_are_those_that_were_shown() {
    let rows = "a,b,shown_left,winner;p,q,q,left;p,q,p,left;p,q,q,right";
    assert_eq!(ys(rows), [0.0, 1.0, 1.0]);
    assert_eq!(ys("a,b,left,right,winner;p,q,q,p,left"), [0.0]);
    let message = refusal("left,right,shown left,winner;p,q,q,left");
    assert!(message.contains("\"shown left\" is \"q\", and \"left\" is \"p\""), "{message}");
    let message = refusal("a,b,left,right,winner;p,q,some text,another,left");
    assert!(message.contains("the answer \"left\" is neither"), "{message}");
}

#[test]
fn arenas_of_models_are_read() {
    let rows = "question_id,model_a,model_b,winner,judge;1,m,n,model_a,u;2,n,k,tie (bothbad),u;3,m,k,model_b,u;4,m,k,tie,v";
    assert_eq!(ys(rows), [1.0, 0.5, 0.0, 0.5]);
    let message = refusal("model_a,model_b,winner_model_a,winner_model_b;m,n,1,0");
    assert!(
        message.contains("line 2: no answer; its keys are model_a, model_b, winner_model_a"),
        "{message}"
    );
}

#[test]
fn sides_are_no_documents() {
    for rows in [
        "text_a,text_b,winner,loser;Some text,Another,a,b",
        "left_text,right_text,better,worse;One,Two,right,left",
    ] {
        let message = refusal(rows);
        assert!(message.contains("are sides of other columns, not documents; call the columns"), "{message}");
    }
    assert_eq!(ys("winner,loser;a,b;b,a"), [1.0, 1.0]);
    assert_eq!(ys("winner,loser,score1,score2;1,2,5,4;3,1,4,4"), [1.0, 1.0]);
}

#[test]
fn judges_have_many_names() {
    let judges = |rows: &str| -> Vec<String> {
        read("log.csv", &table(rows)).unwrap().into_iter().map(|pair| pair.judge.unwrap()).collect()
    };
    for key in [
        "judge_id",
        "Worker ID",
        "workerId",
        "annotator",
        "Rater",
        "user",
        "judge name",
        "reviewer",
        "user-id",
    ] {
        assert_eq!(judges(&format!("{key},winner,loser;ann,p,q;bob,p,q")), ["ann", "bob"], "{key}");
    }
    assert_eq!(judges("user,judge_id,judge,winner,loser;web,7,ann,p,q"), ["ann"]);
    let text = "assessment,winner,loser\n1,p,q\n";
    let defaults = LogDefaults { target: Some("style".into()), judge: None };
    let message = JudgementLog::parse(Path::new("log.csv"), text, &defaults).unwrap_err().to_string();
    assert!(
        message.contains("line 2: no judge; its keys are assessment, winner, loser; write who"),
        "{message}"
    );
}

#[test]
fn missing_values_are_missing() {
    let rows = "judge,user,a,b,y,ms,date,split,weight;NA,web,p,q,1,NA,n/a,null,-;nan,web,p,q,1,900,2026-02-03,,;ann,web,p,q,1,,,,";
    let pairs = read("log.csv", &table(rows)).unwrap();
    let found: Vec<_> =
        pairs.iter().map(|pair| (pair.judge.as_deref(), pair.ms, pair.at.as_deref())).collect();
    assert_eq!(
        found,
        [
            (Some("me"), None, Some("1")),
            (Some("me"), Some(900), Some("2026-02-03")),
            (Some("ann"), None, Some("3"))
        ]
    );
    let defaults = LogDefaults { target: Some("style".into()), judge: None };
    for (name, text) in [
        ("log.csv", "judge,a,b,y\nNaN,p,q,1\n"),
        ("log.jsonl", "{\"judge\": \"NA\", \"a\": \"p\", \"b\": \"q\", \"y\": 1}"),
    ] {
        let message = JudgementLog::parse(Path::new(name), text, &defaults).unwrap_err().to_string();
        assert!(message.contains("no judge"), "{message}");
    }
    assert!(refusal("a,b,y;p,q,NA").contains("line 2: no answer"));
    for rows in
        ["a,b,y;NA,q,1", "winner,loser;p,nan", "left,right,winner;p,None,left", "chosen,rejected;null,q"]
    {
        let message = refusal(rows);
        assert!(message.contains("line 2: ") && message.contains("stands for a missing value"), "{message}");
    }
    let message = refusal("winner,loser;tie,q");
    assert!(message.contains("line 2: \"winner\" is \"tie\", and no document"), "{message}");
}

#[test]
fn a_date_and_a_time_are_one_time() {
    let line = |time: &str| {
        format!(
            "{{\"judge\": \"j\", \"chosen\": \"p\", \"rejected\": \"q\", \"date\": \"2026-02-03\", \"time\": \"{time}\"}}\n"
        )
    };
    let pairs = read("log.jsonl", &(line("09:00") + &line("17:30") + &line("09:00"))).unwrap();
    let times: Vec<_> = pairs.iter().map(|pair| pair.at.as_deref()).collect();
    assert_eq!(times, [Some("2026-02-03 09:00"), Some("2026-02-03 17:30")]);
    let pairs = read("log.csv", "a,b,y,at,date\np,q,1,noon,2026-02-03\n").unwrap();
    assert_eq!(pairs[0].at.as_deref(), Some("noon"));
}

#[test]
fn messages_have_the_names_of_the_file() {
    for (rows, what) in [
        ("chosen,rejected,Time Taken;p,q,00:00:09", "\"Time Taken\" is text, and no number"),
        ("winner_,loser,worker id,workerId;p,q,u,v", "\"workerId\" is there twice"),
    ] {
        let message = refusal(rows);
        assert!(message.contains(what), "{message}");
    }
    let message =
        read("log.jsonl", "{\"left\": \"p\", \"right\": \"q\", \"label\": 1.0}").unwrap_err().to_string();
    assert!(message.contains("\"label\" is a number; write text"), "{message}");
}

#[test]
fn a_log_in_another_encoding_is_told_what_helps() {
    let scratch = crate::testing::Scratch::new();
    let bytes = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let files = [
        ("log.csv", "judge,a,b,y\nJosé,p,q,1\n"),
        ("log.jsonl", "{\"judge\": \"José\", \"a\": \"p\", \"b\": \"q\", \"y\": 1}\n"),
    ];
    for (name, text) in files {
        let message =
            JudgementLog::read(&[scratch.file(name, bytes(text))], &LogDefaults::default()).unwrap_err();
        assert!(message.to_string().ends_with("not UTF-8; save the file as UTF-8"), "{message}");
    }
}
