//! What has to stay the same for a stage to go on where it was stopped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pair2score_data::DataError;
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::checkpoint::{FILE, Identity};
use crate::config::Settings;

/// Keys that change nothing a stage computes, or whose files are compared instead.
const FREE: [&str; 9] = [
    "determinism.",
    "hardware.",
    "metadata.",
    "paths.",
    "pipeline.checkpoint_",
    "pipeline.experiment_id",
    "model.base_model",
    "stage1_relative.pairs_",
    "stage1_relative.outputs.",
];

/// Settings and files that a stage depends on; `other_stage` is the section it does not read, `files` are named by
/// what users call them.
pub(super) fn identity(
    settings: &Settings,
    other_stage: &str,
    device_name: &str,
    files: &[(String, PathBuf)],
) -> Result<Identity, TrainError> {
    let mut identity = Identity::from([("the device".to_owned(), device_name.to_owned())]);
    identity.extend(settings.entries());
    identity.retain(|key, _| {
        !FREE.iter().any(|free| key.starts_with(free))
            && !key.starts_with(other_stage)
            && !key.ends_with(".log_every")
    });
    for (name, path) in files {
        identity.insert(format!("{FILE}{name}"), sha256(path)?);
    }
    Ok(identity)
}

/// SHA-256 of a file in hexadecimal, read in pieces.
fn sha256(path: &Path) -> Result<String, TrainError> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        action: "read",
        remedy: "check that it exists and may be read",
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(format!("{:x}", hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // FIPS 180-4, the example of one block.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
    }
}
