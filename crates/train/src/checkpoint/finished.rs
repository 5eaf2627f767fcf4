//! `finished.json`: the mark of a stage that is over and whose results are written.

use std::path::{Path, PathBuf};

use pair2score_data::files::{read_text, write_atomic};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::TrainError;

/// What the mark says.
#[derive(Serialize, Deserialize)]
pub(super) struct Finished<R> {
    pub(super) identity: Identity,
    pub(super) report: R,
}

/// The file of the mark in the folder of a stage's checkpoints.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("finished.json")
}

/// Marks a stage as over.
pub(super) fn write(folder: &Path, identity: &Identity, report: &impl Serialize) -> Result<(), TrainError> {
    let finished = Finished { identity: identity.clone(), report };
    let json = serde_json::to_vec_pretty(&finished).expect("numbers, text and maps with text keys");
    Ok(write_atomic(path(folder), &json)?)
}

/// The mark of a folder, if it is there.
pub(super) fn read<R: DeserializeOwned>(folder: &Path) -> Result<Option<Finished<R>>, TrainError> {
    let path = path(folder);
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_text(&path)?;
    let finished = serde_json::from_str(&text).map_err(|error| TrainError::Mismatch {
        path,
        problem: format!("is damaged ({error}); start over with --restart"),
    })?;
    Ok(Some(finished))
}

/// The identity of the stage of a folder that is over, if it is over.
pub(crate) fn finished_identity(folder: &Path) -> Option<Identity> {
    read::<IgnoredAny>(folder).ok().flatten().map(|finished| finished.identity)
}
