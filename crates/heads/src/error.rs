//! What can be wrong with the data of a head.

use thiserror::Error;

/// Why a head cannot be fitted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HeadError {
    /// There is nothing to leave out and still fit.
    #[error("{n} labelled documents are too few for an exact head, label at least {least}")]
    TooFew {
        /// Labelled documents.
        n: usize,
        /// The smallest number that works.
        least: usize,
    },
    /// An embedding or a label is NaN or infinite.
    #[error("document {row} has {what} that is not finite")]
    NotFinite {
        /// Place of the document among those given, from 0.
        row: usize,
        /// "an embedding" or "a label".
        what: &'static str,
    },
}
