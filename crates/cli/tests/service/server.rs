//! A service that can be stopped, and what programs send it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::common::http::{Answer, Connection};
use crate::schema;

pub const JSON: &str = "Content-Type: application/json\r\n";
pub const LINES: &str = "Content-Type: application/x-ndjson\r\n";

/// The scorer that comes with the program: both stages, grades, 256 tokens.
pub fn bundle() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/bundle").to_str().unwrap().to_owned()
}

/// A running service on a port of its own; killed when the test is over.
pub struct Server {
    process: Child,
    /// What it prints after the first line.
    output: BufReader<ChildStdout>,
    pub address: String,
}

impl Server {
    /// Starts `serve` with these arguments in a folder.
    pub fn start(folder: &Folder, args: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pair2score"))
            .args(["serve", "--port", "0"])
            .args(args.split_whitespace())
            .current_dir(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("serving "), "{line:?}");
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { process, output, address }
    }

    /// The scorer of `export/` under the name `bundle`.
    pub fn of_bundle(folder: &Folder, args: &str) -> Self {
        Self::start(folder, &format!("--scorer {} {args}", bundle()))
    }

    pub fn connect(&self) -> Connection {
        Connection::new(&self.address)
    }

    /// An answer to a request on a connection of its own; held to `/openapi.json`.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let answer = self.connect().send(method, path, headers, body).unwrap();
        schema::check(method, path, &answer);
        answer
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, JSON, body.to_string().as_bytes())
    }

    /// The results of a request that must have been answered.
    pub fn results(&self, path: &str, body: &Value) -> Vec<Value> {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["results"].as_array().unwrap().clone()
    }

    /// As Ctrl-C.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// The exit code, once it has ended.
    pub fn wait(&mut self) -> Option<i32> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "nothing is printed but the address");
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first essays of the demonstration's corpus.
pub fn essays(n: usize) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/demo/essays.csv");
    let mut reader = csv::Reader::from_path(file).unwrap();
    let column = reader.headers().unwrap().iter().position(|name| name == "full_text").unwrap();
    reader.records().take(n).map(|row| row.unwrap()[column].to_owned()).collect()
}

/// What `score` says of texts: the score and the grade of each.
pub fn scored(folder: &Folder, scorer: &str, texts: &[String]) -> Vec<(f64, f64)> {
    let lines: String = texts
        .iter()
        .enumerate()
        .map(|(id, text)| json!({ "id": id, "text": text }).to_string() + "\n")
        .collect();
    folder.write("texts.jsonl", lines);
    folder.run(&format!("score --scorer {scorer} --input texts.jsonl --output scores.csv")).expect(0);
    let written = folder.text("scores.csv");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[1].parse().unwrap(), cells[2].parse().unwrap())
    };
    written.lines().skip(1).map(row).collect()
}

/// The score and the grade of a result.
pub fn score(result: &Value) -> (f64, f64) {
    let of = |key: &str| result["scores"]["grammar"][key].as_f64().unwrap_or_else(|| panic!("{result}"));
    (of("score"), of("grade"))
}
