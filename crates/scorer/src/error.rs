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
    /// What a document came to is not a finite number.
    #[error(
        "{}: its embedding or score is {value}, which is no finite number; its numbers are too large for the precision \
         of the weights: hold them in f32 (`dtype`), and check the backbone and the adapter",
        document(*place, id.as_deref())
    )]
    NotFinite {
        /// Place among the documents, from 0.
        place: usize,
        /// Its id, where whoever asked has named it.
        id: Option<String>,
        /// The first such number.
        value: f32,
    },
    /// Whoever waited for embeddings asked for an end.
    #[error("stopped; embeddings that were kept are not computed again")]
    Stopped,
    /// Hidden states cannot be read where they are asked for.
    #[error("cannot read hidden states there: {0}")]
    Depth(String),
    /// A write through the `data` crate failed.
    #[error(transparent)]
    Data(#[from] pair2score_data::DataError),
}

impl ScorerError {
    /// The same error with the id of the document it is about, where it is about one.
    pub fn of_document(self, id: impl FnOnce(usize) -> String) -> Self {
        match self {
            Self::NotFinite { place, id: None, value } => {
                Self::NotFinite { place, id: Some(id(place)), value }
            }
            other => other,
        }
    }

    /// The same error about the document at another place, where it is about one.
    pub(crate) fn at_place(self, other: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::NotFinite { place, id, value } => Self::NotFinite { place: other(place), id, value },
            other => other,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }

    /// A weight that is not finite; `index` is its place in the tensor, row by row.
    pub(crate) fn not_finite_weight(
        path: &Path,
        tensor: &str,
        shape: &[usize],
        index: usize,
        value: f32,
    ) -> Self {
        let place = place(shape, index);
        Self::invalid(path, format!("tensor {tensor} is {value} at {place:?}; take weights that are finite"))
    }

    pub(crate) fn invalid(path: &Path, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.into(), problem: problem.into() }
    }
}

/// Where the element of this number, row by row, is in a tensor.
pub(crate) fn place(shape: &[usize], index: usize) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    let mut rest = index;
    for (place, &size) in place.iter_mut().zip(shape).rev() {
        *place = rest % size;
        rest /= size;
    }
    place
}

/// How a message names a document.
fn document(place: usize, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("document {id:?}"),
        None => format!("document number {}", place + 1),
    }
}

/// What a file begins with that Git LFS has put in place of a large one.
pub(crate) const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// # Errors
/// When a file begins as a pointer of Git LFS does.
pub(crate) fn refuse_pointer(path: &Path, beginning: &[u8]) -> Result<(), ScorerError> {
    if !beginning.starts_with(LFS_POINTER) {
        return Ok(());
    }
    Err(ScorerError::invalid(
        path,
        "is a pointer of Git LFS, not the file; run `git lfs pull` where it comes from",
    ))
}

/// Reads a file that is not weights, without the byte order mark that some editors put before its first character.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, ScorerError> {
    let mut bytes = pair2score_data::files::read(path).map_err(ScorerError::io(path))?;
    refuse_pointer(path, &bytes)?;
    let mark = "\u{feff}".as_bytes();
    if bytes.starts_with(mark) {
        bytes.drain(..mark.len());
    }
    Ok(bytes)
}

/// Reads a small text file, for example a config.
pub(crate) fn read_to_string(path: &Path) -> Result<String, ScorerError> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| ScorerError::invalid(path, format!("not UTF-8: {error}")))
}
