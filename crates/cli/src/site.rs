//! The files of a folder over HTTP: read on each request, and nothing else is there to reach.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;

/// A folder that is served.
pub(crate) struct Site {
    /// With all symbolic links resolved.
    folder: PathBuf,
    files: ServeDir,
}

impl Site {
    /// # Errors
    /// A folder that is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let files = ServeDir::new(&folder).precompressed_br().precompressed_gzip();
        Ok(Self { folder, files })
    }

    /// The file that a request names, with an entity tag. Whoever has it already is told so, and paths that leave the
    /// folder are refused.
    pub(crate) async fn answer(&self, mut request: Request) -> Response {
        let file = named(&self.folder, request.uri().path());
        let Some(file) = file.filter(|file| is_inside(&self.folder, file)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if has_foreign_copy(&self.folder, &file) {
            // Without this header the file itself is sent, and no compressed copy is looked for.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        let method = request.method().clone();
        let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
        if asked.is_some() {
            // The tag says more than the time does (RFC 9110, 13.1.3): a site that is put back has older files.
            request.headers_mut().remove(header::IF_MODIFIED_SINCE);
        }
        let mut response = match self.files.clone().try_call(request).await {
            Ok(response) => response.into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        if response.status().is_success() && matches!(method, Method::GET | Method::HEAD) {
            response = tagged(response, &file, asked.as_ref());
        }
        response
    }
}

/// A file's response with what lets browsers keep it; without the file, if they have this very one.
fn tagged(mut response: Response, file: &Path, asked: Option<&HeaderValue>) -> Response {
    let encoding = response.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    if let Some(tag) = tag(file, encoding) {
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
    response
}

/// The file that a path names, whether it is there or not.
fn named(folder: &Path, path: &str) -> Option<PathBuf> {
    let relative = path.trim_start_matches('/');
    // Nothing a site holds needs these, and decoding twice is how paths escape.
    if relative.contains(['%', '\\', '\0']) || relative.split('/').any(|part| part.starts_with('.')) {
        return None;
    }
    let is_folder = relative.is_empty() || relative.ends_with('/');
    Some(folder.join(if is_folder { format!("{relative}index.html") } else { relative.to_owned() }))
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
