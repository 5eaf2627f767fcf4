//! What can be wrong with a configuration, collected so that one run of the program names all of it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::suggest::did_you_mean;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}; check the path and that it is a text file in UTF-8", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file was read, and this is everything found wrong with it.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// One line each, with the key, the value and what to do; never empty.
        problems: Vec<String>,
    },
}

/// Collects problems while the settings are resolved.
///
/// Checks return the value they were given, right or wrong: a wrong one never leaves, since [`finish`](Self::finish)
/// refuses as soon as one problem is there.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Records that `key` is wrong.
    pub(super) fn add(&mut self, key: &str, what: impl Display) {
        self.0.push(format!("{key}: {what}"));
    }

    /// Records something that no single key is to blame for.
    pub(super) fn add_plain(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// Gives `value` back if there was no problem.
    pub(super) fn finish<T>(self, path: &Path, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(ConfigError::Invalid { path: path.to_owned(), problems: self.0 })
        }
    }

    /// A text that must be there; blanks around it are dropped.
    pub(super) fn required(&mut self, key: &str, value: Option<&str>, example: &str) -> String {
        let text = value.unwrap_or_default().trim();
        if text.is_empty() {
            self.add(key, format!("missing, give {example}"));
        }
        text.to_owned()
    }

    /// A whole number in a range.
    pub(super) fn count(&mut self, key: &str, value: usize, range: RangeInclusive<usize>) -> usize {
        if !range.contains(&value) {
            self.add(key, format!("{value} is not in {} to {}", range.start(), range.end()));
        }
        value
    }

    /// A number that satisfies `accept`; `expected` says in words what that is.
    pub(super) fn number(
        &mut self,
        key: &str,
        value: f64,
        accept: impl Fn(f64) -> bool,
        expected: &str,
    ) -> f64 {
        if !value.is_finite() || !accept(value) {
            self.add(key, format!("{value} is not {expected}"));
        }
        value
    }

    /// One of a table of spellings; the first stands in for an unknown one.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, text: &str, options: &[(&'static str, T)]) -> T {
        let found = options.iter().find(|(spelling, _)| *spelling == text);
        if found.is_none() {
            let spellings: Vec<&str> = options.iter().map(|&(spelling, _)| spelling).collect();
            let hint = did_you_mean(text, &spellings);
            self.add(key, format!("{text:?} is not known, use one of {}{hint}", spellings.join(", ")));
        }
        found.unwrap_or(&options[0]).1
    }
}
