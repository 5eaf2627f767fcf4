//! The lead: how far everybody is, links, and what was collected, from the page instead of the command line.

use serde_json::{Value, json};

use crate::client::{BEGIN, Client, LEAD, Server, documents, export};
use crate::common::Folder;

/// The token of a link that the lead was given.
fn token(answer: &Value) -> String {
    answer["link"].as_str().unwrap().split_once("/judge#").unwrap().1.to_owned()
}

/// Answers so many pairs; every fifth is skipped.
fn judge(server: &Server, judge: &str, pairs: usize) {
    let mut client = server.client(judge);
    for place in 0..pairs {
        let view = client.next();
        let side = |side: &str| view["pair"][side].as_str().unwrap().to_owned();
        let answer = match () {
            () if place % 5 == 4 => "skip",
            () if judge == "bob" && place % 3 == 2 => "tie",
            () if side("left") > side("right") => "left",
            () => "right",
        };
        let reply = client.judge(&view["pair"]["handout"], &format!("{judge} {place}"), answer);
        assert_eq!(reply.status, 200);
    }
}

#[test]
fn the_lead_sees_what_the_commands_say() {
    let folder = documents(12);
    let options = "--rate 1000 --shared 1 --repeat-share 0.3 --per-judge 30";
    let server = Server::start(&folder, &format!("{BEGIN} {options} --judge cy"));
    let mut lead = server.client(LEAD);
    let empty = lead.get("/api/lead").json();
    assert_eq!((&empty["judgements"], &empty["trust"]), (&json!(0), &json!("No judgements yet")));
    assert_eq!((&empty["trait"], &empty["documents"]), (&json!("grammar"), &json!(12)));
    judge(&server, "ann", 30);
    judge(&server, "bob", 20);

    let view = lead.get("/api/lead").json();
    assert_eq!(
        (&view["judgements"], &view["skipped"], &view["per_judge"]),
        (&json!(40), &json!(10), &json!(30))
    );
    export(&folder);
    let printed = folder.run("judgements stats log.jsonl --json").expect(0);
    let stats: Value = serde_json::from_str(&printed).unwrap();
    for key in [
        "trust",
        "unconnected_parts",
        "scale_separation",
        "split_half",
        "split_half_judges",
        "median_ms",
        "agreement",
    ] {
        assert_eq!(view[key], stats[key], "{key}");
    }
    assert!(view["trust"].as_str().unwrap().starts_with("Not reliable yet"));
    let words = folder.run("judgements stats log.jsonl").expect(0);
    assert!(words.contains(view["trust"].as_str().unwrap()), "{words}");

    let judges = view["judges"].as_array().unwrap();
    for (place, (name, done, skipped)) in
        [("ann", 30, 6), ("bob", 20, 4), ("cy", 0, 0)].into_iter().enumerate()
    {
        let judge = &judges[place];
        assert_eq!(
            (&judge["name"], &judge["done"], &judge["skipped"]),
            (&json!(name), &json!(done), &json!(skipped))
        );
        assert_eq!(judge["stats"], stats["judges"][place], "as the command says");
        assert_eq!(judge["has_link"], json!(true));
        assert_eq!(judge["seen"].is_null(), done == 0);
        assert!(judge["seen"].as_str().unwrap_or_default() <= view["now"].as_str().unwrap());
    }
    let ann = &judges[0]["stats"];
    assert!(ann["repeats"].as_u64() > Some(0) && ann["compared"].as_u64() > Some(0), "{ann}");
    assert_eq!(
        (&ann["compared"], &ann["agreed"]),
        (&judges[1]["stats"]["compared"], &judges[1]["stats"]["agreed"])
    );
}

#[test]
fn the_lead_exports_what_the_commands_write() {
    let folder = documents(8);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000 --shared 1"));
    judge(&server, "ann", 15);
    judge(&server, "bob", 15);
    let handout = server.client("bob").next()["pair"]["handout"].clone();
    let note = json!({ "handout": handout, "side": "left", "note": "=cut short" });
    assert_eq!(server.client("bob").ask("/api/flags", &note).unwrap().status, 200);
    let mut lead = server.client(LEAD);
    folder.run("judgements export c.sqlite --output log.jsonl --flags flags.csv").expect(0);
    folder.run("judgements export c.sqlite --output log.csv").expect(0);
    folder.run("judgements fit log.jsonl --output fit.csv").expect(0);
    for (path, file, kind) in [
        ("judgements.jsonl", "log.jsonl", "application/jsonl"),
        ("judgements.csv", "log.csv", "text/csv; charset=utf-8"),
        ("fit.csv", "fit.csv", "text/csv; charset=utf-8"),
        ("flags.csv", "flags.csv", "text/csv; charset=utf-8"),
    ] {
        let answer = lead.get(&format!("/api/lead/{path}"));
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, kind));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.body, folder.bytes(file), "{path}");
    }
    let of = |log: &str| folder.run(&format!("judgements stats {log} --json")).expect(0);
    assert_eq!(of("log.csv"), of("log.jsonl"), "both are the log");
    assert_eq!(lead.get("/api/lead/other.csv").status, 404);
}

#[test]
fn the_lead_makes_links_and_ends_them() {
    let folder = documents(6);
    let mut server = Server::start(&folder, &format!("{BEGIN} --rate 1000"));
    let address = server.address.clone();
    let status = |token: &str| Client::new(&address, token).ask("/api/next", &json!({})).unwrap().status;
    let mut lead = server.client(LEAD);
    let mut post = |what: &str, name: &str| {
        let answer = lead.ask(&format!("/api/lead/{what}"), &json!({ "judge": name })).unwrap();
        (answer.status, answer.json())
    };
    let (code, eve) = post("judges", " eve ");
    assert_eq!((code, &eve["judge"]), (200, &json!("eve")));
    assert!(eve["link"].as_str().unwrap().starts_with(&format!("http://{address}/judge#")));
    assert_eq!(status(&token(&eve)), 200);
    let ann = server.tokens["ann"].clone();
    judge(&server, "ann", 3);
    let (code, renewed) = post("links", "ann");
    assert_eq!((code, status(&ann), status(&token(&renewed))), (200, 401, 200));
    assert_eq!((post("off", "ann").0, status(&token(&renewed)), status(&token(&eve))), (200, 401, 200));
    for (what, name, code) in [
        ("judges", "ann", 409),
        ("judges", " ", 400),
        ("judges", "a\u{7}", 400),
        ("links", "who", 404),
        ("off", "who", 404),
    ] {
        assert_eq!(post(what, name).0, code, "{what} {name}");
    }
    let view = server.client(LEAD).get("/api/lead").json();
    assert_eq!((&view["judges"][0]["has_link"], &view["judges"][0]["done"]), (&json!(false), &json!(3)));
    assert_eq!(export(&folder).len(), 3, "what was judged stays");

    server.kill();
    let again = Server::start(&folder, "--port 0 --judge ann");
    assert!(again.tokens.is_empty(), "a link that is off stays off, and the lead keeps theirs");
    let status =
        |token: &str| Client::new(&again.address, token).ask("/api/next", &json!({})).unwrap().status;
    assert_eq!((status(&token(&renewed)), status(&token(&eve))), (401, 200));
    let mut lead = Client::new(&again.address, &server.tokens[LEAD]);
    let back = lead.ask("/api/lead/links", &json!({ "judge": "ann" })).unwrap().json();
    assert_eq!(status(&token(&back)), 200);
    assert_eq!(lead.get("/api/lead").json()["judges"][0]["has_link"], json!(true));
}

#[test]
fn nobody_else_is_the_lead() {
    let folder = documents(5);
    let mut server = Server::start(&folder, BEGIN);
    let (ann, lead) = (server.tokens["ann"].clone(), server.tokens[LEAD].clone());
    let gets = ["/api/lead", "/api/lead/judgements.jsonl", "/api/lead/flags.csv", "/api/lead/fit.csv"];
    let posts = ["/api/lead/judges", "/api/lead/links", "/api/lead/off"];
    for token in [ann.as_str(), "", &lead.to_uppercase(), &format!("{lead}0")] {
        let mut client = Client::new(&server.address, token);
        for path in gets {
            let answer = client.get(path);
            assert_eq!(
                (answer.status, answer.headers["www-authenticate"].as_str()),
                (401, "Bearer"),
                "{path}"
            );
        }
        for path in posts {
            assert_eq!(client.ask(path, &json!({ "judge": "ann" })).unwrap().status, 401, "{path}");
        }
    }
    assert_eq!(server.client(LEAD).ask("/api/next", &json!({})).unwrap().status, 401, "the lead is no judge");
    let foreign = format!("Authorization: Bearer {lead}\r\nOrigin: http://evil.example\r\n");
    let answer = Client::new(&server.address, "").send("GET", "/api/lead", &foreign, b"").unwrap();
    assert_eq!(answer.status, 403);
    let long = json!({ "judge": "x".repeat(5000) });
    assert_eq!(server.client(LEAD).ask("/api/lead/judges", &long).unwrap().status, 413);
    assert_eq!(server.client(LEAD).ask("/api/lead/judges", &json!({ "name": "x" })).unwrap().status, 400);
    for name in folder.files("") {
        assert!(!folder.bytes(&name).windows(lead.len()).any(|window| window == lead.as_bytes()), "{name}");
    }
    server.kill();
    let renewed = Server::start(&folder, "--port 0 --new-lead-link");
    assert_eq!(Client::new(&renewed.address, &lead).get("/api/lead").status, 401);
    assert_eq!(renewed.client(LEAD).get("/api/lead").status, 200);
}

#[test]
fn the_lead_has_the_rate_of_a_judge() {
    let folder = documents(5);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 0.01"));
    let mut lead = server.client(LEAD);
    let codes: Vec<u16> = (0..3).map(|_| lead.get("/api/lead").status).collect();
    assert_eq!(codes, [200, 429, 429]);
    assert!(server.client("ann").next()["pair"].is_object(), "judges have their own");
}

/// A database that was begun before there was a page for leads.
#[test]
fn an_older_collection_gets_a_link_too() {
    let folder: Folder = documents(5);
    Server::start(&folder, BEGIN).kill();
    let database = rusqlite::Connection::open(folder.path("c.sqlite")).unwrap();
    database.execute_batch("DROP TABLE lead; DROP TABLE links_off").unwrap();
    drop(database);
    let server = Server::start(&folder, "--port 0");
    assert_eq!(server.client(LEAD).get("/api/lead").status, 200);
}
