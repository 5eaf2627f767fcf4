//! One run per folder.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::io::{Read, Write};
use std::path::Path;

use pair2score_data::DataError;

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
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                let _ = file.read_to_string(&mut process);
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
        }
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
