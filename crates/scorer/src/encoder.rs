//! Token ids to embeddings: one batch, or any number of documents in batches.

use std::collections::HashMap;

use burn::module::{AutodiffModule, Module};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};
use pair2score_model::{
    Adapter, Backbone, Depth, Kernels, LlamaConfig, Pooling, TokenBatch, parts, side_by_side,
};

use crate::ScorerError;
use crate::cache::KeptEmbeddings;
use crate::tokenizer::Encoded;

/// Tokens of a batch that is embedded: enough to fill the machine, little enough to fit any.
pub const BATCH_TOKENS: usize = 8 * 1024;

/// What is answered to whoever tells how many documents are done: nothing, or whether the work goes on.
pub trait GoOn {
    /// Whether it does.
    fn goes_on(self) -> bool;
}

impl GoOn for () {
    fn goes_on(self) -> bool {
        true
    }
}

impl GoOn for bool {
    fn goes_on(self) -> bool {
        self
    }
}

/// What gives documents their embeddings. [`Encoder`] is the one that can be trained and exported.
pub trait Embedder<B: Kernels>: Sync {
    /// Pooled embeddings of a batch.
    ///
    /// # Shapes
    /// - rows: token ids per document, at least one row and one token each
    /// - output: `[batch, d_model]`, f32
    fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2>;

    /// Width of an embedding.
    fn width(&self) -> usize;
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

    fn width(&self) -> usize {
        self.config.d_model
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

    /// Pooled embeddings of documents at several depths of one pass: of each depth `[documents, d_model]`, row by row.
    ///
    /// What `kept` has is not computed again, and what is computed is kept there, group by group: one for each depth,
    /// or none at all. Work that was stopped comes to the same bits: whole groups are missing then, which are formed
    /// again. Documents of the same tokens are computed once. `go_on` hears how many documents are done, and ends the
    /// work by answering false.
    ///
    /// # Errors
    /// [`ScorerError::NotFinite`] with the place of the document, [`ScorerError::Stopped`], when a depth is none of
    /// this encoder, or a file of `kept` cannot be read or written.
    ///
    /// # Panics
    /// When `kept` is neither empty nor one for each depth.
    pub fn embed_documents(
        &self,
        documents: &[&Encoded],
        adapters: &[&Adapter<B>],
        depths: &[Depth],
        kept: &mut [KeptEmbeddings],
        device: &B::Device,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Vec<f32>>, ScorerError> {
        assert!(kept.is_empty() || kept.len() == depths.len(), "as many files as depths");
        self.check_depths(depths)?;
        let work = Distinct::of(documents);
        let mut rows = kept_rows(kept, &work.ids)?;
        let missing: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].is_none()).collect();
        let groups = length_groups(&work.ids, missing, BATCH_TOKENS);
        let mut done = documents.len() - groups.iter().flatten().map(|&i| work.times[i]).sum::<usize>();
        if !go_on(done) {
            return Err(ScorerError::Stopped);
        }
        let run = |_: &[usize], rows: &[&[u32]]| {
            let batch = TokenBatch::packed(rows, device);
            let at = self.backbone.pooled_at(&self.config, &batch, adapters, self.pooling, depths);
            Tensor::cat(at, 1)
        };
        let width = self.config.d_model;
        let result = for_each_group(groups, &work.ids, run, |group| {
            for (at, kept) in kept.iter_mut().enumerate() {
                let row = |(i, row): &(usize, Vec<f32>)| (work.ids[*i], row[at * width..][..width].to_vec());
                kept.add(&group.iter().map(row).collect::<Vec<_>>())?;
            }
            for (i, row) in group {
                done += work.times[i];
                rows[i] = Some(row);
            }
            if go_on(done) { Ok(()) } else { Err(ScorerError::Stopped) }
        });
        result.map_err(|error| error.at_place(|i| work.first[i]))?;
        let rows: Vec<Vec<f32>> = rows.into_iter().map(|row| row.expect("it is computed")).collect();
        let at = |at: usize| work.of.iter().flat_map(|&i| &rows[i][at * width..][..width]).copied().collect();
        Ok((0..depths.len()).map(at).collect())
    }

    /// Where this encoder reads its hidden states.
    pub fn depth(&self) -> Depth {
        Depth { layers: None, final_norm: self.config.final_norm }
    }

    /// The same encoder, read at a depth.
    ///
    /// # Errors
    /// When it has no such depth.
    pub fn read_to(mut self, depth: Depth) -> Result<Self, ScorerError> {
        self.check_depths(&[depth])?;
        self.config = self.config.read_to(depth).expect("it was checked");
        self.backbone.decoder.layers.truncate(self.config.n_layers);
        if !self.config.final_norm {
            self.backbone.decoder.norm = None;
        }
        Ok(self)
    }

    /// # Errors
    /// When the backbone, as it was loaded, has not all of these depths.
    fn check_depths(&self, depths: &[Depth]) -> Result<(), ScorerError> {
        for &depth in depths {
            let read =
                self.config.clone().read_to(depth).map_err(|error| ScorerError::Depth(error.to_string()))?;
            if depth.final_norm && !read.final_norm {
                return Err(ScorerError::Depth("the final norm was not loaded".into()));
            }
        }
        Ok(())
    }

    /// Runs documents of similar length together and gives the rows of the results in the order of the documents, one
    /// after the other. `run` gets the positions and the token ids of some of them; `progress` hears how many documents
    /// are done. Which documents run together changes no more than the last digits.
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
pub(crate) fn map_documents<B: Kernels, G: GoOn>(
    documents: &[&Encoded],
    mut progress: impl FnMut(usize) -> G,
    run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2> + Sync,
) -> Result<Vec<f32>, ScorerError> {
    let mut results: Vec<Vec<f32>> = vec![Vec::new(); documents.len()];
    let mut done = 0;
    let ids: Vec<&[u32]> = documents.iter().map(|document| document.ids.as_slice()).collect();
    let all = (0..ids.len()).collect();
    for_each_group(length_groups(&ids, all, BATCH_TOKENS), &ids, run, |rows| {
        done += rows.len();
        for (place, row) in rows {
            results[place] = row;
        }
        if progress(done).goes_on() { Ok(()) } else { Err(ScorerError::Stopped) }
    })?;
    Ok(results.concat())
}

/// Runs groups of documents, each together; `take` gets the results of one group at a time, each with the place of its
/// document.
fn for_each_group<B: Kernels>(
    groups: Vec<Vec<usize>>,
    documents: &[&[u32]],
    run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2> + Sync,
    mut take: impl FnMut(Vec<(usize, Vec<f32>)>) -> Result<(), ScorerError>,
) -> Result<(), ScorerError> {
    for group in groups {
        let lengths: Vec<usize> = group.iter().map(|&i| documents[i].len()).collect();
        let parts = parts::<B>(&lengths);
        let parts = parts.into_iter().map(|part| part.into_iter().map(|place| group[place]).collect());
        let outputs = side_by_side(parts.collect(), |part: Vec<usize>| {
            let rows: Vec<&[u32]> = part.iter().map(|&i| documents[i]).collect();
            let output = run(&part, &rows);
            let [_, width] = output.dims();
            let values: Vec<f32> = output.into_data().convert::<f32>().into_vec().expect("converted to f32");
            (part, values, width)
        });
        let mut results = Vec::with_capacity(group.len());
        for (part, values, width) in outputs {
            for (&place, row) in part.iter().zip(values.chunks_exact(width)) {
                check_finite(place, row)?;
                results.push((place, row.to_vec()));
            }
        }
        take(results)?;
    }
    Ok(())
}

/// Of each document the embeddings that all of `kept` have, one after the other.
fn kept_rows(
    kept: &mut [KeptEmbeddings],
    documents: &[&[u32]],
) -> Result<Vec<Option<Vec<f32>>>, ScorerError> {
    let Some((first, others)) = kept.split_first_mut() else { return Ok(vec![None; documents.len()]) };
    let mut rows = first.rows(documents)?;
    for kept in others {
        for (row, next) in rows.iter_mut().zip(kept.rows(documents)?) {
            *row = row.take().zip(next).map(|(row, next)| [row, next].concat());
        }
    }
    Ok(rows)
}

/// Documents without those that have the tokens of an earlier one.
struct Distinct<'d> {
    /// Token ids of each.
    ids: Vec<&'d [u32]>,
    /// Place of its first document.
    first: Vec<usize>,
    /// How many documents it stands for.
    times: Vec<usize>,
    /// Of each document, which of them it is.
    of: Vec<usize>,
}

impl<'d> Distinct<'d> {
    fn of(documents: &[&'d Encoded]) -> Self {
        let mut distinct = Self { ids: vec![], first: vec![], times: vec![], of: vec![] };
        let mut known = HashMap::new();
        for (place, document) in documents.iter().enumerate() {
            let i = *known.entry(document.ids.as_slice()).or_insert_with(|| {
                distinct.ids.push(&document.ids);
                distinct.first.push(place);
                distinct.times.push(0);
                distinct.ids.len() - 1
            });
            distinct.times[i] += 1;
            distinct.of.push(i);
        }
        distinct
    }
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

/// The documents at these indices in groups of similar length, longest first, each group at most `budget` tokens with
/// padding (a single document may exceed it).
fn length_groups(documents: &[&[u32]], mut order: Vec<usize>, budget: usize) -> Vec<Vec<usize>> {
    order.sort_by_key(|&i| (std::cmp::Reverse(documents[i].len()), i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * longest <= budget => group.push(i),
            _ => {
                longest = documents[i].len();
                groups.push(vec![i]);
            }
        }
    }
    groups
}
