//! From documents to what the head of stage 2 reads.
//!
//! Where nothing below the head trains, the embeddings are computed once, and an epoch costs only the head. Elsewhere
//! every step and every evaluation sends its documents through the backbone.

use std::sync::Arc;

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use ndarray::Array2;
use pair2score_model::{Adapter, Kernels};
use pair2score_scorer::{Encoder, witness};

use super::start::Start;
use crate::backend::TrainBackend;
use crate::embeddings::{EmbeddingPass, Embeddings, Frozen};
use crate::error::TrainError;
use crate::examples::Examples;
use crate::loss::Embedded;
use crate::report::Progress;

/// The inputs of the head, computed once or on demand.
#[derive(Debug)]
pub struct HeadInputs<'a, B: TrainBackend> {
    encoder: &'a Encoder<B>,
    /// The same weights for evaluation.
    inner: Encoder<B::InnerBackend>,
    pub(super) examples: &'a Examples,
    /// Adapters below the head that do not train.
    frozen: Vec<Adapter<B>>,
    /// Pooled embeddings, where nothing below the head trains.
    pooled: Option<Arc<Embeddings>>,
    /// Stage-1 embeddings to be concatenated, for fusion.
    fused: Option<Arc<Embeddings>>,
    /// Whether the backward pass computes each layer once more, so that only what enters the layers is kept.
    recompute: bool,
    pub(super) device: &'a B::Device,
}

impl<'a, B: TrainBackend> HeadInputs<'a, B> {
    /// The inputs that a start gives; what can be computed once is computed now.
    ///
    /// # Errors
    /// When an embedding is not finite, a stop was asked for, or the cache cannot be used.
    pub fn new(
        encoder: &'a Encoder<B>,
        examples: &'a Examples,
        start: &Start<B>,
        recompute: bool,
        pass: EmbeddingPass<'_>,
        device: &'a B::Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let (inner, frozen) = (encoder.valid(), start.frozen.clone());
        let (pooled, fused) = (None, None);
        let bare = Self { encoder, inner, examples, frozen, pooled, fused, recompute, device };
        let all = &examples.stage2;
        let fused = start.fused.iter();
        let fused = fused.map(|adapter| bare.embed("embed stage 1", &[adapter], all, pass, progress)).next();
        let inputs = Self { fused: fused.transpose()?, ..bare };
        match &start.trainable {
            Some(_) => Ok(inputs),
            None => inputs.before_training(start, all, pass, progress),
        }
    }

    /// The inputs of documents as they are before the first step; what is not computed is computed now.
    ///
    /// # Errors
    /// When an embedding is not finite, a stop was asked for, or the cache cannot be used.
    pub(crate) fn before_training(
        &self,
        start: &Start<B>,
        documents: &[usize],
        pass: EmbeddingPass<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let pooled = match &self.pooled {
            Some(pooled) => pooled.clone(),
            None => self.embed("embed", &start.adapters().collect::<Vec<_>>(), documents, pass, progress)?,
        };
        Ok(Self {
            inner: self.inner.clone(),
            frozen: self.frozen.clone(),
            pooled: Some(pooled),
            fused: self.fused.clone(),
            ..*self
        })
    }

    fn embed(
        &self,
        stage: &str,
        adapters: &[&Adapter<B>],
        documents: &[usize],
        pass: EmbeddingPass<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Arc<Embeddings>, TrainError> {
        let adapters: Vec<_> = adapters.iter().map(|&adapter| adapter.valid()).collect();
        let adapters: Vec<_> = adapters.iter().collect();
        let frozen = Frozen { encoder: &self.inner, adapters: &adapters, device: self.device };
        Embeddings::compute(stage, frozen, self.examples, documents, pass, progress).map(Arc::new)
    }

    /// Whether all inputs are computed, so that only the head trains.
    pub fn are_computed(&self) -> bool {
        self.pooled.is_some()
    }

    /// Values that the head reads of a document.
    pub fn width(&self) -> usize {
        let d = self.encoder.config.d_model;
        if self.fused.is_some() { 2 * d } else { d }
    }

    /// Inputs of documents, `[documents, width]`, all of which are computed.
    ///
    /// # Panics
    /// When an adapter trains below the head.
    pub(super) fn rows(&self, documents: &[usize]) -> Array2<f32> {
        let pooled = self.pooled.as_ref().expect("nothing below the head trains");
        let values = |&document: &usize| {
            let fused = self.fused.as_ref().map_or(&[][..], |fused| fused.row(document));
            pooled.row(document).iter().chain(fused).copied()
        };
        let values = documents.iter().flat_map(values).collect();
        Array2::from_shape_vec((documents.len(), self.width()), values).expect("rows are of one width")
    }

    /// Real tokens that went through the backbone to compute what is computed once.
    pub(crate) fn tokens_computed(&self) -> usize {
        let documents = self.examples.stage2.iter();
        let tokens: usize = documents.map(|&document| self.examples.ids(document).len()).sum();
        tokens * (usize::from(self.pooled.is_some()) + usize::from(self.fused.is_some()))
    }

    /// The inputs on another device, with the encoder on it.
    pub(super) fn on(&self, encoder: &'a Encoder<B>, device: &'a B::Device) -> Self {
        Self {
            inner: encoder.valid(),
            encoder,
            frozen: self.frozen.iter().map(|adapter| adapter.clone().fork(device)).collect(),
            pooled: self.pooled.clone(),
            fused: self.fused.clone(),
            device,
            ..*self
        }
    }

    /// Inputs for a step of training, `[documents, width]`, and the way back to `adapter` where they were embedded for
    /// it.
    pub(super) fn in_training(
        &self,
        adapter: Option<&Adapter<B>>,
        documents: &[usize],
        dropout_seed: u64,
    ) -> (Tensor<B, 2>, Option<Embedded<'a, B>>) {
        if let Some(pooled) = &self.pooled {
            return (self.fuse(pooled.tensor(documents, self.device), documents), None);
        }
        let rows: Vec<&[u32]> = documents.iter().map(|&document| self.examples.ids(document)).collect();
        let adapters: Vec<_> = self.frozen.iter().chain(adapter).collect();
        let embedded =
            Embedded::new(self.encoder, &rows, &adapters, dropout_seed, self.recompute, self.device);
        (self.fuse(embedded.pooled.clone(), documents), Some(embedded))
    }

    /// Sends the inputs of documents through `run`, some at a time, and gives the rows of the results in the order of
    /// the documents, one after the other. `run` gets places in `documents` and inputs, `[places, width]`.
    ///
    /// # Errors
    /// When an input or a result of a document is not finite.
    pub(super) fn map(
        &self,
        adapter: Option<&Adapter<B::InnerBackend>>,
        documents: &[usize],
        run: impl Fn(&[usize], Tensor<B::InnerBackend, 2>) -> Tensor<B::InnerBackend, 2> + Sync,
    ) -> Result<Vec<f32>, TrainError> {
        let frozen: Vec<_> = self.frozen.iter().map(AutodiffModule::valid).collect();
        let adapters: Vec<_> = frozen.iter().chain(adapter).collect();
        let encoded: Vec<_> = documents.iter().map(|&document| self.examples.encoded(document)).collect();
        let nothing_heard = |_| ();
        let rows = self.inner.map_documents(&encoded, nothing_heard, |places, rows| {
            let documents: Vec<usize> = places.iter().map(|&place| documents[place]).collect();
            let pooled = match &self.pooled {
                Some(pooled) => pooled.tensor(&documents, self.device),
                None => self.inner.embed(rows, &adapters, self.device),
            };
            let inputs = self.fuse(pooled, &documents);
            Tensor::cat(vec![run(places, inputs.clone()), witness(inputs)], 1)
        });
        let rows =
            rows.map_err(|error| error.of_document(|place| self.examples.id(documents[place]).to_owned()))?;
        let width = rows.len() / documents.len().max(1);
        Ok(rows.chunks_exact(width.max(1)).flat_map(|row| &row[..width - 1]).copied().collect())
    }

    /// Appends the stage-1 embeddings, where there is fusion.
    fn fuse<K: Kernels<Device = B::Device>>(
        &self,
        pooled: Tensor<K, 2>,
        documents: &[usize],
    ) -> Tensor<K, 2> {
        match &self.fused {
            None => pooled,
            Some(fused) => Tensor::cat(vec![pooled, fused.tensor(documents, self.device)], 1),
        }
    }
}
