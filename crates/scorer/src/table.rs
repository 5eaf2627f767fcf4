//! An embedding table that stays on the host.
//!
//! The table is the one tensor of a Llama 3.2 1B that many graphics adapters cannot hold in one buffer (525 MB in
//! f16), and a document needs only its own rows.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use half::f16;
use pair2score_model::packed;

use crate::bundle::BundleDType;

/// Rows of embeddings as the bundle has them, little-endian.
#[derive(Debug)]
pub(crate) struct HostTable {
    width: usize,
    row_bytes: usize,
    dtype: BundleDType,
    bytes: Vec<u8>,
}

impl HostTable {
    /// A table `[rows, width]` of this dtype.
    pub(crate) fn new([rows, width]: [usize; 2], dtype: BundleDType, bytes: Vec<u8>) -> Self {
        Self { width, row_bytes: bytes.len() / rows, dtype, bytes }
    }

    /// Rows of documents, one after the other.
    ///
    /// # Shapes
    /// - output: `[tokens, width]`, f32
    pub(crate) fn embed<B: Backend>(&self, documents: &[&[u32]], device: &B::Device) -> Tensor<B, 2> {
        let ids = documents.iter().flat_map(|ids| ids.iter());
        let mut values =
            Vec::with_capacity(documents.iter().map(|ids| ids.len()).sum::<usize>() * self.width);
        for &id in ids {
            let row = &self.bytes[id as usize * self.row_bytes..][..self.row_bytes];
            self.dtype.decode(row, &mut values);
        }
        let rows = values.len() / self.width;
        Tensor::from_data(TensorData::new(values, [rows, self.width]), (device, DType::F32))
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

    /// The bytes of a tensor.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Q8 => packed::pack(values),
        }
    }
}
