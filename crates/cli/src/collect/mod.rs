//! `serve --collect`: several judges, one database.
//!
//! Each judge has a link with a secret; their pairs, one at a time, come from the strategies of `data`. The parts know
//! little of each other: [`store`] is the database and nothing but, [`Panel`] decides, [`routes`] speaks HTTP, and
//! [`page`] is where judges come from: the annotation page of a built site.
//!
//! Deliberately absent: TLS (a reverse proxy does that better), accounts and passwords, an administrator's page. What was
//! collected is read with `judgements export`, while the server runs or after.

mod args;
mod export;
mod judgement;
mod limit;
mod lock;
mod origin;
mod page;
mod reader;
mod routes;
mod store;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use axum::Router;
use pair2score_data::files::read_text;
use pair2score_data::judgements::{Features, Panel, PanelOptions};
use pair2score_data::{DocumentSet, Layout, read_texts};

pub(crate) use args::CollectArgs;
pub(crate) use export::export;

use crate::args::ListenArgs;
use crate::http::{LIMITS, check_host, is_loopback, listen};
use crate::{Answer, shell, token};
use limit::{Limits, RATES};
use lock::Lock;
use origin::Origins;
use page::Page;
pub(crate) use reader::Reader;
use routes::{Desk, Service};
use store::Store;

const QUESTION: &str = "Which text is better?";

/// Collects until it is stopped.
pub(crate) fn run(path: &Path, args: &CollectArgs, at: &ListenArgs, reader: Reader) -> Result<Answer> {
    check_host(at.host, at.allow_remote, "texts, answers and links", ", name its address with --public-url")?;
    check(args)?;
    let page = Page::find(args.page.as_deref())?;
    let (lock, store) = prepared(path, args)?;
    let panel = panel(args, &store, reader).with_context(|| path.display().to_string())?;
    let served = listen(at.host, at.port, LIMITS, |address| open(path, args, store, panel, page, address));
    // Not before the database is closed.
    drop(lock);
    served
}

/// Refuses options that cannot work, before anything is written.
fn check(args: &CollectArgs) -> Result<()> {
    for (option, share, most) in [("--shared", args.shared, 1.0), ("--repeat-share", args.repeat_share, 0.9)]
    {
        if !(0.0..=most).contains(&share) {
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
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            bail!("{name:?} is not a judge's name; give one that can be read");
        }
    }
    Ok(())
}

/// The database with everything this start adds to it, judges aside, and the right to collect in it.
fn prepared(path: &Path, args: &CollectArgs) -> Result<(Lock, Store)> {
    let begun = path.exists();
    if !begun && (args.documents.is_none() || args.target.is_none()) {
        bail!("{}: nothing was collected there yet; begin with --documents and --trait", path.display());
    }
    let documents = match &args.documents {
        Some(file) => Some(with_text(read_texts(file, &Layout::from(args.layout.clone()))?)?),
        None => None,
    };
    let rubric = match &args.rubric {
        Some(file) => Some(read_text(file)?),
        None => None,
    };
    let lock = Lock::take(path)?;
    let mut store = Store::open(path, true)?;
    let place = || path.display().to_string();
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

/// Chooses the pairs, after the documents were read where something reads them.
fn panel(args: &CollectArgs, store: &Store, reader: Reader) -> Result<Panel> {
    let read = reader.reads();
    let options = PanelOptions {
        selection: args.selection(read),
        shared: args.shared,
        repeats: args.repeat_share,
        per_judge: args.per_judge,
        within_splits: args.within_splits,
        seed: args.seed,
    };
    let features = match read {
        true => reader.read(store.documents()?, store.setting("trait")?)?,
        false => Features::none(store.n_documents()?),
    };
    Ok(Panel::new(features, options))
}

/// Now that the address is known: prints the links of new judges and says what is served.
fn open(
    path: &Path,
    args: &CollectArgs,
    store: Store,
    panel: Panel,
    page: Page,
    address: SocketAddr,
) -> Result<Router> {
    let origins = Origins::new(address, args.public_url.as_deref())?;
    let links = issue(&store, args)?;
    let judges = store.judges()?;
    if judges.is_empty() {
        bail!("{}: there is nobody to judge; add --judge NAME", path.display());
    }
    let n = store.n_documents()?;
    let question = store.setting("question")?.unwrap_or_else(|| QUESTION.into());
    let rubric = store.setting("rubric")?.unwrap_or_default();
    hand_over(&links, &origins.public)?;
    outln!(
        "collecting {} in {}: {n} documents, {} judges, on http://{address}/ (Ctrl-C stops)",
        store.setting("trait")?.unwrap_or_default(),
        path.display(),
        judges.len()
    );
    if !is_loopback(address.ip()) {
        errln!("other machines reach http://{address}/ and nothing is encrypted: TLS belongs in front");
    }
    if let Page::Missing(message) = &page {
        errln!("{message}, or name its folder with --page; until then links lead to this message");
    }
    let service = Service {
        desk: Arc::new(tokio::sync::Mutex::new(Desk { store, panel })),
        limits: Mutex::new(Limits::new(args.rate)),
        judges,
        origins,
        question,
        rubric,
        per_judge: args.per_judge,
    };
    Ok(routes::app(Arc::new(service), page))
}

/// Adds judges and changes links; gives names and tokens, which are kept nowhere else.
fn issue(store: &Store, args: &CollectArgs) -> Result<Vec<(String, String)>> {
    let known: BTreeSet<String> = store.judges()?.into_iter().map(|judge| judge.name).collect();
    let renewed: BTreeSet<&str> = args.new_links.iter().map(|name| name.trim()).collect();
    if let Some(name) = renewed.iter().find(|name| !known.contains(**name)) {
        bail!("--new-link {name}: there is no such judge; add one with --judge");
    }
    let numbered = (1..=args.n_judges.unwrap_or(0)).map(|number| format!("judge {number}"));
    let named = args.judges.iter().map(|name| name.trim().to_owned());
    let mut links = Vec::new();
    for name in named.chain(numbered) {
        let token = token::new()?;
        if store.add_judge(&name, &token::hash(&token))? {
            links.push((name, token));
        }
    }
    for name in renewed {
        let token = token::new()?;
        store.change_token(name, &token::hash(&token))?;
        links.push((name.to_owned(), token));
    }
    Ok(links)
}

/// Prints the links of judges, which are kept nowhere else.
///
/// # Errors
/// Standard output that did not take all of them.
fn hand_over(links: &[(String, String)], public: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    for (place, (name, token)) in links.iter().enumerate() {
        let written = writeln!(output, "{name}: {public}/judge#{token}").and_then(|()| output.flush());
        if let Err(error) = written {
            let lost = &links[place..];
            let names: Vec<&str> = lost.iter().map(|(name, _)| name.as_str()).collect();
            let again: Vec<String> =
                lost.iter().map(|(name, _)| format!("--new-link {}", shell::quoted(name))).collect();
            bail!(
                "standard output: {error}; it did not take the links of {}, which are lost: start again with {}",
                names.join(", "),
                again.join(" ")
            );
        }
    }
    Ok(())
}
