//! HTTP for judges: four requests of the page they have open.
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
//! | 503 | the requests before it take long, or the database cannot be read or written; the same may be sent again |

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use serde::{Deserialize, Serialize};

use super::desk::{BODY_LIMIT, Desk, Service, at_desk, now, parsed, refuse};
use super::limit::Asker;
use super::records::{Handout, Judge, Outcome, Side, Submission, Verdict};
use crate::http::{Body, json};

/// Bytes of the longest body with a note.
const NOTE_BODY_LIMIT: usize = 4 * BODY_LIMIT;
/// Characters of the longest note.
const NOTE_LIMIT: usize = 2000;
/// Characters of the longest id of a judgement.
const ID_LIMIT: usize = 64;

/// What judges ask for.
pub(super) fn routes(service: &Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/api/next", post(next))
        .route("/api/judgements", post(judge))
        .route("/api/undo", post(undo))
        .route("/api/flags", post(flag).layer(DefaultBodyLimit::max(NOTE_BODY_LIMIT)))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn_with_state(Arc::clone(service), admit))
}

/// Finds out who asks, and whether they may now.
async fn admit(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let judge = service.judge_of(request.headers());
    let asker = judge.as_ref().map(|judge| Asker::Judge(judge.id));
    if let Err(refusal) = service.admit(request.headers(), asker, "ask for a new one") {
        return *refusal;
    }
    if let Some(judge) = judge {
        request.extensions_mut().insert(judge);
    }
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
    let submission = match parsed::<Judged>(body, "a judgement", BODY_LIMIT) {
        Ok(Judged { id, .. }) if id.is_empty() || id.chars().count() > ID_LIMIT => {
            return refuse(StatusCode::BAD_REQUEST, &format!("an id has 1 to {ID_LIMIT} characters"));
        }
        Ok(Judged { handout, id, answer, ms }) => Submission { handout, id, verdict: answer, ms },
        Err(refusal) => return *refusal,
    };
    at_desk(service, move |service, desk| {
        let at = now()?;
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
    let Undo { id } = match parsed(body, "the id of a judgement", BODY_LIMIT) {
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
    let Noted { handout, side, note } = match parsed(body, "a note", NOTE_BODY_LIMIT) {
        Ok(noted) => noted,
        Err(refusal) => return *refusal,
    };
    if note.as_ref().is_some_and(|note| note.trim().is_empty() || note.chars().count() > NOTE_LIMIT) {
        return refuse(StatusCode::BAD_REQUEST, &format!("a note has 1 to {NOTE_LIMIT} characters"));
    }
    at_desk(service, move |service, desk| {
        let at = now()?;
        Ok(match desk.store.flag(judge.id, handout, side, note.as_deref(), &at)? {
            true => json(StatusCode::OK, &service.view(desk, &judge)?),
            false => refuse(StatusCode::CONFLICT, "you were not given this pair"),
        })
    })
    .await
}

impl Service {
    /// The pair a judge has before them, handed out if need be.
    fn view(&self, desk: &mut Desk, judge: &Judge) -> Result<View> {
        let Desk { store, panel } = desk;
        let at = now()?;
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
