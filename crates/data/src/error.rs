//! The one error type of the crate. Each message is a single line: file, place, what is wrong, what to do.
//!
//! A source (`std::io::Error`, `serde_json::Error`) is kept as the source and not repeated in the message, so
//! callers print the whole chain.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::ending;

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
    /// Something is wrong with one row of a table, or with a document of a JSON file, where the message says `line`.
    #[error("{}: {} {row}: {what}; {remedy}", path.display(), ending::place(path))]
    Row {
        /// The file.
        path: PathBuf,
        /// As a spreadsheet counts: the header is row 1. In JSON files, the line number.
        row: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Something is wrong with one line of a JSON file.
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
        /// Why parsing stopped.
        source: JsonReason,
    },
    /// A workbook that cannot be read.
    #[error("cannot read the workbook {}; save it again as .xlsx, or as .csv", path.display())]
    Workbook {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that is called `.parquet` and cannot be read.
    #[error("{}: not a Parquet file, or damaged; write it again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
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

/// Why parsing of JSON stopped, without the line, which the message around it names, and in the words of JSON in place
/// of types of an implementation.
#[derive(Debug)]
pub struct JsonReason(serde_json::Error);

impl From<serde_json::Error> for JsonReason {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl std::error::Error for JsonReason {}

impl fmt::Display for JsonReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [(&str, &str); 12] = [
            ("invalid type: integer ", "the number "),
            ("invalid type: floating point ", "the number "),
            ("invalid type: boolean ", "the value "),
            ("invalid type: string ", "the text "),
            ("invalid type: sequence", "a list"),
            ("invalid type: map", "an object"),
            ("invalid type: ", ""),
            (" expected a string", " expected text"),
            (" expected f64", " expected a number"),
            (" expected u32", " expected a whole number"),
            (" expected u64", " expected a whole number"),
            (" expected usize", " expected a whole number"),
        ];
        let (line, column) = (self.0.line(), self.0.column());
        let text = self.0.to_string();
        let reason = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        let reason = WORDS.iter().fold(reason.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        match column {
            0 => formatter.write_str(&reason),
            _ => write!(formatter, "{reason} (column {column})"),
        }
    }
}

impl DataError {
    /// Why a file could not be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        let damaged = matches!(
            source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
        );
        let remedy = match damaged {
            true => "check that it is whole",
            false => "check that it exists and may be read",
        };
        Self::Io { path: path.to_owned(), action: "read", remedy, source }
    }

    /// JSON that did not parse; `line` is the place in the file.
    pub(crate) fn json(
        path: &Path,
        line: usize,
        expected: &'static str,
        remedy: &'static str,
        source: serde_json::Error,
    ) -> Self {
        Self::Json { path: path.to_owned(), line, expected, remedy, source: source.into() }
    }

    pub(crate) fn file(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn row(path: &Path, row: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row, what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn line(path: &Path, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }

    /// The same about a file that is read without options: the remedy names none of them.
    pub(crate) fn without_options(mut self) -> Self {
        if let Self::Row { remedy, .. } | Self::Line { remedy, .. } = &mut self
            && let Some((plain, option)) = remedy.split_once(", or ")
            && option.contains("--")
        {
            *remedy = plain.to_owned();
        }
        self
    }

    pub(crate) fn setting(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), remedy: remedy.into() }
    }
}
