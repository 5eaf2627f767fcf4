//! What a client is told where there is no result.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::queue::Refused;
use crate::http::json;

/// Why a request, or one entry of it, has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// One word that stays, for programs.
    pub(super) code: &'static str,
    /// A sentence for people.
    pub(super) message: String,
}

impl Problem {
    /// The code of what is no fault of the request.
    pub(super) const FAILED: &'static str = "failed";

    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A problem that a whole request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    /// When to try again, where that helps.
    pub(super) wait: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, problem: Problem::new(code, message), wait: None }
    }

    /// Of a queue that did not take documents.
    pub(super) fn of_queue(refused: Refused, capacity: u32) -> Self {
        match refused {
            Refused::Full { wait } => Self {
                wait: Some(wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "busy",
                    "too many texts wait already; try again later",
                )
            },
            Refused::TooMany => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many",
                format!(
                    "the texts have more tokens than the {capacity} that may wait (--queue-tokens); send them in \
                     several requests, or as a stream"
                ),
            ),
            Refused::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the service is being stopped")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &serde_json::json!({ "error": self.problem }));
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
