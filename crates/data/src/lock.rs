//! A file that one process at a time holds.
//!
//! Some network file systems have no locks: Lustre without `flock`, for one. What is only spoilt where two processes write at
//! the same time, which seldom happens, goes on there without one; where more is at stake, the caller refuses.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// What to do on a file system without locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutLocks {
    /// Go on as if the lock were held.
    GoOn,
    /// Fail with [`io::ErrorKind::Unsupported`].
    Refuse,
}

/// Opens a file for reading and writing, makes it where there is none, and locks it. The operating system gives the lock
/// back when the file is closed or the process ends, however it ends.
///
/// # Errors
/// [`TryLockError::WouldBlock`] where another process has the lock, and whatever else keeps the file from being opened
/// or locked.
pub fn open_locked(path: &Path, without: WithoutLocks) -> Result<File, TryLockError> {
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let file = options.open(path).map_err(TryLockError::Error)?;
        match file.try_lock() {
            Err(TryLockError::Error(error)) => allowed(Err(error), without).map_err(TryLockError::Error)?,
            locked => locked?,
        }
        // Whoever had the lock before may have removed or renamed the file between its opening and its locking here.
        let held = Identity::of_open(&file).map_err(TryLockError::Error)?;
        if Identity::of(path) == Some(held) {
            return Ok(file);
        }
    }
}

/// Waits until no other process has a file locked, and locks it; goes on where there are no locks.
///
/// # Errors
/// Whatever else keeps the file from being locked.
pub fn lock(file: &File) -> io::Result<()> {
    allowed(file.lock(), WithoutLocks::GoOn)
}

/// As [`lock`], for one that may have it at the same time as others that only read.
///
/// # Errors
/// As [`lock`].
pub fn lock_shared(file: &File) -> io::Result<()> {
    allowed(file.lock_shared(), WithoutLocks::GoOn)
}

fn allowed(locked: io::Result<()>, without: WithoutLocks) -> io::Result<()> {
    match locked {
        Err(error) if without == WithoutLocks::GoOn && error.kind() == io::ErrorKind::Unsupported => Ok(()),
        locked => locked,
    }
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
        let held = open_locked(&path, WithoutLocks::GoOn).unwrap();
        assert!(matches!(open_locked(&path, WithoutLocks::GoOn), Err(TryLockError::WouldBlock)));
        drop(held);
        drop(open_locked(&path, WithoutLocks::GoOn).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    }

    #[test]
    fn a_file_system_without_locks_is_gone_on_with_or_refused() {
        let failed = |kind: io::ErrorKind| Err(io::Error::from(kind));
        assert!(allowed(failed(io::ErrorKind::Unsupported), WithoutLocks::GoOn).is_ok());
        assert!(allowed(failed(io::ErrorKind::Unsupported), WithoutLocks::Refuse).is_err());
        assert!(allowed(failed(io::ErrorKind::PermissionDenied), WithoutLocks::GoOn).is_err());
        // What Lustre gives without its option `flock`.
        #[cfg(target_os = "linux")]
        assert_eq!(io::Error::from_raw_os_error(38).kind(), io::ErrorKind::Unsupported);
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
