//! Between batches: Ctrl-C, and whoever hears of progress.

use pyo3::prelude::*;

use crate::error::exception;

/// Looks for signals and calls a function of Python; what either raises ends the work.
pub(crate) struct Listener {
    callback: Option<Py<PyAny>>,
    /// All that there is to do.
    total: usize,
    raised: Option<PyErr>,
}

impl Listener {
    /// `callback` is called with what is done and with `total`.
    pub(crate) fn new(callback: Option<Py<PyAny>>, total: usize) -> Self {
        Self { callback, total, raised: None }
    }

    /// Hears how much is done; whether the work goes on.
    pub(crate) fn hear(&mut self, done: usize) -> bool {
        let heard = Python::attach(|py| {
            py.check_signals()?;
            match &self.callback {
                Some(callback) => callback.call1(py, (done, self.total)).map(drop),
                None => Ok(()),
            }
        });
        self.raised = heard.err();
        self.raised.is_none()
    }

    /// The result of the work, or what was raised meanwhile, which explains better why it ended.
    pub(crate) fn result<T>(self, result: Result<T, impl Into<anyhow::Error>>) -> PyResult<T> {
        match self.raised {
            Some(raised) => Err(raised),
            None => result.map_err(exception),
        }
    }
}
