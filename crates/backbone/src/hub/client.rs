//! What is asked of the Hub, and what its refusals mean.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::BackboneError;
use crate::hub::{Hub, HubId};

/// Questions about one repository.
pub(crate) struct Client<'a> {
    hub: &'a Hub,
    id: &'a HubId,
    agent: Agent,
}

/// What a revision holds.
pub(crate) struct Listing {
    /// 40 hexadecimal digits.
    pub(crate) commit: String,
    /// Paths of all files.
    pub(crate) files: Vec<String>,
}

/// What is known of a file before it is fetched.
#[derive(Debug)]
pub(crate) struct FileInfo {
    /// Names its content: SHA-256 of a large file, SHA-1 of git's blob of a small one, in hexadecimal digits.
    pub(crate) hash: String,
    /// In bytes, where the server says.
    pub(crate) size: Option<u64>,
}

/// Redirections within the Hub, as of a repository that was renamed.
const MAX_REDIRECTIONS: usize = 5;

impl<'a> Client<'a> {
    pub(crate) fn new(hub: &'a Hub, id: &'a HubId) -> Result<Self, BackboneError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("pair2score/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)));
        if hub.endpoint.starts_with("https:") {
            config = config.tls_config(tls());
        }
        Ok(Self { hub, id, agent: config.build().into() })
    }

    /// What the revision holds.
    pub(crate) fn listing(&self) -> Result<Listing, BackboneError> {
        let HubId { repository, revision } = self.id;
        let revision = revision.replace('/', "%2F");
        let url = format!("{}/api/models/{repository}/revision/{revision}", self.hub.endpoint);
        let mut response = self.request(self.agent.get(&url))?;
        let json: Value = response
            .body_mut()
            .read_to_string()
            .map_err(|error| self.unreachable(&error))
            .and_then(|text| serde_json::from_str(&text).map_err(|_| self.no_hub()))?;
        let commit = json["sha"].as_str().filter(|sha| is_commit(sha)).ok_or_else(|| self.no_hub())?;
        let files = json["siblings"].as_array().into_iter().flatten();
        let files = files.filter_map(|file| Some(file["rfilename"].as_str()?.to_owned())).collect();
        Ok(Listing { commit: commit.into(), files })
    }

    /// What is known of a file.
    pub(crate) fn info(&self, commit: &str, name: &str) -> Result<FileInfo, BackboneError> {
        let mut url = self.url(commit, name);
        for _ in 0..MAX_REDIRECTIONS {
            let response = self.request(self.agent.head(&url).config().max_redirects(0).build())?;
            let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            let location = text("location").filter(|_| response.status().is_redirection());
            // Elsewhere is the content of a large file, and what is known of it is said here.
            if let Some(location) = location.filter(|location| location.starts_with('/')) {
                url = format!("{}{location}", origin(&url));
                continue;
            }
            let hash =
                text("x-linked-etag").or_else(|| text("etag")).map(|etag| etag.trim_start_matches("W/"));
            let hash = hash.map(|etag| etag.trim_matches('"')).filter(|hash| is_hash(hash));
            // A redirection's own length is not the file's.
            let length = text("content-length").filter(|_| location.is_none());
            let size = text("x-linked-size").or(length).and_then(|size| size.parse().ok());
            let hash = hash.ok_or_else(|| self.no_hub())?.to_owned();
            return Ok(FileInfo { hash, size });
        }
        Err(self.no_hub())
    }

    /// The content of a file from this byte on, and the byte that it really begins at.
    pub(crate) fn content(&self, commit: &str, name: &str, from: u64) -> Result<(Body, u64), BackboneError> {
        let mut request = self.agent.get(self.url(commit, name));
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = self.request(request)?;
        let begins = if response.status() == 206 { from } else { 0 };
        Ok((response.into_body(), begins))
    }

    fn url(&self, commit: &str, name: &str) -> String {
        format!("{}/{}/resolve/{commit}/{name}", self.hub.endpoint, self.id.repository)
    }

    fn request(
        &self,
        mut request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    ) -> Result<Response<Body>, BackboneError> {
        if let Some(token) = &self.hub.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refused(&response));
        }
        Ok(response)
    }

    /// What to do where the Hub says no.
    fn refused(&self, response: &Response<Body>) -> BackboneError {
        let HubId { repository, revision } = self.id;
        let page = format!("{}/{repository}", self.hub.endpoint);
        let reason = response.headers().get("x-error-code").and_then(|reason| reason.to_str().ok());
        let has_token = self.hub.token.is_some();
        let problem = match (response.status().as_u16(), reason) {
            (401 | 403, Some("GatedRepo")) if has_token => {
                format!("is gated, and the account of the token has no access; ask for it at {page}")
            }
            (401 | 403, Some("GatedRepo")) => {
                format!("is gated; accept its terms at {page}, then set HF_TOKEN to a token of that account")
            }
            (404, Some("RevisionNotFound")) => {
                format!("has no revision {revision:?}; see the branches and commits at {page}")
            }
            (404, Some("EntryNotFound")) => {
                "lacks a file that it lists; try again, or name a commit".to_owned()
            }
            (401 | 404, _) if has_token => format!(
                "is not there, or the token may not see it; check the name at {page} and the token (HF_TOKEN)"
            ),
            (401 | 404, _) => format!(
                "is not there, or is private; check the name at {page}, and set HF_TOKEN where it is private"
            ),
            (403, _) => format!("may not be read with this token (HF_TOKEN); see {page}"),
            (429, _) => "asks to wait, after too many requests; try again later, or set HF_TOKEN".to_owned(),
            (status, _) => format!("cannot be had: {} answers {status}; try again later", self.hub.endpoint),
        };
        BackboneError::hub(self.id, problem)
    }

    pub(crate) fn unreachable(&self, error: &ureq::Error) -> BackboneError {
        BackboneError::hub(
            self.id,
            format!(
                "cannot be fetched from {}: {error}; check the network, HTTPS_PROXY and HF_ENDPOINT, or use what is \
                 cached with HF_HUB_OFFLINE=1",
                self.hub.endpoint
            ),
        )
    }

    fn no_hub(&self) -> BackboneError {
        let problem = format!("{} does not answer as the Hub does; check HF_ENDPOINT", self.hub.endpoint);
        BackboneError::hub(self.id, problem)
    }

    pub(crate) fn id(&self) -> &HubId {
        self.id
    }
}

/// TLS with the certificates of the system, among which those of a company's proxy are.
fn tls() -> TlsConfig {
    let certificates = rustls_native_certs::load_native_certs().certs;
    let certificates = certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
    TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// Scheme and host of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    url[host..].find('/').map_or(url, |path| &url[..host + path])
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A hash becomes the name of a file.
fn is_hash(text: &str) -> bool {
    (8..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
