//! One server per collection: a lock on a file beside the database, which the operating system takes back when the
//! process ends, however it ends.
//!
//! The database itself cannot carry the lock. SQLite locks ranges of it, and on some systems those locks and ours would
//! meet, or closing our file would take SQLite's locks away.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use pair2score_data::lock::{WithoutLocks, open_locked};

/// The right to collect in a database; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Closed after the path is removed, which unlocks it.
    _file: File,
}

impl Lock {
    /// Locks a database, which need not be there yet.
    ///
    /// # Errors
    /// Another process that has the lock, and a folder in which no file can be made.
    pub(super) fn take(database: &Path) -> Result<Self> {
        // Two links to one database have one lock, as they have one `-wal`.
        let real = database.canonicalize().unwrap_or_else(|_| database.into());
        let path = beside(&real, "-lock");
        match open_locked(&path, WithoutLocks::Refuse) {
            Ok(file) => Ok(Self { path, _file: file }),
            Err(error) => Err(refusal(database, &path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked: nobody else's lock is removed. A file that stays harms nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why a database cannot be collected in.
fn refusal(database: &Path, path: &Path, error: TryLockError) -> Error {
    match error {
        TryLockError::WouldBlock => anyhow!(
            "{}: another `serve --collect` is collecting in it; stop that one first, it reads judges and links when it \
             starts",
            database.display()
        ),
        TryLockError::Error(error) if error.kind() == ErrorKind::Unsupported => anyhow!(
            "{}: its file system has no locks, so nothing would keep a second server out of it; put it on a local disk",
            database.display()
        ),
        TryLockError::Error(error) => {
            Error::new(error).context(format!("{}: cannot lock the collection", path.display()))
        }
    }
}

/// The file beside a database that has its name and an ending.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lock_at_a_time_and_nothing_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("c.sqlite");
        let lock = Lock::take(&database).unwrap();
        let message = Lock::take(&database).unwrap_err().to_string();
        assert!(message.contains("c.sqlite: another `serve --collect`"), "{message}");
        drop(lock);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(Lock::take(&database).unwrap());
        // A killed process leaves the file.
        std::fs::write(beside(&database, "-lock"), "").unwrap();
        drop(Lock::take(&database).unwrap());
    }

    #[test]
    fn a_file_system_without_locks_is_named() {
        let error = TryLockError::Error(ErrorKind::Unsupported.into());
        let message = refusal(Path::new("c.sqlite"), Path::new("c.sqlite-lock"), error).to_string();
        assert!(
            message.starts_with("c.sqlite: its file system has no locks") && message.ends_with("local disk")
        );
    }

    #[cfg(unix)]
    #[test]
    fn two_names_of_one_database_have_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (database, link) = (folder.path().join("c.sqlite"), folder.path().join("link.sqlite"));
        std::fs::write(&database, "").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let _lock = Lock::take(&link).unwrap();
        assert!(Lock::take(&database).is_err());
    }
}
