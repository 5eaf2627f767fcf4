//! An encoder whose embedding table stays on the host; it can neither be trained nor exported.
//!
//! The table is the one tensor of a Llama 3.2 1B that many graphics adapters cannot hold in one buffer (525 MB in
//! f16), and a document needs only its own rows.

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pair2score_model::{Adapter, Decoder, Kernels, LlamaConfig, Pooling, TokenBatch};

use super::dtype::BundleDType;
use crate::encoder::Embedder;

/// Rows of embeddings as the bundle has them, little-endian.
#[derive(Debug)]
pub(super) struct HostTable {
    width: usize,
    row_bytes: usize,
    dtype: BundleDType,
    bytes: Vec<u8>,
}

impl HostTable {
    /// A table `[rows, width]` of this dtype.
    pub(super) fn new([rows, width]: [usize; 2], dtype: BundleDType, bytes: Vec<u8>) -> Self {
        Self { width, row_bytes: bytes.len() / rows, dtype, bytes }
    }

    /// The whole table; f16 only where it was and `keep_f16` says so.
    pub(super) fn into_data(self, keep_f16: bool) -> TensorData {
        let rows = self.bytes.len() / self.row_bytes;
        self.dtype.data(&self.bytes, vec![rows, self.width], keep_f16)
    }

    /// Rows of documents, one after the other.
    ///
    /// # Shapes
    /// - output: `[tokens, width]`, f32
    pub(super) fn embed<B: Backend>(&self, documents: &[&[u32]], device: &B::Device) -> Tensor<B, 2> {
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

/// A decoder on a device and the embedding table on the host.
#[derive(Debug)]
pub struct HostTableEncoder<B: Backend> {
    pub(super) config: LlamaConfig,
    pub(super) table: HostTable,
    pub(super) decoder: Decoder<B>,
    pub(super) pooling: Pooling,
}

impl<B: Kernels> Embedder<B> for HostTableEncoder<B> {
    fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2> {
        let batch = TokenBatch::packed(rows, device);
        let embedded = self.table.embed(rows, device);
        self.pooling.pool(self.decoder.forward(&self.config, embedded, &batch, adapters, None), &batch)
    }

    fn width(&self) -> usize {
        self.config.d_model
    }
}
