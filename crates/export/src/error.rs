//! What can go wrong with an export.

use std::path::{Path, PathBuf};

use pair2score_scorer::ScorerError;
use thiserror::Error;

use crate::{Precision, Rounding};

/// An export that was not made; nothing is left at its place.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file of the scorer or of the export.
    #[error(transparent)]
    Scorer(#[from] ScorerError),
    /// A file that is written whole.
    #[error(transparent)]
    Data(#[from] pair2score_data::DataError),
    /// A folder or file that cannot be made, written or renamed.
    #[error("cannot {action} {}; check the free space and that writing is allowed there", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// A verb: `create`, `write`.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The format has no way to say what the scorer is.
    #[error("{}: {problem}", scorer.display())]
    Inexpressible {
        /// The scorer's folder.
        scorer: PathBuf,
        /// What cannot be said, and what to use instead.
        problem: String,
    },
    /// A weight that a 16-bit float cannot hold.
    #[error("the weight {name} has the value {value}, which is beyond {precision}; use --dtype bf16 or f32")]
    Beyond {
        /// The weight.
        name: String,
        /// Its value.
        value: f32,
        /// The precision asked for.
        precision: Precision,
    },
    /// The page of a site has not been built.
    #[error(
        "{}: has no built page (index.html); build it with scripts/web.sh, or name the folder of one with --page",
        path.display()
    )]
    NoPage {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What was written does not give the scorer's numbers.
    #[error(
        "the export to {} was removed: {what} of the golden texts differ from the scorer's by up to {difference:.2e}, \
         more than {tolerance:.2e} in {rounding}; {}",
        path.display(),
        match rounding {
            Rounding { quantize: Some(_), .. } => "leave --quantize out; --dtype f16 is half the size of f32",
            Rounding { precision: Precision::F32, .. } => "please report it",
            _ => "use --dtype f32",
        }
    )]
    Differs {
        /// The output folder.
        path: PathBuf,
        /// `scores` or `utilities`, for example.
        what: &'static str,
        /// Largest difference.
        difference: f64,
        /// Largest difference allowed.
        tolerance: f64,
        /// What it comes from.
        rounding: Rounding,
    },
    /// A written file that cannot be read back as what it should be.
    #[error("{}: cannot be read back: {problem}", path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl ExportError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), action, source }
    }

    pub(crate) fn read_back(path: &Path, problem: impl ToString) -> Self {
        Self::ReadBack { path: path.into(), problem: problem.to_string() }
    }
}
