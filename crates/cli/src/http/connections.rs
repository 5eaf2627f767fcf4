//! Connections and how long each has been still.
//!
//! Where there are too many, the one on which nothing has moved the longest makes room. A connection whose client waits
//! for the server ([`Peer::hold`]) is not still.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// As of [`Peer`].
    moved: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Connections {
    /// None yet; `stopping` turns true once the server is being stopped.
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { begun: Instant::now(), stopping, open: Vec::new() }
    }

    /// A new connection as handlers see it, and its stream, on which what moves is noted.
    pub(super) fn noted(&self, stream: TcpStream) -> (Peer, Noted) {
        let moved = Arc::new(AtomicU64::new(micros(self.begun)));
        let peer = Peer { begun: self.begun, moved, stopping: self.stopping.clone() };
        (peer.clone(), Noted { stream, peer })
    }

    /// Adds a connection that a task serves.
    pub(super) fn add(&mut self, peer: Peer, task: AbortHandle) {
        self.open.push(Connection { moved: peer.moved, task });
    }

    /// Closes the connection that has been still the longest, if there are `most` of them; false where the server
    /// owes all of them an answer.
    pub(super) fn make_room(&mut self, most: usize) -> bool {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() < most {
            return true;
        }
        let times = self.open.iter().map(|connection| connection.moved.load(Ordering::Relaxed)).enumerate();
        match times.min_by_key(|&(_, time)| time) {
            Some((place, time)) if time < HELD => {
                self.open.remove(place).task.abort();
                true
            }
            _ => false,
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// In place of the time when a byte moved last: the client waits for the server.
const HELD: u64 = u64::MAX;

/// What a handler knows of the connection that a request came on: an extension of each request.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    begun: Instant,
    /// When a byte came or went last, in microseconds since `begun`, or [`HELD`].
    moved: Arc<AtomicU64>,
    stopping: watch::Receiver<bool>,
}

impl Peer {
    /// Ends once the server is being stopped.
    pub(crate) async fn stopping(&mut self) {
        // A sender that is gone has stopped.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }

    /// Keeps the connection from being closed for stillness for as long as the result lives: the client waits for what
    /// the server computes.
    pub(crate) fn hold(&self) -> impl Drop + Send + use<> {
        struct Held(Peer);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.note();
            }
        }
        self.moved.store(HELD, Ordering::Relaxed);
        Held(self.clone())
    }

    fn note(&self) {
        self.moved.store(micros(self.begun), Ordering::Relaxed);
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
        let connection = |moved: u64, runtime: &tokio::runtime::Runtime| Connection {
            moved: Arc::new(AtomicU64::new(moved)),
            task: runtime.spawn(std::future::pending::<()>()).abort_handle(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let open = [HELD, 5, HELD, 3].map(|moved| connection(moved, &runtime)).into();
        let mut connections = Connections { open, ..Connections::new(watch::channel(false).1) };
        let times = |connections: &Connections| -> Vec<u64> {
            connections.open.iter().map(|connection| connection.moved.load(Ordering::Relaxed)).collect()
        };
        assert!(connections.make_room(4));
        assert_eq!(times(&connections), [HELD, 5, HELD]);
        assert!(connections.make_room(3));
        assert_eq!(times(&connections), [HELD, HELD]);
        assert!(!connections.make_room(2), "both clients wait for an answer");
        assert_eq!(times(&connections), [HELD, HELD]);
    }
}
