//! The file of a checkpoint: tensors, and a header with everything else.

use std::collections::BTreeMap;
use std::path::Path;

use pair2score_scorer::{TensorFile, write_tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use super::snapshot::Tensors;
use crate::TrainError;
use crate::state::LoopState;

/// What a checkpoint holds beside its tensors.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) state: LoopState,
    /// Number of updates that each parameter had.
    pub(super) updates: BTreeMap<String, usize>,
    pub(super) identity: Identity,
}

/// Why a checkpoint was not written.
pub(crate) enum SaveError {
    /// A weight or a moment is not a finite number.
    NotFinite,
    /// It could not be written.
    Write(TrainError),
}

impl From<TrainError> for SaveError {
    fn from(error: TrainError) -> Self {
        Self::Write(error)
    }
}

/// Metadata keys of the file.
const HEADER: &str = "checkpoint";
const DIGEST: &str = "sha256";

/// Writes a checkpoint, whole or not at all.
pub(super) fn write(path: &Path, header: &Header, tensors: &Tensors) -> Result<(), SaveError> {
    let finite = tensors.values().flat_map(|tensor| &tensor.values).all(|value| value.is_finite());
    if !finite {
        return Err(SaveError::NotFinite);
    }
    let header = serde_json::to_string(header).expect("numbers, text and maps with text keys");
    let digest = digest(&header, tensors);
    Ok(write_tensors(path, tensors, &[(HEADER, header), (DIGEST, digest)]).map_err(TrainError::from)?)
}

/// Reads a checkpoint.
///
/// # Errors
/// In words, when it is damaged.
pub(super) fn read(path: &Path) -> Result<(Header, Tensors), String> {
    let damaged = |what: &str| format!("is damaged ({what})");
    let file = TensorFile::open(path).map_err(|error| damaged(&error.to_string()))?;
    let metadata = |key| file.metadata(key).ok_or_else(|| damaged("no state in its header"));
    let (header, expected) = (metadata(HEADER)?, metadata(DIGEST)?);
    let mut tensors = Tensors::new();
    for name in file.names() {
        let tensor = file.stored(name).map_err(|error| damaged(&error.to_string()))?;
        tensors.insert(name.to_owned(), tensor);
    }
    if digest(header, &tensors) != expected {
        return Err(damaged("its hash is wrong"));
    }
    let header = serde_json::from_str(header).map_err(|error| damaged(&error.to_string()))?;
    Ok((header, tensors))
}

/// SHA-256 of all a checkpoint holds, in hexadecimal.
fn digest(header: &str, tensors: &Tensors) -> String {
    let mut hash = Sha256::new();
    hash.update(header);
    for (name, tensor) in tensors {
        hash.update(name);
        hash.update(format!("{:?}", tensor.shape));
        for chunk in tensor.values.chunks(4096) {
            hash.update(chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
    }
    format!("{:x}", hash.finalize())
}
