//! Many clients at once: nothing is lost, and no answer is another's.

use serde_json::json;

use crate::common::Folder;
use crate::common::http::Connection;
use crate::server::{JSON, LINES, Server, bundle, essays, score, scored};

const CLIENTS: usize = 64;
/// What batches of other shapes change, at most.
const GROUPING: f64 = 2e-5;

/// Streams that all wait for answers, until there are as many as there may be connections.
#[test]
fn a_service_that_owes_everybody_an_answer_still_says_that_it_lives() {
    let folder = Folder::empty();
    // Texts of one token each at a time, and far more of them than are computed while connections are opened.
    let server = Server::of_bundle(&folder, "--batch-tokens 1 --queue-tokens 10000000");
    let lines = "{\"text\":\"a\"}\n".repeat(10_000);
    let headers = format!("{LINES}Content-Length: {}\r\n", lines.len());
    let mut streams = Vec::new();
    let refused = loop {
        let mut stream = server.connect();
        stream.begin("POST", "/score", &headers, lines.as_bytes()).unwrap();
        match stream.head().unwrap() {
            (200, _) => streams.push(stream),
            (status, headers) => break (status, headers),
        }
    };
    // None of the streams has been closed to make room.
    assert_eq!(streams.len(), 200);
    assert!(refused.0 == 429 && refused.1.contains_key("retry-after") && refused.1["connection"] == "close");
    for _ in 0..20 {
        assert_eq!(server.get("/healthz").status, 200);
    }
    let refused = server.post("/score", &json!({ "text": "A text." }));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("busy")));
    for stream in &mut streams {
        let first = String::from_utf8(stream.chunk().unwrap().unwrap()).unwrap();
        assert!(first.starts_with("{") && first.contains("score"), "{first}");
    }
}

/// Each client has texts of its own, which are told apart by their scores, and sends them in every way there is.
#[test]
fn sixty_four_clients_and_every_answer_is_the_right_one() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--batch-tokens 2048");
    let texts: Vec<String> = essays(160).iter().map(|text| text.chars().take(240).collect()).collect();
    let expected: Vec<f64> = scored(&folder, &bundle(), &texts).into_iter().map(|(score, _)| score).collect();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (address, texts, expected) = (&server.address, &texts, &expected);
            scope.spawn(move || {
                let mut connection = Connection::new(address);
                for round in 0..3 {
                    let places: Vec<usize> = (0..=(client + round) % 5)
                        .map(|k| (client * 7 + round * 31 + k * 13) % texts.len())
                        .collect();
                    ask(&mut connection, round, &places, texts, expected);
                }
            });
        }
    });
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("pair2score_queue_tokens 0\n"), "{metrics}");
    assert!(!metrics.contains("status=\"5"), "{metrics}");
    let batches: f64 = sample(&metrics, "pair2score_batch_tokens_count");
    let documents: f64 =
        metrics.lines().filter(|line| line.starts_with("pair2score_documents_total")).map(last).sum();
    assert!(
        documents > 2.0 * batches,
        "{documents} documents in {batches} batches: they were not computed together"
    );
}

fn sample(metrics: &str, name: &str) -> f64 {
    last(metrics.lines().find(|line| line.starts_with(name)).unwrap())
}

fn last(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Sends texts as a list, as a stream or as pairs with themselves, and compares every number.
fn ask(connection: &mut Connection, way: usize, places: &[usize], texts: &[String], expected: &[f64]) {
    let same = |number: f64, place: usize| {
        assert!(
            (number - expected[place]).abs() < GROUPING,
            "{number} is not {} of text {place}",
            expected[place]
        );
    };
    let of: Vec<&String> = places.iter().map(|&place| &texts[place]).collect();
    match way {
        0 => {
            let body = json!({ "texts": of }).to_string();
            let answer = connection.send("POST", "/score", JSON, body.as_bytes()).unwrap();
            let json = answer.json();
            let results = json["results"].as_array().unwrap_or_else(|| panic!("{json}"));
            assert_eq!(results.len(), places.len());
            results.iter().zip(places).for_each(|(result, &place)| same(score(result).0, place));
        }
        1 => {
            let line = |&place: &usize| json!({ "id": place, "text": texts[place] }).to_string() + "\n";
            let body: String = places.iter().map(line).collect();
            let answer = connection.send("POST", "/score", LINES, body.as_bytes()).unwrap();
            let lines: Vec<serde_json::Value> =
                answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), places.len());
            for (line, &place) in lines.iter().zip(places) {
                assert_eq!(line["id"], place);
                same(score(line).0, place);
            }
        }
        _ => {
            let pairs: Vec<_> = of.iter().map(|text| json!({ "a": text, "b": text })).collect();
            let body = json!({ "pairs": pairs }).to_string();
            let answer = connection.send("POST", "/compare", JSON, body.as_bytes()).unwrap();
            let json = answer.json();
            for (result, &place) in json["results"].as_array().unwrap().iter().zip(places) {
                assert!(
                    (result["comparisons"]["grammar"]["preference"].as_f64().unwrap() - 0.5).abs() < 1e-4,
                    "{result}"
                );
                result["texts"].as_array().unwrap().iter().for_each(|text| same(score(text).0, place));
            }
        }
    }
}
