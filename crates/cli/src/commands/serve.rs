//! `serve`: hosts a site, or collects judgements ([`crate::collect`]).
//!
//! A site's files are read from its folder on each request and nothing else is there to reach.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;

use crate::args::ServeArgs;
use crate::http::{listen, secure};
use crate::{Answer, collect};

/// A site's own policy, which holds for its workers too.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Serves until it is stopped.
pub(crate) fn run(args: ServeArgs) -> Result<Answer> {
    let folder = match (&args.collect.collect, args.site) {
        (Some(_), Some(_)) => bail!("--site cannot be used with --collect; start a server for each"),
        (Some(path), None) => return collect::run(path, &args.collect, args.host, args.port),
        (None, site) => site.unwrap_or_else(|| "demo/site".into()),
    };
    if !folder.join("index.html").is_file() {
        bail!(
            "{}: is not a site, it has no index.html; make one with `pair2score export --format web`",
            folder.display()
        );
    }
    let site = folder.canonicalize().with_context(|| folder.display().to_string())?;
    listen(args.host, args.port, |address| {
        outln!("serving {} on http://{address}/ (Ctrl-C stops)", folder.display());
        Ok(app(site))
    })
}

/// A site.
fn app(site: PathBuf) -> Router {
    let files = ServeDir::new(&site).precompressed_br().precompressed_gzip();
    Router::new()
        .fallback_service(files)
        .layer(middleware::from_fn_with_state(site, tagged))
        .layer(middleware::map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    secure(response.headers_mut(), POLICY);
    response
}

/// Adds entity tags, answers those who have the file already, and refuses paths that leave the site.
async fn tagged(State(site): State<PathBuf>, mut request: Request, next: Next) -> Response {
    let Some(file) = named(&site, request.uri().path()).filter(|file| is_inside(&site, file)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if has_foreign_copy(&site, &file) {
        // Without this header the file itself is sent, and no compressed copy is looked for.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    let method = request.method().clone();
    let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    if response.status().is_success() && matches!(method, Method::GET | Method::HEAD) {
        let encoding = response.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        if let Some(tag) = tag(&file, encoding) {
            let known = asked.is_some_and(|asked| asked.to_str().is_ok_and(|asked| matches_tag(asked, &tag)));
            if known && response.status() == StatusCode::OK {
                response = StatusCode::NOT_MODIFIED.into_response();
            }
            if let Ok(value) = HeaderValue::from_str(&tag) {
                response.headers_mut().insert(header::ETAG, value);
            }
        }
        let names_content = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == "assets");
        let keep = if names_content { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// The file that a path names, whether it is there or not.
fn named(site: &Path, path: &str) -> Option<PathBuf> {
    let relative = path.trim_start_matches('/');
    // Nothing a site holds needs these, and decoding twice is how paths escape.
    if relative.contains(['%', '\\', '\0']) || relative.split('/').any(|part| part.starts_with('.')) {
        return None;
    }
    let is_folder = relative.is_empty() || relative.ends_with('/');
    Some(site.join(if is_folder { format!("{relative}index.html") } else { relative.to_owned() }))
}

/// Whether a file lies in the site. A symbolic link lies where it leads.
fn is_inside(site: &Path, file: &Path) -> bool {
    file.canonicalize().is_ok_and(|real| real.starts_with(site) && real.is_file())
}

/// Whether one of the compressed copies beside a file does not lie in the site.
fn has_foreign_copy(site: &Path, file: &Path) -> bool {
    ["br", "gz"].into_iter().any(|encoding| {
        let copy = file.with_added_extension(encoding);
        copy.symlink_metadata().is_ok() && !is_inside(site, &copy)
    })
}

/// A tag of a file as it is sent: its size, its time and the encoding.
fn tag(path: &Path, encoding: Option<&str>) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let suffix = encoding.map(|encoding| format!("-{encoding}")).unwrap_or_default();
    Some(format!("\"{:x}-{:x}{suffix}\"", metadata.len(), modified.as_nanos()))
}

/// Whether a list of tags has this one.
fn matches_tag(asked: &str, tag: &str) -> bool {
    asked.trim() == "*" || asked.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}
