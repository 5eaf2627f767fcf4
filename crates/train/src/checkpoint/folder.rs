//! The folder of a stage's checkpoints: which files are in it, and which of them are kept.

use std::fs;
use std::path::{Path, PathBuf};

use pair2score_data::DataError;
use pair2score_data::files::is_temporary;

use super::finished;
use crate::TrainError;

/// What to do where a run was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnfinished {
    /// Say so and stop: nothing is lost by mistake.
    Refuse,
    /// Go on where it was stopped.
    Resume,
    /// Go on where it was stopped, unless its settings or files were others: then start again.
    ResumeOrReplace,
    /// Throw it away and start again.
    Discard,
}

/// Begins the names of the files of epochs that are kept.
const EPOCH: &str = "epoch_";
/// Begins the names of checkpoints.
const STEP: &str = "step_";
const SUFFIX: &str = ".safetensors";

/// The checkpoint after a step.
pub(super) fn step_path(folder: &Path, step: usize) -> PathBuf {
    folder.join(format!("{STEP}{step:08}{SUFFIX}"))
}

/// What a training of so many epochs ends with.
pub(super) fn epoch_path(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(format!("{EPOCH}{epoch:04}{SUFFIX}"))
}

/// Checkpoints by step, the newest first.
pub(super) fn steps(folder: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let step = |path: PathBuf| {
        let step = name(&path).strip_prefix(STEP)?.strip_suffix(SUFFIX)?.parse().ok()?;
        Some((step, path))
    };
    let mut steps: Vec<(usize, PathBuf)> = entries(folder)?.into_iter().filter_map(step).collect();
    steps.sort_by(|a, b| b.cmp(a));
    Ok(steps)
}

/// Removes all checkpoints but the newest.
pub(super) fn keep_newest(folder: &Path, n: usize) -> Result<(), TrainError> {
    steps(folder)?.into_iter().skip(n).try_for_each(|(_, old)| remove(&old))
}

/// Refuses to begin a run again whose stages, in this order, have these folders, where that would throw away what a run
/// that was stopped has learned. Removes nothing.
///
/// # Errors
/// Names the folder of the stage that was stopped.
pub(crate) fn check_stopped(folders: &[PathBuf]) -> Result<(), TrainError> {
    let mut is_over = false;
    for folder in folders {
        let stopped = match (finished::path(folder).is_file(), steps(folder)?.first()) {
            (false, Some((step, _))) => Some(format!("after step {step}")),
            // Nothing of this stage would be lost, but the one before it.
            (false, None) if is_over && folder.is_dir() => Some("before its first checkpoint".to_owned()),
            _ => None,
        };
        if let Some(when) = stopped {
            let problem = format!(
                "holds a run that was stopped {when}; add --resume to go on with it, or --restart to throw it away"
            );
            return Err(TrainError::Mismatch { path: folder.clone(), problem });
        }
        is_over = finished::path(folder).is_file();
    }
    Ok(())
}

/// Says that a stage has begun, by its folder.
pub(super) fn begin(folder: &Path) -> Result<(), TrainError> {
    Ok(fs::create_dir_all(folder).map_err(|source| DataError::Io {
        path: folder.into(),
        action: "create",
        remedy: "check the permissions of the folder above",
        source,
    })?)
}

/// Removes what writes that were killed have left.
pub(crate) fn remove_temporary(folder: &Path) -> Result<(), TrainError> {
    entries(folder)?.into_iter().filter(|path| is_temporary(path)).try_for_each(|path| remove(&path))
}

/// Removes what an earlier run has left in the folder of a stage.
pub(crate) fn clear(folder: &Path) -> Result<(), TrainError> {
    // The mark goes first: a kill in between must not leave the mark of a run whose weights are gone.
    let mark = finished::path(folder);
    if mark.is_file() {
        remove(&mark)?;
    }
    remove_temporary(folder)?;
    let epochs = entries(folder)?.into_iter().filter(|path| name(path).starts_with(EPOCH));
    steps(folder)?.into_iter().map(|(_, path)| path).chain(epochs).try_for_each(|path| remove(&path))?;
    // Files of somebody else keep it, which costs no more than a question.
    let _ = fs::remove_dir(folder);
    Ok(())
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    match list() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed.map_err(|source| DataError::Io {
            path: folder.into(),
            action: "list",
            remedy: "check its permissions",
            source,
        })?),
    }
}

fn remove(path: &Path) -> Result<(), TrainError> {
    Ok(fs::remove_file(path).map_err(|source| DataError::Io {
        path: path.into(),
        action: "remove",
        remedy: "check the permissions of its folder",
        source,
    })?)
}
