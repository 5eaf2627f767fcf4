//! YAML scalars that are meant as text even where they look like numbers.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A name: text, or a whole number, so that folds may be called `1` without quotes.
///
/// A decimal number is refused: `1.50` would silently become the name `1.5`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name (text or a whole number)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }
        }
        deserializer.deserialize_any(NameVisitor)
    }
}

/// A value of the free `metadata` section: any scalar, kept as text; null is the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Note(pub String);

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NoteVisitor;
        impl Visitor<'_> for NoteVisitor {
            type Value = Note;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text, a number, true or false")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Note, E> {
                Ok(Note(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Note, E> {
                Ok(Note(value.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Note, E> {
                Ok(Note(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Note, E> {
                Ok(Note(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Note, E> {
                Ok(Note(number.to_string()))
            }

            fn visit_unit<E: Error>(self) -> Result<Note, E> {
                Ok(Note(String::new()))
            }
        }
        deserializer.deserialize_any(NoteVisitor)
    }
}
