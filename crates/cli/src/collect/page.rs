//! The judge's page: the annotation page of the built site, which knows by its address that it judges for a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;

use crate::page;
use crate::site::Site;

/// Its name in the built site.
const FILE: &str = "annotate.html";

/// Where the page comes from.
pub(super) enum Page {
    /// The folder of the built site.
    Built(Site),
    /// It was not built; this is said instead.
    Missing(String),
}

impl Page {
    /// The page of a folder, which by default is where it is built.
    ///
    /// # Errors
    /// A folder that was asked for and has no page.
    pub(super) fn find(asked: Option<&Path>) -> Result<Self> {
        let folder: PathBuf = asked.map_or_else(page::folder, Path::to_path_buf);
        if folder.join(FILE).is_file() {
            return Ok(Self::Built(Site::open(&folder)?));
        }
        let missing =
            format!("{}: has no built page ({FILE}); build it with scripts/web.sh", folder.display());
        if asked.is_some() {
            bail!("{missing}");
        }
        Ok(Self::Missing(missing))
    }
}

/// The page as `/judge`, and the files that it loads.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(page: Page) -> Router<S> {
    let site = match page {
        Page::Built(site) => Arc::new(site),
        Page::Missing(message) => {
            let said = move || async move { (StatusCode::SERVICE_UNAVAILABLE, message) };
            return Router::new().route("/judge", get(said));
        }
    };
    let of_site = Arc::clone(&site);
    let file = get(move |request: Request| async move { of_site.answer(request).await });
    let page = get(move |request: Request| async move { as_judge(&site, request).await });
    Router::new().route("/judge", page).route("/assets/{file}", file.clone()).route("/icon.svg", file)
}

async fn as_judge(site: &Site, mut request: Request) -> Response {
    *request.uri_mut() = Uri::from_static("/annotate.html");
    site.answer(request).await
}
