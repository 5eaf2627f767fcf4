//! The bounded queue between requests and the thread that computes.
//!
//! The bound is on tokens, which is what costs time. A request has room for all its documents or for none; a stream
//! waits for room, line by line.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use pair2score_scorer::Encoded;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::job::{Asker, Item, Job, Lane, Reply};
use super::metrics::Metrics;

/// Waits that a client is told: at least a second, and no more than it is worth to plan for.
const WAITS: (u64, u64) = (1, 120);

/// Where handlers leave documents.
pub(super) struct Queue {
    room: Arc<Semaphore>,
    /// Tokens that may wait.
    capacity: u32,
    jobs: Sender<Job>,
    metrics: Arc<Metrics>,
}

/// Why documents were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no room now; how long it may take until there is.
    Full { wait: Duration },
    /// There will never be room for so many tokens at once.
    TooMany,
    /// Nobody computes any more.
    Closed,
}

/// Documents of somebody for one lane.
pub(super) type Work = (Asker, Lane, Vec<Encoded>);

impl Queue {
    pub(super) fn new(capacity: u32, jobs: Sender<Job>, metrics: Arc<Metrics>) -> Self {
        Self { room: Arc::new(Semaphore::new(capacity as usize)), capacity, jobs, metrics }
    }

    /// Tokens that may wait.
    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Tokens that wait or are computed.
    pub(super) fn waiting(&self) -> usize {
        (self.capacity as usize).saturating_sub(self.room.available_permits())
    }

    /// Takes all documents, or none; where each is answered, in their order.
    pub(super) fn submit(&self, work: Vec<Work>) -> Result<Vec<Vec<Reply>>, Refused> {
        let tokens = self.tokens(&work)?;
        match Arc::clone(&self.room).try_acquire_many_owned(tokens) {
            Ok(room) => self.send(work, room),
            Err(TryAcquireError::NoPermits) => Err(Refused::Full { wait: self.wait() }),
            Err(TryAcquireError::Closed) => Err(Refused::Closed),
        }
    }

    /// As [`submit`](Self::submit), once there is room.
    pub(super) async fn submit_with_patience(&self, work: Vec<Work>) -> Result<Vec<Vec<Reply>>, Refused> {
        let tokens = self.tokens(&work)?;
        let room = Arc::clone(&self.room).acquire_many_owned(tokens).await.map_err(|_| Refused::Closed)?;
        self.send(work, room)
    }

    fn tokens(&self, work: &[Work]) -> Result<u32, Refused> {
        let documents = work.iter().flat_map(|(_, _, documents)| documents);
        let tokens: usize = documents.map(|document| document.ids.len()).sum();
        u32::try_from(tokens).ok().filter(|tokens| *tokens <= self.capacity).ok_or(Refused::TooMany)
    }

    fn send(&self, work: Vec<Work>, mut room: OwnedSemaphorePermit) -> Result<Vec<Vec<Reply>>, Refused> {
        let mut replies = Vec::with_capacity(work.len());
        for (asker, lane, documents) in work {
            let wait = |document: Encoded| {
                let (reply, receiver) = oneshot::channel();
                let room = room.split(document.ids.len()).expect("room for every token was taken");
                (Item { document, room, reply }, receiver)
            };
            let (items, receivers) = documents.into_iter().map(wait).unzip();
            self.jobs.send(Job { asker, lane, items }).map_err(|_| Refused::Closed)?;
            replies.push(receivers);
        }
        Ok(replies)
    }

    /// How long what waits will take, as far as that is known.
    pub(super) fn wait(&self) -> Duration {
        let (least, most) = WAITS;
        let seconds =
            self.metrics.tokens_per_second().map_or(least as f64, |rate| self.waiting() as f64 / rate);
        Duration::from_secs((seconds.ceil() as u64).clamp(least, most))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::service::job::Pass;

    const LANE: Lane = Lane { scorer: 0, pass: Pass::Score };

    fn documents(lengths: &[usize]) -> Vec<Work> {
        let document = |&length: &usize| Encoded { ids: vec![7; length], full_length: length };
        vec![(Asker::new(), LANE, lengths.iter().map(document).collect())]
    }

    #[test]
    fn a_request_has_room_for_all_its_documents_or_for_none() {
        let (jobs, taken) = mpsc::channel();
        let queue = Queue::new(100, jobs, Arc::new(Metrics::new(vec![])));
        let first = queue.submit(documents(&[40, 30])).unwrap();
        assert_eq!((first[0].len(), queue.waiting()), (2, 70));
        assert_eq!(
            queue.submit(documents(&[10, 21])).err(),
            Some(Refused::Full { wait: Duration::from_secs(1) })
        );
        assert_eq!(queue.waiting(), 70, "what was refused takes no room");
        assert_eq!(queue.submit(documents(&[60, 41])).err(), Some(Refused::TooMany));
        // A document that was computed gives its room back, and the other keeps its own.
        let mut job: Job = taken.recv().unwrap();
        drop(job.items.pop_front());
        assert_eq!(queue.waiting(), 30);
        assert!(queue.submit(documents(&[70])).is_ok());
        drop((job, taken));
        assert_eq!(queue.submit(documents(&[1])).err(), Some(Refused::Closed));
    }

    #[test]
    fn a_stream_waits_for_room() {
        let (jobs, taken) = mpsc::channel();
        let queue = Arc::new(Queue::new(100, jobs, Arc::new(Metrics::new(vec![]))));
        let _first = queue.submit(documents(&[90])).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let waiting = tokio::spawn({
                let queue = Arc::clone(&queue);
                async move { queue.submit_with_patience(documents(&[20])).await.is_ok() }
            });
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            drop(taken.recv().unwrap());
            assert!(waiting.await.unwrap());
        });
        assert_eq!(queue.waiting(), 20);
    }
}
