//! HTTP around a collection: four requests for judges, and the page they come from.
//!
//! `POST /api/next` gives the pair a judge has before them. `POST /api/judgements` stores an answer, `POST /api/undo`
//! takes one back, and `POST /api/flags` notes something about a text; they then give the same, and may be sent again.
//! All take the token of the judge's link as `Authorization: Bearer`, which no browser adds by itself, so no other page
//! can ask in a judge's name; a foreign `Origin` is refused all the same. Refusals, in this order:
//!
//! | Status | When |
//! |---|---|
//! | 403 | the request comes from another page |
//! | 401 | no judge has this token |
//! | 429 | too many requests; `Retry-After` says when the next may come |
//! | 408 | a body that did not arrive in time |
//! | 413 | a body of more than 4 KiB, or 16 KiB for a note |
//! | 400 | a body that is not what is asked for |
//! | 409 | an answer to a pair that the judge was not given or has answered otherwise |
//! | 503 | the database could not be read or written; the same may be sent again |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use pair2score_data::judgements::Panel;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::judgement::{Handout, Judge, Outcome, Side, Submission, Verdict};
use super::limit::Limits;
use super::origin::Origins;
use super::page::{self, Page};
use super::store::Store;
use crate::http::{Body, secure};
use crate::token;

/// Bytes of the longest body that is read.
const BODY_LIMIT: usize = 4096;
/// Bytes of the longest body with a note.
const NOTE_BODY_LIMIT: usize = 4 * BODY_LIMIT;
/// Characters of the longest note.
const NOTE_LIMIT: usize = 2000;
/// How long a request waits, for its turn and for other programs that hold the database together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of the longest id of a judgement.
const ID_LIMIT: usize = 64;

/// The page loads its own files and asks its own server, nothing else. Unlike a site's, it computes nothing, so that no
/// wasm may run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything the server knows.
pub(super) struct Service {
    pub(super) desk: Arc<tokio::sync::Mutex<Desk>>,
    pub(super) limits: Mutex<Limits>,
    pub(super) judges: Vec<Judge>,
    pub(super) origins: Origins,
    /// What judges are asked.
    pub(super) question: String,
    /// What counts, in more words; empty for nothing.
    pub(super) rubric: String,
    /// Pairs per judge, where there is a number.
    pub(super) per_judge: Option<usize>,
}

/// Where pairs are handed out and answers taken, one judge at a time.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) panel: Panel,
}

/// The whole service.
pub(super) fn app(service: Arc<Service>, page: Page) -> Router {
    let api = Router::new()
        .route("/api/next", post(next))
        .route("/api/judgements", post(judge))
        .route("/api/undo", post(undo))
        .route("/api/flags", post(flag).layer(DefaultBodyLimit::max(NOTE_BODY_LIMIT)))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&service), admit));
    page::routes(page).merge(api).with_state(service).layer(middleware::map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    secure(headers, POLICY);
    // Files say for themselves how long they may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Finds out who asks, and whether they may now.
async fn admit(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    // An origin that is no text is none of ours.
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    if !service.origins.accept(origin) {
        let what = format!("open the page at {}, where your link leads", service.origins.public);
        return refuse(StatusCode::FORBIDDEN, &what);
    }
    let Some(judge) = service.judge_of(headers) else {
        let mut response = refuse(StatusCode::UNAUTHORIZED, "this link is not valid; ask for a new one");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    if let Err(wait) = locked(&service.limits).take(judge.id, Instant::now()) {
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "too many requests; wait a moment");
        let seconds = HeaderValue::from(wait.as_secs_f64().ceil() as u64);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return response;
    }
    request.extensions_mut().insert(judge);
    next.run(request).await
}

/// What a judge's page shows.
#[derive(Debug, Serialize)]
struct View {
    question: String,
    rubric: String,
    /// `None` when there is nothing left to judge.
    pair: Option<Texts>,
    flags: Notes,
    /// Pairs this judge has answered or skipped, those skipped alone, and those to answer where there is a number.
    done: usize,
    skipped: usize,
    total: Option<usize>,
    /// The id of the answer to take back next.
    last: Option<String>,
}

/// A pair without anything that says which documents they are.
#[derive(Debug, Serialize)]
struct Texts {
    handout: i64,
    left: String,
    right: String,
}

/// What the judge noted about the texts of the pair.
#[derive(Debug, Default, Serialize)]
struct Notes {
    left: Option<String>,
    right: Option<String>,
}

/// The body of a judgement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    handout: i64,
    id: String,
    answer: Verdict,
    ms: u32,
}

/// The body of a wish to take an answer back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    /// Id of the judgement to take back.
    id: String,
}

/// The body of a note about a text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    handout: i64,
    side: Side,
    /// `None` takes the note away.
    note: Option<String>,
}

async fn next(State(service): State<Arc<Service>>, Extension(judge): Extension<Judge>) -> Response {
    at_desk(service, move |service, desk| Ok(json(StatusCode::OK, &service.view(desk, &judge)?))).await
}

async fn judge(
    State(service): State<Arc<Service>>,
    Extension(judge): Extension<Judge>,
    body: Result<Body, (StatusCode, String)>,
) -> Response {
    let submission = match parsed::<Judged>(body, "a judgement") {
        Ok(Judged { id, .. }) if id.is_empty() || id.len() > ID_LIMIT => {
            return refuse(StatusCode::BAD_REQUEST, "the id has no or more than 64 characters");
        }
        Ok(Judged { handout, id, answer, ms }) => Submission { handout, id, verdict: answer, ms },
        Err(refusal) => return *refusal,
    };
    at_desk(service, move |service, desk| {
        let at = OffsetDateTime::now_utc().format(&Rfc3339)?;
        Ok(match desk.store.answer(judge.id, &submission, &at)? {
            Outcome::Stored | Outcome::Known => json(StatusCode::OK, &service.view(desk, &judge)?),
            Outcome::NotGiven => refuse(StatusCode::CONFLICT, "you were not given this pair"),
            Outcome::Conflict => refuse(StatusCode::CONFLICT, "this pair is answered already"),
        })
    })
    .await
}

async fn undo(
    State(service): State<Arc<Service>>,
    Extension(judge): Extension<Judge>,
    body: Result<Body, (StatusCode, String)>,
) -> Response {
    let Undo { id } = match parsed(body, "the id of a judgement") {
        Ok(undo) => undo,
        Err(refusal) => return *refusal,
    };
    at_desk(service, move |service, desk| {
        desk.store.take_back(judge.id, &id)?;
        Ok(json(StatusCode::OK, &service.view(desk, &judge)?))
    })
    .await
}

async fn flag(
    State(service): State<Arc<Service>>,
    Extension(judge): Extension<Judge>,
    body: Result<Body, (StatusCode, String)>,
) -> Response {
    let Noted { handout, side, note } = match parsed(body, "a note") {
        Ok(noted) => noted,
        Err(refusal) => return *refusal,
    };
    if note.as_ref().is_some_and(|note| note.trim().is_empty() || note.chars().count() > NOTE_LIMIT) {
        return refuse(StatusCode::BAD_REQUEST, "a note has 1 to 2000 characters");
    }
    at_desk(service, move |service, desk| {
        let at = OffsetDateTime::now_utc().format(&Rfc3339)?;
        Ok(match desk.store.flag(judge.id, handout, side, note.as_deref(), &at)? {
            true => json(StatusCode::OK, &service.view(desk, &judge)?),
            false => refuse(StatusCode::CONFLICT, "you were not given this pair"),
        })
    })
    .await
}

/// A body, or the response that refuses it.
fn parsed<T: DeserializeOwned>(
    body: Result<Body, (StatusCode, String)>,
    what: &str,
) -> Result<T, Box<Response>> {
    let Body(body) = body.map_err(|(status, why)| Box::new(refuse(status, &why)))?;
    serde_json::from_slice(&body)
        .map_err(|error| Box::new(refuse(StatusCode::BAD_REQUEST, &format!("not {what}: {error}"))))
}

/// Does what takes the database, on a thread that may wait, and answers within [`PATIENCE`] where others hold it.
async fn at_desk(
    service: Arc<Service>,
    work: impl FnOnce(&Service, &mut Desk) -> Result<Response> + Send + 'static,
) -> Response {
    let deadline = Instant::now() + PATIENCE;
    let done = async {
        let desk = tokio::time::timeout(PATIENCE, Arc::clone(&service.desk).lock_owned());
        let mut desk = desk.await.context("other requests waited for the database")?;
        let task = move || {
            desk.store.wait_until(deadline);
            let done = work(&service, &mut desk);
            // Before anybody hears that something is stored.
            desk.store.check_in_place()?;
            done
        };
        tokio::task::spawn_blocking(task).await.context("a request broke off")?
    };
    done.await.unwrap_or_else(|error| {
        errln!("error: {error:#}");
        refuse(StatusCode::SERVICE_UNAVAILABLE, "the server cannot read or write its database; try again")
    })
}

impl Service {
    /// The judge whose token a request carries. Every hash is compared, whichever fits.
    fn judge_of(&self, headers: &HeaderMap) -> Option<Judge> {
        let hash = token::of(headers)?;
        let of = |found, judge: &'_ Judge| {
            if token::same(&judge.token, &hash) { Some(judge.clone()) } else { found }
        };
        self.judges.iter().fold(None, of)
    }

    /// The pair a judge has before them, handed out if need be.
    fn view(&self, desk: &mut Desk, judge: &Judge) -> Result<View> {
        let Desk { store, panel } = desk;
        let at = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let handout = store.hand_out(judge.id, &at, |history, log| panel.next(&judge.name, history, log))?;
        let texts = |handout: &Handout| -> Result<Texts> {
            let (left, right) = (handout.showing.left, handout.showing.right);
            Ok(Texts { handout: handout.id, left: store.text(left)?, right: store.text(right)? })
        };
        let notes =
            |handout: &Handout| store.notes(judge.id, handout).map(|[left, right]| Notes { left, right });
        Ok(View {
            question: self.question.clone(),
            rubric: self.rubric.clone(),
            pair: handout.as_ref().map(texts).transpose()?,
            flags: handout.as_ref().map(notes).transpose()?.unwrap_or_default(),
            done: store.answered(judge.id)?,
            skipped: store.skipped(judge.id)?,
            total: self.per_judge,
            last: store.last_answer(judge.id)?,
        })
    }
}

/// What a request that broke off left behind was rolled back, so the lock it held is good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    json(status, &serde_json::json!({ "error": why }))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    const JSON: (HeaderName, HeaderValue) =
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match serde_json::to_vec(value) {
        Ok(body) => (status, [JSON], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
