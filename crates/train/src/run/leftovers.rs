//! What a run with other traits has left in the folders of this one, and what would be taken for a part of it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pair2score_data::DataError;
use pair2score_data::files::read_text;

use super::info::OF_TRAIT;
use super::layout::{METRICS_INFO, PREDICTIONS};
use crate::TrainError;
use crate::config::Settings;

/// Removes the heads in the folder of a stage, in the files of `stem`, that are none of these.
pub(super) fn remove_other_heads(folder: &Path, stem: &str, heads: &[PathBuf]) -> Result<(), TrainError> {
    let several = folder.join(format!("{stem}s"));
    let single = folder.join(format!("{stem}.safetensors"));
    let is_head = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "safetensors");
    let found = entries(&several)?.into_iter().filter(is_head).chain([single]);
    let ours: Vec<PathBuf> = heads.iter().map(|head| folder.join(head)).collect();
    found.filter(|path| !ours.contains(path)).try_for_each(|path| remove_if_there(&path))?;
    remove_if_empty(&several);
    Ok(())
}

/// Removes the results of traits that this run does not have, where they are as runs write them.
pub(super) fn remove_other_results(settings: &Settings) -> Result<(), TrainError> {
    let outputs = settings.paths.output_dir.as_path();
    let several = match settings.pipeline.targets() {
        [_] => &[],
        several => several,
    };
    if !several.is_empty() {
        remove_if_there(&outputs.join(PREDICTIONS))?;
    }
    for folder in entries(outputs)? {
        let (name, info) =
            (folder.file_name().unwrap_or_default().to_string_lossy(), folder.join(METRICS_INFO));
        let of_trait = format!("{OF_TRAIT}: {name}");
        if several.iter().any(|target| *target == name)
            || !info.is_file()
            || !read_text(&info)?.lines().any(|line| line == of_trait)
        {
            continue;
        }
        [METRICS_INFO, PREDICTIONS].iter().try_for_each(|file| remove_if_there(&folder.join(file)))?;
        remove_if_empty(&folder);
    }
    Ok(())
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let io = |source| DataError::Io {
        path: folder.to_owned(),
        action: "read",
        remedy: "check that the folder may be read",
        source,
    };
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(io(error).into()),
        Ok(entries) => {
            Ok(entries.map(|entry| Ok(entry.map_err(io)?.path())).collect::<Result<_, DataError>>()?)
        }
    }
}

/// A folder with anything else in it stays.
fn remove_if_empty(folder: &Path) {
    let _ = fs::remove_dir(folder);
}

/// Removes a file.
///
/// # Errors
/// One that is there and stays there.
pub(super) fn remove_if_there(path: &Path) -> Result<(), TrainError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(DataError::Io {
            path: path.to_owned(),
            action: "remove",
            remedy: "check the permissions of its folder",
            source,
        }
        .into()),
        _ => Ok(()),
    }
}
