//! Files of JSON objects: one object per line, or one list of objects.

use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{DataError, Result};

/// An object with its place.
#[derive(Debug)]
pub(crate) struct Object {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// In the order of the file; a key that is there twice is there twice.
    pub fields: Vec<(String, Value)>,
}

/// What the objects of a file are, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// With its article: `a document`.
    pub name: &'static str,
    /// What to write on each line.
    pub remedy: &'static str,
}

/// The objects of a file in its order. `path` is only named in messages.
///
/// # Errors
/// A file that cannot be read, and a list that is none.
pub(crate) fn objects(
    path: &Path,
    input: Box<dyn BufRead>,
    expected: Expected,
) -> Result<Box<dyn Iterator<Item = Result<Object>>>> {
    let mut lines = Lines { path: path.to_owned(), expected, input, line: 1 };
    match lines.first_byte()? {
        Some(b'[') => Ok(Box::new(lines.list()?.into_iter().map(Ok))),
        _ => Ok(Box::new(lines)),
    }
}

impl Object {
    /// The value of a key; `None` where it is absent or null.
    ///
    /// # Errors
    /// A key that is there twice.
    pub fn get(&self, path: &Path, key: &str) -> Result<Option<&Value>> {
        let mut found = self.fields.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_null())),
            _ => Err(self.error(path, format!("\"{key}\" is there twice"), "leave one out")),
        }
    }

    /// The keys as a list for messages.
    pub fn keys(&self) -> String {
        self.fields.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Something is wrong with this object.
    pub fn error(&self, path: &Path, what: impl Into<String>, remedy: &str) -> DataError {
        DataError::line(path, self.line, what, remedy)
    }
}

/// Text without blanks around it, or a whole number as text: what identifies something.
pub(crate) fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// [`as_id`] for fields of structs.
///
/// # Errors
/// Another value.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    as_id(&value).ok_or_else(|| D::Error::custom(format!("{} where an id belongs", kind_of(&value))))
}

/// As [`id`], where the field may be absent or null.
///
/// # Errors
/// Another value.
pub(crate) fn optional_id<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => id(value).map(Some).map_err(D::Error::custom),
    }
}

/// The word at the place of an error that Python and JavaScript write where there is no number.
fn no_number(line: &str, error: &serde_json::Error) -> Option<&'static str> {
    let before = line.get(..error.column().saturating_sub(1)).unwrap_or(line);
    // The parser stops at the first letter that does not fit, or after a minus.
    let rest = &line[before.trim_end_matches(['-', 'N', 'I']).len()..];
    ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word))
}

const SEPARATE: &str = "separate its objects by commas, and close it with ]";

/// A file of which everything before `line` was read.
struct Lines {
    path: PathBuf,
    expected: Expected,
    input: Box<dyn BufRead>,
    /// From 1.
    line: usize,
}

impl Lines {
    /// Reads blanks, and looks at the byte after them; `None` at the end.
    fn first_byte(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.input.fill_buf().map_err(|error| DataError::unreadable(&self.path, error))?;
            let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = buffer.get(blank).copied();
            let ended = buffer.is_empty();
            self.line += buffer[..blank].iter().filter(|&&byte| byte == b'\n').count();
            self.input.consume(blank);
            if next.is_some() || ended {
                return Ok(next);
            }
        }
    }

    /// The objects of a list, which may go over several lines.
    fn list(mut self) -> Result<Vec<Object>> {
        let mut bytes = Vec::new();
        self.input.read_to_end(&mut bytes).map_err(|error| DataError::unreadable(&self.path, error))?;
        let text = self.utf8(&bytes)?;
        let mut rest = &text[1..];
        let mut list = Vec::new();
        loop {
            rest = self.without_blanks(rest);
            if let Some(after) = rest.strip_prefix(']').filter(|_| list.is_empty()) {
                rest = after;
                break;
            }
            self.refuse_other(rest)?;
            let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<Fields>();
            let Some(object) = objects.next() else { break };
            let length = objects.byte_offset();
            let Fields(fields) = object.map_err(|error| {
                let line = self.line + error.line().saturating_sub(1);
                DataError::json(&self.path, line, "a list of objects", SEPARATE, error)
            })?;
            list.push(Object { line: self.line, fields });
            let (value, after) = rest.split_at(length);
            self.line += value.matches('\n').count();
            rest = self.without_blanks(after);
            match rest.as_bytes().first() {
                Some(b',') => rest = &rest[1..],
                Some(b']') => {
                    rest = &rest[1..];
                    break;
                }
                _ => return Err(self.error("the list does not go on", SEPARATE)),
            }
        }
        rest = self.without_blanks(rest);
        match rest.is_empty() {
            true => Ok(list),
            false => {
                Err(self.error("something follows the list", "write one object per line, or all in one list"))
            }
        }
    }

    fn without_blanks<'a>(&mut self, text: &'a str) -> &'a str {
        let rest = text.trim_start();
        self.line += text[..text.len() - rest.len()].matches('\n').count();
        rest
    }

    /// The object of the next line that is not blank.
    fn read(&mut self) -> Result<Option<Object>> {
        if self.first_byte()?.is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.input.read_until(b'\n', &mut bytes).map_err(|error| DataError::unreadable(&self.path, error))?;
        let line = self.utf8(&bytes)?;
        self.refuse_other(line)?;
        let Fields(fields) = match serde_json::from_str(line) {
            Ok(fields) => fields,
            Err(error) => {
                let no_number = no_number(line, &error);
                return Err(match no_number {
                    Some(word) => self.error(format!("{word} is no JSON"), "write null in its place"),
                    None => self.unparsed(error),
                });
            }
        };
        self.line += 1;
        Ok(Some(Object { line: self.line - 1, fields }))
    }

    /// Values that are no objects.
    fn refuse_other(&self, value: &str) -> Result<()> {
        let kind = match value.as_bytes().first() {
            Some(b'{') => return Ok(()),
            Some(b'[') => "a list",
            Some(b'"') => "text",
            Some(b'-' | b'0'..=b'9') => "a number",
            _ => "no JSON",
        };
        Err(self.error(format!("{kind} where an object belongs"), self.expected.remedy))
    }

    fn unparsed(&mut self, error: serde_json::Error) -> DataError {
        let goes_on = self.input.fill_buf().is_ok_and(|rest| !rest.is_empty());
        if error.is_eof() && goes_on {
            let remedy = "write every object on a line of its own, or all of them in one list";
            return self.error("one object a line; this looks pretty-printed", remedy);
        }
        DataError::json(&self.path, self.line, self.expected.name, self.expected.remedy, error)
    }

    fn utf8<'a>(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = self.line + before.iter().filter(|&&byte| byte == b'\n').count();
            let remedy = "save the file as UTF-8, or try --encoding windows-1252";
            DataError::line(&self.path, line, "not UTF-8", remedy)
        })
    }

    fn error(&self, what: impl Into<String>, remedy: &str) -> DataError {
        DataError::line(&self.path, self.line, what, remedy)
    }
}

impl Iterator for Lines {
    type Item = Result<Object>;

    fn next(&mut self) -> Option<Result<Object>> {
        self.read().transpose()
    }
}

/// What a value is, in the words of JSON.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The keys and values of an object, in its order; a key that is there twice is there twice.
pub(crate) struct Fields<V = Value>(pub Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct FieldsVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for FieldsVisitor<V> {
            type Value = Fields<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields<V>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}
