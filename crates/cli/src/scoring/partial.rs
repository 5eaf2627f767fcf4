//! A file of scores in the making: `.<name>.partial` beside the file that it becomes.

use std::fs::{File, TryLockError, create_dir_all, remove_file, rename};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pair2score_data::files::behind_links;
use pair2score_data::lock::{WithoutLocks, open_locked};

/// Keeps other processes from writing the same file while it lives. The operating system gives the lock back when a
/// process ends, however it ends.
pub(super) struct Partial {
    /// The name that the file takes when it is whole; no link.
    path: PathBuf,
    partial: PathBuf,
    pub(super) file: File,
    /// Whether what is there stays when this is dropped before it is finished.
    keep: bool,
    /// Whether this run has written to it.
    begun: bool,
    finished: bool,
}

impl Partial {
    /// Opens what an earlier run left, or a new file.
    ///
    /// # Errors
    /// When it cannot be written, or another process writes it.
    pub(super) fn take(path: &Path, keep: bool) -> Result<Self> {
        let path = behind_links(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial"));
        let context =
            || format!("cannot write {}; choose another place or allow writing there", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_dir_all(folder).with_context(context)?;
        }
        let file = match open_locked(&partial, WithoutLocks::GoOn) {
            Ok(file) => file,
            Err(TryLockError::WouldBlock) => bail!(
                "{}: another process writes it; wait for it, or choose another --output",
                path.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        };
        Ok(Self { path, partial, file, keep, begun: false, finished: false })
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Goes on after the first `bytes`.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub(super) fn begin_at(&mut self, bytes: u64) -> Result<()> {
        self.begun = true;
        let cut = self.file.set_len(bytes).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.with_context(|| format!("cannot write {}; check the free space", self.partial.display()))?;
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub(super) fn finish(mut self) -> Result<()> {
        let named = self.file.sync_all().and_then(|()| rename(&self.partial, &self.path));
        named.with_context(|| {
            format!(
                "cannot write {}; check the free space and that writing is allowed there",
                self.path.display()
            )
        })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let worth_keeping = self.bytes() > 0 && (self.keep || !self.begun);
        if !self.finished && !worth_keeping {
            // Whatever stopped the writing is the error to report.
            let _ = remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.csv");
        let mut first = Partial::take(&path, false).unwrap();
        let error = Partial::take(&path, false).err().unwrap().to_string();
        assert!(
            error.ends_with("scores.csv: another process writes it; wait for it, or choose another --output")
        );
        first.file.write_all(b"id").unwrap();
        first.finish().unwrap();
        // The next one begins anew, and what is there stays until it is finished.
        let second = Partial::take(&path, false).unwrap();
        assert_eq!(second.bytes(), 0);
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"id");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("latest.csv"), folder.path().join("scores.csv"));
        std::fs::write(&file, "earlier").unwrap();
        std::os::unix::fs::symlink("scores.csv", &link).unwrap();
        let mut partial = Partial::take(&link, false).unwrap();
        assert!(Partial::take(&file, false).is_err(), "both names are one file");
        partial.file.write_all(b"id").unwrap();
        partial.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"id");
    }

    #[test]
    fn what_is_to_be_gone_on_with_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.csv");
        drop(Partial::take(&path, true).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
        let mut first = Partial::take(&path, true).unwrap();
        first.file.write_all(b"id,score\n1,").unwrap();
        drop(first);
        let mut second = Partial::take(&path, true).unwrap();
        assert_eq!(second.bytes(), 11);
        second.begin_at(9).unwrap();
        second.file.write_all(b"2,3\n").unwrap();
        second.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"id,score\n2,3\n");
    }
}
