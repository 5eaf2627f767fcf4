//! Pooled embeddings of documents that are computed once and kept on the host.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pair2score_model::{Adapter, Kernels};
use pair2score_scorer::Encoder;

use crate::error::TrainError;
use crate::examples::Examples;
use crate::report::Progress;

/// Embeddings by document.
#[derive(Debug)]
pub(crate) struct Embeddings {
    /// Values of an embedding.
    width: usize,
    rows: BTreeMap<usize, Vec<f32>>,
}

impl Embeddings {
    /// Embeds documents, each once; `stage` is what progress calls it.
    ///
    /// # Errors
    /// When an embedding is not finite.
    pub(crate) fn compute<K: Kernels>(
        stage: &str,
        encoder: &Encoder<K>,
        adapters: &[&Adapter<K>],
        examples: &Examples,
        documents: &[usize],
        device: &K::Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let encoded: Vec<_> = documents.iter().map(|&document| examples.encoded(document)).collect();
        progress.begin(stage, documents.len());
        let values = encoder.map_documents(
            &encoded,
            |done| progress.advance(done),
            |_, rows| encoder.embed(rows, adapters, device),
        );
        let values =
            values.map_err(|error| error.of_document(|place| examples.id(documents[place]).to_owned()))?;
        progress.end();
        let width = encoder.config.d_model;
        let rows = values.chunks_exact(width).map(<[f32]>::to_vec);
        Ok(Self { width, rows: documents.iter().copied().zip(rows).collect() })
    }

    /// The embedding of a document that was among those embedded.
    pub(crate) fn row(&self, document: usize) -> &[f32] {
        &self.rows[&document]
    }

    /// Embeddings of documents, `[documents, width]`.
    pub(crate) fn tensor<B: Backend>(&self, documents: &[usize], device: &B::Device) -> Tensor<B, 2> {
        let values: Vec<f32> = documents.iter().flat_map(|&document| self.row(document)).copied().collect();
        let shape = [documents.len(), self.width];
        Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
    }
}
