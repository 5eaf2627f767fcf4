//! `serve`: hosts a site, collects judgements ([`crate::collect`]), or scores what programs send ([`crate::service`]).

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::Response;

use crate::args::ServeArgs;
use crate::http::{LIMITS, listen, secure};
use crate::site::Site;
use crate::{Answer, collect, service};

/// A site's own policy, which holds for its workers too.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Serves until it is stopped.
pub(crate) fn run(args: ServeArgs) -> Result<Answer> {
    let ServeArgs { site, listen: at, device, collect, service } = args;
    let others = [("--collect", collect.collect.is_some()), ("--scorer", !service.scorers.is_empty())];
    if site.is_some()
        && let Some((other, _)) = others.into_iter().find(|(_, asked)| *asked)
    {
        bail!("--site cannot be used with {other}; start a server for each");
    }
    if let Some(path) = &collect.collect {
        let known = collect.known(&service.scorers)?;
        return collect::run(path, &collect, &at, collect::Reader { known, device });
    }
    if !service.scorers.is_empty() {
        return service::run(service, &at, device);
    }
    if device.is_some() {
        bail!("--device is where scorers compute; a site computes in the browser");
    }
    host_site(&site.unwrap_or_else(|| "demo/site".into()), at.host, at.port)
}

/// Hosts the site of a folder until it is stopped.
pub(crate) fn host_site(folder: &Path, host: IpAddr, port: u16) -> Result<Answer> {
    if !folder.join("index.html").is_file() {
        bail!(
            "{}: is not a site, it has no index.html; make one with `pair2score export --format web`",
            folder.display()
        );
    }
    let site = Site::open(folder)?;
    listen(host, port, LIMITS, |address| {
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
