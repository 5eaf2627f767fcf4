//! The two stages of a scorer: what each puts on the backbone.
//!
//! Each has a head per trait, in the order of [`crate::ScorerSettings::traits`], and all heads of a stage read the same
//! embedding: however many traits there are, a text goes through the backbone once per stage.

use burn::tensor::{Tensor, backend::Backend};
use pair2score_model::{Adapter, Kernels, ScoreHead, ScoreLink, UtilityHead};

use crate::encoder::Embedder;

/// Stage 1: a document's utility for each trait.
#[derive(Debug)]
pub struct Stage1<B: Backend> {
    /// `None` where the head sits on the backbone as it is.
    pub adapter: Option<Adapter<B>>,
    /// From the embedding to the utility of each trait.
    pub heads: Vec<UtilityHead<B>>,
}

/// Stage 2: a document's score for each trait, in rubric units.
#[derive(Debug)]
pub struct Stage2<B: Backend> {
    /// All active at once; empty for a head on the bare backbone.
    pub adapters: Vec<Adapter<B>>,
    /// Whether stage 1's embedding is concatenated before the head.
    pub fusion: bool,
    /// From the embedding to the score of each trait.
    pub heads: Vec<LinkedHead<B>>,
}

/// The head of a trait in stage 2.
#[derive(Debug)]
pub struct LinkedHead<B: Backend> {
    /// From the embedding to outputs.
    pub head: ScoreHead<B>,
    /// From outputs to the score.
    pub link: ScoreLink,
}

impl<B: Kernels> Stage1<B> {
    /// Embeddings of a batch, `[batch, d_model]`.
    pub(crate) fn embed(
        &self,
        encoder: &impl Embedder<B>,
        rows: &[&[u32]],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        encoder.embed(rows, &self.adapter.iter().collect::<Vec<_>>(), device)
    }

    /// Utilities from embeddings: `[batch, d_model]` to `[batch, traits]`.
    pub(crate) fn utilities(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        Tensor::stack(self.heads.iter().map(|head| head.forward(embeddings.clone())).collect(), 1)
    }
}

impl<B: Kernels> Stage2<B> {
    /// Embeddings of a batch, `[batch, d_model]`, or twice as wide with stage 1's beside it.
    pub(crate) fn embed(
        &self,
        stage1: Option<&Stage1<B>>,
        encoder: &impl Embedder<B>,
        rows: &[&[u32]],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let own = encoder.embed(rows, &self.adapters.iter().collect::<Vec<_>>(), device);
        match stage1.filter(|_| self.fusion) {
            Some(stage1) => Tensor::cat(vec![own, stage1.embed(encoder, rows, device)], 1),
            None => own,
        }
    }

    /// Scores from embeddings, `[batch, traits]`.
    pub(crate) fn scores(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        let score = |LinkedHead { head, link }: &LinkedHead<B>| link.score(head.forward(embeddings.clone()));
        Tensor::stack(self.heads.iter().map(score).collect(), 1)
    }
}
