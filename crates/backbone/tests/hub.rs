//! The Hub, played by a small server on the loopback interface that answers as it does.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Scratch, oracle};
use pair2score_backbone::hub::{Hub, HubId};
use pair2score_backbone::{Source, import};
use pair2score_scorer::WeightDType;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPOSITORY: &str = "tiny/llama";

/// What the server holds and how it behaves.
#[derive(Default)]
struct Behaviour {
    files: BTreeMap<String, Vec<u8>>,
    /// Answered to everybody without this token.
    token: Option<&'static str>,
    /// Transfers of large files that break off in the middle.
    breaks: usize,
    /// Changes a byte of large files.
    damages: bool,
}

struct Server {
    hub: Hub,
    /// First lines of requests, with the range that was asked for.
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(scratch: &Scratch, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let hub =
            Hub { endpoint: endpoint.clone(), cache: scratch.path("cache"), token: None, offline: false };
        let log = Arc::new(Mutex::new(Vec::new()));
        let behaviour = Arc::new(Mutex::new(behaviour));
        let seen = Arc::clone(&log);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (behaviour, seen, endpoint) =
                    (Arc::clone(&behaviour), Arc::clone(&seen), endpoint.clone());
                std::thread::spawn(move || {
                    // A client that goes away is none of the server's business.
                    let _ = answer(stream.unwrap(), &behaviour, &seen, &endpoint);
                });
            }
        });
        Self { hub, log }
    }

    fn source(&self, id: &str) -> Source {
        Source::Hub(HubId::parse(id).unwrap(), self.hub.clone())
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

/// A request without its body: the two words of its first line, and its headers by small letters.
struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    fn read(stream: &TcpStream) -> std::io::Result<Self> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let mut words = first.split(' ').map(str::to_owned);
        Ok(Self { method: words.next().unwrap(), path: words.next().unwrap(), headers })
    }

    /// The first byte that is asked for, as it was written.
    fn first_byte(&self) -> Option<&str> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')
    }
}

/// What the server says to a request.
struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection ends, in bytes.
    sent: usize,
}

impl Reply {
    /// The whole of a body.
    fn whole(status: &'static str, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, sent: body.len(), body }
    }

    fn refusal(status: &'static str, code: &str) -> Self {
        Self::whole(status, vec![("X-Error-Code", code.to_owned())], Vec::new())
    }

    fn moved(location: String) -> Self {
        Self::whole("307 Temporary Redirect", vec![("Location", location)], Vec::new())
    }

    fn write(&self, stream: &mut TcpStream, method: &str) -> std::io::Result<()> {
        let (status, length) = (self.status, self.body.len());
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        if method == "GET" {
            stream.write_all(&self.body[..self.sent])?;
        }
        stream.flush()
    }
}

/// Answers one request; connections are not kept.
fn answer(
    mut stream: TcpStream,
    behaviour: &Mutex<Behaviour>,
    seen: &Mutex<Vec<String>>,
    endpoint: &str,
) -> std::io::Result<()> {
    let request = Request::read(&stream)?;
    let (method, path, range) = (&request.method, &request.path, request.first_byte().unwrap_or(""));
    seen.lock().unwrap().push(format!("{method} {path} {range}").trim_end().to_owned());
    let reply = reply_to(&request, &mut behaviour.lock().unwrap(), endpoint);
    reply.write(&mut stream, method)
}

/// The Hub's reply. The address of a large file is signed there, so it is answered here without a token, too.
fn reply_to(request: &Request, behaviour: &mut Behaviour, endpoint: &str) -> Reply {
    let path = &request.path;
    if let Some(hash) = path.strip_prefix("/cdn/") {
        return large_file(hash, request.first_byte(), behaviour);
    }
    let allowed = behaviour.token.is_none_or(|token| {
        request.headers.get("authorization").is_some_and(|given| *given == format!("Bearer {token}"))
    });
    if !allowed {
        return Reply::refusal("401 Unauthorized", "GatedRepo");
    }
    if let Some(rest) = path.strip_prefix("/old/name/") {
        return Reply::moved(format!("/{REPOSITORY}/{rest}"));
    }
    if path.starts_with("/api/models/old/name/") {
        return Reply::moved(path.replace("old/name", REPOSITORY));
    }
    if let Some(revision) = path.strip_prefix(&format!("/api/models/{REPOSITORY}/revision/")) {
        return listing(revision, &behaviour.files);
    }
    let name = path.strip_prefix(&format!("/{REPOSITORY}/resolve/{COMMIT}/"));
    match name.and_then(|name| behaviour.files.get(name)) {
        Some(content) => small_file_or_address(content, endpoint),
        None => Reply::refusal("404 Not Found", "RepoNotFound"),
    }
}

/// The file of this hash, from the byte that was asked for.
fn large_file(hash: &str, from: Option<&str>, behaviour: &mut Behaviour) -> Reply {
    let mut content = behaviour.files.values().find(|content| sha256(content) == hash).unwrap().clone();
    if behaviour.damages {
        content[100] ^= 1;
    }
    let from: usize = from.map_or(0, |from| from.parse().unwrap());
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let mut reply = Reply::whole(status, Vec::new(), content.split_off(from));
    if behaviour.breaks > 0 {
        behaviour.breaks -= 1;
        reply.sent /= 2;
    }
    reply
}

/// The commit of a revision and the names of its files.
fn listing(revision: &str, files: &BTreeMap<String, Vec<u8>>) -> Reply {
    if !["main", "v1%2Fa", COMMIT].contains(&revision) {
        return Reply::refusal("404 Not Found", "RevisionNotFound");
    }
    let files: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
    let body = serde_json::json!({ "sha": COMMIT, "siblings": files }).to_string();
    Reply::whole("200 OK", Vec::new(), body.into_bytes())
}

/// A small file itself, and of a large one its hash, its size and where it is.
fn small_file_or_address(content: &[u8], endpoint: &str) -> Reply {
    let hash = sha256(content);
    if content.len() < 20_000 {
        return Reply::whole("200 OK", vec![("ETag", format!("\"{}\"", &hash[..40]))], content.to_vec());
    }
    let headers = vec![
        ("Location", format!("{endpoint}/cdn/{hash}")),
        ("X-Linked-Etag", format!("\"{hash}\"")),
        ("X-Linked-Size", content.len().to_string()),
    ];
    Reply::whole("302 Found", headers, b"elsewhere".to_vec())
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The oracle's folder, with files that nobody needs.
fn files() -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(oracle()).unwrap().map(|entry| entry.unwrap());
    let mut files: BTreeMap<_, _> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.insert("README.md".into(), b"about".to_vec());
    files.insert("pytorch_model.bin".into(), vec![0; 50_000]);
    files.insert("onnx/model.onnx".into(), vec![0; 50_000]);
    files
}

fn fetch(scratch: &Scratch, source: &Source) -> Result<pair2score_backbone::Report, String> {
    import(source, &scratch.path("out"), WeightDType::Auto, &mut |_, _, _| {})
        .map_err(|error| error.to_string())
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).unwrap()
}

#[test]
fn only_what_is_needed_is_fetched_and_only_once() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), ..Behaviour::default() });
    let report = fetch(&scratch, &server.source(REPOSITORY)).unwrap();
    assert_eq!(report.commit.as_deref(), Some(COMMIT));
    let fetched: Vec<_> = server.log().into_iter().filter(|line| line.starts_with("GET")).collect();
    assert!(
        fetched
            .iter()
            .all(|line| !line.contains("README") && !line.contains("bin") && !line.contains("onnx"))
    );

    // As Hugging Face's own programs lay it out.
    let folder = scratch.path("cache/models--tiny--llama");
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(weights(&folder.join("snapshots").join(COMMIT)), weights(&oracle()));
    #[cfg(unix)]
    assert!(folder.join("snapshots").join(COMMIT).join("config.json").is_symlink());

    fetch(&scratch, &server.source(REPOSITORY)).unwrap();
    let asked = server.log();
    assert_eq!(asked, [format!("GET /api/models/{REPOSITORY}/revision/main")]);
}

#[test]
fn revisions_and_renamed_repositories_are_followed() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), ..Behaviour::default() });
    for id in ["tiny/llama@v1/a", &format!("tiny/llama@{COMMIT}"), "old/name"] {
        let report = fetch(&scratch, &server.source(id)).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(report.commit.as_deref(), Some(COMMIT), "{id}");
    }
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_ended() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), breaks: 2, ..Behaviour::default() });
    fetch(&scratch, &server.source(REPOSITORY)).unwrap();
    let ranges: Vec<_> = server
        .log()
        .iter()
        .filter(|line| line.starts_with("GET /cdn/"))
        .filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok())
        .collect();
    assert!(ranges.len() >= 2 && ranges.is_sorted(), "{ranges:?}");
    let folder = scratch.path("cache/models--tiny--llama");
    assert_eq!(weights(&folder.join("snapshots").join(COMMIT)), weights(&oracle()));
}

#[test]
fn what_arrives_damaged_is_thrown_away() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), damages: true, ..Behaviour::default() });
    let message = fetch(&scratch, &server.source(REPOSITORY)).unwrap_err();
    assert!(message.contains("arrived damaged and was thrown away; try again"), "{message}");
    let blobs = fs::read_dir(scratch.path("cache/models--tiny--llama/blobs")).unwrap();
    let names: Vec<_> = blobs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".incomplete")), "{names:?}");
}

#[test]
fn a_gated_repository_wants_a_token() {
    let scratch = Scratch::new();
    let behaviour = Behaviour { files: files(), token: Some("good"), ..Behaviour::default() };
    let mut server = Server::start(&scratch, behaviour);
    let message = fetch(&scratch, &server.source(REPOSITORY)).unwrap_err();
    assert!(
        message.contains("tiny/llama@main: is gated; accept its terms at http://127.0.0.1:"),
        "{message}"
    );
    assert!(message.contains("set HF_TOKEN"), "{message}");
    server.hub.token = Some("bad".into());
    let message = fetch(&scratch, &server.source(REPOSITORY)).unwrap_err();
    assert!(message.contains("the account of the token has no access"), "{message}");
    server.hub.token = Some("good".into());
    fetch(&scratch, &server.source(REPOSITORY)).unwrap();
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), ..Behaviour::default() });
    for (id, fragments) in [
        ("tiny/llama@v9", ["tiny/llama@v9: has no revision \"v9\"", "see the branches and commits at"]),
        ("tiny/other", ["tiny/other@main: is not there, or is private; check the name at", "HF_TOKEN"]),
    ] {
        let message = fetch(&scratch, &server.source(id)).unwrap_err();
        assert!(fragments.iter().all(|fragment| message.contains(fragment)), "{message}");
    }
    let without = |names: &[&str]| {
        let mut files = files();
        files.retain(|name, _| !names.contains(&name.as_str()));
        files
    };
    let mut gguf = without(&["config.json"]);
    gguf.insert("tiny-q4.gguf".into(), b"GGUF".to_vec());
    let mut sentencepiece = without(&["tokenizer.json"]);
    sentencepiece.insert("tokenizer.model".into(), b"pieces".to_vec());
    for (files, fragment) in [
        (without(&["config.json"]), "has no config.json"),
        (gguf, "for example tiny-q4.gguf, and import the file"),
        (without(&["model.safetensors"]), "has neither model.safetensors nor model.safetensors.index.json"),
        (without(&["tokenizer.json"]), "has no tokenizer.json"),
        (sentencepiece, "has tokenizer.model only and no tokenizer.json"),
    ] {
        let scratch = Scratch::new();
        let server = Server::start(&scratch, Behaviour { files, ..Behaviour::default() });
        let message = fetch(&scratch, &server.source(REPOSITORY)).unwrap_err();
        assert!(message.contains(fragment), "{message}");
        // Nothing was fetched for nothing.
        assert_eq!(server.log().len(), 1);
    }
}

#[test]
fn an_index_left_beside_one_file_is_not_followed() {
    let scratch = Scratch::new();
    let mut files = files();
    let index = br#"{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}"#;
    files.insert("model.safetensors.index.json".into(), index.to_vec());
    let server = Server::start(&scratch, Behaviour { files, ..Behaviour::default() });
    fetch(&scratch, &server.source(REPOSITORY)).unwrap();
    // What was left in the cache by another program neither.
    let snapshot = scratch.path("cache").join("models--tiny--llama/snapshots").join(COMMIT);
    fs::write(snapshot.join("model.safetensors.index.json"), index).unwrap();
    let offline = Hub { offline: true, ..server.hub.clone() };
    fetch(&Scratch::new(), &Source::Hub(HubId::parse(REPOSITORY).unwrap(), offline)).unwrap();
}

#[test]
fn without_a_network_the_cache_is_used_on_request() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, Behaviour { files: files(), ..Behaviour::default() });
    let offline = Hub { offline: true, ..server.hub.clone() };
    let offline = Source::Hub(HubId::parse(REPOSITORY).unwrap(), offline);
    let message = fetch(&scratch, &offline).unwrap_err();
    assert!(message.contains("tiny/llama@main: is not in "), "{message}");
    assert!(message.contains("HF_HUB_OFFLINE forbids to fetch it"), "{message}");
    fetch(&scratch, &server.source(REPOSITORY)).unwrap();
    server.log();
    fetch(&scratch, &offline).unwrap();
    assert!(server.log().is_empty());

    // A port that nobody listens on.
    let nobody = "127.0.0.1:1";
    let gone = Hub { endpoint: format!("http://{nobody}"), ..server.hub.clone() };
    let message = fetch(&scratch, &Source::Hub(HubId::parse(REPOSITORY).unwrap(), gone)).unwrap_err();
    assert!(message.contains(&format!("cannot be fetched from http://{nobody}")), "{message}");
    assert!(message.contains("use what is cached with HF_HUB_OFFLINE=1"), "{message}");
}

#[test]
fn the_environment_is_read_as_hugging_faces_programs_read_it() {
    let hub = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Hub::from_variables(move |name| variables.get(name).cloned())
    };
    let plain = hub(&[("HOME", "/home/x")]);
    assert_eq!(plain.endpoint, "https://huggingface.co");
    assert_eq!(plain.cache, Path::new("/home/x/.cache/huggingface/hub"));
    assert!(plain.token.is_none() && !plain.offline);
    let set = hub(&[
        ("HF_HOME", "/data/hf"),
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("HF_TOKEN", " secret\n"),
        ("HF_HUB_OFFLINE", "1"),
    ]);
    assert_eq!(set.endpoint, "https://mirror.example");
    assert_eq!(set.cache, Path::new("/data/hf/hub"));
    assert_eq!((set.token.as_deref(), set.offline), (Some("secret"), true));
    let scratch = Scratch::new();
    scratch.write("token", "from a file\n");
    let home = scratch.path("");
    let logged_in = hub(&[("HF_HOME", home.to_str().unwrap()), ("HF_HUB_CACHE", "/elsewhere")]);
    assert_eq!(
        (logged_in.token.as_deref(), logged_in.cache.to_str()),
        (Some("from a file"), Some("/elsewhere"))
    );
}

#[test]
fn names_of_repositories_are_told_from_paths() {
    let parsed = |text: &str| HubId::parse(text).map(|id| id.to_string());
    assert_eq!(parsed("HuggingFaceTB/SmolLM2-135M").as_deref(), Some("HuggingFaceTB/SmolLM2-135M@main"));
    assert_eq!(parsed("a/b@refs/pr/1").as_deref(), Some("a/b@refs/pr/1"));
    for path in
        ["model", "a/b/c", "./a", "../a", "a/../b", "/a/b", "a/b.gguf", "a/b@", "a/b@../c", "a b/c", ""]
    {
        assert_eq!(parsed(path), None, "{path}");
    }
}
