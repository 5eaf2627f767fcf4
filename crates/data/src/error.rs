//! The one error type of the crate. Each message is a single line: file, place, what is wrong, what to do.
//!
//! A source (`std::io::Error`, `serde_json::Error`) is kept as the source and not repeated in the message, so
//! callers print the whole chain.

use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, DataError>;

/// What went wrong with a file or a setting, where, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}; {remedy}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// A verb: `read`, `write`, `create the folder of`.
        action: &'static str,
        /// What to do.
        remedy: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Something is wrong with a file as a whole.
    #[error("{}: {what}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Something is wrong with one row of a CSV file, or one line of a JSONL file of documents.
    #[error("{}: row {row}: {what}; {remedy}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// As a spreadsheet counts: the header is row 1. In JSONL, the line number.
        row: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Something is wrong with one line of a pair file.
    #[error("{}: line {line}: {what}; {remedy}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// JSON that does not parse, or not into the expected shape.
    #[error("{}: line {line}: not {expected}; {remedy}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What the line or file should have held, with its article: `a pair`.
        expected: &'static str,
        /// What to do.
        remedy: &'static str,
        /// Where and why parsing stopped. In a JSONL file its "line 1" is the line named here.
        source: serde_json::Error,
    },
    /// A setting has a value that cannot work.
    #[error("{what}; {remedy}")]
    Setting {
        /// The setting, its value and what is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
}

impl DataError {
    pub(crate) fn file(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn row(path: &Path, row: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row, what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn line(path: &Path, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn setting(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), remedy: remedy.into() }
    }
}
