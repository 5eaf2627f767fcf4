//! The cache that Hugging Face's own programs use, so that nothing is fetched twice.
//!
//! `models--<organisation>--<name>/blobs/<hash>` holds contents, `snapshots/<commit>/<file>` links to them, and
//! `refs/<revision>` holds a commit.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pair2score_data::files::{sha256_of, write_atomic};

use crate::hub::client::{Client, FileInfo};
use crate::{BackboneError, Progress};

/// The folder of one repository.
pub(crate) struct Cache {
    folder: PathBuf,
}

/// How often a transfer that broke off is taken up again.
const ATTEMPTS: u32 = 5;
/// Bytes read at once.
const CHUNK: usize = 1 << 18;

impl Cache {
    pub(crate) fn new(cache: &Path, repository: &str) -> Self {
        Self { folder: cache.join(format!("models--{}", repository.replace('/', "--"))) }
    }

    /// The folder with the files of a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that a revision stood for when it was last asked, or that it is.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        if self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned())
    }

    /// Notes what a revision stands for.
    pub(crate) fn remember(&self, revision: &str, commit: &str) -> Result<(), BackboneError> {
        if revision != commit {
            write_atomic(self.folder.join("refs").join(revision), commit.as_bytes())?;
        }
        Ok(())
    }

    /// A file of a commit, fetched where it is not here yet.
    pub(crate) fn fetch(
        &self,
        client: &Client<'_>,
        commit: &str,
        name: &str,
        progress: &mut Progress<'_>,
    ) -> Result<PathBuf, BackboneError> {
        let path = self.snapshot(commit).join(name);
        if path.is_file() {
            return Ok(path);
        }
        let info = client.info(commit, name)?;
        let blobs = self.folder.join("blobs");
        let blob = blobs.join(&info.hash);
        for folder in [&blobs, &self.snapshot(commit)] {
            fs::create_dir_all(folder).map_err(cannot_write(folder))?;
        }
        if !blob.is_file() {
            let part = blobs.join(format!("{}.incomplete", info.hash));
            Transfer { client, commit, name, info: &info, part: &part }.run(progress)?;
            fs::rename(&part, &blob).map_err(cannot_write(&blob))?;
        }
        link(&info.hash, &blob, &path).map_err(cannot_write(&path))?;
        Ok(path)
    }
}

/// One file on its way.
struct Transfer<'a> {
    client: &'a Client<'a>,
    commit: &'a str,
    name: &'a str,
    info: &'a FileInfo,
    /// Where it goes until it is whole.
    part: &'a Path,
}

impl Transfer<'_> {
    fn run(&self, progress: &mut Progress<'_>) -> Result<(), BackboneError> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.part)
            .map_err(cannot_write(self.part))?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            let problem = format!("another program is fetching {}; wait for it", self.name);
            return Err(BackboneError::hub(self.client.id(), problem));
        }
        let mut attempt = 0;
        loop {
            let broken = match self.attempt(&mut file, progress) {
                Ok(()) => break,
                Err(Stopped::ForGood(error)) => return Err(error),
                Err(Stopped::Broken(error)) => error,
            };
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(broken);
            }
            std::thread::sleep(Duration::from_millis(100 << attempt));
        }
        self.check(&mut file)
    }

    /// Appends what is lacking.
    fn attempt(&self, file: &mut File, progress: &mut Progress<'_>) -> Result<(), Stopped> {
        let for_good = |error| Stopped::ForGood(cannot_write(self.part)(error));
        let mut done = file.seek(SeekFrom::End(0)).map_err(for_good)?;
        if self.info.size.is_some_and(|size| done >= size) && done > 0 {
            return Ok(());
        }
        let (body, begins) = self.client.content(self.commit, self.name, done).map_err(Stopped::ForGood)?;
        if begins != done {
            // The server does not give parts.
            done = 0;
            file.set_len(0).and_then(|()| file.rewind()).map_err(for_good)?;
        }
        let total = self.info.size.unwrap_or(0);
        let mut reader = body.into_with_config().limit(u64::MAX).reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            progress(self.name, done, total);
            let broken =
                |error: std::io::Error| Stopped::Broken(self.client.unreachable(&ureq::Error::Io(error)));
            let n = reader.read(&mut chunk).map_err(broken)?;
            if n == 0 {
                break;
            }
            file.write_all(&chunk[..n]).map_err(for_good)?;
            done += n as u64;
        }
        if self.info.size.is_some_and(|size| done < size) {
            let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection broke off");
            return Err(Stopped::Broken(self.client.unreachable(&ureq::Error::Io(error))));
        }
        file.sync_all().map_err(for_good)
    }

    /// Whether it is what the Hub said it would be; if not, it is thrown away.
    fn check(&self, file: &mut File) -> Result<(), BackboneError> {
        let io = cannot_write(self.part);
        let length = file.metadata().map(|metadata| metadata.len());
        let whole = match (length, self.info.hash.len()) {
            (Ok(length), _) if self.info.size.is_some_and(|size| size != length) => false,
            // The hash of a small file is git's, with a prefix, so that the length has to do.
            (_, 64) => {
                let hash = file.rewind().and_then(|()| sha256_of(file)).map_err(io)?;
                hash == self.info.hash.to_ascii_lowercase()
            }
            _ => true,
        };
        if whole {
            return Ok(());
        }
        let _ = fs::remove_file(self.part);
        let problem = format!("{} arrived damaged and was thrown away; try again", self.name);
        Err(BackboneError::hub(self.client.id(), problem))
    }
}

/// Why a transfer did not come to its end.
enum Stopped {
    /// The connection; what has arrived is kept.
    Broken(BackboneError),
    /// Everything else.
    ForGood(BackboneError),
}

/// A link within the repository's folder, so that the cache can be moved; a copy where links need a permission.
fn link(hash: &str, blob: &Path, path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let target = Path::new("../../blobs").join(hash);
        match symlink(&target, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        // Another program has just made it, or it points to a blob that was removed.
        let is_right = fs::read_link(path).is_ok_and(|found| found == target) && blob.is_file();
        if is_right || path.is_file() {
            return Ok(());
        }
        // Renamed, so that nobody finds the file missing in between.
        let beside = path.with_extension(format!("{}.link", std::process::id()));
        let _ = fs::remove_file(&beside);
        symlink(&target, &beside)?;
        fs::rename(&beside, path)
    }
    #[cfg(not(unix))]
    {
        let _ = hash;
        fs::copy(blob, path).map(drop)
    }
}

fn cannot_write(path: &Path) -> impl Fn(std::io::Error) -> BackboneError {
    move |source| {
        pair2score_data::DataError::Io {
            path: path.into(),
            action: "write",
            remedy: "check the free space and that writing is allowed there",
            source,
        }
        .into()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_made_kept_or_mended() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["blobs", "snapshots/one"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        fs::write(place("blobs/new"), "new").unwrap();
        let (blob, path) = (place("blobs/new"), place("snapshots/one/config.json"));
        let found = || (fs::read_to_string(&path).unwrap(), fs::read_link(&path).ok());
        let linked = ("new".to_owned(), Some(PathBuf::from("../../blobs/new")));
        // Twice, as two programs do that fetch at once.
        for _ in 0..2 {
            link("new", &blob, &path).unwrap();
            assert_eq!(found(), linked);
        }
        // To a blob that is gone.
        fs::remove_file(&path).unwrap();
        symlink("../../blobs/gone", &path).unwrap();
        link("new", &blob, &path).unwrap();
        assert_eq!(found(), linked);
        // A copy by another program stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "copy").unwrap();
        link("new", &blob, &path).unwrap();
        assert_eq!(found(), ("copy".to_owned(), None));
        assert_eq!(fs::read_dir(place("snapshots/one")).unwrap().count(), 1, "nothing is left beside it");
        // A folder is no link.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(link("new", &blob, &path).is_err());
    }
}
