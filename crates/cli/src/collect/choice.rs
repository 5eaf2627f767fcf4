//! How pairs are chosen: as a start of the server says, else as an earlier start said.
//!
//! What a start says is kept in the database, as the question is, so that `serve --collect` alone goes on as before. What
//! nobody has said is not kept, so that a later program may have other defaults. The documents' reader is not kept either:
//! whether there is one decides the default of the selection at each start.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use pair2score_data::judgements::{PanelOptions, Selection};

use super::args::{CollectArgs, PerJudge, name_of, selection_called};
use super::store::Store;

/// Share of pairs that all judges get, unless another one is given.
const SHARED: f64 = 0.1;
/// The seed, unless another one is given.
const SEED: u64 = 36;

const SELECTION: &str = "selection";
const WITHIN_SPLITS: &str = "within_splits";

/// How pairs are chosen from this start on, which is kept; `read` says whether something reads the documents.
///
/// # Errors
/// A reader whose answers the kept selection does not ask for, a setting that is not understood, and a failed read or write.
pub(super) fn kept(store: &Store, args: &CollectArgs, read: bool) -> Result<PanelOptions> {
    let selection = match args.selection {
        Some(selection) => Some(selection),
        None => earlier(store, SELECTION, selection_called)?,
    };
    if read && selection == Some(Selection::Balanced) {
        bail!(
            "pairs were to be balanced (--selection), which asks no scorer or backbone; leave that out, or add --selection \
             adaptive"
        );
    }
    if let Some(selection) = args.selection {
        store.set(SELECTION, name_of(selection))?;
    }
    let per_judge = setting(store, "per_judge", args.per_judge)?.unwrap_or(PerJudge::All);
    Ok(PanelOptions {
        selection: selection.unwrap_or(if read { Selection::Adaptive } else { Selection::Balanced }),
        shared: setting(store, "shared", args.shared)?.unwrap_or(SHARED),
        repeats: setting(store, "repeat_share", args.repeat_share)?.unwrap_or(0.0),
        per_judge: match per_judge {
            PerJudge::All => None,
            PerJudge::Most(most) => Some(most),
        },
        within_splits: setting(store, WITHIN_SPLITS, args.within_splits)?.unwrap_or(false),
        seed: setting(store, "seed", args.seed)?.unwrap_or(SEED),
    })
}

/// Whether pairs are chosen within splits, before that is kept.
///
/// # Errors
/// A setting that is not understood, and a failed read.
pub(super) fn within_splits(store: &Store, args: &CollectArgs) -> Result<bool> {
    let before: Option<bool> = earlier(store, WITHIN_SPLITS, |text| text.parse().ok())?;
    Ok(args.within_splits.or(before).unwrap_or(false))
}

/// What is given, which is kept, else what was kept before.
fn setting<T: FromStr + ToString>(store: &Store, name: &str, given: Option<T>) -> Result<Option<T>> {
    match &given {
        Some(value) => {
            store.set(name, &value.to_string())?;
            Ok(given)
        }
        None => earlier(store, name, |text| text.parse().ok()),
    }
}

/// What an earlier start has kept.
fn earlier<T>(store: &Store, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
    let Some(text) = store.setting(name)? else { return Ok(None) };
    let option = name.replace('_', "-");
    let value =
        read(&text).ok_or_else(|| anyhow!("{text:?} was kept as --{option}; give the option again"))?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        collect: CollectArgs,
        /// The argument of that name, which others speak of.
        #[arg(id = "scorers", long = "scorer")]
        _scorers: Vec<String>,
    }

    fn options(store: &Store, given: &str, read: bool) -> Result<PanelOptions> {
        let words = ["serve", "--collect", "c.sqlite"].into_iter().chain(given.split_whitespace());
        kept(store, &Program::try_parse_from(words)?.collect, read)
    }

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("c.sqlite"), true).unwrap()
    }

    #[test]
    fn each_option_stays_until_it_is_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let seen = |given: &str| {
            let PanelOptions { selection, shared, repeats, per_judge, within_splits, seed } =
                options(&store, given, false).unwrap();
            (name_of(selection), shared, repeats, per_judge, within_splits, seed)
        };
        assert_eq!(seen(""), ("balanced", 0.1, 0.0, None, false, 36));
        let given =
            "--selection adaptive --shared 0.3 --repeat-share 0.25 --per-judge 40 --within-splits --seed 7";
        let first = ("adaptive", 0.3, 0.25, Some(40), true, 7);
        assert_eq!((seen(given), seen("")), (first, first));
        let again =
            "--selection balanced --shared 0 --repeat-share 0 --per-judge all --within-splits=false --seed 8";
        let second = ("balanced", 0.0, 0.0, None, false, 8);
        assert_eq!((seen(again), seen("")), (second, second));
    }

    #[test]
    fn no_reader_is_asked_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        assert_eq!(options(&store, "", true).unwrap().selection, Selection::Adaptive);
        assert_eq!(
            options(&store, "", false).unwrap().selection,
            Selection::Balanced,
            "a default is not kept"
        );
        options(&store, "--selection balanced", false).unwrap();
        let refused = options(&store, "", true).unwrap_err().to_string();
        assert!(refused.contains("add --selection adaptive"), "{refused}");
        options(&store, "--selection adaptive", true).unwrap();
        assert_eq!(options(&store, "", false).unwrap().selection, Selection::Adaptive);
    }

    #[test]
    fn a_setting_that_nobody_understands_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        store.set("per_judge", "many").unwrap();
        let refused = options(&store, "", false).unwrap_err().to_string();
        assert!(refused.contains("\"many\" was kept as --per-judge"), "{refused}");
        assert_eq!(options(&store, "--per-judge 3", false).unwrap().per_judge, Some(3));
        assert!(options(&store, "--per-judge 0", false).is_err());
    }
}
