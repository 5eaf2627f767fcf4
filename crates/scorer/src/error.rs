//! What can go wrong with the files of a scorer.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file of a scorer that cannot be used. The message names the file, the place and what to do.
#[derive(Debug, Error)]
pub enum ScorerError {
    /// The file is missing or cannot be read or written.
    #[error("cannot read or write {}; check that it exists and that you may", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read and is wrong.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where, and what to do.
        problem: String,
    },
    /// The device failed while it computed.
    #[error("the device failed: {0}; try again, or compute on the CPU")]
    Device(String),
    /// A write through the `data` crate failed.
    #[error(transparent)]
    Data(#[from] pair2score_data::DataError),
}

impl ScorerError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }

    pub(crate) fn invalid(path: &Path, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.into(), problem: problem.into() }
    }
}

/// Reads a small text file, for example a config.
pub(crate) fn read_to_string(path: &Path) -> Result<String, ScorerError> {
    let bytes = std::fs::read(path).map_err(ScorerError::io(path))?;
    String::from_utf8(bytes).map_err(|error| ScorerError::invalid(path, format!("not UTF-8: {error}")))
}
