//! Values of the file whose reading is not that of their type: names, notes, and what must be given.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much of a backbone is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// This many decoder layers, from the first.
    First(usize),
    /// As many as the labels ask for.
    Auto,
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::First(layers) => layers.serialize(serializer),
            Self::Auto => "auto".serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of layers, or `auto`")
            }

            fn visit_u64<E: Error>(self, layers: u64) -> Result<Layers, E> {
                usize::try_from(layers).map(Layers::First).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, layers: i64) -> Result<Layers, E> {
                usize::try_from(layers)
                    .map(Layers::First)
                    .map_err(|_| E::custom(format!("{layers} is not a number of layers")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Layers, E> {
                match text {
                    "auto" => Ok(Layers::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A value that a configuration has to give; text of blanks counts as none. Resolved settings have all of them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Required<T> {
    value: T,
    given: bool,
}

impl<T> Required<T> {
    pub(super) fn is_given(&self) -> bool {
        self.given
    }
}

impl<T> From<T> for Required<T> {
    fn from(value: T) -> Self {
        Self { value, given: true }
    }
}

impl<T> Deref for Required<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl AsRef<Path> for Required<PathBuf> {
    fn as_ref(&self) -> &Path {
        &self.value
    }
}

/// As the value alone: messages quote it.
impl<T: fmt::Debug> fmt::Debug for Required<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Required<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for Required<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.then_some(&self.value).serialize(serializer)
    }
}

impl<'de, T: Given> Deserialize<'de> for Required<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Option::<T::Written>::deserialize(deserializer)?;
        Ok(written.and_then(T::given).map_or_else(Self::default, Self::from))
    }
}

/// What can be [`Required`].
pub trait Given: Default {
    /// As it stands in the file.
    type Written: DeserializeOwned;

    /// `None` where it stands there but says nothing.
    fn given(written: Self::Written) -> Option<Self>;
}

impl Given for String {
    type Written = Name;

    fn given(Name(name): Name) -> Option<Self> {
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

impl Given for PathBuf {
    type Written = String;

    fn given(path: String) -> Option<Self> {
        String::given(Name(path)).map(Self::from)
    }
}

impl Given for u64 {
    type Written = Self;

    fn given(number: Self) -> Option<Self> {
        Some(number)
    }
}

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

/// A list of names, without the blanks around them.
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<Name>::deserialize(deserializer)?;
    Ok(names.into_iter().map(|Name(name)| name.trim().to_owned()).collect())
}

/// Free notes: any scalar, kept as text; null is the empty text.
pub(super) fn notes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let notes = BTreeMap::<String, Note>::deserialize(deserializer)?;
    Ok(notes.into_iter().map(|(key, Note(note))| (key, note)).collect())
}

struct Note(String);

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
