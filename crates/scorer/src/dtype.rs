//! The dtypes of weights, and what they can hold.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::error::{ScorerError, place};

/// The dtype in which weights are kept in memory or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightDType {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 5 of exponent.
    F16,
    /// 16 bits, 8 of exponent.
    Bf16,
    /// Whatever the file has.
    Auto,
}

impl WeightDType {
    /// Bytes of one value in a file; a tensor of ours without a dtype of its own is f32.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::Auto => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// A value as it is after it was written and read.
    pub fn rounded(self, value: f32) -> f32 {
        match self {
            Self::F32 | Self::Auto => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }

    /// Checks that values are finite when they are written.
    ///
    /// # Errors
    /// With the place of the first that is not.
    pub(crate) fn check(
        self,
        path: &Path,
        name: &str,
        shape: &[usize],
        values: &[f32],
    ) -> Result<(), ScorerError> {
        match values.iter().position(|&value| !self.rounded(value).is_finite()) {
            None => Ok(()),
            Some(index) => Err(not_finite(path, name, shape, index, values[index], self)),
        }
    }

    /// Values as they go into a file: rounded to the nearest, little-endian.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 | Self::Auto => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        }
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn stored(self) -> Dtype {
        match self {
            Self::F32 | Self::Auto => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }
}

/// The error of a weight that is not finite, or is not in the dtype it is wanted in.
pub(crate) fn not_finite(
    path: &Path,
    name: &str,
    shape: &[usize],
    index: usize,
    value: f32,
    wanted: WeightDType,
) -> ScorerError {
    if !value.is_finite() {
        return ScorerError::not_finite_weight(path, name, shape, index, value);
    }
    let place = place(shape, index);
    let dtype = wanted.name();
    ScorerError::invalid(
        path,
        format!("tensor {name} is {value} at {place:?}, which {dtype} cannot hold; use bf16 or f32"),
    )
}
