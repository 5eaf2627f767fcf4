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
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_pair2score")), folder)
    }

    /// Starts it with a command that may be a shell's.
    fn start_by(mut program: Command, folder: &Folder) -> Self {
        let mut process = program
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
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
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

/// A browser sends both: the tag and the time of the file it has.
#[test]
fn a_site_that_is_put_back_is_seen() {
    let folder = site();
    let server = Server::start(&folder);
    let newer = server.get("/bundle/manifest.json");
    let known = format!(
        "If-None-Match: {}\r\nIf-Modified-Since: {}\r\n",
        newer.headers["etag"], newer.headers["last-modified"]
    );
    assert_eq!(server.request("GET", "/bundle/manifest.json", &known).status, 304);
    folder.write("site/bundle/manifest.json", "[]");
    let file = std::fs::File::options().write(true).open(folder.path("site/bundle/manifest.json")).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(86_400)).unwrap();
    let older = server.request("GET", "/bundle/manifest.json", &known);
    assert_eq!((older.status, older.body.as_slice()), (200, b"[]".as_slice()));
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

#[cfg(unix)]
#[test]
fn a_compressed_copy_that_leads_out_is_not_sent() {
    let folder = site();
    for copy in ["index.html.br", "index.html.gz", "assets/engine.wasm.br"] {
        std::os::unix::fs::symlink(folder.path("secret.txt"), folder.path(&format!("site/{copy}"))).unwrap();
    }
    // A link within the site may be followed; its copies are those beside its name.
    std::os::unix::fs::symlink("index.html", folder.path("site/other.html")).unwrap();
    std::os::unix::fs::symlink(folder.path("secret.txt"), folder.path("site/other.html.br")).unwrap();
    let server = Server::start(&folder);
    for (path, body) in [
        ("/", "<!doctype html>page"),
        ("/other.html", "<!doctype html>page"),
        ("/assets/engine.wasm", "\0asm"),
    ] {
        for encoding in ["br", "gzip", "br, gzip"] {
            let answer = server.request("GET", path, &format!("Accept-Encoding: {encoding}\r\n"));
            assert_eq!((answer.status, answer.headers.get("content-encoding")), (200, None), "{path}");
            assert_eq!(answer.body, body.as_bytes(), "{path}");
        }
    }
}

/// A server that is given no more than 256 descriptors, as macOS gives.
#[cfg(unix)]
#[test]
fn three_hundred_idle_connections_keep_nobody_out() {
    let folder = site();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 256 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pair2score")]);
    let server = Server::start_by(shell, &folder);
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    let (told, answered) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| told.send(server.get("/").status));
        let status = answered.recv_timeout(std::time::Duration::from_secs(10));
        drop(idle);
        assert_eq!(status, Ok(200));
    });
}

#[cfg(unix)]
#[test]
fn half_a_request_does_not_keep_it_from_ending() {
    let folder = site();
    let mut server = Server::start(&folder);
    let mut half = TcpStream::connect(&server.address).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    assert_eq!(server.get("/").status, 200);
    let pid = server.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let begun = std::time::Instant::now();
    let status = loop {
        match server.process.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed().as_secs() > 20 => panic!("it waits for the rest of the request"),
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(0));
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
