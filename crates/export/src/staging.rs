//! The folder an export is written to before it takes its place.
//!
//! An export is many files, and half of one is worse than none: everything goes into a hidden sibling of the output,
//! which is renamed when the numbers were checked, and removed on any error.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ExportError;

/// Marks a folder as an export, so that a later one may replace it.
pub(crate) const MARKER: &str = "pair2score_export.json";

/// A folder in the making; removed unless [`finish`](Self::finish) was reached.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: PathBuf,
    output: PathBuf,
}

impl Staging {
    /// An empty folder beside `output`, which must be absent, empty or an earlier export.
    pub(crate) fn create(output: &Path) -> Result<Self, ExportError> {
        check_free(output)?;
        // Behind a link it is the folder itself that is replaced, and the link stays.
        let linked = output.is_symlink().then(|| output.canonicalize().ok()).flatten();
        let output = linked.unwrap_or_else(|| output.into());
        let folder = sibling(&output, "tmp")?;
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(ExportError::io(&output, "create"))?;
        Ok(Self { folder, output })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Puts the folder in its place, an earlier export out of it.
    pub(crate) fn finish(self) -> Result<(), ExportError> {
        check_free(&self.output)?;
        let earlier = sibling(&self.output, "old")?;
        let replaces = self.output.exists();
        if replaces {
            remove(&earlier)?;
            fs::rename(&self.output, &earlier).map_err(ExportError::io(&self.output, "replace"))?;
        }
        if let Err(source) = fs::rename(&self.folder, &self.output) {
            if replaces {
                // The first error is the one to report; what was there goes back where it can.
                let _ = fs::rename(&earlier, &self.output);
            }
            return Err(ExportError::Io { path: self.output.clone(), action: "create", source });
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

/// Whether an export may take this place.
fn check_free(output: &Path) -> Result<(), ExportError> {
    let occupied = |what| Err(ExportError::Occupied { path: output.into(), what });
    if !output.exists() {
        return Ok(());
    }
    if !output.is_dir() {
        return occupied("a file");
    }
    let mut entries = fs::read_dir(output).map_err(ExportError::io(output, "read"))?;
    match entries.next() {
        Some(_) if !output.join(MARKER).is_file() => occupied("a folder with other files in it"),
        _ => Ok(()),
    }
}

/// `.<name>.<kind>-<pid>` beside `output`, so that renames stay on one file system.
fn sibling(output: &Path, kind: &str) -> Result<PathBuf, ExportError> {
    let Some(name) = output.file_name() else {
        return Err(ExportError::Occupied { path: output.into(), what: "not the name of a folder" });
    };
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(format!(".{kind}-{}", std::process::id()));
    Ok(output.with_file_name(sibling))
}

fn remove(folder: &Path) -> Result<(), ExportError> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match fs::remove_dir_all(folder) {
        // Below a file there is nothing to remove either; creating the folder says what is wrong.
        Err(error) if !matches!(error.kind(), NotFound | NotADirectory) => {
            Err(ExportError::io(folder, "remove")(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("a/out");
        let staging = Staging::create(&output).unwrap();
        fs::write(staging.path().join("file"), "x").unwrap();
        assert!(!output.exists());
        drop(staging);
        assert_eq!(names(&scratch.path().join("a")), Vec::<String>::new());

        let staging = Staging::create(&output).unwrap();
        fs::write(staging.path().join("file"), "x").unwrap();
        staging.finish().unwrap();
        assert_eq!(names(&scratch.path().join("a")), ["out"]);
        assert_eq!(names(&output), ["file"]);
    }

    #[test]
    fn an_earlier_export_is_replaced_whole_and_nothing_else_is() {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("out");
        fs::create_dir(&output).unwrap();
        for _ in 0..2 {
            let staging = Staging::create(&output).unwrap();
            fs::write(staging.path().join(MARKER), "{}").unwrap();
            staging.finish().unwrap();
            assert_eq!(names(&output), [MARKER]);
            fs::write(output.join("left over"), "").unwrap();
        }
        fs::remove_file(output.join(MARKER)).unwrap();
        let error = Staging::create(&output).unwrap_err().to_string();
        assert!(error.contains("a folder with other files in it"), "{error}");
        assert_eq!(names(&output), ["left over"]);
        assert_eq!(names(scratch.path()), ["out"]);
    }

    #[test]
    fn a_file_and_a_name_that_is_none_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Staging::create(&file).unwrap_err().to_string().contains("is a file"));
        assert!(Staging::create(&file.join("below")).is_err());
        assert!(Staging::create(Path::new("..")).is_err());
    }
}
