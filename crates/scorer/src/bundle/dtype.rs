//! How a bundle stores numbers.

use burn::tensor::{DType, TensorData};
use half::f16;
use pair2score_model::packed;
use serde::{Deserialize, Serialize};

/// How a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BundleDType {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of exponent.
    F16,
    /// 8 bits in blocks of 32 with a scale each ([`packed`]); only for projections.
    Q8,
}

impl BundleDType {
    /// Bytes of a tensor; `None` where that is beyond 64 bits or the dtype cannot hold the shape.
    pub(crate) fn bytes(self, shape: &[usize]) -> Option<u64> {
        let n = shape.iter().try_fold(1_u64, |n, &dim| n.checked_mul(dim as u64))?;
        match self {
            Self::F32 => n.checked_mul(4),
            Self::F16 => n.checked_mul(2),
            Self::Q8 => packed::is_packable(shape).then(|| packed::size(n))?,
        }
    }
}

impl BundleDType {
    /// Appends the values of a tensor's bytes.
    pub(crate) fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F32 => {
                let (chunks, _) = bytes.as_chunks::<4>();
                values.extend(chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            Self::F16 => {
                let (chunks, _) = bytes.as_chunks::<2>();
                values.extend(chunks.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()));
            }
            Self::Q8 => packed::unpack(bytes, values),
        }
    }

    /// A tensor of these bytes in f32, or in f16 where it was and `keep_f16` says so.
    pub(super) fn data(self, bytes: &[u8], shape: Vec<usize>, keep_f16: bool) -> TensorData {
        let mut values = Vec::with_capacity(shape.iter().product());
        self.decode(bytes, &mut values);
        let data = TensorData::new(values, shape);
        if keep_f16 && self == Self::F16 { data.convert_dtype(DType::F16) } else { data }
    }

    /// Place and value of the first weight, or of the first block's scale, that is not finite.
    pub(super) fn first_not_finite(self, bytes: &[u8]) -> Option<(usize, f32)> {
        let first = |numbers: &mut dyn Iterator<Item = f32>| {
            numbers.enumerate().find(|(_, number)| !number.is_finite())
        };
        match self {
            Self::F32 => first(&mut bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
            Self::F16 => {
                first(&mut bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()))
            }
            Self::Q8 => {
                let (block, scale) = first(&mut packed::scales(bytes))?;
                Some((block * packed::BLOCK, scale))
            }
        }
    }

    /// The bytes of a tensor.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Q8 => packed::pack(values),
        }
    }
}
