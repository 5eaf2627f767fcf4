//! Everything that is refused, each with its status.

use serde_json::{Value, json};

use crate::client::{BEGIN, Client, Server, documents, export};

#[test]
fn who_has_no_token_gets_nothing() {
    let folder = documents(5);
    let server = Server::start(&folder, BEGIN);
    let token = &server.tokens["ann"];
    assert!(token.len() >= 32, "128 bits in hexadecimal digits");
    let wrong = format!("{}{}", &token[1..], "0");
    for authorization in [
        String::new(),
        "Authorization: Bearer \r\n".into(),
        format!("Authorization: Bearer {wrong}\r\n"),
        format!("Authorization: Bearer {token}0\r\n"),
        format!("Authorization: Bearer {}\r\n", token.to_uppercase()),
        format!("Authorization: Basic {token}\r\n"),
        format!("Cookie: token={token}\r\n"),
        "Authorization: \u{e9}\r\n".into(),
    ] {
        for path in [
            "/api/next".to_owned(),
            "/api/judgements".into(),
            "/api/undo".into(),
            "/api/flags".into(),
            format!("/api/next?token={token}"),
        ] {
            let answer = Client::new(&server.address, "").send("POST", &path, &authorization, b"{}").unwrap();
            assert_eq!(answer.status, 401, "{authorization} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert!(!String::from_utf8_lossy(&answer.body).contains("text of"));
        }
    }
    assert!(server.client("ann").next()["pair"].is_object());
    // Only a hash is kept.
    for name in folder.files("") {
        let bytes = folder.bytes(&name);
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{name}");
    }
}

#[test]
fn documents_without_text_are_never_paired() {
    let folder = documents(2);
    folder.write("documents.csv", format!("{}d2,\nd3,\" \n \"\n", folder.text("documents.csv")));
    let server = Server::start(&folder, BEGIN);
    let mut ann = server.client("ann");
    // Two texts are one pair.
    let handout = ann.next()["pair"]["handout"].clone();
    assert!(handout.is_i64());
    assert_eq!(ann.judge(&handout, "one", "left").status, 200);
    assert!(ann.next()["pair"].is_null());
}

#[test]
fn other_pages_are_refused() {
    let folder = documents(5);
    let server = Server::start(&folder, BEGIN);
    let port = server.address.split(':').nth(1).unwrap();
    let send = |origin: &str| {
        let headers = format!("Authorization: Bearer {}\r\nOrigin: {origin}\r\n", server.tokens["ann"]);
        Client::new(&server.address, "").send("POST", "/api/next", &headers, b"{}").unwrap()
    };
    for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
        assert_eq!(send(&origin).status, 200, "{origin}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1", "https://localhost", "\u{e9}"] {
        let answer = send(origin);
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.json()["error"].as_str().unwrap().contains(&server.address));
        assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")), "{answer:?}");
    }
    let answer = Client::new(&server.address, "")
        .send(
            "OPTIONS",
            "/api/next",
            "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
            b"",
        )
        .unwrap();
    assert!(answer.status >= 400 && !answer.headers.contains_key("access-control-allow-origin"));
}

#[test]
fn what_is_no_judgement_is_not_stored() {
    let folder = documents(5);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000"));
    let mut ann = server.client("ann");
    let handout = ann.next()["pair"]["handout"].clone();
    // Characters are counted, whatever bytes they have.
    let good = json!({ "handout": handout, "id": "\u{e9}".repeat(64), "answer": "left", "ms": 10 });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    for (body, status) in [
        (String::new(), 400),
        ("{".into(), 400),
        ("[]".into(), 400),
        (with("answer", json!("both")), 400),
        (with("answer", json!(1)), 400),
        (with("ms", json!(-1)), 400),
        (with("ms", json!(u64::from(u32::MAX) + 1)), 400),
        (with("id", json!("")), 400),
        (with("id", json!("x".repeat(65))), 400),
        (with("handout", json!("1")), 400),
        (with("judge", json!("bob")), 400),
        (with("id", json!("x".repeat(5000))), 413),
        (" ".repeat(20_000), 413),
        (with("handout", json!(99)), 409),
        (with("handout", json!(-1)), 409),
    ] {
        let headers = format!("Authorization: Bearer {}\r\n", ann.token);
        let answer = Client::new(&server.address, "")
            .send("POST", "/api/judgements", &headers, body.as_bytes())
            .unwrap();
        assert_eq!(answer.status, status, "{}: {answer:?}", &body[..body.len().min(200)]);
        let said = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(status != 413 || said == "longer than a judgement may be, which is 4096 bytes", "{said}");
    }
    // So much is not even read: the answer comes, or the connection breaks.
    let headers = format!("Authorization: Bearer {}\r\n", ann.token);
    let flood =
        Client::new(&server.address, "").send("POST", "/api/judgements", &headers, &vec![b' '; 50_000_000]);
    assert!(flood.is_err() || flood.is_ok_and(|answer| answer.status == 413));
    assert_eq!(export(&folder).len(), 0);
    assert_eq!(ann.ask("/api/judgements", &good).unwrap().status, 200);
    assert_eq!(export(&folder).len(), 1);
}

#[test]
fn only_pairs_that_were_given_are_judged() {
    let folder = documents(5);
    let server = Server::start(&folder, BEGIN);
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let (of_ann, of_bob) = (ann.next()["pair"]["handout"].clone(), bob.next()["pair"]["handout"].clone());
    let refused = bob.judge(&of_ann, "1", "left");
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["error"], json!("you were not given this pair"));
    assert_eq!(ann.judge(&of_ann, "1", "left").status, 200);
    assert_eq!(bob.judge(&of_bob, "1", "left").status, 409, "the id is another judgement's");
    assert_eq!(bob.judge(&of_bob, "2", "right").status, 200);
    assert_eq!(export(&folder).len(), 2);
}

#[test]
fn who_asks_too_often_waits() {
    let folder = documents(5);
    // So slow that no machine is slower.
    let server = Server::start(&folder, &format!("{BEGIN} --rate 0.01"));
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let statuses: Vec<u16> = (0..3).map(|_| ann.ask("/api/next", &json!({})).unwrap().status).collect();
    assert_eq!(statuses, [200, 429, 429]);
    let answer = ann.ask("/api/next", &json!({})).unwrap();
    assert!((1..=100).contains(&answer.headers["retry-after"].parse().unwrap()), "{answer:?}");
    assert_eq!(bob.ask("/api/next", &json!({})).unwrap().status, 200, "bob did not ask");
}

#[test]
fn who_has_waited_is_served_again() {
    let folder = documents(5);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 5"));
    let mut ann = server.client("ann");
    let mut ask = || ann.ask("/api/next", &json!({})).unwrap();
    let refused = (0..10_000).map(|_| ask()).find(|answer| answer.status == 429).expect("a limit");
    let wait = refused.headers["retry-after"].parse().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(wait));
    assert_eq!(ask().status, 200);
}

#[test]
fn other_paths_and_methods() {
    let folder = documents(5);
    let server = Server::start(&folder, BEGIN);
    let get =
        |method: &str, path: &str| Client::new(&server.address, "").send(method, path, "", b"").unwrap();
    for path in ["/", "/c.sqlite", "/documents.csv", "/../documents.csv", "/judge/", "/api", "/api/export"] {
        let answer = get("GET", path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
    }
    assert_eq!(get("POST", "/judge").status, 405);
    assert_eq!(get("GET", "/api/next").status, 401);
}

#[test]
fn command_lines_that_cannot_work() {
    let folder = documents(5);
    let first = "serve --collect c.sqlite --documents documents.csv --trait grammar --judge ann --port 0";
    folder.write("one.csv", "text_id,full_text\na,text\n");
    folder.write("page/index.html", "page");
    for (args, message) in [
        (
            "serve --collect c.sqlite --judge ann".to_owned(),
            "c.sqlite: nothing was collected there yet; begin with",
        ),
        (format!("{first} --host 0.0.0.0"), "TLS in front"),
        (format!("{first} --host 192.168.0.1"), "or add --allow-remote"),
        (format!("{first} --host ::"), "--allow-remote"),
        (format!("{first} --shared 2"), "--shared 2 is not a share"),
        (format!("{first} --repeat-share 1"), "--repeat-share 1 is not a share"),
        (format!("{first} --per-judge 0"), "give a number from 1 on, or all"),
        (format!("{first} --rate 0"), "--rate 0 is not in the range of 0.001 to 1000000 requests per second"),
        (format!("{first} --rate 1e-300"), "is not in the range of 0.001"),
        (format!("{first} --rate inf"), "--rate inf is not in the range"),
        (format!("{first} --rate NaN"), "--rate NaN is not in the range"),
        (first.replace("--judge ann", "--judge \u{7}"), "is not a judge's name"),
        (first.replace("--judge ann", "--judge ann\u{200b}"), "that nobody sees (U+200B)"),
        (first.replace("documents.csv", "absent.csv"), "cannot read absent.csv"),
        (format!("{first} --rubric absent.txt"), "cannot read absent.txt"),
        (
            format!("{first} --page page"),
            "page: has no built page (annotate.html); build it with scripts/web.sh",
        ),
        (format!("{first} --site page"), "cannot be used with"),
        ("serve --site page --judge ann".into(), "--collect <FILE>"),
        ("serve --backbone page --scorer page".into(), "--collect <FILE>"),
        ("serve --site page --device cpu".into(), "a site computes in the browser"),
        (format!("{first} --scorer one two"), "one scorer; name one with --scorer"),
        (format!("{first} --scorer one --backbone two"), "cannot be used with"),
        (format!("{first} --scorer one --keys keys.txt"), "cannot be used with"),
        (format!("{first} --scorer one --selection balanced"), "--selection balanced asks no scorer"),
        (format!("{first} --prompt-col task"), "--prompt-col: judges are shown texts alone"),
        ("serve --judge ann".into(), "--collect <FILE>"),
    ] {
        let outcome = folder.run(&args);
        assert_eq!(outcome.code, Some(2), "{args}");
        assert!(outcome.stderr.contains(message), "{args}: {}", outcome.stderr);
        assert!(!folder.path("c.sqlite").exists(), "{args} wrote");
    }
    for (args, message) in [
        (first.replace("documents.csv", "one.csv"), "no two documents"),
        (first.replace("--judge ann", ""), "nobody to judge; add --judge"),
        (format!("{first} --host 0.0.0.0 --allow-remote"), "say with --public-url"),
        (format!("{first} --public-url nonsense"), "nonsense is not an address"),
        (format!("{first} --scorer absent"), "absent"),
        (format!("{first} --new-link eve"), "--new-link eve: there is no such judge"),
        (first.replace("grammar", "syntax"), "is about \"grammar\""),
    ] {
        let outcome = folder.run(&args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{args}");
        assert!(outcome.stderr.contains(message), "{args}: {}", outcome.stderr);
    }
    folder.write("empty.sqlite", "");
    folder.write("other.sqlite", "not a database, but long enough to look at. ".repeat(50));
    for (args, message) in [
        ("judgements export absent.sqlite --output log.jsonl", "absent.sqlite: cannot open the collection"),
        ("judgements export other.sqlite --output log.jsonl", "other.sqlite: cannot open the collection"),
        ("judgements export empty.sqlite --output log.jsonl", "it holds no collection"),
    ] {
        let outcome = folder.run(args);
        assert_eq!(outcome.code, Some(2), "{args}");
        assert!(
            outcome.stderr.starts_with("error: ") && outcome.stderr.contains(message),
            "{}",
            outcome.stderr
        );
    }
    assert!(folder.bytes("empty.sqlite").is_empty(), "what is only read is not written");
    assert!(!folder.path("log.jsonl").exists());
}
