//! Where a command writes: a file that is replaced when its successor is whole, or standard output.
//!
//! Every command that writes asks here first, before it works for minutes: nothing that it reads is replaced, and nothing
//! that is no regular file, such as a device.

use std::fmt::{self, Arguments, Display};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pair2score_data::files::{behind_links, check_replaceable, write_atomic};

use crate::console;

/// What `--output` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    File(PathBuf),
    /// `-` or `/dev/stdout`.
    Stdout,
}

impl Destination {
    /// The destination of a command that reads these files and folders.
    ///
    /// # Errors
    /// When writing there would destroy something.
    pub(crate) fn new(output: &Path, inputs: &[&Path]) -> Result<Self> {
        if is_stdout(output) {
            return Ok(Self::Stdout);
        }
        check_file(output, inputs)?;
        Ok(Self::File(output.to_owned()))
    }

    /// Whether what is written here and there ends in one place, whatever it is called.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => place(one) == place(other),
            _ => self == other,
        }
    }

    /// Writes everything at once.
    ///
    /// # Errors
    /// When the disk is full, for example. A reader of standard output that has left is none.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::File(path) => write_atomic(path, bytes)?,
            Self::Stdout => {
                console::stream(bytes)?;
            }
        }
        Ok(())
    }

    /// Prints what was written: beside a file on standard output, beside results that are there on standard error.
    pub(crate) fn report(&self, text: Arguments<'_>) {
        match self {
            Self::File(_) => outln!("{text}"),
            Self::Stdout => errln!("{text}"),
        }
    }
}

impl Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("standard output"),
        }
    }
}

fn is_stdout(output: &Path) -> bool {
    output == Path::new("-") || output == Path::new("/dev/stdout")
}

/// Refuses a file to write that is no regular file, or is or lies in something that the command reads.
///
/// # Errors
/// What would be destroyed.
pub(crate) fn check_file(output: &Path, inputs: &[&Path]) -> Result<()> {
    if is_stdout(output) {
        bail!("{}: this command does not write to standard output; name a file", output.display());
    }
    if output.is_dir() {
        bail!("{}: is a folder; name a file in it", output.display());
    }
    check_replaceable(output)?;
    let place = place(output);
    for input in inputs {
        let read = real(input);
        if place == read {
            bail!("{}: is what the command reads; write to another file", output.display());
        }
        if place.starts_with(&read) {
            bail!(
                "{}: lies in {}, which the command reads; write to a file elsewhere",
                output.display(),
                input.display()
            );
        }
    }
    Ok(())
}

/// Refuses a folder to replace that the command reads, as a whole or in part.
///
/// # Errors
/// What would be destroyed.
pub(crate) fn check_folder(output: &Path, inputs: &[&Path]) -> Result<()> {
    let place = real(output);
    for input in inputs {
        if real(input).starts_with(&place) {
            bail!("{}: holds what the command reads; write to another folder", output.display());
        }
    }
    Ok(())
}

/// Where a file lands that is written under this name.
fn place(output: &Path) -> PathBuf {
    real(&behind_links(output))
}

/// The path without links and `..`, as far as it exists.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => real(Path::new(".")).join(name),
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(output: &Path, inputs: &[&Path]) -> String {
        Destination::new(output, inputs).unwrap_err().to_string()
    }

    #[test]
    fn what_is_read_is_not_written_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("scorer")).unwrap();
        std::fs::write(path("log.jsonl"), "").unwrap();
        let log = path("log.jsonl");
        for name in ["log.jsonl", "scorer/../log.jsonl", "./log.jsonl"] {
            assert!(refusal(&path(name), &[&log]).contains("is what the command reads"), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&log, path("link")).unwrap();
            assert!(refusal(&path("link"), &[&log]).contains("is what the command reads"));
            assert!(refusal(&log, &[&path("link")]).contains("is what the command reads"));
            // A link that leads nowhere yet.
            std::os::unix::fs::symlink("scorer/new.csv", path("dangling")).unwrap();
            assert!(refusal(&path("dangling"), &[&path("scorer")]).contains("which the command reads"));
        }
        for name in ["scorer/head.safetensors", "scorer/new/scores.csv"] {
            assert!(refusal(&path(name), &[&path("scorer")]).contains("which the command reads"), "{name}");
        }
        assert!(refusal(&path("scorer"), &[]).contains("is a folder"));
        for name in ["scorer.csv", "new/scores.csv"] {
            let (name, scorer) = (path(name), path("scorer"));
            assert_eq!(Destination::new(&name, &[&log, &scorer]).unwrap(), Destination::File(name));
        }
    }

    #[test]
    fn a_folder_that_is_read_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert!(check_folder(&inner, &[&inner]).is_err());
        assert!(check_folder(folder.path(), &[&inner]).is_err());
        check_folder(&inner.join("c"), &[&inner]).unwrap();
        check_folder(&folder.path().join("ab"), &[&folder.path().join("a")]).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_replaced_and_two_names_stream() {
        assert!(refusal(Path::new("/dev/null"), &[]).contains("no regular file"));
        for name in ["-", "/dev/stdout"] {
            assert_eq!(Destination::new(Path::new(name), &[]).unwrap(), Destination::Stdout);
        }
    }
}
