//! Texts as Python has them: lists, and columns of numpy, pandas, polars and pyarrow.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFrozenSet, PySet, PyString};

use crate::error::Error;

/// The texts of a list or a column, in its order.
///
/// # Errors
/// What is no list of texts, and a text that is missing or blank, with its place.
pub(crate) fn column(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if given.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("texts is one string; give a list of them: [text]"));
    }
    items(given, "texts", text)
}

/// The prompts of `n` texts: one for all, or one for each. A blank one is that of a text that answers none.
///
/// # Errors
/// As [`column`], and prompts that are not as many as the texts.
pub(crate) fn prompts(given: &Bound<'_, PyAny>, n: usize) -> PyResult<Vec<Arc<str>>> {
    if given.is_instance_of::<PyString>() {
        let prompt: Arc<str> = string(given, "prompts")?.into();
        return Ok(vec![prompt; n]);
    }
    let prompts = items(given, "prompts", |item, name| string(item, name).map(Arc::from))?;
    match prompts.len() == n {
        true => Ok(prompts),
        false => {
            let found = prompts.len();
            Err(Error::new_err(format!(
                "prompts has {found} for {n} texts; give one for each, or one string for all"
            )))
        }
    }
}

/// What `read` makes of each item of a list or a column, in its order; `name` is for messages.
fn items<T>(
    given: &Bound<'_, PyAny>,
    name: &str,
    read: impl Fn(&Bound<'_, PyAny>, &str) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    check_shape(given, name)?;
    // Columns of pyarrow iterate over scalars of their own.
    let given = match given.getattr("to_pylist") {
        Ok(as_list) => as_list.call0()?,
        Err(_) => given.clone(),
    };
    let items = given.try_iter()?.enumerate();
    items.map(|(place, item)| read(&item?, &format!("{name}[{place}]"))).collect()
}

/// One text; `name` is for messages.
///
/// # Errors
/// What is no text, or a blank one.
pub(crate) fn text(given: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    if is_missing(given) {
        return Err(Error::new_err(format!("{name} is missing ({given}); leave it out, or give a text")));
    }
    let text = string(given, name)?;
    if text.trim().is_empty() {
        return Err(Error::new_err(format!("{name} is blank; there is nothing to score")));
    }
    Ok(text)
}

/// One string; `name` is for messages.
///
/// # Errors
/// What is none.
pub(crate) fn string(given: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    if is_missing(given) {
        return Err(Error::new_err(format!(
            "{name} is missing ({given}); give a string, which may be empty"
        )));
    }
    let Ok(string) = given.cast::<PyString>() else {
        let kind = given.get_type().qualname()?;
        return Err(PyTypeError::new_err(format!("{name} is of type {kind}; give a string")));
    };
    let whole = string.to_str().map(str::to_owned);
    whole.map_err(|_| Error::new_err(format!("{name} holds half of a surrogate pair; give whole characters")))
}

/// `None`, a number that is none, and what pandas has in their place.
fn is_missing(given: &Bound<'_, PyAny>) -> bool {
    let is_nan = || given.extract::<f64>().is_ok_and(f64::is_nan);
    let is_na = || given.get_type().name().is_ok_and(|name| name == "NAType" || name == "NaTType");
    given.is_none() || is_nan() || is_na()
}

/// Refuses what iterates over something else than strings in an order.
fn check_shape(given: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let refuse = |what: &str, remedy: &str| Err(PyTypeError::new_err(format!("{name} is {what}; {remedy}")));
    if given.is_instance_of::<PyBytes>() || given.is_instance_of::<PyByteArray>() {
        return refuse("bytes", "give a list of strings");
    }
    if given.is_instance_of::<PyDict>() {
        return refuse("a dict", &format!("give a list: list({name}.values())"));
    }
    if given.is_instance_of::<PySet>() || given.is_instance_of::<PyFrozenSet>() {
        return refuse("a set, which has no order", "give a list");
    }
    match given.getattr("ndim").and_then(|ndim| ndim.extract::<usize>()) {
        Ok(1) | Err(_) => Ok(()),
        Ok(n) => refuse(&format!("a table of {n} dimensions"), "give one column of it"),
    }
}
