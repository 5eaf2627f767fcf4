//! What has to stay the same for a stage to go on where it was stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::files::sha256;
use pair2score_scorer::BackboneFolder;
use serde::de::DeserializeOwned;

use super::Stages;
use super::layout::{
    ABSOLUTE, RELATIVE, has_stage1, missing_output, missing_result, relative_folder, stage1_files,
    training_folder,
};
use crate::TrainError;
use crate::checkpoint::{self, Checkpoints, Identity};
use crate::config::{self, Head, Settings};

/// Settings and files that a stage depends on.
pub(super) fn identity(
    settings: &Settings,
    stage: &str,
    device_name: &str,
    hashes: &mut FileHashes,
) -> Result<Identity, TrainError> {
    let hashed = files(settings, stage)?.into_iter().map(|(name, path)| Ok((name, hashes.of(&path)?)));
    Ok(Identity {
        settings: settings_identity(settings, stage),
        files: hashed.collect::<Result<_, TrainError>>()?,
        device: device_name.to_owned(),
    })
}

/// The report of a stage that is over with these settings and the files as they are now, on whatever device.
///
/// There is none where a file that the stage writes is missing, or one that has to be compared cannot be read: the run of
/// the stage names the reason.
pub fn finished<R: DeserializeOwned>(
    settings: &Settings,
    stages: Stages,
    hashes: &mut FileHashes,
) -> Option<R> {
    let relative = settings.stage1().filter(|_| stages == Stages::Relative);
    let missing = match stages {
        Stages::Relative => relative.and_then(|relative| missing_output(settings, relative)),
        Stages::Both | Stages::Absolute => missing_result(settings),
    };
    if missing.is_some() {
        return None;
    }
    let stage = if stages == Stages::Relative { RELATIVE } else { ABSOLUTE };
    let folder = training_folder(settings, stage);
    let device = checkpoint::finished_identity(&folder)?.device;
    let identity = identity(settings, stage, &device, hashes).ok()?;
    let epochs = relative.map_or(&[][..], |relative| &relative.outputs.save_epochs);
    let checkpoints =
        Checkpoints::new(folder, None, settings.pipeline.checkpoint_keep, identity).keeping_epochs(epochs);
    checkpoints.fit_this_run().then(|| checkpoints.finished().ok().flatten()).flatten()
}

/// The settings that a stage depends on, by key; files are not among them.
pub(crate) fn settings_identity(settings: &Settings, stage: &str) -> BTreeMap<String, String> {
    settings.compared(if stage == RELATIVE { config::STAGE1 } else { config::STAGE2 })
}

/// The key of the folder of the backbone.
const BACKBONE: &str = "model.base_model";

/// What a stage reads that the configuration names, by its keys: files, and the folder of the backbone. They need not be
/// there.
pub(crate) fn input_paths(settings: &Settings, stage: &str) -> Vec<(String, PathBuf)> {
    let mut paths = vec![
        ("paths.essays_csv".to_owned(), settings.paths.essays_csv.to_path_buf()),
        (BACKBONE.to_owned(), settings.model.backbone.to_path_buf()),
    ];
    let learns_from_pairs = stage == RELATIVE || settings.absolute.head == Head::Joint;
    if let Some(relative) = settings.pair_source().filter(|_| learns_from_pairs) {
        let pairs = settings.pair_files(relative).into_iter();
        paths.extend(pairs.enumerate().map(|(place, path)| {
            let number = if place == 0 { String::new() } else { format!(" ({})", place + 1) };
            (format!("stage1_relative.pairs_file{number}"), path)
        }));
    }
    paths
}

/// The files that a stage depends on, by what users call them.
fn files(settings: &Settings, stage: &str) -> Result<Vec<(String, PathBuf)>, TrainError> {
    let mut files = Vec::new();
    for (key, path) in input_paths(settings, stage) {
        if key != BACKBONE {
            files.push((key, path));
            continue;
        }
        for file in BackboneFolder::find(&path)?.files()? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            files.push((format!("{key}/{name}"), file.clone()));
        }
    }
    if stage != RELATIVE && has_stage1(settings) {
        let folder = relative_folder(settings);
        let stage1 =
            stage1_files(settings).map(|name| (format!("{RELATIVE}/{}", name.display()), folder.join(name)));
        files.extend(stage1.filter(|(_, path)| path.is_file()));
    }
    Ok(files)
}

/// SHA-256 of files, each read once.
#[derive(Debug, Default)]
pub struct FileHashes(BTreeMap<PathBuf, String>);

impl FileHashes {
    fn of(&mut self, path: &Path) -> Result<String, TrainError> {
        if let Some(hash) = self.0.get(path) {
            return Ok(hash.clone());
        }
        let hash = sha256(path)?;
        self.0.insert(path.to_owned(), hash.clone());
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_by_one_and_again_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("essays.csv");
        let mut hashes = FileHashes::default();
        std::fs::write(&path, "one").unwrap();
        let one = hashes.of(&path).unwrap();
        std::fs::write(&path, "two").unwrap();
        assert_eq!(hashes.of(&path).unwrap(), one);
        assert_ne!(FileHashes::default().of(&path).unwrap(), one);
        let error = hashes.of(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none; check that it exists and may be read"), "{error}");
    }
}
