//! Streams: a line of JSON for each entry in, and a line for each out, in the same order and of any number.
//!
//! Lines are answered while others arrive, a window of them at a time, so a stream of any length takes little memory and
//! little of the queue. What is wrong with a line is said in its place. What ends the stream early is said in a last line.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::coop;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Pending};
use super::ask::Id;
use super::problem::{Problem, Refusal};
use super::queue::Refused;
use super::state::{Ask, Service};
use crate::http::{Owed, Peer};
use crate::spreadsheet::BYTE_ORDER_MARK;

/// Lines that are read and not yet answered, at most.
const WINDOW: usize = 64;
/// How long the next line may take to arrive, from its first byte to its last.
const LINE_TIME: Duration = Duration::from_secs(30);

/// A line that goes out.
#[derive(Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(flatten)]
    answer: Answer,
}

/// A line that was read, and what keeps its connection open until its answer is sent.
type Taken = (Option<Id>, Pending, Owed);

/// Answers a stream; one that comes when there is no room at all is refused, as a request is.
pub(super) async fn answer(
    service: Arc<Service>,
    ask: Ask,
    peer: Peer,
    body: Body,
) -> Result<Response, Refusal> {
    let capacity = service.queue.capacity();
    if service.queue.waiting() >= capacity as usize {
        return Err(Refusal::of_queue(Refused::Full { wait: service.queue.wait() }, capacity));
    }
    let mut lines = Lines::new(body, service.body_limit, LINE_TIME);
    // Before the answer begins: a client may send its body only once it is asked for.
    let first = lines.next().await.map_err(|problem| Refusal {
        status: StatusCode::BAD_REQUEST,
        problem,
        wait: None,
    })?;
    let first = first.map(|line| (line, peer.owed()));
    let (sender, body) = Channel::<Bytes, Infallible>::new(WINDOW);
    tokio::spawn(async move {
        let (entries, waiting) = mpsc::channel(WINDOW);
        let reading = read(&service, &ask, peer.clone(), first, lines, entries);
        // The writer is done when the reader is and all is written, or when the client has gone.
        let never_first = async {
            reading.await;
            std::future::pending().await
        };
        tokio::select! {
            () = write(&service, &ask, &peer, waiting, sender) => {}
            () = never_first => {}
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

/// Reads lines and takes them into the queue, until there are no more.
async fn read(
    service: &Arc<Service>,
    ask: &Ask,
    mut peer: Peer,
    first: Option<(BytesMut, Owed)>,
    mut lines: Lines,
    entries: mpsc::Sender<Taken>,
) {
    let mut next = Ok(first);
    let problem = loop {
        match next {
            Ok(None) => return,
            Err(problem) => break problem,
            Ok(Some((line, owed))) => {
                let (id, entry) = match take(service, ask, &line).await {
                    Ok(entry) => entry,
                    Err(problem) => break problem,
                };
                if entries.send((id, entry, owed)).await.is_err() {
                    return;
                }
            }
        }
        next = tokio::select! {
            next = lines.next() => next.map(|line| line.map(|line| (line, peer.owed()))),
            () = peer.stopping() => Err(Problem::new("stopping", "the service is being stopped; send the rest again")),
        };
    };
    // The client may have gone.
    let _ = entries.send((None, Pending::Refused(problem), peer.owed())).await;
}

/// A line on its way to its answer.
///
/// # Errors
/// What ends the stream.
async fn take(service: &Arc<Service>, ask: &Ask, line: &[u8]) -> Result<(Option<Id>, Pending), Problem> {
    let (id, entry) = ask.task.line(line);
    let entry = match entry {
        Ok(entry) => entry,
        Err(problem) => return Ok((id, Pending::Refused(problem))),
    };
    let prepared = service.prepare(ask, vec![entry]).await.map_err(|refusal| refusal.problem)?;
    let pending = service.submit_with_patience(ask, prepared).await;
    let mut pending =
        pending.map_err(|refused| Refusal::of_queue(refused, service.queue.capacity()).problem)?;
    Ok((id, pending.remove(0)))
}

/// Writes the answers of entries in their order.
async fn write(
    service: &Service,
    ask: &Ask,
    peer: &Peer,
    mut entries: mpsc::Receiver<Taken>,
    mut sender: Sender<Bytes, Infallible>,
) {
    let scorer = &service.scorers[ask.scorer];
    while let Some((id, entry, _owed)) = entries.recv().await {
        let answer = entry.answer(ask.task, scorer).await;
        if let Some(problem) = answer.problem() {
            service.metrics.refused(problem.code);
        }
        let Ok(mut line) = serde_json::to_vec(&Line { id, answer }) else { return };
        line.push(b'\n');
        if peer.sending(sender.send_data(line.into())).await.is_err() {
            return;
        }
    }
}

/// The lines of a body.
struct Lines {
    body: Body,
    /// Bytes of the longest line.
    limit: usize,
    /// How long a line may take to arrive once it is waited for.
    time: Duration,
    /// What has arrived and is not yet given out.
    buffer: BytesMut,
    /// Bytes of it that hold no line feed.
    searched: usize,
    /// Whether the first line was found.
    begun: bool,
    ended: bool,
}

impl Lines {
    fn new(body: Body, limit: usize, time: Duration) -> Self {
        Self { body, limit, time, buffer: BytesMut::new(), searched: 0, begun: false, ended: false }
    }

    /// The next line that is not blank; the first one of all without a byte order mark.
    ///
    /// # Errors
    /// A line that is too long, or that does not arrive in time, however often a part of it does.
    async fn next(&mut self) -> Result<Option<BytesMut>, Problem> {
        let until = Instant::now() + self.time;
        loop {
            let mut line = match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                Some(place) => self.buffer.split_to(self.searched + place + 1),
                None if self.ended => self.buffer.split(),
                None => {
                    self.searched = self.buffer.len();
                    self.more(until).await?;
                    continue;
                }
            };
            self.searched = 0;
            if !std::mem::replace(&mut self.begun, true) && line.starts_with(BYTE_ORDER_MARK.as_bytes()) {
                line = line.split_off(BYTE_ORDER_MARK.len());
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
            if self.ended && self.buffer.is_empty() {
                return Ok(None);
            }
            // A client may send blank lines alone, and others are to be served between them.
            coop::consume_budget().await;
        }
    }

    async fn more(&mut self, until: Instant) -> Result<(), Problem> {
        if self.buffer.len() > self.limit {
            let message =
                format!("a line is longer than {} bytes (--body-limit); make it shorter", self.limit);
            return Err(Problem::new("too_large", message));
        }
        match timeout_at(until, self.body.frame()).await {
            Ok(Some(Ok(frame))) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(Some(Err(error))) => {
                return Err(Problem::new("bad_request", format!("the stream broke off: {error}")));
            }
            Ok(None) => self.ended = true,
            Err(_) => return Err(Problem::new("too_slow", "the next line did not arrive in time")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn lines(parts: &[&'static str], limit: usize) -> Result<Vec<String>, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut sender, body) = Channel::<Bytes, Infallible>::new(parts.len().max(1));
            for part in parts {
                sender.send_data(Bytes::from_static(part.as_bytes())).await.unwrap();
            }
            drop(sender);
            let mut lines = Lines::new(Body::new(body), limit, LINE_TIME);
            let mut found = Vec::new();
            while let Some(line) = lines.next().await? {
                found.push(std::str::from_utf8(&line).unwrap().trim().to_owned());
            }
            Ok(found)
        })
    }

    #[test]
    fn lines_are_found_however_they_arrive() {
        for parts in [
            vec!["one\ntwo\nthree\n"],
            vec!["one\ntwo\nthree"],
            vec!["o", "ne", "\nt", "wo\nth", "ree", "\n"],
            vec!["\n\r\n", "one\r\n \n", "two\n", "", "three"],
            vec!["\u{feff}one\ntwo\nthree"],
            vec!["\u{feff}\none\ntwo\n", "three"],
        ] {
            assert_eq!(lines(&parts, 100).unwrap(), ["one", "two", "three"], "{parts:?}");
        }
        assert!(lines(&[], 100).unwrap().is_empty());
        assert!(lines(&["\u{feff}"], 100).unwrap().is_empty());
        assert_eq!(
            lines(&["one\n\u{feff}two"], 100).unwrap(),
            ["one", "\u{feff}two"],
            "only the first has a mark"
        );
    }

    #[test]
    fn blank_lines_alone_keep_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let blank = Bytes::from(vec![b'\n'; 400_000]);
            let turns = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&turns);
            let others = tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
            let begun = Instant::now();
            let mut lines = Lines::new(Body::from(blank), 1 << 20, LINE_TIME);
            assert_eq!(lines.next().await, Ok(None));
            assert!(turns.load(Ordering::Relaxed) > 1000, "{turns:?}");
            // Each line for itself: copying the rest after each took a hundred times as long.
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            others.abort();
        });
    }

    #[test]
    fn a_line_that_drips_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
            // Without end, each byte long before the next one is missed.
            let dripping = tokio::spawn(async move {
                while sender.send_data(Bytes::from_static(b"a")).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
            let mut lines = Lines::new(Body::new(body), 1 << 20, Duration::from_millis(60));
            let next = tokio::time::timeout(Duration::from_secs(20), lines.next()).await;
            assert_eq!(next.expect("it ends").unwrap_err().code, "too_slow");
            dripping.abort();
        });
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let parts = ["one\n", "0123456789", "0123456789", "\n"];
        assert_eq!(lines(&parts, 15).unwrap_err().code, "too_large");
        assert_eq!(lines(&["0123456789\n0123456789\n"], 15).unwrap().len(), 2);
    }
}
