//! What has to stay the same for a stage to go on where it was stopped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pair2score_data::DataError;
use serde_yaml::Value;
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
    // Our own YAML parses; were it ever not to, everything would count as changed.
    let values = serde_yaml::from_str(&settings.to_yaml()).unwrap_or(Value::Null);
    flatten(String::new(), &values, &mut identity);
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

fn flatten(key: String, value: &Value, identity: &mut Identity) {
    match value {
        Value::Mapping(map) => {
            for (name, value) in map {
                let name = name.as_str().unwrap_or_default();
                let key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                flatten(key, value, identity);
            }
        }
        value => {
            let text = serde_yaml::to_string(value).unwrap_or_default();
            identity.insert(key, text.trim().replace('\n', " "));
        }
    }
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
    fn nested_keys_become_dotted_names() {
        let mut identity = Identity::new();
        let yaml = "a: {b: {c: 1.5, d: [x, y]}}\ne: null\n";
        flatten(String::new(), &serde_yaml::from_str(yaml).unwrap(), &mut identity);
        let expected = [("a.b.c", "1.5"), ("a.b.d", "- x - y"), ("e", "null")];
        assert_eq!(identity, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

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
