//! Pooled embeddings of documents that are computed once and kept on the host.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use ndarray::Array2;
use pair2score_model::{Adapter, Depth, Kernels};
use pair2score_scorer::{EmbeddingCache, Encoder, ScorerError};

use crate::error::TrainError;
use crate::examples::Examples;
use crate::report::Progress;
use crate::task::Stop;

/// What computes embeddings may use beside the weights.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingPass<'a> {
    /// Where embeddings are found and kept.
    pub cache: Option<&'a EmbeddingCache>,
    /// Looked at after each group of documents.
    pub stop: &'a Stop,
}

/// Weights that do not change, and where they compute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frozen<'a, K: Kernels> {
    pub(crate) encoder: &'a Encoder<K>,
    pub(crate) adapters: &'a [&'a Adapter<K>],
    pub(crate) device: &'a K::Device,
}

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
    /// When an embedding is not finite, a stop was asked for, or the cache cannot be used.
    pub(crate) fn compute<K: Kernels>(
        stage: &str,
        frozen: Frozen<'_, K>,
        examples: &Examples,
        documents: &[usize],
        pass: EmbeddingPass<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let depths = [frozen.encoder.depth()];
        let mut at = Self::at_depths(stage, frozen, &depths, examples, documents, pass, progress)?;
        Ok(at.remove(0))
    }

    /// As [`compute`](Self::compute), at several depths of one pass.
    pub(crate) fn at_depths<K: Kernels>(
        stage: &str,
        frozen: Frozen<'_, K>,
        depths: &[Depth],
        examples: &Examples,
        documents: &[usize],
        pass: EmbeddingPass<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Self>, TrainError> {
        let Frozen { encoder, adapters, device } = frozen;
        let encoded: Vec<_> = documents.iter().map(|&document| examples.encoded(document)).collect();
        progress.begin(stage, documents.len());
        let mut kept = match pass.cache {
            Some(cache) => cache.open(encoder, adapters, depths, device)?,
            None => Vec::new(),
        };
        let values = encoder.embed_documents(&encoded, adapters, depths, &mut kept, device, |done| {
            progress.advance(done);
            !pass.stop.requested()
        });
        let values = values.map_err(|error| match error {
            ScorerError::Stopped => {
                TrainError::StoppedEmbedding { stage: stage.into(), kept: !kept.is_empty() }
            }
            error => error.of_document(|place| examples.id(documents[place]).to_owned()).into(),
        })?;
        progress.end();
        let width = encoder.config.d_model;
        let by_document = |values: Vec<f32>| Self {
            width,
            rows: documents.iter().copied().zip(values.chunks_exact(width).map(<[f32]>::to_vec)).collect(),
        };
        Ok(values.into_iter().map(by_document).collect())
    }

    /// The embedding of a document that was among those embedded.
    pub(crate) fn row(&self, document: usize) -> &[f32] {
        &self.rows[&document]
    }

    /// Embeddings of documents, `[documents, width]`.
    pub(crate) fn rows(&self, documents: &[usize]) -> Array2<f32> {
        let values = documents.iter().flat_map(|&document| self.row(document)).copied().collect();
        Array2::from_shape_vec((documents.len(), self.width), values).expect("rows are of one width")
    }

    /// As [`rows`](Self::rows), on a device.
    pub(crate) fn tensor<B: Backend>(&self, documents: &[usize], device: &B::Device) -> Tensor<B, 2> {
        let values = self.rows(documents).into_raw_vec_and_offset().0;
        let shape = [documents.len(), self.width];
        Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
    }
}
