//! `serve`: hosts a site, or collects judgements ([`crate::collect`]).

use std::sync::Arc;

use anyhow::{Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::Response;

use crate::args::ServeArgs;
use crate::http::{listen, secure};
use crate::site::Site;
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
    let site = Site::open(&folder)?;
    listen(args.host, args.port, |address| {
        outln!("serving {} on http://{address}/ (Ctrl-C stops)", folder.display());
        Ok(app(site))
    })
}

/// The whole site.
fn app(site: Site) -> Router {
    let site = Arc::new(site);
    Router::new()
        .fallback(move |request: Request| async move { site.answer(request).await })
        .layer(middleware::map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    secure(response.headers_mut(), POLICY);
    response
}
