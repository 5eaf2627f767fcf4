//! What the service has done, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Lane;

/// Upper ends of the intervals in which seconds of requests are counted.
const SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper ends of the intervals in which tokens of batches are counted.
const TOKENS: [f64; 9] = [64.0, 256.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0];

/// Counters of everything that happens.
pub(super) struct Metrics {
    /// Names of the scorers, by place.
    scorers: Vec<String>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Answers by route and status.
    requests: BTreeMap<(String, u16), u64>,
    /// Seconds from a request's header to the header of its answer, by route.
    durations: BTreeMap<String, Histogram<{ SECONDS.len() }>>,
    /// Documents and tokens computed.
    computed: BTreeMap<Lane, (u64, u64)>,
    /// Documents without a number, by the code of the error.
    refused: BTreeMap<&'static str, u64>,
    /// Tokens of batches.
    batches: Histogram<{ TOKENS.len() }>,
    /// Seconds spent on them.
    busy: f64,
}

/// Values by interval, and their sum.
struct Histogram<const N: usize> {
    counts: [u64; N],
    total: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { counts: [0; N], total: 0, sum: 0.0 }
    }
}

impl<const N: usize> Histogram<N> {
    fn add(&mut self, ends: &[f64; N], value: f64) {
        if let Some(place) = ends.iter().position(|end| value <= *end) {
            self.counts[place] += 1;
        }
        self.total += 1;
        self.sum += value;
    }

    /// The samples of a family; `labels` are those besides `le`, each with a comma behind it.
    fn write(&self, text: &mut String, name: &str, labels: &str, ends: &[f64; N]) {
        let mut below = 0;
        for (end, count) in ends.iter().zip(self.counts) {
            below += count;
            sample(text, &format!("{name}_bucket"), &format!("{labels}le=\"{end}\""), below);
        }
        sample(text, &format!("{name}_bucket"), &format!("{labels}le=\"+Inf\""), self.total);
        let labels = labels.trim_end_matches(',');
        sample(text, &format!("{name}_sum"), labels, self.sum);
        sample(text, &format!("{name}_count"), labels, self.total);
    }
}

impl Metrics {
    pub(super) fn new(scorers: Vec<String>) -> Self {
        Self { scorers, counts: Mutex::default() }
    }

    /// Notes an answer.
    pub(super) fn answered(&self, route: &str, status: u16, took: Duration) {
        let mut counts = self.counts();
        *counts.requests.entry((route.to_owned(), status)).or_default() += 1;
        counts.durations.entry(route.to_owned()).or_default().add(&SECONDS, took.as_secs_f64());
    }

    /// Notes a batch.
    pub(super) fn computed(&self, lane: Lane, documents: usize, tokens: usize, took: Duration) {
        let mut counts = self.counts();
        let (all_documents, all_tokens) = counts.computed.entry(lane).or_default();
        *all_documents += documents as u64;
        *all_tokens += tokens as u64;
        counts.batches.add(&TOKENS, tokens as f64);
        counts.busy += took.as_secs_f64();
    }

    /// Notes a document that has no number.
    pub(super) fn refused(&self, code: &'static str) {
        *self.counts().refused.entry(code).or_default() += 1;
    }

    /// Tokens computed per second of computing, once there were any.
    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        let counts = self.counts();
        (counts.busy > 0.0 && counts.batches.sum > 0.0).then(|| counts.batches.sum / counts.busy)
    }

    /// Everything as text; `waiting` and `capacity` are tokens of the queue.
    pub(super) fn text(&self, waiting: usize, capacity: u32) -> String {
        let counts = self.counts();
        let mut text = String::new();
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        family(&mut text, "pair2score_build_info", "gauge", "The program that serves.");
        sample(&mut text, "pair2score_build_info", &version, 1);
        family(&mut text, "pair2score_requests_total", "counter", "Requests answered, by route and status.");
        for ((route, status), n) in &counts.requests {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            sample(&mut text, "pair2score_requests_total", &labels, n);
        }
        let name = "pair2score_request_duration_seconds";
        family(&mut text, name, "histogram", "Time until a request's answer began.");
        for (route, durations) in &counts.durations {
            durations.write(&mut text, name, &format!("route=\"{route}\","), &SECONDS);
        }
        let of = |lane: &Lane| {
            let scorer = self.scorers.get(lane.scorer).map_or("", String::as_str);
            format!("scorer=\"{scorer}\",output=\"{}\"", lane.pass.name())
        };
        family(&mut text, "pair2score_documents_total", "counter", "Documents computed.");
        for (lane, (documents, _)) in &counts.computed {
            sample(&mut text, "pair2score_documents_total", &of(lane), documents);
        }
        family(&mut text, "pair2score_tokens_total", "counter", "Tokens computed.");
        for (lane, (_, tokens)) in &counts.computed {
            sample(&mut text, "pair2score_tokens_total", &of(lane), tokens);
        }
        family(
            &mut text,
            "pair2score_refused_total",
            "counter",
            "Entries of requests without a result, by reason.",
        );
        for (code, n) in &counts.refused {
            sample(&mut text, "pair2score_refused_total", &format!("code=\"{code}\""), n);
        }
        family(&mut text, "pair2score_batch_tokens", "histogram", "Tokens computed together.");
        counts.batches.write(&mut text, "pair2score_batch_tokens", "", &TOKENS);
        family(&mut text, "pair2score_computing_seconds_total", "counter", "Time spent on batches.");
        sample(&mut text, "pair2score_computing_seconds_total", "", counts.busy);
        family(&mut text, "pair2score_queue_tokens", "gauge", "Tokens that wait or are computed.");
        sample(&mut text, "pair2score_queue_tokens", "", waiting);
        family(&mut text, "pair2score_queue_tokens_limit", "gauge", "Tokens that may wait.");
        sample(&mut text, "pair2score_queue_tokens_limit", "", capacity);
        text
    }

    /// Counters are right after every change, so a handler that broke off leaves them so.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::job::Pass;

    #[test]
    fn intervals_add_up_as_prometheus_wants() {
        let metrics = Metrics::new(vec!["essays".into()]);
        let lane = Lane { scorer: 0, pass: Pass::Score };
        for (tokens, took) in [(50, 250), (64, 250), (5000, 1000), (100_000, 500)] {
            metrics.computed(lane, 2, tokens, Duration::from_millis(took));
        }
        metrics.answered("/score", 200, Duration::from_millis(20));
        let text = metrics.text(7, 100);
        for line in [
            "pair2score_batch_tokens_bucket{le=\"64\"} 2",
            "pair2score_batch_tokens_bucket{le=\"4096\"} 2",
            "pair2score_batch_tokens_bucket{le=\"8192\"} 3",
            "pair2score_batch_tokens_bucket{le=\"65536\"} 3",
            "pair2score_batch_tokens_bucket{le=\"+Inf\"} 4",
            "pair2score_batch_tokens_sum 105114",
            "pair2score_batch_tokens_count 4",
            "pair2score_documents_total{scorer=\"essays\",output=\"score\"} 8",
            "pair2score_computing_seconds_total 2",
            "pair2score_queue_tokens 7",
            "pair2score_requests_total{route=\"/score\",status=\"200\"} 1",
            "pair2score_request_duration_seconds_bucket{route=\"/score\",le=\"0.01\"} 0",
            "pair2score_request_duration_seconds_bucket{route=\"/score\",le=\"0.025\"} 1",
            "pair2score_request_duration_seconds_count{route=\"/score\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
        }
        assert_eq!(metrics.tokens_per_second(), Some(105_114.0 / 2.0));
    }
}
