//! What all requests share, and the way of an entry: tokens, a place in the queue, an answer.

use std::sync::Arc;

use axum::http::StatusCode;
use pair2score_scorer::Encoded;
use tokio::sync::Semaphore;

use super::answer::Pending;
use super::ask::{Entry, Task, encoded};
use super::job::{Asker, Lane, Pass, Reply};
use super::keys::Keys;
use super::metrics::Metrics;
use super::problem::{Problem, Refusal};
use super::queue::{Queue, Refused, Work};
use super::scorers::Served;

/// Everything that handlers use.
pub(super) struct Service {
    pub(super) scorers: Vec<Served>,
    pub(super) queue: Queue,
    pub(super) metrics: Arc<Metrics>,
    /// Who may ask; `None` for everybody who reaches the service.
    pub(super) keys: Option<Keys>,
    /// Whether only this machine is meant to ask, and no key is asked for.
    pub(super) local: bool,
    /// Bytes of the longest body, and of the longest line of a stream.
    pub(super) body_limit: usize,
    /// One permit for each thread that may tokenise.
    pub(super) tokenising: Arc<Semaphore>,
    pub(super) openapi: String,
}

/// What a request wants, whatever its texts are.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    asker: Asker,
    pub(super) task: Task,
    /// Place of the scorer.
    pub(super) scorer: usize,
    passes: Vec<Pass>,
    /// Whether longer texts than the scorer reads are cut.
    may_cut: bool,
}

/// The tokens of an entry's texts, or why it has none.
pub(super) type Prepared = Result<Vec<Encoded>, Problem>;

impl Service {
    /// What is asked of which scorer; the only one needs no name.
    ///
    /// # Errors
    /// A scorer that is not here, that has to be named, or that cannot do it.
    pub(super) fn ask(&self, task: Task, scorer: Option<&str>, may_cut: bool) -> Result<Ask, Refusal> {
        let names = || {
            let names: Vec<&str> = self.scorers.iter().map(|scorer| scorer.about.name.as_str()).collect();
            names.join(", ")
        };
        let place = match scorer {
            Some(name) => {
                self.scorers.iter().position(|scorer| scorer.about.name == name).ok_or_else(|| {
                    let message = format!("there is no scorer {name:?}; there are {}", names());
                    Refusal::new(StatusCode::NOT_FOUND, "no_such_scorer", message)
                })?
            }
            None if self.scorers.len() == 1 => 0,
            None => {
                let message = format!("say which scorer, as ?scorer=NAME; there are {}", names());
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "which_scorer", message));
            }
        };
        let passes = task.passes(&self.scorers[place])?;
        Ok(Ask { asker: Asker::new(), task, scorer: place, passes, may_cut })
    }

    /// Tokens of entries, on a thread that may compute; no more of them than may ever wait.
    ///
    /// # Errors
    /// A tokenizer that broke off, and more tokens than may wait.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        ask: &Ask,
        entries: Vec<Entry>,
    ) -> Result<Vec<Prepared>, Refusal> {
        let broken =
            || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Problem::FAILED, "the tokenizer failed");
        let (service, ask, capacity) = (Arc::clone(self), ask.clone(), self.queue.capacity());
        let prepare = move || {
            let scorer = &service.scorers[ask.scorer];
            let most = capacity as usize / ask.passes.len().max(1);
            within(most, entries.iter().map(|entry| encoded(scorer, entry, ask.may_cut)))
        };
        let prepared = permitted(&self.tokenising, prepare).await.ok_or_else(broken)?;
        prepared.ok_or_else(|| Refusal::of_queue(Refused::TooMany, capacity))
    }

    /// Takes entries into the queue, all of them or none.
    ///
    /// # Errors
    /// A queue without room.
    pub(super) fn submit(&self, ask: &Ask, entries: Vec<Prepared>) -> Result<Vec<Pending>, Refused> {
        let replies = self.queue.submit(work(ask, &entries))?;
        Ok(pending(entries, replies))
    }

    /// As [`submit`](Self::submit), once there is room.
    ///
    /// # Errors
    /// A queue that can never have so much room, or is closed.
    pub(super) async fn submit_with_patience(
        &self,
        ask: &Ask,
        entries: Vec<Prepared>,
    ) -> Result<Vec<Pending>, Refused> {
        let replies = self.queue.submit_with_patience(work(ask, &entries)).await?;
        Ok(pending(entries, replies))
    }
}

/// What `work` gives, on a thread that may compute; `None` where it broke off. The permit is the work's own: it goes on
/// when nobody waits for it any more.
async fn permitted<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let task = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(task).await.ok()
}

/// The tokens of entries, if they are no more than these; the entries after those that are too many are not looked at.
fn within(most: usize, entries: impl Iterator<Item = Prepared>) -> Option<Vec<Prepared>> {
    let mut tokens = 0;
    let counted = entries.map(|entry| {
        tokens += entry.iter().flatten().map(|document| document.ids.len()).sum::<usize>();
        (tokens <= most).then_some(entry)
    });
    counted.collect()
}

/// The documents of all entries, once for each pass.
fn work(ask: &Ask, entries: &[Prepared]) -> Vec<Work> {
    let documents = || entries.iter().flatten().flatten().cloned().collect();
    let of_pass = |&pass: &Pass| (ask.asker, Lane { scorer: ask.scorer, pass }, documents());
    ask.passes.iter().map(of_pass).collect()
}

/// Entries with where their documents are answered.
fn pending(entries: Vec<Prepared>, replies: Vec<Vec<Reply>>) -> Vec<Pending> {
    let mut passes: Vec<_> = replies.into_iter().map(Vec::into_iter).collect();
    let pending = |entry: Prepared| match entry {
        Err(problem) => Pending::Refused(problem),
        Ok(documents) => {
            let of_entry = passes.iter_mut().flat_map(|pass| pass.by_ref().take(documents.len()));
            let replies = of_entry.collect();
            Pending::waiting(&documents, replies)
        }
    };
    entries.into_iter().map(pending).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_that_nobody_waits_for_keeps_its_permit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let permits = Arc::new(Semaphore::new(1));
            let (end, ended) = mpsc::channel::<()>();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let work = move || {
                begin.send(()).unwrap();
                ended.recv().unwrap();
            };
            tokio::select! {
                _ = permitted(&permits, work) => panic!("it has not ended"),
                begun = begun => begun.unwrap(),
            }
            // The client has left.
            assert_eq!(permits.available_permits(), 0);
            end.send(()).unwrap();
            let next = tokio::time::timeout(Duration::from_secs(20), permitted(&permits, || 7)).await;
            assert_eq!(next.unwrap(), Some(7));
        });
    }

    #[test]
    fn what_is_too_much_is_not_tokenised_to_its_end() {
        let mut looked_at = 0;
        let document = |length: usize| Encoded { ids: vec![7; length], full_length: length };
        let blank = || Err(Problem::new("blank", "blank"));
        let mut read = |most: usize, lengths: &[usize]| {
            looked_at = 0;
            let entries = lengths.iter().map(|&length| {
                looked_at += 1;
                if length == 0 { blank() } else { Ok(vec![document(length), document(1)]) }
            });
            (within(most, entries).map(|entries| entries.len()), looked_at)
        };
        assert_eq!(read(20, &[5, 0, 12, 0]), (Some(4), 4));
        assert_eq!(read(19, &[5, 0, 12, 0]), (Some(4), 4));
        assert_eq!(read(18, &[5, 0, 12, 9, 9, 9]), (None, 3));
    }
}
