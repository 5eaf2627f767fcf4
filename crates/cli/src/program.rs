//! This program as others start it: where it lies, and how it was called.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result};

/// How the command was called.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The file that starts this command again, where that is known.
    pub program: Option<PathBuf>,
    /// The name it was called by, then its arguments.
    pub arguments: Vec<OsString>,
}

/// The first invocation of this process.
static INVOCATION: OnceLock<Invocation> = OnceLock::new();

/// Keeps what the rest of this module tells.
pub(crate) fn remember(invocation: Invocation) {
    let _ = INVOCATION.set(invocation);
}

/// The file that starts this command again.
///
/// # Errors
/// When nobody knows.
pub(crate) fn file() -> Result<PathBuf> {
    let program = INVOCATION.get().and_then(|invocation| invocation.program.clone());
    program.context("cannot tell where this program lies")
}

/// The name this command was called by, then its arguments, as far as they are text.
pub(crate) fn arguments() -> impl Iterator<Item = String> {
    let arguments = INVOCATION.get().into_iter().flat_map(|invocation| &invocation.arguments);
    arguments.map(|argument| argument.to_string_lossy().into_owned())
}
