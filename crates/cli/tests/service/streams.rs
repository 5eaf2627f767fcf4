//! Lines in, lines out.

use std::io::Write;

use serde_json::{Value, json};

use crate::common::Folder;
use crate::schema;
use crate::server::{LINES, Server, essays, score};

fn lines(body: &[u8]) -> Vec<Value> {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn document(id: usize, text: &str) -> String {
    json!({ "id": id, "text": text }).to_string() + "\n"
}

#[test]
fn every_line_has_its_answer_in_its_place() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    let texts = essays(150);
    let mut body: String = texts.iter().enumerate().map(|(id, text)| document(id, text)).collect();
    body.insert_str(0, "\n{\"id\": \"blank\", \"text\": \" \"}\n{\"text\": \n{\"id\": 7, \"text\": 3}\n");
    let answer = server.send("POST", "/score", LINES, body.as_bytes());
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "application/x-ndjson"));
    let answers = lines(&answer.body);
    answers.iter().for_each(|line| schema::check_line("ScoredLine", line));
    assert_eq!((&answers[0]["id"], &answers[0]["error"]["code"]), (&json!("blank"), &json!("blank")));
    assert_eq!((answers[1].get("id"), &answers[1]["error"]["code"]), (None, &json!("bad_line")));
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&json!(7), &json!("bad_line")));
    let listed = server.results("/score", &json!({ "texts": texts }));
    assert_eq!(answers.len(), 3 + listed.len());
    for (id, (line, listed)) in answers[3..].iter().zip(&listed).enumerate() {
        assert_eq!(line["id"], id);
        assert!((score(line).0 - score(listed).0).abs() < 2e-5, "{line} {listed}");
    }
}

#[test]
fn pairs_and_embeddings_come_as_lines_too() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    let body = json!({ "id": 1, "a": "One text.", "b": "Another text." }).to_string();
    let answer = server.send("POST", "/compare", LINES, body.as_bytes());
    let compared = &lines(&answer.body)[0];
    schema::check_line("ComparedLine", compared);
    assert_eq!(compared["id"], 1);
    // From a file of a program that begins it with a byte order mark.
    let marked = format!("\u{feff}{}", document(2, "One text."));
    let answer = server.send("POST", "/embed", LINES, marked.as_bytes());
    let embedded = &lines(&answer.body)[0];
    schema::check_line("EmbeddedLine", embedded);
    assert_eq!(embedded["id"], 2);
    assert_eq!(server.send("POST", "/embed", LINES, b"").body, b"");
}

/// Each answer arrives before the next line is sent.
#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    let mut connection = server.connect();
    let chunk = |line: &str| format!("{:x}\r\n{line}\r\n", line.len());
    let headers = format!("{LINES}Transfer-Encoding: chunked\r\n");
    let mut texts = essays(5).into_iter().enumerate();
    let (_, first) = texts.next().unwrap();
    connection.begin("POST", "/score", &headers, chunk(&document(0, &first)).as_bytes()).unwrap();
    assert_eq!(connection.head().unwrap().0, 200);
    assert_eq!(lines(&connection.chunk().unwrap().unwrap())[0]["id"], 0);
    for (id, text) in texts {
        connection.stream().get_mut().write_all(chunk(&document(id, &text)).as_bytes()).unwrap();
        assert_eq!(lines(&connection.chunk().unwrap().unwrap())[0]["id"], id);
    }
    connection.stream().get_mut().write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(connection.chunk().unwrap(), None);
    // And the connection goes on.
    assert_eq!(connection.send("GET", "/healthz", "", b"").unwrap().status, 200);
}

#[test]
fn a_queue_smaller_than_a_stream_holds_it_up_and_loses_nothing() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--queue-tokens 1024");
    let body: String = essays(60).iter().enumerate().map(|(id, text)| document(id, text)).collect();
    let answers = lines(&server.send("POST", "/score", LINES, body.as_bytes()).body);
    assert!(answers.iter().enumerate().all(|(id, line)| line["id"] == id && line["scores"].is_object()));
    assert_eq!(answers.len(), 60);
}

#[test]
fn a_line_that_is_too_long_ends_the_stream() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--body-limit 2000");
    let body = document(0, "A text.") + &document(1, &"word ".repeat(100_000));
    let mut connection = server.connect();
    // The rest is not read, so that sending it may fail.
    let headers = format!("{LINES}Content-Length: {}\r\n", body.len());
    let _ = connection.begin("POST", "/score", &headers, body.as_bytes());
    assert_eq!(connection.head().unwrap().0, 200);
    let mut found = Vec::new();
    while let Ok(Some(chunk)) = connection.chunk() {
        found.extend(chunk);
    }
    let answers = lines(&found);
    assert_eq!(
        (answers.len(), &answers[0]["id"], &answers[1]["error"]["code"]),
        (2, &json!(0), &json!("too_large"))
    );
}
