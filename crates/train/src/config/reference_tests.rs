//! `docs/config.md` is written from the declarations of the keys; this compares it with them.
//!
//! `UPDATE=1 cargo test -p pair2score-train config_reference` writes it anew.

use std::fmt::Write;
use std::path::Path;

use super::Settings;
use super::pretrain::PretrainFile;
use super::section::{Key, Role, Walk};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");

const HEAD: &str = "\
# Configuration

Every key of a run and of pretraining. This file is written from the declarations in `crates/train/src/config`, and a
test holds it to them.

A configuration is YAML with the sections below; `--set section.key=value` overrides a key, and later ones win. What is
left out has its default. An unknown key, a value out of range and a contradiction are errors, which are named together.
`pair2score run CONFIG --dry-run` prints the resolved configuration, with every key that has a say. Relative paths start at the working
directory.

The published configurations are read as they are. A key marked + is not among theirs.

The column *resume* says what a run that goes on with `--resume`, or finds a stage that is over, must have unchanged:

- **same**: the value, since results depend on it;
- **contents**: what is in the file or folder, wherever it lies now;
- **free**: nothing, no result depends on the key;
- **no effect**: nothing reads the key. It is accepted because published configurations have it, and the log of a run
  names it where it says other than its default.
";

#[test]
fn config_reference_is_up_to_date() {
    let written = reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let file = std::fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    assert!(file == written, "docs/config.md is out of date, write it with UPDATE=1");
}

#[test]
fn every_key_says_what_it_means() {
    let walks = [Walk::of_defaults::<Settings>(), Walk::of_defaults::<PretrainFile>()];
    for key in walks.iter().flat_map(|walk| &walk.keys) {
        assert!(key.meaning.ends_with('.') && !key.values.is_empty(), "{key:?}");
    }
}

#[test]
fn the_reference_has_every_key_that_is_written() {
    let keys = Walk::of_defaults::<Settings>().keys;
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let entries: Vec<String> = Settings::default().entries().into_keys().collect();
    assert!(entries.iter().all(|entry| names.contains(&entry.as_str())), "{entries:?}");
    // Free notes have no entry until there is one; nor have a trait, several traits and their weights.
    assert_eq!(names.len(), entries.len() + 4);
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "##", &Walk::of_defaults::<Settings>(), true);
    text += "\n## Pretraining\n\nThe configuration of `pair2score pretrain` has sections of its own.\n";
    section(&mut text, "###", &Walk::of_defaults::<PretrainFile>(), false);
    text
}

/// The sections of a configuration, with a table of the keys of each; those of pretraining have no part in resuming.
fn section(text: &mut String, heading: &str, walk: &Walk, resume: bool) {
    // Keys that stand at the top, like those of free notes, are sections without keys of their own.
    let mut sections = walk.sections.clone();
    let at_top = walk.keys.iter().filter(|key| !key.name.contains('.'));
    sections.extend(at_top.map(|key| (key.name.clone(), key.meaning.clone())));
    let place = |name: &str| walk.keys.iter().position(|key| key.name.starts_with(name));
    sections.sort_by_key(|(name, _)| place(name));
    for (name, about) in sections {
        let keys: Vec<&Key> = walk
            .keys
            .iter()
            .filter(|key| key.name.rsplit_once('.').is_some_and(|(section, _)| section == name))
            .collect();
        writeln!(text, "\n{heading} `{name}`\n\n{about}").unwrap();
        if keys.is_empty() {
            continue;
        }
        let (title, line) = if resume { (" Resume |", "---|") } else { ("", "") };
        writeln!(text, "\n| Key | Default | Values | Meaning |{title}\n|---|---|---|---|{line}").unwrap();
        for key in keys {
            let name = key.name.rsplit('.').next().unwrap_or_default();
            let added = if key.added { " +" } else { "" };
            let default = key.value.as_ref().map_or("required".to_owned(), |value| format!("`{value}`"));
            let role = match (resume, key.role) {
                (false, _) => "",
                (_, Role::Same) => " same |",
                (_, Role::File) => " contents |",
                (_, Role::Free) => " free |",
                (_, Role::NoEffect) => " no effect |",
            };
            writeln!(text, "| `{name}`{added} | {default} | {} | {} |{role}", key.values, key.meaning)
                .unwrap();
        }
    }
}
