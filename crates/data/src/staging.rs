//! The folder an export or an import is written to before it takes its place.
//!
//! Such a result is many files, and half of it is worse than none: everything goes into a hidden sibling of the output,
//! which is renamed when the numbers were checked, and removed on any error. A process that is killed removes nothing. So
//! each holds a lock on a file of its own, which the operating system gives back however the process ends, and the next
//! one that writes to the same place clears away what belongs to a lock that nobody holds.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};
use crate::files::behind_links;
use crate::lock::{WithoutLocks, open_locked};

/// What a folder holds, so that only one of the same kind may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// What messages call it: `export`.
    pub name: &'static str,
    /// The file that every finished folder of this kind has.
    pub marker: &'static str,
}

/// A folder in the making; removed unless [`finish`](Self::finish) was reached.
#[derive(Debug)]
pub struct Staging {
    output: PathBuf,
    kind: Kind,
    siblings: Siblings,
    /// Held until everything else is done.
    _lock: Lock,
}

impl Staging {
    /// An empty folder beside `output`, which must be absent, empty or an earlier folder of the same kind.
    ///
    /// # Errors
    /// When something else is at `output`, or the folder cannot be made.
    pub fn create(output: &Path, kind: Kind) -> Result<Self> {
        check_free(output, kind)?;
        let output = behind_links(output);
        clear_abandoned(&output)?;
        let siblings = Siblings::of(&output, std::process::id())?;
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(io(&output, "create"))?;
        }
        let lock = Lock::take(&siblings.lock, WithoutLocks::GoOn).map_err(io(&output, "create"))?;
        fs::create_dir(&siblings.written).map_err(io(&output, "create"))?;
        Ok(Self { output, kind, siblings, _lock: lock })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.siblings.written
    }

    /// Puts the folder in its place, an earlier one out of it.
    ///
    /// # Errors
    /// When something else has come to be there, or a folder cannot be renamed or removed.
    pub fn finish(self) -> Result<()> {
        check_free(&self.output, self.kind)?;
        let Siblings { written, replaced, .. } = &self.siblings;
        let replaces = self.output.exists();
        if replaces {
            fs::rename(&self.output, replaced).map_err(io(&self.output, "replace"))?;
        }
        if let Err(source) = fs::rename(written, &self.output) {
            if replaces {
                // The first error is the one to report; what was there goes back where it can.
                let _ = fs::rename(replaced, &self.output);
            }
            return Err(io(&self.output, "create")(source));
        }
        if replaces { remove(replaced) } else { Ok(()) }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `finish` there is nothing to remove; before it, the error on the way out is the one to report.
        let _ = fs::remove_dir_all(&self.siblings.written);
    }
}

/// What a process has beside the output, so that renames stay on one file system.
#[derive(Debug)]
struct Siblings {
    /// `.<name>.written-<pid>`, the folder that is written.
    written: PathBuf,
    /// `.<name>.replaced-<pid>`, the earlier folder for the moment between two renames.
    replaced: PathBuf,
    /// `.<name>.written-<pid>.lock`, locked while the process lives.
    lock: PathBuf,
}

impl Siblings {
    fn of(output: &Path, pid: u32) -> Result<Self> {
        let Some(name) = output.file_name() else {
            let what = format!("{} is not the name of a folder", output.display());
            return Err(DataError::setting(what, "name the folder to write"));
        };
        let sibling = |kind: &str, end: &str| {
            let mut sibling = OsString::from(".");
            sibling.push(name);
            sibling.push(format!(".{kind}-{pid}{end}"));
            output.with_file_name(sibling)
        };
        Ok(Self {
            written: sibling("written", ""),
            replaced: sibling("replaced", ""),
            lock: sibling("written", ".lock"),
        })
    }
}

/// A file that says that its process lives; removed with it.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    /// Closed before the file is removed, as some systems ask for.
    file: Option<File>,
}

impl Lock {
    fn take(path: &Path, without: WithoutLocks) -> std::io::Result<Self> {
        Ok(Self { path: path.into(), file: Some(open_locked(path, without)?) })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.file = None;
        // An empty file that stays is cleared away by the next process.
        let _ = fs::remove_file(&self.path);
    }
}

/// Clears away what killed processes have left that wrote to this place. An earlier folder that one of them had moved aside goes
/// back to its place.
fn clear_abandoned(output: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (output.parent(), output.file_name()) else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let prefix = format!(".{}.written-", name.to_string_lossy());
    let pid = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.strip_prefix(&prefix)?.strip_suffix(".lock")?.parse::<u32>().ok()
    };
    // Where the folder cannot be read, creating one in it says what is wrong.
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    for pid in entries.flatten().filter_map(pid) {
        let Siblings { written, replaced, lock } = Siblings::of(output, pid)?;
        // Without locks nothing tells whether that process lives.
        let Ok(lock) = Lock::take(&lock, WithoutLocks::Refuse) else { continue };
        if replaced.exists() && !output.exists() {
            fs::rename(&replaced, output).map_err(io(output, "restore"))?;
        }
        remove(&written)?;
        remove(&replaced)?;
        drop(lock);
    }
    Ok(())
}

/// Refuses a place where something else than an earlier folder of this kind would be replaced.
///
/// # Errors
/// Names it.
pub fn check_free(output: &Path, kind: Kind) -> Result<()> {
    let occupied = |what| {
        let remedy = format!("name a folder that is new, empty or an earlier {}", kind.name);
        Err(DataError::setting(format!("{} is {what}", output.display()), remedy))
    };
    if !output.exists() {
        return Ok(());
    }
    if !output.is_dir() {
        return occupied("a file");
    }
    let mut entries = fs::read_dir(output).map_err(io(output, "read"))?;
    match entries.next() {
        Some(_) if !output.join(kind.marker).is_file() => occupied("a folder with other files in it"),
        _ => Ok(()),
    }
}

fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> DataError {
    move |source| DataError::Io {
        path: path.into(),
        action,
        remedy: "check the free space and that writing is allowed there",
        source,
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(folder, "remove")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    const EXPORT: Kind = Kind { name: "export", marker: "export.json" };

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_a_finished_folder_takes_its_place() {
        let scratch = Scratch::new();
        let output = scratch.path("a/out");
        let staging = Staging::create(&output, EXPORT).unwrap();
        fs::write(staging.path().join("file"), "x").unwrap();
        assert!(!output.exists());
        drop(staging);
        assert_eq!(names(&scratch.path("a")), Vec::<String>::new());

        let staging = Staging::create(&output, EXPORT).unwrap();
        fs::write(staging.path().join("file"), "x").unwrap();
        staging.finish().unwrap();
        assert_eq!(names(&scratch.path("a")), ["out"]);
        assert_eq!(names(&output), ["file"]);
    }

    #[test]
    fn an_earlier_export_is_replaced_whole_and_nothing_else_is() {
        let scratch = Scratch::new();
        let output = scratch.path("out");
        fs::create_dir(&output).unwrap();
        for _ in 0..2 {
            let staging = Staging::create(&output, EXPORT).unwrap();
            fs::write(staging.path().join(EXPORT.marker), "{}").unwrap();
            staging.finish().unwrap();
            assert_eq!(names(&output), [EXPORT.marker]);
            fs::write(output.join("left over"), "").unwrap();
        }
        fs::remove_file(output.join(EXPORT.marker)).unwrap();
        let error = Staging::create(&output, EXPORT).unwrap_err().to_string();
        assert!(error.contains("a folder with other files in it"), "{error}");
        assert_eq!(names(&output), ["left over"]);
        assert_eq!(scratch.names(), ["out"]);
    }

    /// What the killed process 4711 has left: its lock, and a folder half written.
    fn killed(output: &Path) -> Siblings {
        let siblings = Siblings::of(output, 4711).unwrap();
        fs::write(&siblings.lock, "").unwrap();
        fs::create_dir(&siblings.written).unwrap();
        fs::write(siblings.written.join("half"), "x").unwrap();
        siblings
    }

    #[test]
    fn what_a_killed_export_left_is_cleared_away_by_the_next() {
        let scratch = Scratch::new();
        let output = scratch.path("out");
        killed(&output);
        let other = killed(&scratch.path("other"));
        drop(Staging::create(&output, EXPORT).unwrap());
        let left = [&other.written, &other.lock].map(|path| path.file_name().unwrap().to_str().unwrap());
        assert_eq!(scratch.names(), left, "what belongs to another output stays");
    }

    #[test]
    fn an_export_that_was_moved_aside_goes_back() {
        let scratch = Scratch::new();
        let output = scratch.path("out");
        let siblings = killed(&output);
        fs::create_dir(&siblings.replaced).unwrap();
        fs::write(siblings.replaced.join(EXPORT.marker), "earlier").unwrap();
        drop(Staging::create(&output, EXPORT).unwrap());
        assert_eq!(scratch.names(), ["out"]);
        assert_eq!(fs::read_to_string(output.join(EXPORT.marker)).unwrap(), "earlier");
    }

    #[test]
    fn what_belongs_to_a_living_process_stays() {
        let scratch = Scratch::new();
        let output = scratch.path("out");
        let siblings = killed(&output);
        let lock = Lock::take(&siblings.lock, WithoutLocks::Refuse).unwrap();
        drop(Staging::create(&output, EXPORT).unwrap());
        assert_eq!(names(&siblings.written), ["half"]);
        drop(lock);
    }

    #[test]
    fn a_file_and_a_name_that_is_none_are_refused() {
        let scratch = Scratch::new();
        let file = scratch.path("file");
        fs::write(&file, "").unwrap();
        assert!(Staging::create(&file, EXPORT).unwrap_err().to_string().contains("is a file"));
        assert!(Staging::create(&file.join("below"), EXPORT).is_err());
        assert!(Staging::create(Path::new(".."), EXPORT).is_err());
    }
}
