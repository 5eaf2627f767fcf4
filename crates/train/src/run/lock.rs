//! One run per folder.

use std::fs::{File, TryLockError, create_dir_all, read_to_string};
use std::io::Write;
use std::path::Path;

use pair2score_data::DataError;
use pair2score_data::lock::{WithoutLocks, open_locked};

use crate::TrainError;

/// Keeps other runs out of a folder while it lives. The operating system gives it back when a process ends, however
/// it ends, so a lock is never left behind; the empty file stays.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, making it where there is none.
    pub(super) fn take(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(".lock");
        let io = |source| DataError::Io {
            path: path.clone(),
            action: "create",
            remedy: "choose another folder or allow writing there",
            source,
        };
        create_dir_all(folder).map_err(io)?;
        let mut file = match open_locked(&path, WithoutLocks::GoOn) {
            Ok(file) => file,
            Err(TryLockError::WouldBlock) => {
                let process = read_to_string(&path).unwrap_or_default();
                return Err(TrainError::Mismatch {
                    path: folder.to_owned(),
                    problem: format!(
                        "another run is at work here (process {}); wait for it, or choose another folder with --set \
                         paths.checkpoint_dir=DIR --set paths.output_dir=DIR",
                        process.trim()
                    ),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error).into()),
        };
        // The number is for the message above only.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let message = FolderLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
    }
}
