//! Scores and utilities by way of embeddings that are kept: the heads run on what a cache has, and on what is computed
//! and kept for the next time.

use burn::tensor::{DType, Tensor, TensorData};
use pair2score_model::{Adapter, Kernels};

use crate::cache::{EmbeddingCache, KeptEmbeddings};
use crate::encoder::{GoOn, check_finite};
use crate::error::ScorerError;
use crate::scorer::{Scored, Scorer, as_f64};
use crate::stages::Stage2;
use crate::tokenizer::Encoded;

/// Documents whose embeddings go through a head at once.
const ROWS: usize = 1024;

/// What a scorer finds in a cache: the embeddings of either stage.
#[derive(Debug)]
pub struct KeptStages {
    stage1: Vec<KeptEmbeddings>,
    stage2: Vec<KeptEmbeddings>,
}

impl<B: Kernels> Scorer<B> {
    /// What a cache has of this scorer's embeddings.
    ///
    /// # Errors
    /// When a file of the cache cannot be read, or is none of ours.
    pub fn open_cache(&self, cache: &EmbeddingCache) -> Result<KeptStages, ScorerError> {
        let open = |adapters: Option<Vec<&Adapter<B>>>| match adapters {
            Some(adapters) => cache.open(&self.encoder, &adapters, &[self.encoder.depth()], &self.device),
            None => Ok(Vec::new()),
        };
        // A backbone alone is read as a stage 2 without adapters.
        let stage2 = self.stage2_adapters().or_else(|| self.stage1.is_none().then(Vec::new));
        Ok(KeptStages { stage1: open(self.stage1_adapters())?, stage2: open(stage2)? })
    }

    /// As [`score`](Self::score), with embeddings from a cache and into it.
    ///
    /// # Errors
    /// As [`score`](Self::score), and when the cache cannot be read or written.
    pub fn score_cached<G: GoOn>(
        &self,
        documents: &[Encoded],
        kept: &mut KeptStages,
        mut progress: impl FnMut(usize) -> G,
    ) -> Result<Option<Vec<Vec<Scored>>>, ScorerError> {
        let Some(stage2) = &self.stage2 else { return Ok(None) };
        let embeddings = self.stage2_embeddings(documents, stage2, kept, &mut progress)?;
        let scores = self.on_rows(&embeddings, |rows| stage2.scores(rows))?;
        Ok(Some(scores.iter().map(|scores| self.scored(scores)).collect()))
    }

    /// As [`utilities`](Self::utilities), with embeddings from a cache and into it.
    ///
    /// # Errors
    /// As [`utilities`](Self::utilities), and when the cache cannot be read or written.
    pub fn utilities_cached<G: GoOn>(
        &self,
        documents: &[Encoded],
        kept: &mut KeptStages,
        mut progress: impl FnMut(usize) -> G,
    ) -> Result<Option<Vec<Vec<f64>>>, ScorerError> {
        let Some(stage1) = &self.stage1 else { return Ok(None) };
        let embeddings = [self.stage1_embeddings(documents, kept, &mut progress)?];
        let utilities = self.on_rows(&embeddings, |rows| stage1.utilities(rows))?;
        Ok(Some(utilities.iter().map(|utilities| as_f64(utilities)).collect()))
    }

    /// As [`embed_and_say`](Self::embed_and_say), with embeddings from a cache and into it.
    ///
    /// # Errors
    /// As [`embed_and_say`](Self::embed_and_say), and when the cache cannot be read or written.
    pub fn embed_and_say_cached<G: GoOn>(
        &self,
        documents: &[Encoded],
        kept: &mut KeptStages,
        mut progress: impl FnMut(usize) -> G,
    ) -> Result<Vec<f32>, ScorerError> {
        let (embeddings, said) = match (&self.stage2, &self.stage1) {
            (Some(stage2), _) => {
                let embeddings = self.stage2_embeddings(documents, stage2, kept, &mut progress)?;
                let said = self.on_rows(&embeddings, |rows| stage2.scores(rows))?;
                (embeddings, said)
            }
            (None, Some(stage1)) => {
                let embeddings = vec![self.stage1_embeddings(documents, kept, &mut progress)?];
                let said = self.on_rows(&embeddings, |rows| stage1.utilities(rows))?;
                (embeddings, said)
            }
            (None, None) => return self.embeddings(documents, &[], &mut kept.stage2, &mut progress),
        };
        let width = self.encoder.config.d_model;
        let mut rows =
            Vec::with_capacity(said.len() * (embeddings.len() * width + self.settings.traits.len()));
        for (place, numbers) in said.into_iter().enumerate() {
            rows.extend(embeddings.iter().flat_map(|embeddings| &embeddings[place * width..][..width]));
            rows.extend(numbers);
        }
        Ok(rows)
    }

    /// What the head of stage 2 reads, each part `[documents, d_model]`.
    fn stage2_embeddings<G: GoOn>(
        &self,
        documents: &[Encoded],
        stage2: &Stage2<B>,
        kept: &mut KeptStages,
        progress: &mut impl FnMut(usize) -> G,
    ) -> Result<Vec<Vec<f32>>, ScorerError> {
        let adapters = self.stage2_adapters().unwrap_or_default();
        let mut embeddings = vec![self.embeddings(documents, &adapters, &mut kept.stage2, progress)?];
        if stage2.fusion {
            embeddings.push(self.stage1_embeddings(documents, kept, progress)?);
        }
        Ok(embeddings)
    }

    /// What the head of stage 1 reads, `[documents, d_model]`.
    fn stage1_embeddings<G: GoOn>(
        &self,
        documents: &[Encoded],
        kept: &mut KeptStages,
        progress: &mut impl FnMut(usize) -> G,
    ) -> Result<Vec<f32>, ScorerError> {
        let adapters = self.stage1_adapters().unwrap_or_default();
        self.embeddings(documents, &adapters, &mut kept.stage1, progress)
    }

    fn stage1_adapters(&self) -> Option<Vec<&Adapter<B>>> {
        self.stage1.as_ref().map(|stage1| stage1.adapter.iter().collect())
    }

    fn stage2_adapters(&self) -> Option<Vec<&Adapter<B>>> {
        self.stage2.as_ref().map(|stage2| stage2.adapters.iter().collect())
    }

    /// Embeddings, `[documents, d_model]`, row by row.
    fn embeddings<G: GoOn>(
        &self,
        documents: &[Encoded],
        adapters: &[&Adapter<B>],
        kept: &mut [KeptEmbeddings],
        progress: &mut impl FnMut(usize) -> G,
    ) -> Result<Vec<f32>, ScorerError> {
        let documents: Vec<&Encoded> = documents.iter().collect();
        let depths = [self.encoder.depth()];
        let go_on = |done| progress(done).goes_on();
        let rows = self.encoder.embed_documents(&documents, adapters, &depths, kept, &self.device, go_on)?;
        Ok(rows.into_iter().next().expect("one depth has one matrix"))
    }

    /// The numbers that heads give for every row of embeddings, of which several are put side by side.
    fn on_rows(
        &self,
        embeddings: &[Vec<f32>],
        heads: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>,
    ) -> Result<Vec<Vec<f32>>, ScorerError> {
        let width = self.encoder.config.d_model;
        let n = embeddings.first().map_or(0, |rows| rows.len() / width);
        let mut numbers = Vec::with_capacity(n);
        for start in (0..n).step_by(ROWS) {
            let rows = start..(start + ROWS).min(n);
            let part = |embeddings: &Vec<f32>| {
                let values = embeddings[rows.start * width..rows.end * width].to_vec();
                Tensor::from_data(TensorData::new(values, [rows.len(), width]), (&self.device, DType::F32))
            };
            let output = heads(Tensor::cat(embeddings.iter().map(part).collect(), 1));
            let [_, traits] = output.dims();
            let output: Vec<f32> = output.into_data().convert::<f32>().into_vec().expect("converted to f32");
            for (place, row) in rows.zip(output.chunks_exact(traits)) {
                check_finite(place, row)?;
                numbers.push(row.to_vec());
            }
        }
        Ok(numbers)
    }
}
