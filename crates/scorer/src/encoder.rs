//! Token ids to embeddings: one batch, or any number of documents in batches.

use burn::module::{AutodiffModule, Module};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};
use pair2score_model::{
    Adapter, Backbone, Depth, Kernels, LlamaConfig, Pooling, TokenBatch, parts, side_by_side,
};

use crate::ScorerError;
use crate::tokenizer::Encoded;

/// Tokens of one batch: enough to fill the machine, little enough to fit any.
const BATCH_TOKENS: usize = 8 * 1024;

/// What gives documents their embeddings. [`Encoder`] is the one that can be trained and exported.
pub trait Embedder<B: Kernels>: Sync {
    /// Pooled embeddings of a batch.
    ///
    /// # Shapes
    /// - rows: token ids per document, at least one row and one token each
    /// - output: `[batch, d_model]`, f32
    fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2>;
}

/// A backbone with its pooling: token ids to embeddings.
#[derive(Debug, Clone)]
pub struct Encoder<B: Backend> {
    /// Shape of the backbone.
    pub config: LlamaConfig,
    /// Frozen weights.
    pub backbone: Backbone<B>,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
}

impl<B: Backend> Encoder<B> {
    /// An encoder of these parts.
    pub fn new(config: LlamaConfig, backbone: Backbone<B>, pooling: Pooling) -> Self {
        Self { config, backbone, pooling }
    }

    /// A copy whose weights are on another device.
    pub fn on(&self, device: &B::Device) -> Self {
        let copy = self.clone();
        Self { backbone: copy.backbone.fork(device), ..copy }
    }
}

impl<B: Kernels> Embedder<B> for Encoder<B> {
    fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2> {
        self.embed_with_dropout(rows, adapters, None, device)
    }
}

impl<B: Kernels> Encoder<B> {
    /// As [`Embedder::embed`].
    pub fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2> {
        self.embed_with_dropout(rows, adapters, None, device)
    }

    /// As [`embed`](Self::embed); with a seed the adapters drop parts of their inputs, which is for training.
    pub fn embed_with_dropout(
        &self,
        rows: &[&[u32]],
        adapters: &[&Adapter<B>],
        seed: Option<u64>,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let batch = TokenBatch::packed(rows, device);
        self.pooling.pool(self.backbone.forward(&self.config, &batch, adapters, seed), &batch)
    }

    /// Pooled embeddings at several depths of one pass, for choosing among them.
    ///
    /// # Shapes
    /// - output: one `[batch, d_model]` for each depth, f32
    ///
    /// # Errors
    /// When the backbone, as it was loaded, has not all of these depths.
    pub fn embed_at(
        &self,
        rows: &[&[u32]],
        adapters: &[&Adapter<B>],
        depths: &[Depth],
        device: &B::Device,
    ) -> Result<Vec<Tensor<B, 2>>, ScorerError> {
        for &depth in depths {
            let read =
                self.config.clone().read_to(depth).map_err(|error| ScorerError::Depth(error.to_string()))?;
            if depth.final_norm && !read.final_norm {
                return Err(ScorerError::Depth("the final norm was not loaded".into()));
            }
        }
        let batch = TokenBatch::packed(rows, device);
        Ok(self.backbone.pooled_at(&self.config, &batch, adapters, self.pooling, depths))
    }

    /// Runs documents of similar length together and gives the rows of the results in the order of the documents, one
    /// after the other. `run` gets the positions and the token ids of some of them; `progress` hears how many documents
    /// are done. The result does not depend on the grouping.
    ///
    /// # Errors
    /// When a number is not finite: with the place of the document.
    pub fn map_documents(
        &self,
        documents: &[&Encoded],
        progress: impl FnMut(usize),
        run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2> + Sync,
    ) -> Result<Vec<f32>, ScorerError> {
        map_documents(documents, progress, run)
    }
}

/// [`Encoder::map_documents`], which needs nothing of an encoder.
pub(crate) fn map_documents<B: Kernels>(
    documents: &[&Encoded],
    mut progress: impl FnMut(usize),
    run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2> + Sync,
) -> Result<Vec<f32>, ScorerError> {
    let mut results: Vec<Vec<f32>> = vec![Vec::new(); documents.len()];
    let mut done = 0;
    for group in length_groups(documents, BATCH_TOKENS) {
        let lengths: Vec<usize> = group.iter().map(|&i| documents[i].ids.len()).collect();
        let parts = parts::<B>(&lengths);
        let parts = parts.into_iter().map(|part| part.into_iter().map(|place| group[place]).collect());
        let outputs = side_by_side(parts.collect(), |part: Vec<usize>| {
            let rows: Vec<&[u32]> = part.iter().map(|&i| documents[i].ids.as_slice()).collect();
            let output = run(&part, &rows);
            let [_, width] = output.dims();
            let values: Vec<f32> = output.into_data().convert::<f32>().into_vec().expect("converted to f32");
            (part, values, width)
        });
        for (part, values, width) in outputs {
            for (&place, row) in part.iter().zip(values.chunks_exact(width)) {
                check_finite(place, row)?;
                results[place] = row.to_vec();
            }
        }
        done += group.len();
        progress(done);
    }
    Ok(results.concat())
}

/// # Errors
/// When one of a document's numbers is not finite.
pub(crate) fn check_finite(place: usize, numbers: &[f32]) -> Result<(), ScorerError> {
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(ScorerError::NotFinite { place, id: None, value }),
    }
}

/// A number per document that is finite where every element of its embedding is: a head can hide one that is not, as
/// ReLU makes 0 of NaN.
///
/// # Shapes
/// - pooled: `[batch, width]`
/// - output: `[batch, 1]`
pub fn witness<B: Backend>(pooled: Tensor<B, 2>) -> Tensor<B, 2> {
    pooled.sum_dim(1)
}

impl<B: AutodiffBackend> Encoder<B> {
    /// The same weights on the inner backend, for evaluation.
    pub fn valid(&self) -> Encoder<B::InnerBackend> {
        Encoder { config: self.config.clone(), backbone: self.backbone.valid(), pooling: self.pooling }
    }
}

/// Indices of documents in groups of similar length, longest first, each group at most `budget` tokens with
/// padding (a single document may exceed it).
fn length_groups(documents: &[&Encoded], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(documents[i].ids.len()), i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * longest <= budget => group.push(i),
            _ => {
                longest = documents[i].ids.len();
                groups.push(vec![i]);
            }
        }
    }
    groups
}
