//! The fields of an entry of a log, by the names they may have and as what they are meant.

use std::path::Path;

use serde_json::Value;

use crate::documents;
use crate::error::{DataError, Result};
use crate::json::{Object, as_id, kind_of};

/// What every entry of a file has that does not say so itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDefaults {
    /// The trait that was judged.
    pub target: Option<String>,
    /// Who judged.
    pub judge: Option<String>,
}

/// Who judges, the likeliest name first.
const JUDGES: [&str; 16] = [
    "judge",
    "worker",
    "rater",
    "annotator",
    "assessor",
    "reviewer",
    "evaluator",
    "labeler",
    "labeller",
    "coder",
    "grader",
    "marker",
    "expert",
    "participant",
    "respondent",
    "user",
];
/// What may follow in the name, the likeliest first.
const OF_JUDGES: [&str; 4] = ["", "id", "name", "email"];
const TRAITS: [&str; 2] = ["trait", "criterion"];

/// An entry with its place.
pub(super) struct Entry<'a> {
    path: &'a Path,
    object: &'a Object,
    defaults: &'a LogDefaults,
    /// The keys as [`plain`] names.
    names: Vec<String>,
}

/// A value with the key that the file has for it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub key: &'a str,
    pub value: &'a Value,
}

/// As names are compared: letters and digits, in lower case.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words and numbers of a name, in lower case; a capital begins a word.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = None;
    for c in name.trim().chars() {
        let kind = (c.is_alphanumeric(), c.is_ascii_digit(), c.is_uppercase());
        let goes_on = before.is_some_and(|(word, digit, capital): (bool, bool, bool)| {
            (word, digit) == (kind.0, kind.1) && (capital || !kind.2)
        });
        match parts.last_mut() {
            Some(part) if goes_on => part.extend(c.to_lowercase()),
            _ => parts.push(c.to_lowercase().collect()),
        }
        before = Some(kind);
    }
    parts.retain(|part| part.chars().all(char::is_alphanumeric));
    parts
}

/// How far a name is from the likeliest one of a judge; `None` where it is none.
fn likeness(name: &str) -> Option<(usize, usize)> {
    JUDGES.iter().enumerate().find_map(|(kind, judge)| {
        let rest = name.strip_prefix(judge)?;
        Some((kind, OF_JUDGES.iter().position(|part| *part == rest)?))
    })
}

/// Whether a value says that there is none.
pub(super) fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => documents::is_missing(text),
        _ => false,
    }
}

impl<'a> Entry<'a> {
    pub fn new(path: &'a Path, object: &'a Object, defaults: &'a LogDefaults) -> Self {
        let names = object.fields.iter().map(|(key, _)| plain(key)).collect();
        Self { path, object, defaults, names }
    }

    /// The line of the entry, from 1.
    pub fn line(&self) -> usize {
        self.object.line
    }

    /// The keys as a list for messages.
    pub fn keys(&self) -> String {
        self.object.keys()
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        self.object.fields.iter().map(|(key, value)| Field { key, value })
    }

    /// The field of that plain name, unless it is null.
    ///
    /// # Errors
    /// Two of them.
    pub fn raw(&self, name: &str) -> Result<Option<Field<'a>>> {
        let named = self.names.iter().zip(self.fields());
        let mut found = named.filter(|(own, field)| *own == name && !field.value.is_null());
        match (found.next(), found.next()) {
            (Some(_), Some((_, Field { key, .. }))) => {
                Err(self.error(format!("\"{key}\" is there twice"), "leave one out"))
            }
            (field, _) => Ok(field.map(|(_, field)| field)),
        }
    }

    /// The field of that plain name, unless its value is [missing](crate::NO_LABEL).
    ///
    /// # Errors
    /// Two of them.
    pub fn field(&self, name: &str) -> Result<Option<Field<'a>>> {
        Ok(self.raw(name)?.filter(|field| !is_missing(field.value)))
    }

    /// The first of several.
    ///
    /// # Errors
    /// Two of one name.
    pub fn first(&self, names: &[&str]) -> Result<Option<Field<'a>>> {
        Ok(self.all(names)?.into_iter().next())
    }

    /// All fields of those names, in the order of the names.
    ///
    /// # Errors
    /// Two of one name.
    pub fn all(&self, names: &[&str]) -> Result<Vec<Field<'a>>> {
        let fields = names.iter().map(|name| self.field(name));
        Ok(fields.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Text, or a whole number as text.
    ///
    /// # Errors
    /// Another value.
    pub fn text(&self, field: Field<'_>) -> Result<String> {
        as_id(field.value).ok_or_else(|| {
            let what = format!("\"{}\" is {}", field.key, kind_of(field.value));
            self.error(what, "write text or a whole number")
        })
    }

    /// As [`text`](Self::text), or any number.
    ///
    /// # Errors
    /// Another value.
    pub fn text_or_number(&self, field: Field<'_>) -> Result<String> {
        match field.value {
            Value::Number(number) => Ok(number.to_string()),
            _ => self.text(field),
        }
    }

    /// A finite number, also as text, with a point or a comma as documents have them.
    ///
    /// # Errors
    /// Another value.
    pub fn number(&self, field: Field<'_>) -> Result<f64> {
        let number = match field.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => documents::number(text),
            _ => None,
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| {
            let what = format!("\"{}\" is {}, and no number", field.key, kind_of(field.value));
            self.error(what, "write a number")
        })
    }

    /// The trait that was judged.
    ///
    /// # Errors
    /// None that is named.
    pub fn target(&self) -> Result<String> {
        let named = self.first(&TRAITS)?.map(|field| self.text(field)).transpose()?;
        named.or_else(|| self.defaults.target.clone()).ok_or_else(|| {
            self.error("no trait", "write what was judged as \"trait\", or name it with --trait")
        })
    }

    /// Who judged, by the field with the likeliest name.
    ///
    /// # Errors
    /// Two such fields of one name.
    pub fn judge(&self) -> Result<Option<String>> {
        let ranked = self.names.iter().filter_map(|name| Some((likeness(name)?, name)));
        let Some((_, name)) = ranked.min() else { return Ok(None) };
        self.field(name)?.map(|field| self.text(field)).transpose()
    }

    /// The judge that was found, or who stands in.
    ///
    /// # Errors
    /// Neither.
    pub fn named_judge(&self, found: Option<String>) -> Result<String> {
        found.or_else(|| self.defaults.judge.clone()).ok_or_else(|| {
            let what = format!("no judge; its keys are {}", self.keys());
            self.error(what, "write who judged as \"judge\", or name the one with --judge")
        })
    }

    /// Something is wrong with this entry.
    pub fn error(&self, what: impl Into<String>, remedy: &str) -> DataError {
        self.object.error(self.path, what, remedy)
    }
}
