//! HTTP for the lead: how far the collection is, the links of judges, and what was collected.
//!
//! `GET /api/lead` says how far it is, and `GET /api/lead/FILE` gives a [`File`]. `POST /api/lead/judges` adds a judge,
//! `/api/lead/links` gives a judge a new link, after which the old one ends, and `/api/lead/off` ends it; the first two
//! give the link, which is kept nowhere else. All take the token of the lead's link, as those of judges take theirs, and
//! are refused in the same order; 409 is a name that is taken, 404 one that is not there. No judge's token lets anybody
//! in here, and the lead's token judges nothing.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pair2score_data::judgements::{Agreement, JudgeStats, SplitHalf, Trust};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::desk::{BODY_LIMIT, Desk, Service, at_desk, locked, now, parsed, refuse, turn};
use super::export::{flag_table, log_lines, log_table};
use super::limit::Asker;
use super::links::{check_name, judge_link};
use super::records::Progress;
use crate::http::{Body, json};
use crate::token;

/// What the lead asks for.
pub(super) fn routes(service: &Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/api/lead", get(view))
        .route("/api/lead/{file}", get(file))
        .route("/api/lead/judges", post(add))
        .route("/api/lead/links", post(renew))
        .route("/api/lead/off", post(switch_off))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn_with_state(Arc::clone(service), admit))
}

/// Finds out whether the lead asks, and may now.
async fn admit(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let asker = service.is_lead(request.headers()).then_some(Asker::Lead);
    let remedy = "start the server with --new-lead-link for another one";
    match service.admit(request.headers(), asker, remedy) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}

/// What the lead's page shows.
#[derive(Debug, Serialize)]
struct View<'a> {
    #[serde(rename = "trait")]
    target: &'a str,
    question: &'a str,
    documents: usize,
    /// Pairs per judge, where there is a number.
    per_judge: Option<usize>,
    judgements: usize,
    skipped: usize,
    /// The time, by which the others are past.
    now: String,
    trust: Trust,
    /// As in `judgements stats`.
    unconnected_parts: usize,
    scale_separation: Option<f64>,
    split_half: Option<SplitHalf>,
    split_half_judges: Option<SplitHalf>,
    median_ms: Option<f64>,
    agreement: &'a Agreement,
    judges: Vec<JudgeView<'a>>,
}

/// How far a judge is, and how far to trust them.
#[derive(Debug, Serialize)]
struct JudgeView<'a> {
    name: &'a str,
    has_link: bool,
    /// Pairs answered or skipped, and those skipped alone.
    done: usize,
    skipped: usize,
    seen: Option<&'a str>,
    /// As in `judgements stats`; `None` before the first judgement.
    stats: Option<&'a JudgeStats>,
}

impl<'a> View<'a> {
    fn new(service: &'a Service, state: &'a Collected, account: &'a Account, now: String) -> Self {
        let stats = &account.stats;
        let judge = |judge: &'a Progress| JudgeView {
            name: &judge.name,
            has_link: judge.has_link,
            done: judge.done,
            skipped: judge.skipped,
            seen: judge.seen.as_deref(),
            stats: stats.judges.iter().find(|stats| stats.judge == judge.name),
        };
        Self {
            target: &service.target,
            question: &service.question,
            documents: state.documents,
            per_judge: service.per_judge,
            judgements: stats.judgements,
            skipped: state.skipped,
            now,
            trust: account.trust,
            unconnected_parts: stats.unconnected_parts,
            scale_separation: stats.scale_separation,
            split_half: stats.split_half,
            split_half_judges: stats.split_half_judges,
            median_ms: stats.median_ms,
            agreement: &stats.agreement,
            judges: state.judges.iter().map(judge).collect(),
        }
    }
}

/// What the database has, answers aside.
struct Collected {
    documents: usize,
    skipped: usize,
    judges: Vec<Progress>,
}

async fn view(State(service): State<Arc<Service>>) -> Response {
    let read = |_: &Service, desk: &mut Desk| {
        let (pairs, skipped) = desk.store.export()?;
        let documents = desk.store.n_documents()?;
        Ok((pairs, Collected { documents, skipped, judges: desk.store.progress()? }))
    };
    let (pairs, state) = match turn(&service, read).await {
        Ok(read) => read,
        Err(refusal) => return *refusal,
    };
    let account = service.accounts.of(pairs).await;
    let shown = account.and_then(|account| {
        let view = View::new(&service, &state, &account, now()?);
        Ok(json(StatusCode::OK, &view))
    });
    shown.unwrap_or_else(|error| failure(&error))
}

/// What was collected, as a file.
#[derive(Debug, Clone, Copy, Deserialize)]
enum File {
    /// A log, as `judgements export` writes it.
    #[serde(rename = "judgements.jsonl")]
    Log,
    /// The same as a table.
    #[serde(rename = "judgements.csv")]
    Table,
    /// Places of the documents, as `judgements fit` writes them.
    #[serde(rename = "fit.csv")]
    Fit,
    /// Notes of judges, as `judgements export --flags` writes them.
    #[serde(rename = "flags.csv")]
    Flags,
}

async fn file(State(service): State<Arc<Service>>, file: Result<Path<File>, PathRejection>) -> Response {
    let Ok(Path(file)) = file else { return refuse(StatusCode::NOT_FOUND, "there is no such file") };
    let read = move |_: &Service, desk: &mut Desk| match file {
        File::Flags => Ok((Vec::new(), flag_table(&desk.store.flags()?)?)),
        _ => Ok((desk.store.export()?.0, Vec::new())),
    };
    let (pairs, flags) = match turn(&service, read).await {
        Ok(read) => read,
        Err(refusal) => return *refusal,
    };
    let written = match file {
        File::Log => log_lines(&pairs),
        File::Table => log_table(&pairs),
        File::Fit => service.accounts.of(pairs).await.map(|account| account.fit.clone().into_bytes()),
        File::Flags => Ok(flags),
    };
    let kind = if matches!(file, File::Log) { "application/jsonl" } else { "text/csv; charset=utf-8" };
    match written {
        Ok(bytes) => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response(),
        Err(error) => failure(&error),
    }
}

/// Nothing that the lead did is wrong.
fn failure(error: &anyhow::Error) -> Response {
    errln!("error: {error:#}");
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "this could not be computed; the server says why where it runs")
}

/// Which judge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    judge: String,
}

/// The link of a judge.
#[derive(Debug, Serialize)]
struct Link {
    judge: String,
    link: String,
}

async fn add(State(service): State<Arc<Service>>, body: Result<Body, (StatusCode, String)>) -> Response {
    let name = match named(body) {
        Ok(name) => name,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = check_name(&name) {
        return refuse(StatusCode::BAD_REQUEST, &error.to_string());
    }
    at_desk(service, move |service, desk| {
        let token = token::new()?;
        if !desk.store.add_judge(&name, &token::hash(&token))? {
            return Ok(refuse(StatusCode::CONFLICT, "there is a judge of this name; give another one"));
        }
        *locked(&service.judges) = desk.store.judges()?;
        let link = judge_link(&service.origins.public, &token);
        Ok(json(StatusCode::OK, &Link { judge: name, link }))
    })
    .await
}

async fn renew(State(service): State<Arc<Service>>, body: Result<Body, (StatusCode, String)>) -> Response {
    let name = match named(body) {
        Ok(name) => name,
        Err(refusal) => return *refusal,
    };
    at_desk(service, move |service, desk| {
        let token = token::new()?;
        if !desk.store.change_token(&name, &token::hash(&token))? {
            return Ok(nobody());
        }
        *locked(&service.judges) = desk.store.judges()?;
        let link = judge_link(&service.origins.public, &token);
        Ok(json(StatusCode::OK, &Link { judge: name, link }))
    })
    .await
}

async fn switch_off(
    State(service): State<Arc<Service>>,
    body: Result<Body, (StatusCode, String)>,
) -> Response {
    let name = match named(body) {
        Ok(name) => name,
        Err(refusal) => return *refusal,
    };
    at_desk(service, move |service, desk| {
        if !desk.store.switch_off(&name)? {
            return Ok(nobody());
        }
        *locked(&service.judges) = desk.store.judges()?;
        Ok(json(StatusCode::OK, &serde_json::json!({ "judge": name })))
    })
    .await
}

fn named(body: Result<Body, (StatusCode, String)>) -> Result<String, Box<Response>> {
    let Named { judge } = parsed(body, "the name of a judge", BODY_LIMIT)?;
    Ok(judge.trim().to_owned())
}

fn nobody() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no judge of this name")
}
