//! Whole-file reads and atomic writes.
//!
//! A write goes to a temporary sibling that is renamed over the target, so a reader sees the old file or the new
//! one and never half of either.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};

/// Refuses a path whose place something else than a regular file has: renaming would replace a device by a file.
///
/// # Errors
/// Names the path; where nothing is, there is no error.
pub fn check_replaceable(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(DataError::file(
            path,
            "is no regular file and would be replaced by one",
            "give the name of a file",
        )),
        _ => Ok(()),
    }
}

/// Writes `bytes` to `path` in one step, creating parent folders as needed.
///
/// # Errors
/// When something else than a regular file is there, or a folder or file cannot be created, written or renamed. The
/// temporary file is removed and an existing file at `path` is left as it was.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    check_replaceable(path)?;
    let temporary = temporary_sibling(path)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|source| DataError::Io {
            path: path.to_owned(),
            action: "create the folder of",
            remedy: "choose another place or allow writing there",
            source,
        })?;
    }
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The first error is the one to report; the temporary file may not exist at all.
        let _ = fs::remove_file(&temporary);
        DataError::Io {
            path: path.to_owned(),
            action: "write",
            remedy: "check the free space and that writing is allowed there",
            source,
        }
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// `.<name>.tmp-<pid>` beside `path`, so that the rename stays on one file system.
fn temporary_sibling(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(DataError::file(path, "not a file name", "give the path of a file"));
    };
    // wasm32 has no process ids, and asking for one panics there.
    let pid = if cfg!(target_family = "wasm") { 0 } else { std::process::id() };
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(format!(".tmp-{pid}"));
    Ok(path.with_file_name(sibling))
}

/// Opens a file to read. Devices may never end, pipes may never begin, and neither can be read twice.
///
/// # Errors
/// When there is no file, or it may not be read, or it is a device or a pipe.
pub fn open(path: &Path) -> io::Result<fs::File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other(
            "it is a device or a pipe; write what it gives into a file, and name that",
        ));
    }
    fs::File::open(path)
}

/// The bytes of a file.
///
/// # Errors
/// As [`open`], and when it cannot be read to its end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole file.
///
/// # Errors
/// When the file cannot be read; the message names it.
pub fn read_bytes(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    read(path).map_err(|source| DataError::Io {
        path: path.to_owned(),
        action: "read",
        remedy: "check that it exists and may be read",
        source,
    })
}

/// Reads a whole UTF-8 file, without its byte order mark if it has one.
///
/// # Errors
/// When the file cannot be read or is not UTF-8; the latter names the offset (in bytes, from 0) of the first
/// byte that is wrong.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let text = String::from_utf8(read_bytes(path)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        DataError::file(path, format!("not UTF-8 at byte {offset}"), "save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn write_creates_folders_and_replaces_files() {
        let scratch = Scratch::new();
        let path = scratch.path("a/b/file.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_before_they_are_read() {
        let scratch = Scratch::new();
        let pipe = scratch.path("texts.csv");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let device = scratch.path("zeros.csv");
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        for path in [&pipe, &device] {
            let error = read_bytes(path).unwrap_err();
            assert!(error.to_string().starts_with("cannot read "), "{error}");
            let reason = std::error::Error::source(&error).unwrap().to_string();
            assert!(reason.starts_with("it is a device or a pipe; write"), "{reason}");
            assert!(crate::read_texts(path, &crate::Layout::default()).is_err());
        }
    }

    #[test]
    fn write_leaves_no_temporary_file() {
        let scratch = Scratch::new();
        write_atomic(scratch.path("file.txt"), b"x").unwrap();
        assert_eq!(scratch.names(), ["file.txt"]);
    }

    #[test]
    fn failed_write_leaves_no_temporary_file() {
        let scratch = Scratch::new();
        let folder = scratch.path("taken");
        fs::create_dir(&folder).unwrap();
        let error = write_atomic(&folder, b"x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(scratch.names(), ["taken"]);
    }

    #[test]
    fn write_to_a_folder_name_is_an_error() {
        assert!(write_atomic("..", b"x").is_err());
        assert!(write_atomic("", b"x").is_err());
    }

    #[test]
    fn missing_file_is_named() {
        let error = read_bytes("no/such/file.csv").unwrap_err();
        assert!(error.to_string().contains("no/such/file.csv"), "{error}");
    }

    #[test]
    fn byte_order_mark_is_dropped() {
        let scratch = Scratch::new();
        let path = scratch.file("bom.txt", b"\xef\xbb\xbfid");
        assert_eq!(read_text(&path).unwrap(), "id");
    }

    #[test]
    fn wrong_encoding_names_the_byte() {
        let scratch = Scratch::new();
        let path = scratch.file("latin1.txt", b"caf\xe9 noir");
        let message = read_text(&path).unwrap_err().to_string();
        assert!(message.contains("byte 3") && message.contains("save it as UTF-8"), "{message}");
    }
}
