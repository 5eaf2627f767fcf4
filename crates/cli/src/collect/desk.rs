//! What requests of judges and of the lead share: who may ask, whose turn it is at the database, and how is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use pair2score_data::judgements::Panel;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::account::Accounts;
use super::limit::{Asker, Limits};
use super::origin::Origins;
use super::records::Judge;
use super::store::Store;
use crate::http::{Body, json};
use crate::token::{self, Hash};

/// Bytes of the longest body that is read.
pub(super) const BODY_LIMIT: usize = 4096;
/// How long a request waits, for its turn and for other programs that hold the database together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything the server knows.
pub(super) struct Service {
    pub(super) desk: Arc<tokio::sync::Mutex<Desk>>,
    pub(super) limits: Mutex<Limits>,
    /// Those of the database: whoever changes them there changes them here, before the desk is free again.
    pub(super) judges: Mutex<Vec<Judge>>,
    /// Hash of the secret in the lead's link.
    pub(super) lead: Hash,
    pub(super) accounts: Accounts,
    pub(super) origins: Origins,
    /// What is judged, as logs name it.
    pub(super) target: String,
    /// What judges are asked.
    pub(super) question: String,
    /// What counts, in more words; empty for nothing.
    pub(super) rubric: String,
    /// Pairs per judge, where there is a number.
    pub(super) per_judge: Option<usize>,
}

/// Where pairs are handed out and answers taken, one request at a time.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) panel: Panel,
}

impl Service {
    /// The judge whose token a request carries. It is compared with the hashes of all judges, so that the time this takes
    /// does not tell which of them fits.
    pub(super) fn judge_of(&self, headers: &HeaderMap) -> Option<Judge> {
        let hash = token::of(headers)?;
        let of = |found, judge: &'_ Judge| {
            if token::same(&judge.token, &hash) { Some(judge.clone()) } else { found }
        };
        locked(&self.judges).iter().fold(None, of)
    }

    /// Whether a request comes from the lead.
    pub(super) fn is_lead(&self, headers: &HeaderMap) -> bool {
        token::of(headers).is_some_and(|hash| token::same(&self.lead, &hash))
    }

    /// Lets a request in, or gives the response that refuses it. `asker` is `None` where the token belongs to nobody; the
    /// refusal then ends with `remedy`.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        asker: Option<Asker>,
        remedy: &str,
    ) -> Result<(), Box<Response>> {
        // An origin that is no text is none of ours.
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        if !self.origins.accept(origin) {
            let what = format!("open the page at {}, where your link leads", self.origins.public);
            return Err(refuse(StatusCode::FORBIDDEN, &what).into());
        }
        let Some(asker) = asker else {
            let mut response = refuse(StatusCode::UNAUTHORIZED, &format!("this link is not valid; {remedy}"));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(response.into());
        };
        if let Err(wait) = locked(&self.limits).take(asker, Instant::now()) {
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "too many requests; wait a moment");
            let seconds = HeaderValue::from(wait.as_secs_f64().ceil() as u64);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            return Err(response.into());
        }
        Ok(())
    }
}

/// Does what takes the database, on a thread that may wait, once the requests before are done. Where they or other programs
/// hold the database for longer than [`PATIENCE`], or it fails, gives the response that says so.
pub(super) async fn turn<T: Send + 'static>(
    service: &Arc<Service>,
    work: impl FnOnce(&Service, &mut Desk) -> Result<T> + Send + 'static,
) -> Result<T, Box<Response>> {
    let deadline = Instant::now() + PATIENCE;
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(&service.desk).lock_owned());
    // Choosing pairs may take so long, where there are many documents.
    let Ok(mut desk) = turn.await else {
        errln!("error: a request waited {} seconds for those before it", PATIENCE.as_secs());
        return Err(unavailable("the server is still busy with the requests before this one; try again"));
    };
    let service = Arc::clone(service);
    let task = move || {
        desk.store.wait_until(deadline)?;
        let done = work(&service, &mut desk);
        // Before anybody hears that something is stored.
        desk.store.check_in_place()?;
        done
    };
    let done = tokio::task::spawn_blocking(task).await.context("a request broke off");
    done.flatten().map_err(|error| {
        errln!("error: {error:#}");
        unavailable("the server cannot read or write its database; try again")
    })
}

fn unavailable(why: &str) -> Box<Response> {
    refuse(StatusCode::SERVICE_UNAVAILABLE, why).into()
}

/// As [`turn`], where the work gives the response.
pub(super) async fn at_desk(
    service: Arc<Service>,
    work: impl FnOnce(&Service, &mut Desk) -> Result<Response> + Send + 'static,
) -> Response {
    turn(&service, work).await.unwrap_or_else(|refusal| *refusal)
}

/// A body, or the response that refuses it; it has at most `limit` bytes, which the route sees to.
pub(super) fn parsed<T: DeserializeOwned>(
    body: Result<Body, (StatusCode, String)>,
    what: &str,
    limit: usize,
) -> Result<T, Box<Response>> {
    let Body(body) = body.map_err(|(status, why)| {
        let why = match status {
            StatusCode::PAYLOAD_TOO_LARGE => format!("longer than {what} may be, which is {limit} bytes"),
            StatusCode::BAD_REQUEST => "the request broke off before its end; send it again".into(),
            _ => why,
        };
        Box::new(refuse(status, &why))
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| Box::new(refuse(StatusCode::BAD_REQUEST, &format!("not {what}: {error}"))))
}

/// The time as the database has it.
pub(super) fn now() -> Result<String> {
    Ok(OffsetDateTime::now_utc().format(&Rfc3339)?)
}

/// What a request that broke off left behind was rolled back, so the lock it held is good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    json(status, &serde_json::json!({ "error": why }))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use pair2score_data::judgements::{Features, PanelOptions, Selection};

    use super::*;

    fn service(folder: &tempfile::TempDir) -> Arc<Service> {
        let store = Store::open(&folder.path().join("c.sqlite"), true).unwrap();
        let features = Arc::new(Features::none(2));
        let options = PanelOptions {
            selection: Selection::Balanced,
            shared: 0.0,
            repeats: 0.0,
            per_judge: None,
            within_splits: false,
            seed: 36,
        };
        Arc::new(Service {
            accounts: Accounts::new(Vec::new(), Arc::clone(&features)),
            desk: Arc::new(tokio::sync::Mutex::new(Desk { store, panel: Panel::new(features, options) })),
            limits: Mutex::new(Limits::new(1.0)),
            judges: Mutex::default(),
            lead: [0; 32],
            origins: Origins::new(([127, 0, 0, 1], 80).into(), None).unwrap(),
            target: "grammar".into(),
            question: String::new(),
            rubric: String::new(),
            per_judge: None,
        })
    }

    #[test]
    fn a_request_that_waits_for_others_is_not_told_that_the_database_fails() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let before = Arc::clone(&service.desk).lock_owned().await;
            let refusal = *turn(&service, |_, _| Ok(())).await.unwrap_err();
            assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
            let body = refusal.into_body().collect().await.unwrap().to_bytes();
            let said = std::str::from_utf8(&body).unwrap();
            assert!(said.contains("busy with the requests before this one"), "{said}");
            drop(before);
            assert!(turn(&service, |_, _| Ok(())).await.is_ok());
        });
    }
}
