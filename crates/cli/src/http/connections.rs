//! Connections and how long each has been still.
//!
//! Where there are too many, the one on which nothing has moved the longest makes room. A connection whose client waits
//! for the server ([`Peer::owe`]) is not still.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

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
}

impl Connections {
    /// None yet; `stopping` turns true once the server is being stopped.
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { begun: Instant::now(), stopping, open: Vec::new() }
    }

    /// A new connection as handlers see it, and its stream, on which what moves is noted.
    pub(super) fn noted(&self, stream: TcpStream) -> (Peer, Noted) {
        let peer = Peer { begun: self.begun, activity: Arc::default(), stopping: self.stopping.clone() };
        peer.note();
        (peer.clone(), Noted { stream, peer })
    }

    /// Adds a connection that a task serves.
    pub(super) fn add(&mut self, peer: Peer, task: AbortHandle) {
        self.open.push(Connection { activity: peer.activity, task });
    }

    /// Closes the connection that has been still the longest, if there are `most` of them; false where the server
    /// owes all of them an answer.
    pub(super) fn make_room(&mut self, most: usize) -> bool {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() < most {
            return true;
        }
        let activities = self.open.iter().map(|connection| &connection.activity).enumerate();
        let still = activities.filter(|(_, activity)| activity.owed.load(Ordering::Relaxed) == 0);
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
    /// Ends once the server is being stopped.
    pub(crate) async fn stopping(&mut self) {
        // A sender that is gone has stopped.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }

    /// Keeps the connection from being closed for stillness while `answer` is awaited: the client waits for what the
    /// server computes.
    pub(crate) async fn owe<T>(&self, answer: impl Future<Output = T>) -> T {
        struct Owed<'p>(&'p Peer);
        impl Drop for Owed<'_> {
            fn drop(&mut self) {
                self.0.note();
                self.0.activity.owed.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.activity.owed.fetch_add(1, Ordering::Relaxed);
        let _owed = Owed(self);
        answer.await
    }

    fn note(&self) {
        self.activity.moved.store(micros(self.begun), Ordering::Relaxed);
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
            for moved in days {
                let peer = Peer {
                    begun: Instant::now(),
                    activity: Arc::default(),
                    stopping: watch::channel(false).1,
                };
                peer.activity.moved.store(moved, Ordering::Relaxed);
                connections.add(peer.clone(), tokio::spawn(std::future::pending::<()>()).abort_handle());
                peers.push(peer);
            }
            // The clients of the first two wait for an answer, one of them for two.
            for peer in [&peers[0], &peers[1], &peers[1]] {
                let peer = peer.clone();
                tokio::spawn(async move { peer.owe(std::future::pending::<()>()).await });
            }
            peers[1].owe(std::future::ready(())).await;
            let open = |connections: &Connections| -> Vec<u64> {
                let moved = |connection: &Connection| connection.activity.moved.load(Ordering::Relaxed);
                connections.open.iter().map(moved).collect()
            };
            tokio::task::yield_now().await;
            assert!(connections.make_room(5) && open(&connections).len() == 4, "there is room");
            assert!(
                connections.make_room(4) && !open(&connections).contains(&days[3]),
                "{:?}",
                open(&connections)
            );
            assert!(
                connections.make_room(3) && !open(&connections).contains(&days[2]),
                "{:?}",
                open(&connections)
            );
            assert!(!connections.make_room(2), "both clients wait for an answer");
            assert_eq!(open(&connections).len(), 2);
        });
    }
}
