//! The Python package's native half.
//!
//! The key decision: whatever is computed is computed by the crates above, in the batches of the commands, so that the
//! numbers of `pair2score score` and of `Scorer.score` are the same to the last bit. What is here turns Python's values
//! into ours and back. The global interpreter lock is released while something computes, and taken between batches to
//! look for Ctrl-C and to call whoever hears of progress.

mod device;
mod error;
mod judgements;
mod listener;
mod propose;
mod scorer;
mod texts;
mod training;

/// What `pair2score` gives out again.
#[pyo3::pymodule]
mod _native {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use pair2score_cli::Invocation;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::error::Error;
    #[pymodule_export]
    use crate::scorer::{Comparison, Scorer, TruncationWarning};

    #[pymodule_export]
    use crate::judgements::fit;
    #[pymodule_export]
    use crate::training::train;

    /// The version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The texts of a list or a column.
    #[pyfunction]
    fn texts(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        crate::texts::column(given)
    }

    /// Runs the command line and gives its exit code: `program` starts it again, `arguments` begin with its name.
    #[pyfunction]
    fn run(py: Python<'_>, program: PathBuf, arguments: Vec<OsString>) -> u8 {
        py.detach(|| pair2score_cli::main(Invocation { program: Some(program), arguments }))
    }
}
