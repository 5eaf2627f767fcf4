//! Links with a secret: made, printed once, and kept as hashes alone.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::{Result, bail};

use super::args::CollectArgs;
use super::store::Store;
use crate::shell;
use crate::token::{self, Hash};

/// A link that nothing keeps.
pub(super) struct Link {
    /// Whose it is, as it is printed.
    whose: String,
    /// Where it leads, the address of the server aside.
    path: String,
    /// The option that makes another one.
    again: String,
}

/// Refuses what no table can show as a judge's name.
///
/// # Errors
/// Such a name.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        bail!("{name:?} is not a judge's name; give one that can be read");
    }
    Ok(())
}

/// A judge's link.
pub(super) fn judge_link(public: &str, token: &str) -> String {
    format!("{public}/judge#{token}")
}

/// Adds judges and changes links, as this start asks for.
///
/// # Errors
/// A new link for somebody who is no judge, or nobody to judge.
pub(super) fn judges(store: &mut Store, args: &CollectArgs) -> Result<Vec<Link>> {
    let known: BTreeSet<String> = store.judges()?.into_iter().map(|judge| judge.name).collect();
    let renewed: BTreeSet<&str> = args.new_links.iter().map(|name| name.trim()).collect();
    if let Some(name) = renewed.iter().find(|name| !known.contains(**name)) {
        bail!("--new-link {name}: there is no such judge; add one with --judge");
    }
    let numbered = (1..=args.n_judges.unwrap_or(0)).map(|number| format!("judge {number}"));
    let named = args.judges.iter().map(|name| name.trim().to_owned());
    let mut links = Vec::new();
    let mut made = |name: &str, token: &str| {
        links.push(Link {
            whose: name.to_owned(),
            path: judge_link("", token),
            again: format!("--new-link {}", shell::quoted(name)),
        });
    };
    for name in named.chain(numbered) {
        let token = token::new()?;
        if store.add_judge(&name, &token::hash(&token))? {
            made(&name, &token);
        }
    }
    for name in renewed {
        let token = token::new()?;
        store.change_token(name, &token::hash(&token))?;
        made(name, &token);
    }
    Ok(links)
}

/// The hash of the lead's token, with the link where there was none or another one is asked for.
///
/// # Errors
/// A database that cannot be used.
pub(super) fn lead(store: &Store, args: &CollectArgs) -> Result<(Hash, Option<Link>)> {
    if let Some(known) = store.lead()?.filter(|_| !args.new_lead_link) {
        return Ok((known, None));
    }
    let token = token::new()?;
    let hash = token::hash(&token);
    store.set_lead(&hash)?;
    let link =
        Link { whose: "the lead".into(), path: format!("/lead#{token}"), again: "--new-lead-link".into() };
    Ok((hash, Some(link)))
}

/// Prints links, which are kept nowhere else.
///
/// # Errors
/// Standard output that did not take all of them.
pub(super) fn hand_over(links: &[Link], public: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    for (place, Link { whose, path, .. }) in links.iter().enumerate() {
        let written = writeln!(output, "{whose}: {public}{path}").and_then(|()| output.flush());
        if let Err(error) = written {
            let lost = &links[place..];
            let names: Vec<&str> = lost.iter().map(|link| link.whose.as_str()).collect();
            let again: Vec<&str> = lost.iter().map(|link| link.again.as_str()).collect();
            bail!(
                "standard output: {error}; it did not take the links of {}, which are lost: start again with {}",
                names.join(", "),
                again.join(" ")
            );
        }
    }
    Ok(())
}
