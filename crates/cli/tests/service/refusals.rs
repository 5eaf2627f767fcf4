//! Everything that is refused, each with its status.

use serde_json::json;

use crate::common::Folder;
use crate::common::http::Connection;
use crate::server::{JSON, Server, bundle, essays};

const KEY: &str = "0123456789abcdef";

#[test]
fn who_has_no_key_gets_nothing_but_what_is_open() {
    let folder = Folder::empty();
    folder.write("keys.txt", format!("# the school\n{KEY}\nanother-key-of-the-file\n"));
    let server = Server::of_bundle(&folder, "--keys keys.txt");
    let body = json!({ "text": "A text." }).to_string();
    let ask = |method: &str, path: &str, headers: &str| {
        server.send(method, path, &format!("{JSON}{headers}"), body.as_bytes())
    };
    for headers in
        ["", "Authorization: Bearer \r\n", "Authorization: Bearer 0123456789abcdee\r\n", "Cookie: a=b\r\n"]
    {
        for (method, path) in [
            ("POST", "/score"),
            ("POST", "/compare"),
            ("POST", "/embed"),
            ("GET", "/scorers"),
            ("GET", "/metrics"),
        ] {
            let answer = ask(method, path, headers);
            assert_eq!(
                (answer.status, answer.headers["www-authenticate"].as_str()),
                (401, "Bearer"),
                "{path}"
            );
        }
    }
    for key in [KEY, "another-key-of-the-file"] {
        assert_eq!(ask("POST", "/score", &format!("Authorization: Bearer {key}\r\n")).status, 200);
    }
    for open in ["/", "/try.js", "/try.css", "/healthz", "/openapi.json"] {
        let answer = server.get(open);
        assert_eq!(answer.status, 200, "{open}");
        assert!(!answer.text().contains(KEY));
    }
    assert!(server.get("/openapi.json").json()["paths"]["/score"]["post"].get("security").is_none());
}

#[test]
fn bodies_that_are_not_what_is_asked_for() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--body-limit 5000");
    let huge = json!({ "text": "word ".repeat(2000) }).to_string();
    for (path, headers, body, status, code) in [
        ("/score", JSON, "{\"text\": ", 400, "bad_request"),
        ("/score", JSON, "{\"text\": \"\\u0000\\ud800\"}", 400, "bad_request"),
        ("/score", JSON, "null", 400, "bad_request"),
        ("/compare", JSON, "{\"text\": \"A text.\"}", 400, "bad_request"),
        ("/score", "", "{\"text\": \"A text.\"}", 415, "wrong_content_type"),
        ("/score", "Content-Type: text/plain\r\n", "{\"text\": \"A text.\"}", 415, "wrong_content_type"),
        ("/score?scorer=other", JSON, "{\"text\": \"A text.\"}", 404, "no_such_scorer"),
        ("/score?scorer=", JSON, "{\"text\": \"A text.\"}", 404, "no_such_scorer"),
        ("/score?truncate=perhaps", JSON, "{\"text\": \"A text.\"}", 400, "bad_request"),
        ("/score?scorers=bundle", JSON, "{\"text\": \"A text.\"}", 400, "bad_request"),
        ("/score", JSON, &huge, 413, "too_large"),
    ] {
        let answer = server.send("POST", path, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{path} {body:.40}");
        assert_eq!(answer.json()["error"]["code"], code, "{path} {body:.40}");
        let said = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(status != 413 || said.contains("longer than 5000 bytes (--body-limit)"), "{said}");
        let of_address = status == 400 && path.contains('?');
        assert!(!of_address || said.contains("scorer=NAME and truncate=false"), "{said}");
    }
    let invalid = server.send("POST", "/score", JSON, b"{\"text\": \"\xff\xfe\"}");
    assert_eq!(invalid.status, 400);
    for (method, path, status) in [
        ("GET", "/score", 405),
        ("DELETE", "/scorers", 405),
        ("GET", "/nothing", 404),
        ("POST", "/api/next", 404),
    ] {
        let answer = server.send(method, path, "", b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"]["message"].is_string());
    }
    // After all this it still answers.
    assert_eq!(server.post("/score", &json!({ "text": "A text." })).status, 200);
}

#[test]
fn a_body_of_fifty_megabytes_is_not_read() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    // The rest is not read, so that sending it may fail.
    if let Ok(answer) = server.connect().send("POST", "/score", JSON, &vec![b' '; 50_000_000]) {
        assert_eq!(answer.status, 413);
    }
    assert_eq!(server.post("/score", &json!({ "text": "A text." })).status, 200);
}

#[test]
fn more_than_may_wait_is_told_when_to_come_back() {
    let folder = Folder::empty();
    // Batches of one text, so that others wait long enough.
    let server = Server::of_bundle(&folder, "--queue-tokens 4000 --batch-tokens 1");
    let texts: Vec<String> = essays(40).iter().map(|text| text.chars().take(300).collect()).collect();
    let too_many = server.post("/score", &json!({ "texts": essays(200) }));
    assert_eq!((too_many.status, &too_many.json()["error"]["code"]), (413, &json!("too_many")));
    let body = json!({ "texts": texts });
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| server.post("/score", &body))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        let wait: u64 = answer.headers["retry-after"].parse().unwrap();
        assert!((1..=120).contains(&wait));
        assert_eq!(answer.json()["error"]["code"], "busy");
    }
    assert_eq!(server.post("/score", &body).status, 200);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("pair2score_queue_tokens 0\n"), "{metrics}");
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(metrics.contains(&format!("route=\"/score\",status=\"429\"}} {refused}\n")), "{metrics}");
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is() {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("empty.txt", "# none\n");
    folder.write("short.txt", "secret\n");
    folder.write("lr=1/grammar/note.txt", "no scorer");
    let bundle = bundle();
    for (args, parts) in [
        ("--scorer nowhere", vec!["nowhere: is not a scorer"]),
        // A folder that is there, and not 1/grammar by the name of lr.
        ("--scorer lr=1/grammar", vec!["lr=1/grammar: is not a scorer"]),
        ("--scorer scorer other/scorer", vec!["two are called \"scorer\"", "NAME=other/scorer"]),
        ("--scorer scorer --site site", vec!["--site cannot be used with --scorer"]),
        ("--scorer scorer --host 0.0.0.0", vec!["--host 0.0.0.0 lets other machines in", "--allow-remote"]),
        ("--scorer scorer --keys empty.txt", vec!["empty.txt: holds no key"]),
        ("--scorer scorer --keys short.txt", vec!["short.txt: line 1 is not a key"]),
        ("--scorer scorer --keys missing.txt", vec!["missing.txt"]),
        (
            &format!("--scorer {bundle} --queue-tokens 100"),
            vec!["--queue-tokens 100 has no room", "at least 1024"],
        ),
        ("--keys empty.txt", vec!["--scorer"]),
    ] {
        let outcome = folder.run(&format!("serve --port 0 {args}"));
        assert_eq!(outcome.code, Some(2), "{args}: {outcome:?}");
        for part in parts {
            assert!(outcome.stderr.contains(part), "{args}: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
    }
}

/// As export/Dockerfile starts it: what listens on all addresses was allowed to, and says what that means.
#[test]
fn other_machines_are_let_in_where_that_is_allowed() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "--host 0.0.0.0 --allow-remote");
    let port = server.address.strip_prefix("0.0.0.0:").unwrap();
    let mut connection = Connection::new(&format!("127.0.0.1:{port}"));
    let body = json!({ "text": "A text." }).to_string();
    assert_eq!(connection.send("POST", "/score", JSON, body.as_bytes()).unwrap().status, 200);
    let dockerfile = include_str!("../../../../export/Dockerfile");
    assert!(dockerfile.contains(r#"["pair2score", "serve", "--host", "0.0.0.0", "--allow-remote"]"#));
}

/// A page elsewhere whose name was made to lead here is of the same origin to its browser.
#[test]
fn a_name_from_elsewhere_is_no_name_of_this_machine() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    let port = server.address.split(':').nth(1).unwrap();
    let ask = |server: &Server, host: &str, path: &str| {
        Connection::calling(&server.address, host).send("GET", path, "", b"").unwrap()
    };
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".into()] {
        assert_eq!(ask(&server, &host, "/scorers").status, 200, "{host}");
    }
    for path in ["/scorers", "/", "/nothing"] {
        let refused = ask(&server, &format!("evil.example:{port}"), path);
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (421, &json!("wrong_host")), "{path}");
    }
    // Who has a key is let in by any name.
    folder.write("keys.txt", KEY);
    let server = Server::of_bundle(&folder, "--keys keys.txt");
    assert_eq!(ask(&server, "scores.example", "/scorers").status, 401);
}

#[test]
fn the_page_may_load_its_own_files_only() {
    let folder = Folder::empty();
    let server = Server::of_bundle(&folder, "");
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    for path in ["/", "/try.js", "/healthz", "/nothing"] {
        let answer = server.get(path);
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers.get("access-control-allow-origin"), None);
    }
}
