//! Whole-file reads and atomic writes.
//!
//! A write goes to a temporary sibling that is renamed over the target, so a reader sees the old file or the new
//! one and never half of either. What a file holds is compared by its SHA-256.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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

/// Where something of this name is written: a link stays, and what it leads to is replaced or made.
pub fn behind_links(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&place) {
            Ok(target) => place = place.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    place
}

/// Writes `bytes` to `path` in one step, creating parent folders as needed. Of a link, what it leads to is written.
///
/// # Errors
/// When something else than a regular file is there, or a folder or file cannot be created, written or renamed. The
/// temporary file is removed and an existing file at `path` is left as it was.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    check_replaceable(path)?;
    let place = behind_links(path);
    let Some(name) = place.file_name() else {
        return Err(DataError::file(path, "not a file name", "give the path of a file"));
    };
    if let Some(parent) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|source| DataError::Io {
            path: path.to_owned(),
            action: "create the folder of",
            remedy: "choose another place or allow writing there",
            source,
        })?;
    }
    let written = create_temporary(&place, name).and_then(|(temporary, file)| {
        write_synced(file, bytes).and_then(|()| fs::rename(&temporary, &place)).inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        })
    });
    written.map_err(|source| DataError::Io {
        path: path.to_owned(),
        action: "write",
        remedy: "check the free space and that writing is allowed there",
        source,
    })
}

fn write_synced(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// What the names of temporary files have after that of the file that they become.
const TEMPORARY: &str = ".tmp-";

/// Whether a file has the name of a temporary one: where nobody writes, what a write that was killed has left.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with('.') && name.contains(TEMPORARY)
}

/// Makes `.<name>.tmp-<process>-<number>` beside `path`, so that the rename stays on one file system. Processes in containers
/// that share a folder have equal numbers, so only a file that was not there is one's own.
fn create_temporary(path: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    // wasm32 has no process ids, and asking for one panics there.
    let process = if cfg!(target_family = "wasm") { 0 } else { std::process::id() };
    let mut number = 0_u32;
    loop {
        let mut sibling = OsStr::new(".").to_owned();
        sibling.push(name);
        sibling.push(format!("{TEMPORARY}{process}-{number}"));
        let sibling = path.with_file_name(sibling);
        match File::create_new(&sibling) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            created => return Ok((sibling, created?)),
        }
    }
}

/// Opens a file to read. Devices may never end, pipes may never begin, and neither can be read twice.
///
/// # Errors
/// When there is no file, or it may not be read, or it is a device or a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other(
            "it is a device or a pipe; write what it gives into a file, and name that",
        ));
    }
    File::open(path)
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
    read(path).map_err(|source| DataError::unreadable(path, source))
}

/// SHA-256 of a file in hexadecimal, read in pieces.
///
/// # Errors
/// As [`read_bytes`].
pub fn sha256(path: &Path) -> Result<String> {
    let hash = open(path).and_then(|mut file| sha256_of(&mut file));
    hash.map_err(|source| DataError::unreadable(path, source))
}

/// SHA-256 in hexadecimal of what is left to read.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(reader, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
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
    fn a_hash_is_that_of_the_whole_file() {
        let scratch = Scratch::new();
        // FIPS 180-4: one block, and a million letters, which no buffer holds at once.
        for (content, expected) in [
            ("abc".to_owned(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ] {
            assert_eq!(sha256(&scratch.file("file", content)).unwrap(), expected);
        }
        let error = sha256(&scratch.path("none")).unwrap_err().to_string();
        assert!(error.ends_with("none; check that it exists and may be read"), "{error}");
    }

    #[test]
    fn write_leaves_no_temporary_file() {
        let scratch = Scratch::new();
        write_atomic(scratch.path("file.txt"), b"x").unwrap();
        assert_eq!(scratch.names(), ["file.txt"]);
    }

    #[test]
    fn writers_of_one_file_do_not_meet() {
        let scratch = Scratch::new();
        let path = scratch.path("file.txt");
        // As threads they have one process number, as processes in containers have.
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| write_atomic(path, &[writer; 100_000]).unwrap()));
            }
        });
        let written = fs::read(&path).unwrap();
        assert_eq!((written.len(), written.iter().all(|byte| *byte == written[0])), (100_000, true));
        assert_eq!(scratch.names(), ["file.txt"]);
    }

    #[test]
    fn what_another_writer_has_begun_stays() {
        let scratch = Scratch::new();
        let path = scratch.path("file.txt");
        let (begun, _) = create_temporary(&path, OsStr::new("file.txt")).unwrap();
        write_atomic(&path, b"x").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), fs::read(&begun).unwrap().as_slice()),
            (&b"x"[..], &b""[..])
        );
        assert!(is_temporary(&begun) && !is_temporary(&path));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_written() {
        use std::os::unix::fs::symlink;
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("elsewhere")).unwrap();
        let (link, file) = (scratch.path("link"), scratch.path("elsewhere/file.txt"));
        symlink("elsewhere/file.txt", &link).unwrap();
        // At first it leads nowhere.
        for content in ["one", "two"] {
            write_atomic(&link, content.as_bytes()).unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
        // A link that leads back to itself is none that could be followed.
        symlink("circle", scratch.path("circle")).unwrap();
        write_atomic(scratch.path("circle"), b"new").unwrap();
        assert_eq!(fs::read(scratch.path("circle")).unwrap(), b"new");
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
