//! The folder an export or an import is written to before it takes its place.
//!
//! Such a result is many files, and half of it is worse than none: everything goes into a hidden sibling of the output,
//! which is renamed when the numbers were checked, and removed on any error.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};

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
    folder: PathBuf,
    output: PathBuf,
    kind: Kind,
}

impl Staging {
    /// An empty folder beside `output`, which must be absent, empty or an earlier folder of the same kind.
    ///
    /// # Errors
    /// When something else is at `output`, or the folder cannot be made.
    pub fn create(output: &Path, kind: Kind) -> Result<Self> {
        check_free(output, kind)?;
        // Behind a link it is the folder itself that is replaced, and the link stays.
        let linked = output.is_symlink().then(|| output.canonicalize().ok()).flatten();
        let output = linked.unwrap_or_else(|| output.into());
        let folder = sibling(&output, "tmp")?;
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(io(&output, "create"))?;
        Ok(Self { folder, output, kind })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Puts the folder in its place, an earlier one out of it.
    ///
    /// # Errors
    /// When something else has come to be there, or a folder cannot be renamed or removed.
    pub fn finish(self) -> Result<()> {
        check_free(&self.output, self.kind)?;
        let earlier = sibling(&self.output, "old")?;
        let replaces = self.output.exists();
        if replaces {
            remove(&earlier)?;
            fs::rename(&self.output, &earlier).map_err(io(&self.output, "replace"))?;
        }
        if let Err(source) = fs::rename(&self.folder, &self.output) {
            if replaces {
                // The first error is the one to report; what was there goes back where it can.
                let _ = fs::rename(&earlier, &self.output);
            }
            return Err(io(&self.output, "create")(source));
        }
        if replaces { remove(&earlier) } else { Ok(()) }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `finish` there is nothing to remove; before it, the error on the way out is the one to report.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether a folder of this kind may take this place.
fn check_free(output: &Path, kind: Kind) -> Result<()> {
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

/// `.<name>.<kind>-<pid>` beside `output`, so that renames stay on one file system.
fn sibling(output: &Path, kind: &str) -> Result<PathBuf> {
    let Some(name) = output.file_name() else {
        let what = format!("{} is not the name of a folder", output.display());
        return Err(DataError::setting(what, "name the folder to write"));
    };
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(format!(".{kind}-{}", std::process::id()));
    Ok(output.with_file_name(sibling))
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
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match fs::remove_dir_all(folder) {
        // Below a file there is nothing to remove either; creating the folder says what is wrong.
        Err(error) if !matches!(error.kind(), NotFound | NotADirectory) => Err(io(folder, "remove")(error)),
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
