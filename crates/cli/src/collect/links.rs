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

/// First and last characters that nobody sees: those of Unicode's category Cf, which format others.
const INVISIBLE: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// Refuses what no table can show as a judge's name, and what is there without being seen: two names that look alike are
/// two judges.
///
/// # Errors
/// Such a name.
pub(super) fn check_name(name: &str) -> Result<()> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        bail!("{name:?} is not a judge's name; give one that can be read");
    }
    let letters: Vec<char> = name.chars().collect();
    let hidden = (0..letters.len()).find(|&place| is_hidden(&letters, place));
    if let Some(place) = hidden {
        let character = u32::from(letters[place]);
        bail!("{name:?} has a character that nobody sees (U+{character:04X}); write the name without it");
    }
    Ok(())
}

/// Whether a character of a name is invisible and has no part in how the others look.
fn is_hidden(name: &[char], place: usize) -> bool {
    let invisible = INVISIBLE.iter().any(|(first, last)| (first..=last).contains(&&name[place]));
    // Between letters of other scripts, as Arabic and those of India, joiners belong to the spelling.
    let joiner = matches!(name[place], '\u{200c}' | '\u{200d}');
    let beside = [place.checked_sub(1), Some(place + 1)].map(|other| name.get(other?));
    invisible && !(joiner && beside.iter().all(|other| other.is_some_and(|letter| !letter.is_ascii())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_no_two_judges() {
        for name in [
            "ann",
            " Anna-Lena M\u{fc}ller ",
            "judge 1",
            "\u{5c71}\u{7530}",
            "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
        ] {
            check_name(name).unwrap();
        }
        for (name, said) in [
            ("", "can be read"),
            (" \u{a0}", "can be read"),
            ("a\nb", "can be read"),
            ("ann\u{200b}", "U+200B"),
            ("\u{202e}nna", "U+202E"),
            ("a\u{ad}nn", "U+00AD"),
            ("an\u{200d}n", "U+200D"),
            ("\u{639}\u{200c}", "U+200C"),
            ("ann\u{e0061}", "U+E0061"),
        ] {
            let refused = check_name(name).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
