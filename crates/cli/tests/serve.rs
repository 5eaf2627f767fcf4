//! `serve` over the wire.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use common::Folder;

/// A running server; killed when the test is over.
struct Server {
    process: Child,
    address: String,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pair2score"))
            .args(["serve", "--site", "site", "--port", "0"])
            .current_dir(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { process, address }
    }

    /// Sends a request as it is written here: no client tidies the path up.
    fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Answer { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn site() -> Folder {
    let folder = Folder::empty();
    folder.write("secret.txt", "secret");
    for (name, content) in [
        ("index.html", "<!doctype html>page"),
        ("sw.js", "self"),
        (".hidden", "secret"),
        ("assets/main-1a2b.js", "plain"),
        ("assets/main-1a2b.js.br", "brotli"),
        ("assets/main-1a2b.js.gz", "gzip"),
        ("assets/engine.wasm", "\0asm"),
        ("bundle/manifest.json", "{}"),
        ("bundle/weights-000.bin", "0123456789"),
    ] {
        folder.write(&format!("site/{name}"), content);
    }
    folder
}

#[test]
fn files_have_their_types_and_every_answer_the_security_headers() {
    let folder = site();
    let server = Server::start(&folder);
    for (path, kind) in [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/assets/main-1a2b.js", "text/javascript"),
        ("/assets/engine.wasm", "application/wasm"),
        ("/bundle/manifest.json", "application/json"),
        ("/bundle/weights-000.bin", "application/octet-stream"),
        ("/nothing", ""),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, if kind.is_empty() { 404 } else { 200 }, "{path}");
        assert_eq!(answer.headers.get("content-type").map_or("", |kind| kind), kind, "{path}");
        let policy = &answer.headers["content-security-policy"];
        for part in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin", "{path}");
    }
}

#[test]
fn the_header_and_the_page_have_one_policy() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/index.html")).unwrap();
    let policy = page.split("content=\"default-src").nth(1).unwrap().split('"').next().unwrap();
    let folder = site();
    // A page cannot forbid frames by itself.
    let sent = server_policy(&folder).replace("; frame-ancestors 'none'", "");
    assert_eq!(sent, format!("default-src{policy}"));
}

fn server_policy(folder: &Folder) -> String {
    Server::start(folder).get("/").headers["content-security-policy"].clone()
}

#[test]
fn compressed_files_go_to_those_who_take_them() {
    let folder = site();
    let server = Server::start(&folder);
    for (accepted, encoding, body) in [
        ("br, gzip", Some("br"), "brotli"),
        ("gzip", Some("gzip"), "gzip"),
        ("zstd", None, "plain"),
        ("", None, "plain"),
    ] {
        let header =
            if accepted.is_empty() { String::new() } else { format!("Accept-Encoding: {accepted}\r\n") };
        let answer = server.request("GET", "/assets/main-1a2b.js", &header);
        assert_eq!(answer.headers.get("content-encoding").map(String::as_str), encoding, "{accepted}");
        assert_eq!(answer.body, body.as_bytes(), "{accepted}");
        assert_eq!(answer.headers["content-type"], "text/javascript");
        assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable");
    }
    let tag = |encoding: &str| {
        let header = format!("Accept-Encoding: {encoding}\r\n");
        server.request("GET", "/assets/main-1a2b.js", &header).headers["etag"].clone()
    };
    assert_ne!(tag("br"), tag("gzip"));
}

#[test]
fn who_has_a_file_does_not_get_it_again_until_it_changes() {
    let folder = site();
    let server = Server::start(&folder);
    let first = server.get("/bundle/manifest.json");
    assert_eq!(first.headers["cache-control"], "no-cache");
    let header = format!("If-None-Match: \"other\", {}\r\n", first.headers["etag"]);
    let again = server.request("GET", "/bundle/manifest.json", &header);
    assert_eq!((again.status, again.body.len()), (304, 0));
    folder.write("site/bundle/manifest.json", "{ }");
    assert_eq!(server.request("GET", "/bundle/manifest.json", &header).status, 200);
}

#[test]
fn parts_of_files() {
    let folder = site();
    let server = Server::start(&folder);
    let part = server.request("GET", "/bundle/weights-000.bin", "Range: bytes=3-5\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, b"345".as_slice()));
    assert_eq!(part.headers["content-range"], "bytes 3-5/10");
    let beyond = server.request("GET", "/bundle/weights-000.bin", "Range: bytes=30-\r\n");
    assert_eq!(beyond.status, 416);
}

#[test]
fn nothing_outside_the_site_is_reached() {
    let folder = site();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path("secret.txt"), folder.path("site/link.txt")).unwrap();
    let server = Server::start(&folder);
    for path in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..\\secret.txt",
        "//../secret.txt",
        "/link.txt",
        "/.hidden",
        "//etc/passwd",
        "/assets",
        "/assets/",
        "/index.html%00",
    ] {
        let answer = server.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{path}");
    }
}

#[test]
fn nothing_is_taken() {
    let folder = site();
    let server = Server::start(&folder);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(server.request(method, "/index.html", "Content-Length: 0\r\n").status, 405, "{method}");
    }
    let head = server.request("HEAD", "/index.html", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
}

#[test]
fn a_site_that_is_none_and_a_port_that_is_taken_are_errors() {
    let folder = site();
    let outcome = folder.run("serve --site nowhere");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("nowhere: is not a site, it has no index.html"), "{}", outcome.stderr);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let outcome = folder.run(&format!("serve --site site --port {}", taken.local_addr().unwrap().port()));
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("choose another port with --port"), "{}", outcome.stderr);
}
