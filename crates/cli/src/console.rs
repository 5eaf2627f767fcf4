//! Printing that outlives its reader.
//!
//! The standard library's macros panic when a line cannot be written: `pair2score run … 2>&1 | head` would end the
//! training. This crate prints with `out!`, `outln!` and `errln!` instead. A reader who has seen enough stops nothing; a
//! line of standard output that is lost otherwise, on a full disk for example, is an error once the command is done.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};

/// Why a line of standard output was lost; the first reason counts.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output.
pub(crate) fn out(text: Arguments<'_>) {
    note(io::stdout().write_fmt(text));
}

/// Writes to standard error, where there is nobody left to tell of a failure.
pub(crate) fn err(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Writes results to standard output; false where nobody reads them any more.
///
/// # Errors
/// Standard output that takes less than everything.
pub(crate) fn stream(bytes: &[u8]) -> Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output; check the free space"),
    }
}

/// Writes what is still in memory.
///
/// # Errors
/// Standard output that has taken less than everything.
pub(crate) fn finish() -> Result<()> {
    note(io::stdout().flush());
    match lost().take() {
        Some(error) => {
            Err(anyhow!("standard output: {error}; what the command wrote to files is complete, print again"))
        }
        None => Ok(()),
    }
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        lost().get_or_insert(error);
    }
}

fn lost() -> std::sync::MutexGuard<'static, Option<io::Error>> {
    LOST.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

macro_rules! out {
    ($($text:tt)*) => { $crate::console::out(format_args!($($text)*)) };
}

macro_rules! outln {
    () => { $crate::console::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::out(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! errln {
    ($($text:tt)*) => { $crate::console::err(format_args!("{}\n", format_args!($($text)*))) };
}
