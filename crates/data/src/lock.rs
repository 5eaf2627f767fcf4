//! A file that one process at a time holds.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Opens a file for reading and writing, makes it where there is none, and locks it. The operating system gives the lock
/// back when the file is closed or the process ends, however it ends.
///
/// # Errors
/// [`TryLockError::WouldBlock`] where another process has the lock, and whatever else keeps the file from being opened
/// or locked: some network file systems have no locks ([`io::ErrorKind::Unsupported`]).
pub fn open_locked(path: &Path) -> Result<File, TryLockError> {
    loop {
        let file = open(path).map_err(TryLockError::Error)?;
        file.try_lock()?;
        // Whoever had the lock before may have removed or renamed the file between its opening and its locking here.
        let held = Identity::of_open(&file).map_err(TryLockError::Error)?;
        if Identity::of(path) == Some(held) {
            return Ok(file);
        }
    }
}

/// The file as [`open_locked`] opens it, without a lock.
///
/// # Errors
/// When it cannot be opened or made.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// Which file a path names, even if another one takes its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(#[cfg(unix)] [u64; 2]);

impl Identity {
    /// The identity of the file at a path, if there is one. The file is not opened, which would end the locks of whoever has opened
    /// it in this process.
    pub fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::new(&metadata))
    }

    fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::new(&metadata))
    }

    #[cfg(unix)]
    fn new(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self([metadata.dev(), metadata.ino()])
    }

    /// Elsewhere a file that is open cannot be replaced, so that being there is enough.
    #[cfg(not(unix))]
    fn new(_: &Metadata) -> Self {
        Self()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn one_holder_at_a_time_and_the_content_stays() {
        let scratch = Scratch::new();
        let path = scratch.file("file", "content");
        let held = open_locked(&path).unwrap();
        assert!(matches!(open_locked(&path), Err(TryLockError::WouldBlock)));
        drop(held);
        drop(open_locked(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    }

    #[test]
    fn a_file_under_an_old_name_is_another_file() {
        let scratch = Scratch::new();
        let (one, other) = (scratch.path("one"), scratch.path("other"));
        fs::write(&one, "").unwrap();
        let before = Identity::of(&one);
        assert!(before.is_some() && Identity::of(&one) == before && Identity::of(&other).is_none());
        fs::rename(&one, &other).unwrap();
        assert!(Identity::of(&one).is_none() && Identity::of(&other) == before);
        #[cfg(unix)]
        {
            fs::write(&one, "").unwrap();
            assert_ne!(Identity::of(&one), before);
        }
    }
}
