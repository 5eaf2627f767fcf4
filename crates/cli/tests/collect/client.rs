//! A server that can be killed, and a judge's program that is as plain as HTTP allows.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::common::http::{Answer, Connection};

/// How the lead's link is printed.
pub const LEAD: &str = "the lead";

/// A running server on a port of its own; killed when the test is over.
pub struct Server {
    process: Child,
    pub address: String,
    /// The secrets it printed, by judge, and the lead's.
    pub tokens: BTreeMap<String, String>,
}

impl Server {
    /// Starts `serve --collect c.sqlite` in a folder and reads what it prints.
    pub fn start(folder: &Folder, args: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pair2score"))
            .args(["serve", "--collect", "c.sqlite"])
            .args(args.split_whitespace())
            .current_dir(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self { process, address: String::new(), tokens: BTreeMap::new() };
        for line in lines.map(|line| line.unwrap()) {
            if let Some((name, link)) = line.split_once(": http") {
                let (page, token) = link.split_once('#').unwrap();
                assert!(page.ends_with(if name == LEAD { "/lead" } else { "/judge" }), "{line}");
                server.tokens.insert(name.to_owned(), token.to_owned());
            } else if line.starts_with("collecting ") {
                server.address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
                return server;
            }
        }
        panic!("the server ended before it served");
    }

    /// As an operating system that needs the memory: `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// As Ctrl-C, and waits; the exit code.
    #[cfg(unix)]
    pub fn interrupt(&mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }

    pub fn client(&self, judge: &str) -> Client {
        Client::new(&self.address, &self.tokens[judge])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One judge's connection, kept open between requests.
pub struct Client {
    pub token: String,
    connection: Connection,
}

impl Client {
    pub fn new(address: &str, token: &str) -> Self {
        Self { token: token.into(), connection: Connection::new(address) }
    }

    /// Sends a request as it is written here; an error is a connection that broke, after which the next one is new.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        self.connection.send(method, path, headers, body)
    }

    /// What the lead reads.
    pub fn get(&mut self, path: &str) -> Answer {
        let headers = format!("Authorization: Bearer {}\r\n", self.token);
        self.send("GET", path, &headers, b"").unwrap()
    }

    /// A request in the judge's name.
    pub fn ask(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        let headers = format!("Authorization: Bearer {}\r\n", self.token);
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// The view of the judge's page.
    pub fn next(&mut self) -> Value {
        let answer = self.ask("/api/next", &json!({})).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Answers a pair; the whole reply.
    pub fn judge(&mut self, handout: &Value, id: &str, answer: &str) -> Answer {
        let body = json!({ "handout": handout, "id": id, "answer": answer, "ms": 1500 });
        self.ask("/api/judgements", &body).unwrap()
    }
}

/// `n` documents `d0`, `d1`, … whose texts are `text of d0` and so on, in `documents.csv`.
pub fn documents(n: usize) -> Folder {
    let folder = Folder::empty();
    let rows: String = (0..n).map(|place| format!("d{place},text of d{place}\n")).collect();
    folder.write("documents.csv", format!("text_id,full_text\n{rows}"));
    folder
}

/// The options of a first start.
pub const BEGIN: &str = "--documents documents.csv --trait grammar --port 0 --judge ann --judge bob";

/// What was collected, line by line, exported while the server runs or not.
pub fn export(folder: &Folder) -> Vec<Value> {
    folder.run("judgements export c.sqlite --output log.jsonl").expect(0);
    folder.text("log.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
