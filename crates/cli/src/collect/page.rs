//! The pages of judges and of the lead. The first is the annotation page of the built site, which knows by its address
//! that it judges for a server.

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

/// Where they are, and their names in the built site.
const PAGES: [(&str, &str); 2] = [("/judge", "/annotate.html"), ("/lead", "/lead.html")];

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
        let files = PAGES.map(|(_, file)| file.trim_start_matches('/'));
        let Some(file) = files.into_iter().find(|file| !folder.join(file).is_file()) else {
            return Ok(Self::Built(Site::open(&folder)?));
        };
        let missing =
            format!("{}: has no built page ({file}); build it with scripts/web.sh", folder.display());
        if asked.is_some() {
            bail!("{missing}");
        }
        Ok(Self::Missing(missing))
    }
}

/// The pages, and the files that they load.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(page: Page) -> Router<S> {
    let site = match page {
        Page::Built(site) => Arc::new(site),
        Page::Missing(message) => {
            let said = get(move || async move { (StatusCode::SERVICE_UNAVAILABLE, message) });
            return PAGES
                .into_iter()
                .fold(Router::new(), |router, (path, _)| router.route(path, said.clone()));
        }
    };
    let of_site = Arc::clone(&site);
    let file = get(move |request: Request| async move { of_site.answer(request).await });
    let router = Router::new().route("/assets/{file}", file.clone()).route("/icon.svg", file);
    PAGES.into_iter().fold(router, |router, (path, file)| {
        let site = Arc::clone(&site);
        router.route(path, get(move |request: Request| async move { named(&site, file, request).await }))
    })
}

async fn named(site: &Site, file: &'static str, mut request: Request) -> Response {
    *request.uri_mut() = Uri::from_static(file);
    site.answer(request).await
}
