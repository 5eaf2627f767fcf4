//! By what a scorer knows its backbone again: other weights of the same shape would score, and wrongly.

use std::path::Path;

use half::bf16;
use sha2::{Digest, Sha256};

use crate::backbone::open_backbone;
use crate::{ScorerError, names};

/// Values of each tensor that are read. Training changes nearly all values of the tensors that it changes, so a few of each
/// tell, and cost nothing beside reading all of them.
const VALUES: usize = 1024;

/// SHA-256, in hexadecimal, of the names and shapes of the tensors of the backbone in a folder and of the first 1024 values
/// of each. Values count as bf16 has them, so that the same weights in another dtype or in other files mostly have the same
/// fingerprint.
///
/// # Errors
/// As [`load_backbone`](crate::load_backbone).
pub fn backbone_fingerprint(folder: &Path) -> Result<String, ScorerError> {
    let (config, file, prefix) = open_backbone(folder)?;
    let mut hash = Sha256::new();
    for (name, shape) in names::backbone(&config) {
        hash.update(format!("{name} {shape:?}\n"));
        for value in file.beginning(&format!("{prefix}{name}"), VALUES)? {
            hash.update(bf16::from_f32(value).to_le_bytes());
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}
