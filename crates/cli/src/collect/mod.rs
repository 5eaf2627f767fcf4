//! `serve --collect`: several judges, one database.
//!
//! Each judge has a link with a secret; their pairs, one at a time, come from the strategies of `data`. The lead has
//! another one. The parts know little of each other: [`store`] is the database and nothing but, [`Panel`] decides,
//! [`routes`] and [`lead`] speak HTTP with judges and with the lead, and [`page`] is where they come from: two pages of a
//! built site.
//!
//! Deliberately absent: TLS (a reverse proxy does that better), accounts and passwords.

mod account;
mod args;
mod choice;
mod desk;
mod export;
mod lead;
mod limit;
mod links;
mod lock;
mod origin;
mod page;
mod reader;
mod records;
mod routes;
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use pair2score_data::files::read_text;
use pair2score_data::judgements::{Features, Panel, PanelOptions};
use pair2score_data::{DocumentSet, Layout, read_texts};

pub(crate) use args::CollectArgs;
pub(crate) use export::export;

use crate::Answer;
use crate::args::ListenArgs;
use crate::http::{LIMITS, check_host, is_loopback, listen, secure};
use account::Accounts;
use desk::{Desk, Service};
use limit::{Limits, RATES};
use lock::Lock;
use origin::Origins;
use page::Page;
pub(crate) use reader::Reader;
use store::Store;

const QUESTION: &str = "Which text is better?";

/// The pages load their own files and ask their own server, nothing else. Unlike a site's, they compute nothing, so that
/// no wasm may run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Collects until it is stopped.
pub(crate) fn run(path: &Path, args: &CollectArgs, at: &ListenArgs, reader: Reader) -> Result<Answer> {
    check_host(at.host, at.allow_remote, "texts, answers and links", ", name its address with --public-url")?;
    check(args)?;
    let page = Page::find(args.page.as_deref())?;
    let (lock, store) = prepared(path, args)?;
    let options = choice::kept(&store, args, reader.reads()).with_context(|| path.display().to_string())?;
    let features = features(&store, reader).with_context(|| path.display().to_string())?;
    let served =
        listen(at.host, at.port, LIMITS, |address| open(path, args, store, features, options, page, address));
    // Not before the database is closed.
    drop(lock);
    served
}

/// Refuses options that cannot work, before anything is written.
fn check(args: &CollectArgs) -> Result<()> {
    for (option, share, most) in [("--shared", args.shared, 1.0), ("--repeat-share", args.repeat_share, 0.9)]
    {
        if let Some(share) = share.filter(|share| !(0.0..=most).contains(share)) {
            bail!("{option} {share} is not a share; give a number from 0 to {most}");
        }
    }
    if !RATES.contains(&args.rate) {
        let (least, most) = (RATES.start(), RATES.end());
        bail!("--rate {} is not in the range of {least} to {most} requests per second", args.rate);
    }
    if args.layout.prompt_col.is_some() {
        bail!("--prompt-col: judges are shown texts alone; put prompts into the texts");
    }
    for name in args.judges.iter().chain(&args.new_links) {
        links::check_name(name)?;
    }
    Ok(())
}

/// Locks and opens the database, and adds what the options give, except judges: what is judged, the question, the rubric
/// and documents.
fn prepared(path: &Path, args: &CollectArgs) -> Result<(Lock, Store)> {
    let begun = path.exists();
    if !begun && (args.documents.is_none() || args.target.is_none()) {
        bail!("{}: nothing was collected there yet; begin with --documents and --trait", path.display());
    }
    let documents = match &args.documents {
        Some(file) => Some(read_texts(file, &Layout::from(args.layout.clone()))?),
        None => None,
    };
    let rubric = match &args.rubric {
        Some(file) => Some(read_text(file)?),
        None => None,
    };
    let lock = Lock::take(path)?;
    let mut store = Store::open(path, true)?;
    let place = || path.display().to_string();
    if choice::within_splits(&store, args).with_context(place)? {
        documents.as_ref().map_or(Ok(()), check_texts)?;
    }
    let documents = documents.map(with_text).transpose()?;
    match (store.setting("trait").with_context(place)?, &args.target) {
        (Some(known), Some(target)) if known != *target => {
            bail!("{}: is about \"{known}\"; begin another file for \"{target}\"", path.display())
        }
        (None, None) => bail!("{}: does not say what is judged; add --trait", path.display()),
        (None, Some(target)) if target.trim().is_empty() => bail!("--trait is blank; name what is judged"),
        (None, Some(target)) => store.set("trait", target).with_context(place)?,
        (Some(_), _) => {}
    }
    if let Some(question) = &args.question {
        store.set("question", question).with_context(place)?;
    }
    if let Some(rubric) = &rubric {
        store.set("rubric", rubric.trim()).with_context(place)?;
    }
    if let Some(documents) = &documents {
        store.add_documents(documents).with_context(place)?;
    }
    if store.n_documents().with_context(place)? < 2 {
        bail!("{}: there are no two documents to compare; add some with --documents", path.display());
    }
    Ok((lock, store))
}

/// Refuses documents without text, which nobody judges: with them, an import would draw other splits.
fn check_texts(all: &DocumentSet) -> Result<()> {
    if all.empty.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: {} of {} documents have no text, and `judgements import` draws its splits over them too; for --within-splits \
         take them out of the file that both read",
        all.path.display(),
        all.empty.len(),
        all.documents.len()
    )
}

/// The documents that somebody can judge.
fn with_text(all: DocumentSet) -> Result<DocumentSet> {
    if all.empty.is_empty() {
        return Ok(all);
    }
    let path = all.path.display();
    errln!("{path}: {} of {} documents have no text and are left out", all.empty.len(), all.documents.len());
    let judged = all.documents.into_iter().filter(|document| !document.text.trim().is_empty());
    Ok(DocumentSet::new(all.path, judged.collect())?)
}

/// What is read in the documents, where something reads them.
fn features(store: &Store, reader: Reader) -> Result<Features> {
    match reader.reads() {
        true => reader.read(store.documents()?, store.setting("trait")?),
        false => Ok(Features::none(store.n_documents()?)),
    }
}

/// Now that the address is known: prints the links of new judges and says what is served.
fn open(
    path: &Path,
    args: &CollectArgs,
    mut store: Store,
    features: Features,
    options: PanelOptions,
    page: Page,
    address: SocketAddr,
) -> Result<Router> {
    let origins = Origins::new(address, args.public_url.as_deref())?;
    let mut links = links::judges(&mut store, args)?;
    let judges = store.judges()?;
    if judges.is_empty() {
        bail!("{}: there is nobody to judge; add --judge NAME", path.display());
    }
    let n = store.n_documents()?;
    let question = store.setting("question")?.unwrap_or_else(|| QUESTION.into());
    let rubric = store.setting("rubric")?.unwrap_or_default();
    let target = store.setting("trait")?.unwrap_or_default();
    let (lead, lead_link) = links::lead(&store, args)?;
    links.extend(lead_link);
    links::hand_over(&links, &origins.public)?;
    outln!(
        "collecting {target} in {}: {n} documents, {} judges, on http://{address}/ (Ctrl-C stops)",
        path.display(),
        judges.len()
    );
    if !is_loopback(address.ip()) {
        errln!("other machines reach http://{address}/ and nothing is encrypted: TLS belongs in front");
    }
    if let Page::Missing(message) = &page {
        errln!("{message}, or name its folder with --page; until then links lead to this message");
    }
    let features = Arc::new(features);
    let service = Service {
        accounts: Accounts::new(store.ids()?, Arc::clone(&features)),
        per_judge: options.per_judge,
        desk: Arc::new(tokio::sync::Mutex::new(Desk { store, panel: Panel::new(features, options) })),
        limits: Mutex::new(Limits::new(args.rate)),
        judges: Mutex::new(judges),
        lead,
        origins,
        target,
        question,
        rubric,
    };
    Ok(app(Arc::new(service), page))
}

/// The whole service.
fn app(service: Arc<Service>, page: Page) -> Router {
    let api = routes::routes(&service).merge(lead::routes(&service));
    page::routes(page).merge(api).with_state(service).layer(map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    secure(headers, POLICY);
    // Files say for themselves how long they may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
