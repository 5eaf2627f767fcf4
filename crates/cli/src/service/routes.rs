//! HTTP around the scorers. `docs/service.md` shows the routes by example, `/openapi.json` describes them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Answer;
use super::ask::{Entry, Task};
use super::problem::{Problem, Refusal};
use super::queue::Refused;
use super::scorers::About;
use super::state::{Ask, Service};
use super::stream;
use crate::http::{Peer, body_within, json, secure};

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The page loads its own files and asks its own server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Every route: its path, whether a key is asked for where there are some, and what answers.
pub(super) fn routes() -> [(&'static str, bool, MethodRouter<Arc<Service>>); 10] {
    let asked = |task: Task| {
        post(move |service: State<Arc<Service>>, options: Asked, peer: Extension<Peer>, request: Request| {
            handle(service, task, options, peer, request)
        })
    };
    let file = |kind: &'static str, content: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], content) })
    };
    [
        ("/", false, file("text/html; charset=utf-8", include_str!("page/index.html"))),
        ("/try.css", false, file("text/css; charset=utf-8", include_str!("page/try.css"))),
        ("/try.js", false, file("text/javascript; charset=utf-8", include_str!("page/try.js"))),
        ("/healthz", false, get(|| async { json(StatusCode::OK, &json!({ "status": "ok" })) })),
        ("/openapi.json", false, get(openapi)),
        ("/score", true, asked(Task::Score)),
        ("/compare", true, asked(Task::Compare)),
        ("/embed", true, asked(Task::Embed)),
        ("/scorers", true, get(scorers)),
        ("/metrics", true, get(metrics)),
    ]
}

/// The whole service.
pub(super) fn app(service: Arc<Service>) -> Router {
    let admit = middleware::from_fn_with_state(Arc::clone(&service), admit);
    let add = |router: Router<Arc<Service>>, (path, with_key, answers): (_, _, MethodRouter<_>)| {
        router.route(path, if with_key { answers.route_layer(admit.clone()) } else { answers })
    };
    let refused =
        |status, code, message: &'static str| move || async move { Refusal::new(status, code, message) };
    routes()
        .into_iter()
        .fold(Router::new(), add)
        .fallback(refused(StatusCode::NOT_FOUND, "no_such_route", "there is nothing here; see /"))
        .method_not_allowed_fallback(refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong_method",
            "this route takes another method; see /",
        ))
        .layer(DefaultBodyLimit::max(service.body_limit))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), known_host))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), observe))
        .with_state(service)
}

/// Counts the request, and adds the headers that every answer has.
async fn observe(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get().map_or("other", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    service.metrics.answered(&route, response.status().as_u16(), begun.elapsed());
    secure(response.headers_mut(), POLICY);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Refuses a name of this machine that is not its own, where nobody else is meant to ask and no key is asked for. The name
/// may be that of a web page somewhere else, which has made its name lead here: to the browser, both are then one origin.
async fn known_host(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    // A browser always names one.
    let host = request.headers().get(header::HOST);
    if !service.local || host.is_none_or(|host| host.to_str().is_ok_and(is_local)) {
        return next.run(request).await;
    }
    let message =
        "this service is for its own machine: ask for 127.0.0.1 or localhost (Host), or let it ask for keys";
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message).into_response()
}

/// Whether a host is this machine by its usual name, or an address, which no name service can make lead elsewhere.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// Lets in who has a key.
async fn admit(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    match &service.keys {
        Some(keys) if !keys.admit(request.headers()) => {
            let message = "give a key of this service, as Authorization: Bearer KEY";
            Refusal::new(StatusCode::UNAUTHORIZED, "no_key", message).into_response()
        }
        _ => next.run(request).await,
    }
}

/// What an address says beside its route.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// The name of a scorer.
    scorer: Option<String>,
    /// Whether longer texts than the scorer reads are cut, as `score` does.
    #[serde(default = "yes")]
    truncate: bool,
}

/// The options of a request, or why they cannot be read.
type Asked = Result<Query<Options>, QueryRejection>;

fn yes() -> bool {
    true
}

/// How the entries of a request are written.
enum Form {
    Json,
    Lines,
}

impl Form {
    /// # Errors
    /// Another kind of content. What a page elsewhere can send without asking first is of other kinds.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Lines),
            _ => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "wrong_content_type",
                "send application/json, or application/x-ndjson for a stream of lines (Content-Type)",
            )),
        }
    }
}

async fn handle(
    State(service): State<Arc<Service>>,
    task: Task,
    options: Asked,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    if peer.is_spare() {
        let full = Refusal::of_queue(Refused::Full { wait: service.queue.wait() }, service.queue.capacity());
        // The client's next connection may be one that can wait for an answer.
        return ([(header::CONNECTION, "close")], full).into_response();
    }
    let answered = async {
        let Query(options) = options.map_err(|_| {
            let message =
                "the address may say scorer=NAME and truncate=false after its ?, each once, and nothing else";
            Refusal::new(StatusCode::BAD_REQUEST, "bad_request", message)
        })?;
        let form = Form::of(request.headers())?;
        let ask = service.ask(task, options.scorer.as_deref(), options.truncate)?;
        match form {
            Form::Json => at_once(service, ask, peer, request).await,
            Form::Lines => stream::answer(service, ask, peer, request.into_body()).await,
        }
    };
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

/// The answers of a request in JSON.
#[derive(Serialize)]
struct Answers<'a> {
    scorer: &'a str,
    results: Vec<Answer>,
}

/// Answers a body that is one request.
async fn at_once(service: Arc<Service>, ask: Ask, peer: Peer, request: Request) -> Result<Response, Refusal> {
    let body = body_within(BODY_TIME, request).await.map_err(|(status, why)| {
        let (code, message) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let limit = service.body_limit;
                let message = format!(
                    "the body is longer than {limit} bytes (--body-limit); send several requests, or a stream"
                );
                ("too_large", message)
            }
            StatusCode::BAD_REQUEST => {
                ("bad_request", "the body broke off before its end; send it again".into())
            }
            _ => ("bad_request", why),
        };
        Refusal::new(status, code, message)
    })?;
    let entries = ask.task.entries(&body)?;
    drop(body);
    let _owed = peer.owed();
    computed(&service, &ask, entries).await
}

/// The answers of entries, once all of them are there.
async fn computed(service: &Arc<Service>, ask: &Ask, entries: Vec<Entry>) -> Result<Response, Refusal> {
    let prepared = service.prepare(ask, entries).await?;
    let pending = service
        .submit(ask, prepared)
        .map_err(|refused| Refusal::of_queue(refused, service.queue.capacity()))?;
    let scorer = &service.scorers[ask.scorer];
    let mut results = Vec::with_capacity(pending.len());
    for entry in pending {
        let answer = entry.answer(ask.task, scorer).await;
        if let Some(problem) = answer.problem() {
            service.metrics.refused(problem.code);
            // The whole request may be sent again, and a client learns that from the status.
            if problem.code == Problem::FAILED {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return Err(Refusal { status, problem: problem.clone(), wait: None });
            }
        }
        results.push(answer);
    }
    Ok(json(StatusCode::OK, &Answers { scorer: &scorer.about.name, results }))
}

async fn scorers(State(service): State<Arc<Service>>) -> Response {
    let scorers: Vec<&About> = service.scorers.iter().map(|scorer| &scorer.about).collect();
    json(StatusCode::OK, &json!({ "scorers": scorers }))
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let text = service.metrics.text(service.queue.waiting(), service.queue.capacity());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn openapi(State(service): State<Arc<Service>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], service.openapi.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_elsewhere_and_addresses_do_not() {
        for host in
            ["127.0.0.1:8080", "127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:8080", "[::1]", "10.0.0.7:1"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "::1:x",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
