//! Our errors as exceptions.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

pyo3::create_exception!(
    pair2score,
    Error,
    PyValueError,
    "What went wrong, with the file or the place, and what to do about it."
);

/// The exception of an error, with the whole chain of its causes.
pub(crate) fn exception(error: impl Into<anyhow::Error>) -> PyErr {
    Error::new_err(format!("{:#}", error.into()))
}
