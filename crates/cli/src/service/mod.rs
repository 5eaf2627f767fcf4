//! `serve --scorer`: scores, comparisons and embeddings for programs.
//!
//! A request goes one way: [`routes`] or [`stream`] read it, [`ask`] finds the texts in it that can be computed, [`state`]
//! gives them tokens and a place in the [`queue`], [`lanes`] says which of them are computed together, [`engine`]
//! computes, and [`answer`] is what goes back. One thread computes, and owns the scorers; the others only wait, read and
//! tokenise.
//!
//! Deliberately absent: TLS and limits per client (a reverse proxy does these better), and texts in logs.

mod answer;
mod args;
mod ask;
mod engine;
mod job;
mod keys;
mod lanes;
mod metrics;
mod openapi;
mod problem;
mod queue;
mod routes;
mod scorers;
mod state;
mod stream;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use pair2score_export::Quantization;
use pair2score_train::TrainBackend;
use tokio::sync::Semaphore;

pub(crate) use args::{NamedFolder, ServiceArgs};

use crate::Answer;
use crate::args::ListenArgs;
use crate::device::{Device, DeviceChoice, OnDevice};
use crate::http::{LIMITS, Limits, check_host, is_loopback, listen};
use engine::Engine;
use keys::Keys;
use metrics::Metrics;
use queue::Queue;
use scorers::About;
use state::Service;

/// Programs keep connections open, and what was taken into the queue is still to be computed when the service is stopped.
const SERVICE_LIMITS: Limits = Limits { connections: 200, grace: Duration::from_secs(25), ..LIMITS };

/// Serves until it is stopped.
pub(crate) fn run(args: ServiceArgs, at: &ListenArgs, device: Option<DeviceChoice>) -> Result<Answer> {
    check_host(at.host, at.allow_remote, "texts, scores and keys", "")?;
    let keys = args.keys.as_deref().map(Keys::read).transpose()?;
    Device::choose(device, None)?.run(Serve { args, at, keys })
}

struct Serve<'a> {
    args: ServiceArgs,
    at: &'a ListenArgs,
    keys: Option<Keys>,
}

impl OnDevice for Serve<'_> {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self { args, at, keys } = self;
        let packed = args.quantize == Some(Quantization::Q8);
        let (served, scorers) = scorers::load::<B::InnerBackend>(&args.scorers, packed, device)?;
        let names = served.iter().map(|scorer| scorer.about.name.clone()).collect();
        let longest = served.iter().map(|scorer| scorer.about.max_length).max().unwrap_or(0);
        if 4 * longest > args.queue_tokens as usize {
            bail!(
                "--queue-tokens {} has no room for a comparison of two texts of {longest} tokens by both stages; give \
                 at least {}",
                args.queue_tokens,
                4 * longest
            );
        }
        let metrics = Arc::new(Metrics::new(names));
        let (sender, jobs) = mpsc::channel();
        let about: Vec<&About> = served.iter().map(|scorer| &scorer.about).collect();
        let openapi = openapi::document(&about, keys.is_some());
        let service = Service {
            scorers: served,
            queue: Queue::new(args.queue_tokens, sender, Arc::clone(&metrics)),
            metrics: Arc::clone(&metrics),
            local: keys.is_none() && is_loopback(at.host),
            keys,
            body_limit: args.body_limit as usize,
            tokenising: Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, Into::into))),
            openapi,
        };
        let engine = Engine { scorers, jobs, batch_tokens: args.batch_tokens as usize, metrics };
        let engine = thread::Builder::new()
            .name("scorers".into())
            .spawn(|| engine.run())
            .context("cannot start the thread that computes")?;
        let answer = listen(at.host, at.port, SERVICE_LIMITS, |address| Ok(open(service, address)));
        // All handlers have ended and with them the queue; a batch under way is computed to its end.
        let _ = engine.join();
        answer
    }
}

/// Now that the address is known: says what is served.
fn open(service: Service, address: SocketAddr) -> Router {
    let names: Vec<&str> = service.scorers.iter().map(|scorer| scorer.about.name.as_str()).collect();
    outln!("serving {} on http://{address}/ (Ctrl-C stops)", names.join(", "));
    if !is_loopback(address.ip()) {
        let open = if service.keys.is_none() { " and no key is asked for (--keys)" } else { "" };
        errln!("other machines reach http://{address}/, nothing is encrypted{open}: TLS belongs in front");
    }
    routes::app(Arc::new(service))
}
