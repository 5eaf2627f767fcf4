//! What can be wrong with a configuration, collected so that one run of the program names all of it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

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

/// Collects problems while settings are resolved, which goes on with wrong values: they never leave, since
/// [`finish`](Self::finish) refuses as soon as one problem is there.
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

    /// Goes on after what was found before.
    pub(super) fn after(mut self, before: Self) -> Self {
        self.0.splice(0..0, before.0);
        self
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives `value` back if there was no problem.
    pub(super) fn finish<T>(self, path: &Path, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(ConfigError::Invalid { path: path.to_owned(), problems: self.0 })
        }
    }
}
