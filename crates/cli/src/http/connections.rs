//! Connections and how long each has been still.
//!
//! Where there are too many, the one on which nothing has moved the longest makes room. A connection whose client waits
//! for the server ([`Peer::owed`]) is not still, unless the server waits for the client too ([`Peer::sending`]). Where the
//! clients of all connections wait, new ones are spare: there are a few of them, and handlers answer at once what comes on
//! them ([`Peer::is_spare`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Spare connections, at most.
pub(super) const SPARE: usize = 10;

/// All connections that are open.
pub(super) struct Connections {
    /// When the server began; times are microseconds since then.
    begun: Instant,
    stopping: watch::Receiver<bool>,
    /// In the order in which they were opened.
    open: Vec<Connection>,
}

struct Connection {
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// What happens on a connection.
#[derive(Debug, Default)]
struct Activity {
    /// When a byte came or went last, in microseconds since the server began.
    moved: AtomicU64,
    /// Answers that its client waits for.
    owed: AtomicUsize,
    /// Whether the client does not take what has been answered.
    held_up: AtomicBool,
    /// Whether it was opened while the clients of all others waited.
    spare: bool,
}

impl Activity {
    /// Whether the client waits for the server, and not the server for the client.
    fn is_awaited(&self) -> bool {
        self.owed.load(Ordering::Relaxed) > 0 && !self.held_up.load(Ordering::Relaxed)
    }
}

impl Connections {
    /// None yet; `stopping` turns true once the server is being stopped.
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { begun: Instant::now(), stopping, open: Vec::new() }
    }

    /// A new connection as handlers see it, and its stream, on which what moves is noted.
    pub(super) fn noted(&self, stream: TcpStream, spare: bool) -> (Peer, Noted) {
        let activity = Arc::new(Activity { spare, ..Activity::default() });
        let peer = Peer { begun: self.begun, activity, stopping: self.stopping.clone() };
        peer.note();
        (peer.clone(), Noted { stream, peer })
    }

    /// Adds a connection that a task serves.
    pub(super) fn add(&mut self, peer: Peer, task: AbortHandle) {
        self.open.push(Connection { activity: peer.activity, task });
    }

    /// Makes room for a new connection; true where it is spare, because the server owes an answer to `most` others.
    pub(super) fn make_room(&mut self, most: usize) -> bool {
        self.open.retain(|connection| !connection.task.is_finished());
        let is_spare = !self.make_room_among(false, most);
        if is_spare {
            self.make_room_among(true, SPARE);
        }
        is_spare
    }

    /// Closes the connection that has been still the longest of those that are spare, or of the others, if there are
    /// `most` of them; false where the server owes all of them an answer.
    fn make_room_among(&mut self, spare: bool, most: usize) -> bool {
        let activities = self.open.iter().map(|connection| &connection.activity).enumerate();
        let these = activities.filter(|(_, activity)| activity.spare == spare);
        if these.clone().count() < most {
            return true;
        }
        // A spare one is closed whatever it waits for.
        let still = these.filter(|(_, activity)| spare || !activity.is_awaited());
        match still.min_by_key(|(_, activity)| activity.moved.load(Ordering::Relaxed)) {
            Some((place, _)) => {
                self.open.remove(place).task.abort();
                true
            }
            None => false,
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What a handler knows of the connection that a request came on: an extension of each request.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// When the server began.
    begun: Instant,
    activity: Arc<Activity>,
    stopping: watch::Receiver<bool>,
}

impl Peer {
    /// Whether the server owes so many answers that it can take no more requests that wait for one.
    pub(crate) fn is_spare(&self) -> bool {
        self.activity.spare
    }

    /// Ends once the server is being stopped.
    pub(crate) async fn stopping(&mut self) {
        // A sender that is gone has stopped.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }

    /// Until this is dropped, the client waits for what the server computes, and the connection is not closed for
    /// stillness.
    pub(crate) fn owed(&self) -> Owed {
        self.activity.owed.fetch_add(1, Ordering::Relaxed);
        Owed(self.clone())
    }

    /// Sends a part of an answer. The connection may be closed for stillness while the client does not take it, whatever
    /// else it waits for.
    pub(crate) async fn sending<T>(&self, sent: impl Future<Output = T>) -> T {
        let mut sent = std::pin::pin!(sent);
        std::future::poll_fn(|context| {
            let polled = sent.as_mut().poll(context);
            self.activity.held_up.store(polled.is_pending(), Ordering::Relaxed);
            polled
        })
        .await
    }

    fn note(&self) {
        self.activity.moved.store(micros(self.begun), Ordering::Relaxed);
    }
}

/// An answer that a client waits for.
#[must_use = "nothing is owed once this is dropped"]
pub(crate) struct Owed(Peer);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.note();
        self.0.activity.owed.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that notes when a byte came or went last.
pub(super) struct Noted {
    stream: TcpStream,
    peer: Peer,
}

impl Noted {
    fn note<T>(&self, moved: Poll<T>) -> Poll<T> {
        if moved.is_ready() {
            self.peer.note();
        }
        moved
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(waker, buffer);
        self.note(read)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(waker, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(waker, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(waker)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_for_the_server_is_not_closed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut connections = Connections::new(watch::channel(false).1);
            let mut peers = Vec::new();
            // So far from the microseconds of this test that an answer, which is noted, is taken for none of them.
            let days = [5, 3, 7, 4].map(|days| days * 86_400_000_000);
            let peer = |moved, spare| {
                let activity = Activity { moved: AtomicU64::new(moved), spare, ..Activity::default() };
                Peer {
                    begun: Instant::now(),
                    activity: Arc::new(activity),
                    stopping: watch::channel(false).1,
                }
            };
            for moved in days {
                let peer = peer(moved, false);
                connections.add(peer.clone(), tokio::spawn(std::future::pending::<()>()).abort_handle());
                peers.push(peer);
            }
            // The clients of the first two wait for an answer, one of them for two.
            let owed = [&peers[0], &peers[1], &peers[1]].map(Peer::owed);
            drop(peers[1].owed());
            let open = |connections: &Connections| -> Vec<u64> {
                let moved = |connection: &Connection| connection.activity.moved.load(Ordering::Relaxed);
                connections.open.iter().map(moved).collect()
            };
            assert!(!connections.make_room(5) && open(&connections).len() == 4, "there is room");
            for (most, closed) in [(4, days[3]), (3, days[2])] {
                let spare = connections.make_room(most);
                assert!(!spare && !open(&connections).contains(&closed), "{:?}", open(&connections));
            }
            assert!(connections.make_room(2), "both clients wait for an answer");
            assert_eq!(open(&connections).len(), 2);
            for opened in 0..2 * SPARE as u64 {
                assert!(connections.make_room(2));
                connections
                    .add(peer(opened, true), tokio::spawn(std::future::pending::<()>()).abort_handle());
            }
            // The oldest of the spare ones have made room for the others.
            let newest: Vec<u64> = (SPARE as u64..2 * SPARE as u64).collect();
            assert_eq!(open(&connections)[2..], newest);
            // A client that does not take one answer is not spared for waiting for another.
            let first = peers[0].clone();
            let stuck = tokio::spawn(async move { first.sending(std::future::pending::<()>()).await });
            tokio::task::yield_now().await;
            assert!(!connections.make_room(2) && open(&connections)[0] != days[0]);
            stuck.abort();
            drop(owed);
        });
    }
}
