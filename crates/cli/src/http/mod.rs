//! Listening and answering over HTTP: what `serve` has in common for a site, a collection and a scoring service.
//!
//! The one key decision: a client that does nothing cannot hold the server. A request's header and its body have to
//! arrive within a deadline, and there are so few connections at a time that files and the database always find a
//! descriptor; where one more connection comes, the one that has been still the longest makes room. The cost is that a
//! client may have to connect again, which browsers do by themselves. [`connections`] says which are still, and what
//! happens where none is.

mod connections;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub(crate) use connections::{Owed, Peer};

use crate::{Answer, signals};
use connections::Connections;

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

/// How long the body of a request may take to arrive that is a few kilobytes.
const BODY_TIME: Duration = Duration::from_secs(5);

/// What clients may take of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at a time, a few spare ones aside. Each may have a file open besides.
    pub(crate) connections: usize,
    /// How long the header of a request may take to arrive, also that of the next request on a connection.
    pub(crate) header: Duration,
    /// How long requests under way may take once the server is stopped.
    pub(crate) grace: Duration,
}

/// macOS gives a process 256 descriptors unless it asks for more; other systems give at least as many.
pub(crate) const LIMITS: Limits =
    Limits { connections: 100, header: Duration::from_secs(15), grace: Duration::from_secs(5) };

/// Refuses an address that other machines reach, unless that was allowed; `what` would travel in the open.
///
/// # Errors
/// Such an address.
pub(crate) fn check_host(host: IpAddr, allow_remote: bool, what: &str, proxied: &str) -> Result<()> {
    if is_loopback(host) || allow_remote {
        return Ok(());
    }
    bail!(
        "--host {host} lets other machines in, and {what} would travel in the open; put TLS in front (a reverse proxy \
         on this machine needs no other host than 127.0.0.1{proxied}), or add --allow-remote"
    )
}

/// Whether only this machine reaches an address.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A value as the body of an answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Makes sure that nothing else listens there, for a command that works a while before it does.
///
/// # Errors
/// What [`listen`] would say.
pub(crate) fn check_free(host: IpAddr, port: u16) -> Result<()> {
    std::net::TcpListener::bind((host, port)).with_context(|| not_free(host, port))?;
    Ok(())
}

fn not_free(host: IpAddr, port: u16) -> String {
    format!("cannot listen on {host}:{port}; choose another port with --port")
}

/// Serves what `open` makes once the address is known, until a signal; requests under way are then answered.
pub(crate) fn listen(
    host: IpAddr,
    port: u16,
    limits: Limits,
    open: impl FnOnce(SocketAddr) -> Result<Router>,
) -> Result<Answer> {
    let stopped = signals::first()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind((host, port)).await.with_context(|| not_free(host, port))?;
        let app = open(listener.local_addr()?)?;
        serve(listener, app, stopped, limits).await;
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

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        body_within(BODY_TIME, request).await.map(Self)
    }
}

/// The body of a request, which has so long to arrive. `DefaultBodyLimit` bounds its length.
///
/// # Errors
/// The status of the refusal, and its reason.
pub(crate) async fn body_within(time: Duration, request: Request) -> Result<Bytes, (StatusCode, String)> {
    match timeout(time, Bytes::from_request(request, &())).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) => Err((rejection.status(), rejection.body_text())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time".into())),
    }
}

/// Answers connections until `stopped`, then lets requests under way come to their end.
async fn serve(listener: TcpListener, app: Router, stopped: impl Future<Output = ()>, limits: Limits) {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.header);
    let (graceful, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
    let mut stopped = std::pin::pin!(stopped);
    let (stop, stopping) = watch::channel(false);
    let mut connections = Connections::new(stopping);
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
        let spare = connections.make_room(limits.connections);
        let (peer, stream) = connections.noted(stream, spare);
        let service = TowerToHyperService::new(app.clone().layer(Extension(peer.clone())));
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        // What goes wrong on a connection concerns its client alone.
        let task = tasks.spawn(async move { drop(connection.await) });
        connections.add(peer, task);
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    stop.send_replace(true);
    // A connection without a whole request would wait for the rest of it.
    let _ = timeout(limits.grace, graceful.shutdown()).await;
    tasks.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::TcpStream as Client;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use axum::routing::get;
    use tokio::sync::oneshot;

    use super::*;

    const SHORT: Limits =
        Limits { connections: 3, header: Duration::from_micros(300), grace: Duration::from_micros(300) };

    /// Clients that wait for `/never`.
    static OWED: AtomicUsize = AtomicUsize::new(0);

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
        let never = |Extension(peer): Extension<Peer>| async move {
            let _owed = peer.owed();
            OWED.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await
        };
        let spare = |Extension(peer): Extension<Peer>| async move { peer.is_spare().to_string() };
        let app = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/never", get(never))
            .route("/spare", get(spare));
        let served = runtime.spawn(serve(listener, app, async { drop(stopped.await) }, limits));
        Server { address, stop, served, runtime }
    }

    fn connect(server: &Server, sent: &str) -> Client {
        let mut client = Client::connect(server.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
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
        for sent in ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let answer = rest(connect(&server, sent));
            assert!(!answer.contains("here"), "{sent}: {answer}");
        }
        // The first request comes in time, the next one on the connection never does.
        let server = start(Limits { header: Duration::from_millis(500), ..SHORT });
        let answer = rest(connect(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(answer.ends_with("here"), "{answer}");
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
    fn a_server_that_owes_all_clients_an_answer_takes_new_ones() {
        let patient = Limits { header: Duration::from_secs(60), ..SHORT };
        let server = start(patient);
        let ask = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(rest(connect(&server, &ask("/spare"))).ends_with("false"));
        let mut waiting = Vec::new();
        while waiting.len() < patient.connections {
            waiting.push(connect(&server, &ask("/never")));
            while OWED.load(Ordering::Relaxed) < waiting.len() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let idle: Vec<Client> = (0..2 * connections::SPARE).map(|_| connect(&server, "")).collect();
        assert!(rest(connect(&server, &ask("/spare"))).ends_with("true"));
        drop(idle);
        // Those who wait are not closed for it.
        for client in &mut waiting {
            client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let kind = client.read(&mut [0]).unwrap_err().kind();
            assert!(matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{kind}");
        }
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

    #[test]
    fn loopback_in_both_notations() {
        for (address, loopback) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.168.0.1", false),
        ] {
            assert_eq!(is_loopback(address.parse().unwrap()), loopback, "{address}");
        }
    }
}
