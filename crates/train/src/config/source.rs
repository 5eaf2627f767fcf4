//! From the text of a file and the `--set` options to settings as written.
//!
//! The user's mapping is laid over the serialised defaults, so the defaults are the one list of valid keys: a key
//! they lack is unknown. All unknown keys and all values of a wrong type are reported together.

use std::cell::LazyCell;
use std::io;
use std::path::Path;

use pair2score_data::files::open;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use super::error::{ConfigError, Problems};
use super::suggest::{did_you_mean, nearest};

/// The section that holds whatever its author wants.
const FREE_SECTION: &str = "metadata";

/// Values of a wrong type that are looked for: each costs a pass over the whole file.
const MAX_WRONG_TYPES: usize = 32;

/// The text of the file.
///
/// # Errors
/// Not there, not readable, not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let text = open(path).and_then(io::read_to_string);
    text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// What a file and its options say, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Given(Mapping);

impl Given {
    /// Whether something is said about the key `name` of a section.
    pub(super) fn contains(&self, section: &str, name: &str) -> bool {
        self.0.get(section).and_then(|section| section.get(name)).is_some_and(|value| !value.is_null())
    }
}

/// The text after the byte order mark that some editors begin a file with.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What was read, as far as it could be.
pub(super) struct Read<T> {
    /// The settings, with the default for each unknown word.
    pub(super) settings: T,
    /// What the file and its options say.
    pub(super) given: Given,
    /// Unknown words; whatever else is wrong is to be named with them.
    pub(super) problems: Problems,
}

/// Parses `text`, applies `sets` (`a.b.c=VALUE`, later ones win) and fills in the defaults.
///
/// # Errors
/// Not YAML, not a mapping, unknown keys, wrong types, with all unknown words; `path` is only named in messages.
pub(super) fn parse<T>(text: &str, path: &Path, sets: &[String]) -> Result<Read<T>, ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let text = without_mark(text);
    let mut problems = Problems::default();
    let mut user = mapping(text).unwrap_or_else(|what| {
        problems.add_plain(what);
        Mapping::new()
    });
    if !problems.is_empty() {
        return problems.finish(path, Read::default());
    }
    for set in sets {
        if let Err(what) = apply(&mut user, set) {
            problems.add_plain(format!("--set {set:?}: {what}"));
        }
    }
    let given = Given(user.clone());
    let mut merged = defaults::<T>();
    let template = merged.clone();
    overlay(&mut merged, user, &mut vec![], &template, &mut problems);
    let mut words = Problems::default();
    let settings = typed::<T>(merged, text, &mut problems, &mut words);
    if !problems.is_empty() {
        return problems.after(words).finish(path, Read::default());
    }
    Ok(Read { settings, given, problems: words })
}

impl<T: Default> Default for Read<T> {
    fn default() -> Self {
        Self { settings: T::default(), given: Given::default(), problems: Problems::default() }
    }
}

fn mapping(text: &str) -> Result<Mapping, String> {
    match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Mapping(mapping)) => merged(mapping),
        Ok(Value::Null) => Err("the file is empty, begin with one of configs/examples".into()),
        Ok(_) => Err("not a mapping of sections, begin with one of configs/examples".into()),
        Err(error) => {
            let line = error.location().and_then(|place| text.lines().nth(place.line().checked_sub(1)?));
            let indented_by_tab = |line: &str| {
                line.chars()
                    .take_while(|character| character.is_whitespace())
                    .any(|character| character == '\t')
            };
            let remedy =
                if line.is_some_and(indented_by_tab) { ", indent with spaces, not tabs" } else { "" };
            Err(format!("not valid YAML: {}{remedy}", one_line(&error.to_string())))
        }
    }
}

/// With every merge key, `<<: *anchor`, replaced by what it names, as PyYAML reads it: keys beside it count more.
pub(crate) fn merged(mapping: Mapping) -> Result<Mapping, String> {
    let mut value = Value::Mapping(mapping);
    value.apply_merge().map_err(|error| format!("a merge key `<<`: {error}"))?;
    match value {
        Value::Mapping(mapping) => Ok(mapping),
        _ => unreachable!("merging leaves a mapping one"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// No key has more parts. What a file nests deeper, the parser refuses; this refuses it of an option, before what
/// recurses over the mapping runs out of stack.
const MAX_PARTS: usize = 16;

/// Puts one `a.b.c=VALUE` into the mapping.
fn apply(user: &mut Mapping, set: &str) -> Result<(), String> {
    let (key, value) = set.split_once('=').ok_or("no \"=\", write KEY=VALUE")?;
    let value: Value = serde_yaml::from_str(value).map_err(|error| {
        format!("the value is not valid YAML ({}), correct or quote it", one_line(&error.to_string()))
    })?;
    let segments: Vec<&str> = key.trim().split('.').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err("an empty part in the key, write it like stage2_absolute.training.epochs=3".into());
    }
    if segments.len() > MAX_PARTS {
        return Err(format!("a key of {} parts, none has more than {MAX_PARTS}", segments.len()));
    }
    let (last, sections) = segments.split_last().ok_or("no key")?;
    let mut place = user;
    for section in sections {
        let entry = place.entry(Value::from(*section)).or_insert(Value::Null);
        if entry.is_null() {
            *entry = Value::Mapping(Mapping::new());
        }
        place = entry.as_mapping_mut().ok_or_else(|| format!("{section} is a value, not a section"))?;
    }
    place.insert(Value::from(*last), value);
    Ok(())
}

fn defaults<T: Serialize + Default>() -> Mapping {
    match serde_yaml::to_value(T::default()) {
        Ok(Value::Mapping(mapping)) => mapping,
        // Settings are structs of plain data.
        other => unreachable!("defaults that are not a mapping: {other:?}"),
    }
}

/// Lays the user's values over the defaults. A section without content (`paths:`) keeps its defaults.
fn overlay(
    merged: &mut Mapping,
    user: Mapping,
    place: &mut Vec<String>,
    root: &Mapping,
    problems: &mut Problems,
) {
    let free = place.first().is_some_and(|section| section == FREE_SECTION);
    let (user, unknown): (Vec<_>, Vec<_>) =
        user.into_iter().partition(|(key, _)| free || merged.contains_key(key));
    let unknown: Vec<String> = unknown.iter().map(|(key, _)| text_of(key)).collect();
    report_unknown(&unknown, merged, place, root, problems);
    for (key, value) in user {
        match (merged.get_mut(&key), value) {
            (Some(Value::Mapping(_)), Value::Null) => {}
            (Some(Value::Mapping(section)), Value::Mapping(inner)) => {
                place.push(text_of(&key));
                overlay(section, inner, place, root, problems);
                place.pop();
            }
            (_, value @ Value::Tagged(_)) => {
                let tag = one_line(&text_of(&value));
                problems.add(&joined(place, &text_of(&key)), format!("a YAML tag in {tag:?}, remove it"));
            }
            (_, value) => {
                merged.insert(key, value);
            }
        }
    }
}

/// Names the keys of a section that nothing knows: each with its likely meaning, those without one together.
fn report_unknown(
    keys: &[String],
    section: &Mapping,
    place: &[String],
    root: &Mapping,
    problems: &mut Problems,
) {
    let known: Vec<&str> = section.keys().filter_map(Value::as_str).collect();
    let mut unrelated = Vec::new();
    for key in keys {
        let mut elsewhere = Vec::new();
        find_key(root, key, &mut Vec::new(), &mut elsewhere);
        match nearest(key, &known) {
            Some(found) => problems.add(&joined(place, key), format!("unknown key, did you mean {found}?")),
            None if !elsewhere.is_empty() => {
                let hint = format!("unknown key, did you mean {}?", elsewhere.join(" or "));
                problems.add(&joined(place, key), hint);
            }
            None => unrelated.push(joined(place, key)),
        }
    }
    if unrelated.is_empty() {
        return;
    }
    let what = if unrelated.len() == 1 { "unknown key" } else { "unknown keys" };
    let names = match place.is_empty() {
        true => format!("the sections are {}", known.join(", ")),
        false => format!("the keys of {} are {}", place.join("."), known.join(", ")),
    };
    problems.add(&unrelated.join(", "), format!("{what}, {names}"));
}

/// All places in the defaults where a key of this name is valid.
fn find_key(section: &Mapping, name: &str, place: &mut Vec<String>, found: &mut Vec<String>) {
    for (key, value) in section {
        place.push(text_of(key));
        if key.as_str() == Some(name) {
            found.push(place.join("."));
        }
        if let Value::Mapping(inner) = value {
            find_key(inner, name, place, found);
        }
        place.pop();
    }
}

fn joined(place: &[String], key: &str) -> String {
    let key = key.escape_debug();
    if place.is_empty() { key.to_string() } else { format!("{}.{key}", place.join(".")) }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

/// Deserialises; each value of a wrong type, and each unknown word, is reported and taken out, until the rest fits. With
/// one that cannot be taken out, or too many, the defaults stand in for all.
///
/// The detour over text is for the message: only from text does `serde_yaml` name the path of the key.
fn typed<T: DeserializeOwned + Default>(
    mut merged: Mapping,
    original: &str,
    problems: &mut Problems,
    words: &mut Problems,
) -> T {
    // The first error in the user's own text has the line that a user can look up.
    let first = LazyCell::new(|| serde_yaml::from_str::<T>(original).err());
    for _ in 0..MAX_WRONG_TYPES {
        let text = serde_yaml::to_string(&merged).unwrap_or_default();
        let error = match serde_yaml::from_str::<T>(&text) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        let message = without_location(&error);
        let line = first
            .as_ref()
            .filter(|first| without_location(first) == message)
            .and_then(|first| first.location())
            .map(|place| format!(" at line {} column {}", place.line(), place.column()));
        let removed = message.split_once(": ").is_some_and(|(key, _)| remove(&mut merged, key));
        let is_word = removed && message.contains("unknown variant `");
        let kind = if is_word { &mut *words } else { &mut *problems };
        kind.add_plain(format!("{}{}", in_words(&message), line.unwrap_or_default()));
        if !removed {
            return T::default();
        }
    }
    T::default()
}

fn without_location(error: &serde_yaml::Error) -> String {
    let text = one_line(&error.to_string());
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Replaces Rust's names of types in serde's messages, and says which word an unknown one may stand for.
fn in_words(message: &str) -> String {
    if let Some((place, rest)) = message.split_once("unknown variant `")
        && let Some((word, known)) = rest.split_once("`, expected ")
    {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let hint = did_you_mean(word, &known);
        return format!("{place}{word:?} is not known, use one of {}{hint}", known.join(", "));
    }
    let message = match message.find("expected struct ") {
        Some(start) => format!("{}expected a section of keys", &message[..start]),
        None => message.to_owned(),
    };
    message
        .replace("unit value", "no value")
        .replace("expected usize", "expected a whole number, 0 or more")
        .replace("expected u64", "expected a whole number, 0 or more")
        .replace("expected f64", "expected a number")
        .replace("expected a boolean", "expected true or false")
        .replace("expected path string", "expected a path")
        .replace("expected a map", "expected a section of keys")
        .replace("expected a sequence", "expected a list like [a, b]")
}

/// Takes `a.b.c` or `a.b[0]` out of the mapping; false if there is no such key.
fn remove(merged: &mut Mapping, path: &str) -> bool {
    let path = path.split('[').next().unwrap_or(path);
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    match (merged.get_mut(key), rest) {
        (Some(Value::Mapping(section)), Some(rest)) => remove(section, rest),
        (Some(_), None) => merged.remove(key).is_some(),
        _ => false,
    }
}
