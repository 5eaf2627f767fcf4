//! What goes wrong around a server: a second one, a database that others hold or take away, requests that do not end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::client::{BEGIN, Server, documents, export};

/// The exit code and the errors of a server that has to end by itself; one that serves is killed after a while.
fn ended(mut server: Command) -> (Option<i32>, String) {
    let mut process = server.stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while process.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // It has ended, or it serves.
    let _ = process.kill();
    let output = process.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_second_server_on_one_file_is_refused() {
    let folder = documents(5);
    let mut server = Server::start(&folder, BEGIN);
    let shown = server.client("ann").next();
    for options in ["", "--new-link ann", "--judge eve", "--question Why?"] {
        let second = folder.command(&format!("serve --collect c.sqlite --port 0 {options}"));
        let (code, stderr) = ended(second);
        assert_eq!(code, Some(2), "{options}: {stderr}");
        let expected = "error: c.sqlite: another `serve --collect` is collecting in it; stop that one first";
        assert!(stderr.starts_with(expected), "{stderr}");
    }
    // Nothing of it took effect, and reading is nobody's privilege.
    assert_eq!(server.client("ann").next(), shown);
    assert_eq!(export(&folder).len(), 0);
    server.kill();
    let server = Server::start(&folder, "--port 0 --new-link ann");
    assert_eq!(server.client("ann").next(), shown);
}

/// On other systems a file that is open cannot be removed.
#[cfg(unix)]
#[test]
fn a_database_that_was_taken_away_is_noticed() {
    let folder = documents(6);
    let server = Server::start(&folder, &format!("{BEGIN} --rate 1000"));
    let mut ann = server.client("ann");
    let mut handout = ann.next()["pair"]["handout"].clone();
    let names = ["c.sqlite", "c.sqlite-wal", "c.sqlite-shm"];
    let from_to = |from: &str, to: &str| {
        for name in names {
            let _ = std::fs::rename(
                folder.path(&name.replace("c.sqlite", from)),
                folder.path(&name.replace("c.sqlite", to)),
            );
        }
    };
    for step in 0..2 {
        from_to("c.sqlite", "away.sqlite");
        if step == 1 {
            folder.write("c.sqlite", "another file");
        }
        let id = format!("answer {step}");
        let refused = ann.judge(&handout, &id, "left");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(ann.ask("/api/next", &json!({})).unwrap().status, 503);
        // The same file again, and the same answer.
        from_to("away.sqlite", "c.sqlite");
        let stored = ann.judge(&handout, &id, "left");
        assert_eq!(stored.status, 200, "{stored:?}");
        handout = stored.json()["pair"]["handout"].clone();
    }
    assert_eq!(export(&folder).len(), 2);
}

#[test]
fn requests_wait_for_a_locked_database_side_by_side() {
    let folder = documents(6);
    let server = Server::start(&folder, BEGIN);
    let handout = server.client("ann").next()["pair"]["handout"].clone();
    let other = Connection::open(folder.path("c.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for judge in ["ann", "bob", "ann", "bob"] {
            scope.spawn(|| {
                let answer = server.client(judge).ask("/api/next", &json!({})).unwrap();
                assert_eq!(answer.status, 503, "{answer:?}");
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.client("ann").judge(&handout, "x", "left").status, 200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let folder = documents(5);
    let server = Server::start(&folder, BEGIN);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "POST /api/judgements HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 90\r\n\r\n{{",
        server.tokens["ann"]
    )
    .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

/// A device that takes nothing.
#[cfg(target_os = "linux")]
#[test]
fn links_that_were_not_printed_are_said_to_be_lost() {
    let folder = documents(5);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let begin =
        "serve --collect c.sqlite --documents documents.csv --trait grammar --port 0 --judge ann --judges 1";
    let mut server = folder.command(begin);
    server.stdout(full);
    let (code, stderr) = ended(server);
    assert_eq!(code, Some(2), "{stderr}");
    let expected = "it did not take the links of ann, judge 1, the lead, which are lost: start again with --new-link ann \
                    --new-link 'judge 1' --new-lead-link";
    assert!(stderr.contains(expected), "{stderr}");
    let server = Server::start(&folder, "--port 0 --new-link ann");
    assert!(server.client("ann").next()["pair"].is_object());
}
