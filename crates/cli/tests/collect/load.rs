//! Many judges at once, and a server that is killed while they work: nothing lost, nothing doubled.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, LEAD, Server, documents, export};

/// What a judge's program was told is stored: by left and right text, the answer.
type Acknowledged = BTreeMap<(String, String, String), f64>;

struct Load {
    documents: usize,
    judges: usize,
    per_judge: usize,
    kills: usize,
}

/// What came out.
struct Figures {
    seconds: f64,
    /// Latencies of the requests that were answered, ascending.
    latencies: Vec<Duration>,
    retries: usize,
}

impl Load {
    /// Lets all judges answer all their pairs, kills the server at even distances, and compares its log with what it
    /// acknowledged.
    fn run(&self) -> Figures {
        let total = self.judges * self.per_judge;
        let folder = documents(self.documents);
        let options = format!("--rate 1e6 --per-judge {}", self.per_judge);
        let begin =
            format!("--documents documents.csv --trait grammar --port 0 --judges {} {options}", self.judges);
        let mut server = Server::start(&folder, &begin);
        let port = server.address.split(':').nth(1).unwrap().to_owned();
        let stored = AtomicUsize::new(0);
        let (latencies, retries) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let begun = Instant::now();
        let acknowledged: Vec<Acknowledged> = std::thread::scope(|scope| {
            let work = |judge: &str| {
                let judge = Judge {
                    name: judge.into(),
                    client: server.client(judge),
                    latencies: Vec::new(),
                    retries: 0,
                };
                let (stored, all, retried) = (&stored, &latencies, &retries);
                scope.spawn(move || {
                    let (acknowledged, judge) = judge.work(stored);
                    all.lock().unwrap().extend(judge.latencies);
                    retried.fetch_add(judge.retries, Ordering::Relaxed);
                    acknowledged
                })
            };
            let names: Vec<String> = server.tokens.keys().filter(|name| *name != LEAD).cloned().collect();
            let judges: Vec<_> = names.iter().map(|name| work(name)).collect();
            for kill in 1..=self.kills {
                while stored.load(Ordering::Relaxed) < total * kill / (self.kills + 1) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                server.kill();
                server = Server::start(&folder, &format!("--port {port} {options}"));
            }
            judges.into_iter().map(|judge| judge.join().unwrap()).collect()
        });
        let seconds = begun.elapsed().as_secs_f64();
        server.kill();

        let acknowledged: Acknowledged = acknowledged.into_iter().flatten().collect();
        let log = export(&folder);
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        let mut found = Acknowledged::new();
        for line in &log {
            let key = (text(line, "judge"), text(line, "a"), text(line, "b"));
            assert!(found.insert(key, line["y"].as_f64().unwrap()).is_none(), "doubled: {line}");
        }
        assert_eq!(acknowledged.len(), total, "a judge got a pair twice");
        assert_eq!(log.len(), total, "lost or doubled");
        assert!(found == acknowledged, "another answer than the judge's");
        let mut latencies = latencies.into_inner().unwrap();
        latencies.sort_unstable();
        Figures { seconds, latencies, retries: retries.into_inner() }
    }
}

struct Judge {
    name: String,
    client: Client,
    latencies: Vec<Duration>,
    retries: usize,
}

impl Judge {
    /// Answers everything, whatever becomes of the server; every tenth judgement is sent twice.
    fn work(mut self, stored: &AtomicUsize) -> (Acknowledged, Self) {
        let mut acknowledged = Acknowledged::new();
        let mut view = self.persist("/api/next", &json!({}));
        while view["pair"].is_object() {
            let pair = &view["pair"];
            let handout = pair["handout"].as_u64().unwrap();
            let (answer, y) = [("left", 1.0), ("right", 0.0), ("tie", 0.5)][handout as usize % 3];
            let id = format!("{} {handout}", self.name);
            let body = json!({ "handout": handout, "id": id, "answer": answer, "ms": 1 });
            let mut next = self.persist("/api/judgements", &body);
            if handout.is_multiple_of(10) {
                let again = self.persist("/api/judgements", &body);
                assert_eq!(again["done"], next["done"]);
                next = again;
            }
            let id_of =
                |side: &str| pair[side].as_str().unwrap().strip_prefix("text of ").unwrap().to_owned();
            let key = (self.name.clone(), id_of("left"), id_of("right"));
            assert!(acknowledged.insert(key, y).is_none(), "the same pair twice");
            stored.fetch_add(1, Ordering::Relaxed);
            view = next;
        }
        (acknowledged, self)
    }

    /// Sends a request until it is answered, as the page does.
    fn persist(&mut self, path: &str, body: &Value) -> Value {
        loop {
            let begun = Instant::now();
            match self.client.ask(path, body) {
                Ok(answer) if answer.status == 200 => {
                    self.latencies.push(begun.elapsed());
                    return answer.json();
                }
                // A disk that others keep busy.
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                Err(_) => self.retries += 1,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn eight_judges_and_two_kills() {
    let figures = Load { documents: 60, judges: 8, per_judge: 50, kills: 2 }.run();
    assert!(figures.retries > 0, "no judge noticed a kill");
}

/// `scripts/bench/collect_load.sh` runs it and prints.
#[test]
#[ignore = "takes a minute"]
fn fifty_judges_and_five_kills() {
    let load = Load { documents: 500, judges: 50, per_judge: 400, kills: 5 };
    let Figures { seconds, latencies, retries } = load.run();
    let total = load.judges * load.per_judge;
    let percentile =
        |share: f64| latencies[(share * (latencies.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    #[allow(clippy::print_stdout, reason = "figures are what it is for")]
    {
        println!(
            "{} judges, {total} judgements, {} kills: {seconds:.1} s, {:.0} judgements/s, {retries} retries; latency \
             median {:.1} ms, 95 % {:.1} ms, 99 % {:.1} ms, longest {:.1} ms; none lost, none doubled",
            load.judges,
            load.kills,
            total as f64 / seconds,
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(1.0)
        );
    }
    assert!(retries > 0, "no judge noticed a kill");
}
