//! Listening and answering over HTTP: what `serve` has in common for a site and for a collection.
//!
//! The one key decision: a client that does nothing cannot hold the server. A request's header and its body have to
//! arrive within a deadline, and there are so few connections at a time that files and the database always find a
//! descriptor; where one more connection comes, the one that has been still the longest makes room. The cost is that a
//! client may have to connect again, which browsers do by themselves.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Waker, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::{Answer, signals};

/// Sent with every answer, beside a policy. The two `cross-origin` ones keep other sites out of the page's memory.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// How long the body of a request may take to arrive. Bodies are a few kilobytes.
const BODY_TIME: Duration = Duration::from_secs(5);

/// What clients may take of the server.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections at a time. Each may have a file open besides.
    connections: usize,
    /// How long the header of a request may take to arrive, also that of the next request on a connection.
    header: Duration,
    /// How long requests under way may take once the server is stopped.
    grace: Duration,
}

/// macOS gives a process 256 descriptors unless it asks for more; other systems give at least as many.
const LIMITS: Limits =
    Limits { connections: 100, header: Duration::from_secs(15), grace: Duration::from_secs(5) };

/// Serves what `open` makes once the address is known, until a signal; requests under way are then answered.
pub(crate) fn listen(
    host: IpAddr,
    port: u16,
    open: impl FnOnce(SocketAddr) -> Result<Router>,
) -> Result<Answer> {
    let stopped = signals::first()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind((host, port))
            .await
            .with_context(|| format!("cannot listen on {host}:{port}; choose another port with --port"))?;
        let app = open(listener.local_addr()?)?;
        serve(listener, app, stopped, LIMITS).await;
        Ok(Answer::Yes)
    });
    // Work that outlasted the grace ends with the program.
    runtime.shutdown_background();
    served
}

/// Adds the headers that every answer has.
pub(crate) fn secure(headers: &mut HeaderMap, policy: &'static str) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The body of a request that arrived in time. `DefaultBodyLimit` bounds its length.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    /// The status of the refusal, and its reason.
    type Rejection = (StatusCode, String);

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        match timeout(BODY_TIME, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) => Err((rejection.status(), rejection.body_text())),
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time".into())),
        }
    }
}

/// Answers connections until `stopped`, then lets requests under way come to their end.
async fn serve(listener: TcpListener, app: Router, stopped: impl Future<Output = ()>, limits: Limits) {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.header);
    let (graceful, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
    let mut connections = Connections { begun: Instant::now(), open: Vec::new() };
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // The client has gone, or descriptors are short for a moment.
            sleep(Duration::from_micros(50)).await;
            continue;
        };
        connections.make_room(limits.connections);
        let moved = Arc::new(AtomicU64::new(connections.now()));
        let stream = Noted { stream, begun: connections.begun, moved: Arc::clone(&moved) };
        let service = TowerToHyperService::new(app.clone());
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        // What goes wrong on a connection concerns its client alone.
        let task = tasks.spawn(async move { drop(connection.await) });
        connections.open.push(Connection { moved, task });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    // A connection without a whole request would wait for the rest of it.
    let _ = timeout(limits.grace, graceful.shutdown()).await;
    tasks.shutdown().await;
}

/// All connections that are open.
struct Connections {
    /// When the server began; times are microseconds since then.
    begun: Instant,
    /// In the order in which they were opened.
    open: Vec<Connection>,
}

struct Connection {
    /// When a byte came or went last.
    moved: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Connections {
    fn now(&self) -> u64 {
        micros(self.begun)
    }

    /// Closes the connection that has been still the longest, if there are `most` of them.
    fn make_room(&mut self, most: usize) {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() < most {
            return;
        }
        let times = self.open.iter().map(|connection| connection.moved.load(Ordering::Relaxed)).enumerate();
        if let Some((place, _)) = times.min_by_key(|&(_, time)| time) {
            self.open.remove(place).task.abort();
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A stream that notes when a byte came or went last.
struct Noted {
    stream: TcpStream,
    begun: Instant,
    moved: Arc<AtomicU64>,
}

impl Noted {
    fn note<T>(&self, moved: Poll<T>) -> Poll<T> {
        if moved.is_ready() {
            self.moved.store(micros(self.begun), Ordering::Relaxed);
        }
        moved
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(waker, buffer);
        self.note(read)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, waker: &mut Waker<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(waker, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(waker, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(waker)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(waker)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Client;

    use axum::routing::get;
    use tokio::sync::oneshot;

    use super::*;

    const SHORT: Limits =
        Limits { connections: 3, header: Duration::from_micros(300), grace: Duration::from_micros(300) };

    /// A server with short limits, and what stops it. Everything is over when the runtime is dropped.
    struct Server {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        served: tokio::task::JoinHandle<()>,
        runtime: tokio::runtime::Runtime,
    }

    fn start(limits: Limits) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, (stop, stopped)) = (listener.local_addr().unwrap(), oneshot::channel());
        let app = Router::new().route("/", get(|| async { "here" }));
        let served = runtime.spawn(serve(listener, app, async { drop(stopped.await) }, limits));
        Server { address, stop, served, runtime }
    }

    fn connect(server: &Server, sent: &str) -> Client {
        let mut client = Client::connect(server.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.write_all(sent.as_bytes()).unwrap();
        client
    }

    /// All that the server sends until it closes the connection.
    fn rest(mut client: Client) -> String {
        let mut text = Vec::new();
        match client.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection is still open: {error}"),
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_header_that_does_not_end_is_not_waited_for() {
        let server = start(SHORT);
        let waits = ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"];
        let clients = waits.map(|sent| rest(connect(&server, sent)));
        assert!(clients[..3].iter().all(|answer| !answer.contains("here")), "{clients:?}");
        assert!(clients[3].ends_with("here"), "the next request on the connection never came: {clients:?}");
    }

    #[test]
    fn the_stillest_connection_makes_room() {
        let patient = Limits { header: Duration::from_secs(60), ..SHORT };
        let server = start(patient);
        let idle: Vec<Client> = (0..20).map(|_| connect(&server, "")).collect();
        let asked = connect(&server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(rest(asked).ends_with("here"));
        let closed = idle.into_iter().take(18).map(rest).collect::<String>();
        assert_eq!(closed, "");
    }

    #[test]
    fn a_stop_does_not_wait_for_what_never_comes() {
        let patient = Limits { header: Duration::from_secs(60), ..SHORT };
        let Server { address, stop, served, runtime } = start(patient);
        let mut partial = Client::connect(address).unwrap();
        partial.write_all(b"GET / HTT").unwrap();
        std::thread::sleep(Duration::from_micros(100));
        let begun = Instant::now();
        stop.send(()).unwrap();
        runtime.block_on(served).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        drop(partial);
    }
}
