//! Judges at work: what they see, what is kept, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pair2score_data::{Layout, read_texts};
use serde_json::{Value, json};

use crate::client::{BEGIN, Client, LEAD, Server, documents, export};
use crate::common::Folder;

#[test]
fn a_session_to_the_end() {
    let folder = documents(4);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000 --question Who? --shared 0"));
    let mut ann = server.client("ann");
    let mut view = ann.next();
    let mut expected = Vec::new();
    let mut seen = BTreeSet::new();
    for (place, answer) in ["left", "right", "tie", "skip", "left", "right"].iter().enumerate() {
        assert_eq!(
            (&view["question"], &view["done"], &view["total"]),
            (&json!("Who?"), &json!(place), &Value::Null)
        );
        let pair = &view["pair"];
        let keys: Vec<&String> = pair.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["handout", "left", "right"], "nothing says which documents they are");
        let id = |side: &str| pair[side].as_str().unwrap().strip_prefix("text of ").unwrap().to_owned();
        let (left, right) = (id("left"), id("right"));
        let mut unordered = [left.clone(), right.clone()];
        unordered.sort();
        assert!(seen.insert(unordered), "the same pair twice");
        if let Some(y) = [Some(1.0), Some(0.0), Some(0.5), None, Some(1.0), Some(0.0)][place] {
            expected.push((left, right, y));
        }
        assert_eq!(ann.next(), view, "asking again changes nothing");
        let reply = ann.judge(&pair["handout"], &place.to_string(), answer);
        assert_eq!(reply.status, 200);
        view = reply.json();
    }
    assert_eq!((&view["pair"], &view["done"], &view["skipped"]), (&Value::Null, &json!(6), &json!(1)));

    let log = export(&folder);
    let stored: Vec<(String, String, f64)> = log
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["judge"], &line["trait"], &line["ms"]),
                (&json!("ann"), &json!("grammar"), &json!(1500))
            );
            assert_eq!(line["shown_left"], line["a"]);
            let id = |key: &str| line[key].as_str().unwrap().to_owned();
            (id("a"), id("b"), line["y"].as_f64().unwrap())
        })
        .collect();
    assert_eq!(stored, expected);
    assert_eq!(log.iter().map(|line| line["at"].as_str().unwrap()).collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn a_retry_and_a_double_click_store_one() {
    let folder = documents(5);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000"));
    let mut ann = server.client("ann");
    let handout = ann.next()["pair"]["handout"].clone();
    // Twenty at once on connections of their own.
    let replies: Vec<Value> = std::thread::scope(|scope| {
        let send = || {
            let reply = server.client("ann").judge(&handout, "x", "left");
            assert_eq!(reply.status, 200);
            reply.json()
        };
        let sent: Vec<_> = (0..20).map(|_| scope.spawn(send)).collect();
        sent.into_iter().map(|reply| reply.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|reply| *reply == replies[0]), "all go on with the same pair");
    assert_eq!(ann.judge(&handout, "x", "right").status, 409);
    assert_eq!(ann.judge(&handout, "y", "left").status, 409);
    let log = export(&folder);
    assert_eq!((log.len(), &log[0]["y"]), (1, &json!(1)));
}

#[test]
fn a_kill_loses_nothing() {
    let folder = documents(6);
    let mut server = Server::start(&folder, BEGIN);
    let mut ann = server.client("ann");
    let first = ann.next()["pair"]["handout"].clone();
    let before = ann.judge(&first, "1", "left").json();
    server.kill();
    let again = Server::start(&folder, "--port 0");
    assert!(again.tokens.is_empty(), "links are shown once");
    let mut ann = Client::new(&again.address, &ann.token);
    assert_eq!(ann.next(), before, "the pair on the screen is still hers");
    assert_eq!(ann.judge(&first, "1", "left").status, 200, "the acknowledgement may have been lost");
    assert_eq!(ann.judge(&before["pair"]["handout"], "2", "right").status, 200);
    assert_eq!(export(&folder).len(), 2);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_cleanly() {
    let folder = documents(6);
    let mut server = Server::start(&folder, BEGIN);
    let mut ann = server.client("ann");
    let handout = ann.next()["pair"]["handout"].clone();
    ann.judge(&handout, "1", "left");
    assert_eq!(server.interrupt(), Some(0));
    // Everything is in the one file, which can be copied.
    assert_eq!(folder.files("").into_iter().collect::<Vec<_>>(), ["c.sqlite", "documents.csv"]);
    assert_eq!(export(&folder).len(), 1);
}

#[test]
fn links_are_renewed_and_judges_added() {
    let folder = documents(6);
    let mut server = Server::start(&folder, BEGIN);
    let old = server.tokens.clone();
    let handout = server.client("ann").next();
    server.kill();
    let server = Server::start(&folder, "--port 0 --judge bob --judges 2 --new-link ann");
    assert_eq!(server.tokens.keys().collect::<Vec<_>>(), ["ann", "judge 1", "judge 2"]);
    assert_eq!(server.client("ann").next(), handout, "ann goes on where she was");
    let status =
        |token: &str| Client::new(&server.address, token).ask("/api/next", &json!({})).unwrap().status;
    assert_eq!((status(&old["ann"]), status(&old["bob"])), (401, 200));
}

#[test]
fn adaptive_pairs_a_number_of_pairs_and_repeats() {
    let folder = documents(12);
    let options = "--rate 1000 --selection adaptive --per-judge 40 --repeat-share 0.3";
    let server = Server::start(&folder, &format!("{BEGIN} {options}"));
    let mut pairs = Vec::new();
    for judge in ["ann", "bob"] {
        let mut client = server.client(judge);
        let mut view = client.next();
        for place in 0..40 {
            assert_eq!(view["total"], json!(40));
            let side = |side: &str| view["pair"][side].as_str().unwrap().to_owned();
            let (left, right) = (side("left"), side("right"));
            pairs.push((judge, left.clone(), right.clone()));
            let answer = if left > right { "left" } else { "right" };
            view = client.judge(&view["pair"]["handout"], &format!("{judge} {place}"), answer).json();
        }
        assert_eq!((&view["pair"], &view["done"]), (&Value::Null, &json!(40)));
    }
    let turned =
        |(judge, left, right): &(&'static str, String, String)| (*judge, right.clone(), left.clone());
    assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), pairs.len(), "the same showing twice");
    assert!(pairs.iter().filter(|pair| pairs.contains(&turned(pair))).count() > 10, "no repeats");
}

#[test]
fn a_later_start_goes_on_as_the_one_before() {
    let folder = documents(12);
    let mut server = Server::start(&folder, &format!("{BEGIN} --per-judge 3 --seed 7"));
    let token = server.tokens["ann"].clone();
    server.kill();
    let total = |options: &str| {
        let mut server = Server::start(&folder, &format!("--port 0 {options}"));
        let total = Client::new(&server.address, &token).next()["total"].clone();
        server.kill();
        total
    };
    assert_eq!(total(""), json!(3));
    assert_eq!([total("--per-judge 5"), total("")], [json!(5), json!(5)]);
    assert_eq!([total("--per-judge all"), total("")], [Value::Null, Value::Null]);
}

/// Answers so many pairs of ann's.
fn answer(address: &str, token: &str, ids: std::ops::Range<usize>) {
    let mut ann = Client::new(address, token);
    for id in ids {
        let handout = ann.next()["pair"]["handout"].clone();
        assert_eq!(ann.judge(&handout, &id.to_string(), "left").status, 200);
    }
}

#[test]
fn an_import_keeps_all_that_was_judged_within_splits() {
    let folder = documents(59);
    let whole = folder.text("documents.csv");
    folder.write("documents.csv", format!("{whole}d59,\n"));
    let begin = format!("{BEGIN} --rate 1000 --within-splits");
    // A document that nobody judges would have a place among the splits of the import.
    let refused = folder.run(&format!("serve --collect c.sqlite {begin}"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("documents.csv: 1 of 60 documents have no text"), "{refused:?}");
    folder.write("documents.csv", whole);

    let mut server = Server::start(&folder, &begin);
    let token = server.tokens["ann"].clone();
    answer(&server.address, &token, 0..80);
    server.kill();
    // A later start goes on within splits, and is as strict.
    folder.write("more.csv", "text_id,full_text\nd60,\nd61,A text.\n");
    let refused = folder.run("serve --collect c.sqlite --port 0 --documents more.csv");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("more.csv: 1 of 2 documents have no text"), "{refused:?}");
    let server = Server::start(&folder, "--port 0 --rate 1000");
    answer(&server.address, &token, 80..100);
    assert_eq!(export(&folder).len(), 100);
    let import = "judgements import log.jsonl --documents documents.csv --output-dir cache";
    let said = folder.run(import).expect(0);
    assert!(said.contains("100 in the cache") && said.contains(" 0 across"), "{said}");
}

/// How far apart the scores of two documents are that a judge gets, on average over 30 pairs from a server with these
/// options.
fn distance(folder: &Folder, scores: &BTreeMap<String, f64>, options: &str) -> f64 {
    let begin = "--documents essays.csv --trait grammar --port 0 --judge ann --rate 1000 --shared 0";
    let server = Server::start(folder, &format!("{begin} {options}"));
    let mut ann = server.client("ann");
    let mut view = ann.next();
    let mut sum = 0.0;
    for place in 0..30 {
        let score = |side: &str| scores[view["pair"][side].as_str().unwrap()];
        let difference = score("left") - score("right");
        sum += difference.abs();
        let answer = if difference > 0.0 { "left" } else { "right" };
        view = ann.judge(&view["pair"]["handout"], &format!("{place}"), answer).json();
    }
    sum / 30.0
}

#[test]
fn a_scorer_that_reads_the_documents_has_close_ones_compared() {
    let folder = Folder::empty();
    let product = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scorer = product.join("export/bundle").display().to_string();
    let essays = std::fs::read_to_string(product.join("data/demo/essays.csv")).unwrap();
    folder.write("essays.csv", essays.lines().take(41).collect::<Vec<_>>().join("\n"));
    folder.run(&format!("score --scorer {scorer} --input essays.csv --output scores.csv")).expect(0);
    let texts = read_texts(folder.path("essays.csv"), &Layout::default()).unwrap();
    let score = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
    let scored = texts.iter().zip(folder.text("scores.csv").lines().skip(1).map(score).collect::<Vec<f64>>());
    let scores = scored.map(|(document, score)| (document.text.clone(), score)).collect();

    let at_random = distance(&folder, &scores, "");
    folder.remove("c.sqlite");
    let chosen = distance(&folder, &scores, &format!("--scorer {scorer}"));
    assert!(chosen < 0.6 * at_random, "{chosen} {at_random}");
    // What was read is kept beside the collection.
    let kept = folder.files("c.sqlite-embeddings");
    assert!(!kept.is_empty());
    let server = Server::start(&folder, &format!("--port 0 --scorer {scorer} --new-lead-link"));
    assert_eq!(folder.files("c.sqlite-embeddings"), kept);

    // The lead hears what `judgements fit` says with the same scorer.
    let fit = format!(
        "judgements fit log.jsonl --documents essays.csv --scorer {scorer} --cache c.sqlite-embeddings"
    );
    assert_eq!(export(&folder).len(), 30);
    let said = folder.run(&format!("{fit} --output fit.csv")).expect(0);
    let mut lead = server.client(LEAD);
    assert_eq!(lead.get("/api/lead").json()["trust"].as_str(), said.lines().next());
    assert_eq!(lead.get("/api/lead/fit.csv").text(), folder.text("fit.csv"));
}

#[test]
fn the_page_is_complete_and_strict() {
    let folder = documents(5);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web");
    for name in ["annotate.html", "lead.html"] {
        folder.write(&format!("page/{name}"), std::fs::read(format!("{source}/{name}")).unwrap());
    }
    for (name, content) in [
        ("page/assets/annotate-1a2b.js", "code"),
        ("page/icon.svg", "<svg/>"),
        ("page/index.html", "another page"),
        ("page/sw.js", "worker"),
        ("page/bundle/manifest.json", "scorer"),
    ] {
        folder.write(name, content);
    }
    let server = Server::start(&folder, &format!("{BEGIN} --page page"));
    let mut client = Client::new(&server.address, "");
    let mut get = |path: &str, kind: &str, keep: &str| {
        let answer = client.send("GET", path, "", b"").unwrap();
        let policy = &answer.headers["content-security-policy"];
        assert!(
            policy.contains("script-src 'self';") && policy.starts_with("default-src 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, kind), "{path}");
        assert_eq!(answer.headers["cache-control"], keep, "{path}");
        String::from_utf8(answer.body).unwrap()
    };
    let page = get("/judge", "text/html", "no-cache");
    get("/icon.svg", "image/svg+xml", "no-cache");
    get("/assets/annotate-1a2b.js", "text/javascript", "public, max-age=31536000, immutable");
    let page_of_lead = get("/lead", "text/html", "no-cache");
    for hook in ["left-text", "right-text", "choose-left", "choose-right", "tie", "skip", "undo", "progress"]
    {
        assert!(page.contains(&format!("data-testid=\"{hook}\"")), "{hook}");
    }
    // Nothing that the policy would stop.
    for page in [page, page_of_lead] {
        assert!(!page.contains("style=") && !page.contains("onclick"));
        assert_eq!(page.matches("<script").count(), 1);
    }
    // The rest of the site is another page's.
    for path in [
        "/annotate.html",
        "/lead.html",
        "/index.html",
        "/sw.js",
        "/bundle/manifest.json",
        "/assets/../index.html",
    ] {
        assert_eq!(client.send("GET", path, "", b"").unwrap().status, 404, "{path}");
    }
}

#[test]
fn what_counts_is_kept_and_shown() {
    let folder = documents(5);
    folder.write("rubric.txt", "Commas.\nAnd articles.\n");
    let mut server = Server::start(&folder, &format!("{BEGIN} --rubric rubric.txt"));
    let token = server.tokens["ann"].clone();
    assert_eq!(server.client("ann").next()["rubric"], json!("Commas.\nAnd articles."));
    server.kill();
    let server = Server::start(&folder, "--port 0");
    assert_eq!(Client::new(&server.address, &token).next()["rubric"], json!("Commas.\nAnd articles."));
}

#[test]
fn notes_about_texts_are_kept_and_exported() {
    let folder = documents(5);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000 --shared 1"));
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let shown = ann.next();
    let handout = shown["pair"]["handout"].clone();
    let id = |side: &str| shown["pair"][side].as_str().unwrap().strip_prefix("text of ").unwrap().to_owned();
    assert_eq!(shown["flags"], json!({ "left": null, "right": null }));
    let mut note = |side: &str, note: Value| {
        let body = json!({ "handout": handout, "side": side, "note": note });
        ann.ask("/api/flags", &body).unwrap()
    };
    assert_eq!(note("left", json!("first")).status, 200);
    assert_eq!(note("right", json!("=copied, from \"elsewhere\"")).status, 200);
    let view = note("left", json!("second")).json();
    assert_eq!(view["flags"], json!({ "left": "second", "right": "=copied, from \"elsewhere\"" }));
    assert_eq!((&view["pair"], &view["done"]), (&shown["pair"], &json!(0)), "a note is no answer");
    for (wrong, status) in [(json!(""), 400), (json!(" \n"), 400), (json!("x".repeat(2001)), 400)] {
        assert_eq!(note("left", wrong).status, status);
    }
    assert_eq!(note("left", json!("\u{e9}".repeat(2000))).status, 200);
    assert_eq!(note("left", json!("x".repeat(20_000))).status, 413);
    assert_eq!(note("middle", json!("x")).status, 400);
    assert_eq!(note("left", json!("third")).status, 200);
    // Bob has the same pair, and notes of his own.
    assert_eq!(bob.next()["flags"], json!({ "left": null, "right": null }));
    let of_ann = json!({ "handout": handout, "side": "left", "note": "mine" });
    assert_eq!(bob.ask("/api/flags", &of_ann).unwrap().status, 409);

    let said = folder.run("judgements export c.sqlite --output log.jsonl").expect(0);
    assert!(said.contains("2 notes about documents left out; --flags FILE writes them"), "{said}");
    folder.run("judgements export c.sqlite --output log.jsonl --flags flags.csv").expect(0);
    let text = folder.text("flags.csv");
    let rows: Vec<&str> = text.lines().map(|line| line.rsplit_once(',').unwrap().0).collect();
    let copied = format!("{},\"'=copied, from \"\"elsewhere\"\"\",ann", id("right"));
    assert_eq!(rows, ["id,note,judge", &copied, &format!("{},third,ann", id("left"))]);

    assert_eq!(note("left", Value::Null).json()["flags"]["left"], Value::Null);
    folder.run("judgements export c.sqlite --output log.jsonl --flags flags.csv").expect(0);
    assert_eq!(folder.text("flags.csv").lines().count(), 2);
    let same = folder.run("judgements export c.sqlite --output flags.csv --flags ./flags.csv");
    assert!(same.code == Some(2) && same.stderr.contains("cannot be both the log and the notes"), "{same:?}");
    assert_eq!(folder.text("flags.csv").lines().count(), 2);
}

#[test]
fn a_log_as_a_table_has_the_ids_that_documents_have() {
    let folder = Folder::new();
    folder
        .write("essays.csv", folder.text("essays.csv").replace("\nA0,", "\n-A0,").replace("\nB0,", "\n@B0,"));
    let begin = "--documents essays.csv --trait grammar --port 0 --judge =ann --rate 1000 --per-judge 60";
    let server = Server::start(&folder, begin);
    let mut ann = server.client("=ann");
    let mut view = ann.next();
    while view["pair"].is_object() {
        let handout = view["pair"]["handout"].clone();
        view = ann.judge(&handout, &format!("ann {handout}"), "left").json();
    }
    drop(server);
    folder.run("judgements export c.sqlite --output log.csv").expect(0);
    folder.run("judgements export c.sqlite --output log.jsonl").expect(0);
    let fit = "--documents essays.csv --output";
    folder.run(&format!("judgements fit log.csv {fit} one.csv")).expect(0);
    folder.run(&format!("judgements fit log.jsonl {fit} other.csv")).expect(0);
    assert_eq!(folder.text("one.csv"), folder.text("other.csv"));
    assert!(folder.text("one.csv").contains("\n-A0,") && folder.text("log.csv").contains(",=ann,"));
}

#[test]
fn what_was_collected_is_imported_whole_and_trains() {
    let folder = Folder::new();
    let judged: Vec<String> =
        folder.text("essays.csv").lines().filter(|line| !line.starts_with('E')).map(str::to_owned).collect();
    folder.write("judged.csv", judged.join("\n"));
    let begin = "--documents judged.csv --trait grammar --port 0 --judge ann --judge bob --rate 1000 \
                 --per-judge 150 --within-splits";
    let server = Server::start(&folder, begin);
    for judge in ["ann", "bob"] {
        let mut client = server.client(judge);
        let mut view = client.next();
        while view["pair"].is_object() {
            let handout = view["pair"]["handout"].clone();
            let answer = ["left", "right", "tie", "skip"][handout.as_u64().unwrap() as usize % 4];
            view = client.judge(&handout, &format!("{judge} {handout}"), answer).json();
        }
    }
    let collected = export(&folder).len();
    assert_eq!(collected, 225, "three of four of 300");
    let stdout =
        folder.run("judgements import log.jsonl --documents judged.csv --output-dir cache").expect(0);
    assert!(stdout.contains("225 judgements, 0 copies left out; 225 in the cache"), "{stdout}");
    let run = "relative config.yaml --set stage1_relative.pairs_file=cache/run1_grammar.jsonl \
               --set stage1_relative.pairs_meta=cache/run1_grammar_meta.json";
    folder.run(run).expect(0);
    let stats = folder.run("judgements stats log.jsonl --json").expect(0);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let shared = stats["agreement"]["shared_pairs"].as_u64().unwrap();
    assert!(shared >= 8, "a tenth of the pairs goes to all: {shared}");
}
