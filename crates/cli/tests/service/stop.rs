//! A stop while requests are under way.
#![cfg(unix)]

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::server::{JSON, LINES, Server, essays, score};

#[test]
fn requests_under_way_are_answered_and_nobody_else_is() {
    let folder = Folder::empty();
    // Batches of one text, so that work is left when it is stopped.
    let mut server = Server::of_bundle(&folder, "--batch-tokens 1");
    let texts = essays(30);
    let body = json!({ "texts": texts }).to_string();
    // Tokens that were taken: they are computed, or in the queue.
    let taken = |server: &Server| -> f64 {
        let metrics = server.get("/metrics").text();
        let of = ["pair2score_tokens_total", "pair2score_queue_tokens "];
        let lines = metrics.lines().filter(|line| of.iter().any(|name| line.starts_with(name)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!(server.post("/score", &json!({ "texts": texts })).status, 200);
    let tokens = taken(&server);
    let mut waiting: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut waiting {
        let headers = format!("{JSON}Content-Length: {}\r\n", body.len());
        client.begin("POST", "/score", &headers, body.as_bytes()).unwrap();
    }
    // All of them, the last one too.
    while taken(&server) < 4.5 * tokens {
        std::thread::sleep(Duration::from_millis(1));
    }
    server.interrupt();
    let answers: Vec<_> = waiting.iter_mut().map(|client| client.answer().unwrap()).collect();
    for answer in answers {
        assert_eq!(answer.status, 200);
        let json = answer.json();
        let results = json["results"].as_array().unwrap();
        assert_eq!(results.iter().map(score).count(), texts.len());
    }
    assert_eq!(server.wait(), Some(0));
    assert!(server.connect().send("GET", "/healthz", "", b"").is_err(), "nobody listens any more");
}

#[test]
fn a_stream_is_told_where_it_ends() {
    let folder = Folder::empty();
    let mut server = Server::of_bundle(&folder, "");
    let mut client = server.connect();
    let line = json!({ "id": 1, "text": "A text." }).to_string() + "\n";
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    client
        .begin("POST", "/score", &format!("{LINES}Transfer-Encoding: chunked\r\n"), chunk.as_bytes())
        .unwrap();
    assert_eq!(client.head().unwrap().0, 200);
    let parsed = |chunk: Option<Vec<u8>>| -> Value { serde_json::from_slice(&chunk.unwrap()).unwrap() };
    assert_eq!(parsed(client.chunk().unwrap())["id"], 1);
    let begun = Instant::now();
    server.interrupt();
    let last = parsed(client.chunk().unwrap());
    assert_eq!((last.get("id"), &last["error"]["code"]), (None, &json!("stopping")));
    assert_eq!(client.chunk().unwrap(), None);
    assert_eq!(server.wait(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "the rest of the stream is not waited for");
    let _ = client.stream().get_mut().write_all(b"0\r\n\r\n");
}

#[test]
fn who_leaves_is_not_computed_for() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--batch-tokens 1 --queue-tokens 10000000");
    let body = json!({ "texts": essays(1000) }).to_string();
    let mut client = server.connect();
    let headers = format!("{JSON}Content-Length: {}\r\n", body.len());
    client.begin("POST", "/score", &headers, body.as_bytes()).unwrap();
    let metric = |name: &str| -> f64 {
        let metrics = server.get("/metrics").text();
        let line = metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    while metric("pair2score_documents_total") == 0.0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(client);
    while metric("pair2score_queue_tokens ") > 0.0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let computed = metric("pair2score_documents_total");
    assert!(computed < 1000.0, "{computed} of 1,000 were computed");
}
