//! What can go wrong with an import.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A backbone that cannot be imported. The message names the file, the place and what to do.
#[derive(Debug, Error)]
pub enum BackboneError {
    /// A file of a Hugging Face folder: of the source, or as it was read back.
    #[error(transparent)]
    Scorer(#[from] pair2score_scorer::ScorerError),
    /// The output folder or one of its files.
    #[error(transparent)]
    Data(#[from] pair2score_data::DataError),
    /// The source is missing or cannot be read.
    #[error("cannot read {}; check that it exists and that you may", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A repository of the Hub cannot be had, or holds no backbone.
    #[error("{id}: {problem}")]
    Hub {
        /// The repository and its revision.
        id: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The source was read and cannot be used.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where, and what to do.
        problem: String,
    },
}

impl BackboneError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }

    pub(crate) fn hub(id: &impl std::fmt::Display, problem: impl Into<String>) -> Self {
        Self::Hub { id: id.to_string(), problem: problem.into() }
    }

    pub(crate) fn invalid(path: &Path, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.into(), problem: problem.into() }
    }
}
