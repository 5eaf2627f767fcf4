//! Token ids to embeddings: one batch, or any number of documents in batches.

use std::sync::Arc;

use burn::module::{AutodiffModule, Module};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};
use pair2score_model::{Adapter, Backbone, Kernels, LlamaConfig, Pooling, TokenBatch, parts, side_by_side};

use crate::table::HostTable;
use crate::tokenizer::Encoded;

/// Tokens of one batch: enough to fill the machine, little enough to fit any.
const BATCH_TOKENS: usize = 8 * 1024;

/// A backbone with its pooling: token ids to embeddings.
#[derive(Debug, Clone)]
pub struct Encoder<B: Backend> {
    /// Shape of the backbone.
    pub config: LlamaConfig,
    /// Frozen weights.
    pub backbone: Backbone<B>,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
    /// Where the host looks up embeddings; the backbone then has no table of its own.
    table: Option<Arc<HostTable>>,
}

impl<B: Backend> Encoder<B> {
    /// An encoder whose backbone has its embedding table on the device.
    pub fn new(config: LlamaConfig, backbone: Backbone<B>, pooling: Pooling) -> Self {
        Self { config, backbone, pooling, table: None }
    }

    /// A copy whose weights are on another device.
    pub fn on(&self, device: &B::Device) -> Self {
        let copy = self.clone();
        Self { backbone: copy.backbone.fork(device), ..copy }
    }

    /// An encoder whose embeddings are looked up on the host; it cannot be trained.
    pub(crate) fn with_host_table(
        config: LlamaConfig,
        backbone: Backbone<B>,
        pooling: Pooling,
        table: HostTable,
    ) -> Self {
        Self { config, backbone, pooling, table: Some(Arc::new(table)) }
    }
}

impl<B: Kernels> Encoder<B> {
    /// Pooled embeddings of a batch.
    ///
    /// # Shapes
    /// - rows: token ids per document, at least one row and one token each
    /// - output: `[batch, d_model]`, f32
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
        let hidden = match &self.table {
            None => self.backbone.forward(&self.config, &batch, adapters, seed),
            Some(table) => {
                let embedded = table.embed(rows, device);
                self.backbone.forward_embedded(&self.config, embedded, &batch, adapters)
            }
        };
        self.pooling.pool(hidden, &batch)
    }

    /// Runs documents of similar length together and gives the rows of the results in the order of the documents,
    /// one after the other. `run` gets the positions and the token ids of some of them; `progress` hears how many
    /// documents are done. The result does not depend on the grouping.
    pub fn map_documents(
        &self,
        documents: &[&Encoded],
        mut progress: impl FnMut(usize),
        run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2> + Sync,
    ) -> Vec<f32> {
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
                let values: Vec<f32> =
                    output.into_data().convert::<f32>().into_vec().expect("converted to f32");
                (part, values, width)
            });
            for (part, values, width) in outputs {
                for (&i, row) in part.iter().zip(values.chunks_exact(width)) {
                    results[i] = row.to_vec();
                }
            }
            done += group.len();
            progress(done);
        }
        results.concat()
    }
}

impl<B: AutodiffBackend> Encoder<B> {
    /// The same weights on the inner backend, for evaluation.
    pub fn valid(&self) -> Encoder<B::InnerBackend> {
        Encoder {
            config: self.config.clone(),
            backbone: self.backbone.valid(),
            pooling: self.pooling,
            table: self.table.clone(),
        }
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
