//! The whole artifact: scores and compares texts.

use burn::tensor::{Tensor, backend::Backend};
use pair2score_model::{Kernels, side_by_side};

use crate::calibration::Calibrated;
use crate::encoder::{Embedder, Encoder, check_finite, map_documents, witness};
use crate::error::ScorerError;
use crate::settings::ScorerSettings;
use crate::stages::{Stage1, Stage2};
use crate::tokenizer::{Encoded, TextEncoder};

/// Texts that one thread encodes at a time.
const TEXTS: usize = 32;

/// Score of one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Stage-2 output in rubric units.
    pub score: f64,
    /// Nearest grade of the scale; `None` on a continuous one.
    pub grade: Option<f64>,
    /// Both as validation documents correct them, where the scorer holds a calibration.
    pub calibrated: Option<Calibrated>,
    /// Whether the text was longer than the scorer reads.
    pub truncated: bool,
}

/// Which of two documents is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Stage-1 utilities of both, where stage 1 was trained.
    pub utilities: Option<[f64; 2]>,
    /// Scores of both, where stage 2 was trained.
    pub scores: Option<[Scored; 2]>,
}

impl Comparison {
    /// Utility of the first minus utility of the second, where stage 1 was trained.
    pub fn logit(&self) -> Option<f64> {
        self.utilities.map(|[a, b]| a - b)
    }

    /// Probability that the first is better, where stage 1 was trained.
    pub fn preference(&self) -> Option<f64> {
        self.logit().map(|logit| 1.0 / (1.0 + (-logit).exp()))
    }
}

/// A loaded scorer on a device.
#[derive(Debug)]
pub struct Scorer<B: Backend, E = Encoder<B>> {
    /// What `scorer.json` says.
    pub settings: ScorerSettings,
    /// Tokenizer with the scorer's length limit.
    pub text_encoder: TextEncoder,
    /// Backbone and pooling.
    pub encoder: E,
    pub(crate) stage1: Option<Stage1<B>>,
    pub(crate) stage2: Option<Stage2<B>>,
    pub(crate) device: B::Device,
}

impl<B: Kernels> Scorer<B> {
    /// With the backbone's projections in [8 bits](pair2score_model::packed), as a packed bundle has them.
    pub fn packed(mut self) -> Self {
        self.encoder.backbone.decoder = self.encoder.backbone.decoder.packed();
        self
    }
}

impl<B: Kernels, E: Embedder<B>> Scorer<B, E> {
    /// Whether stage 2 was trained.
    pub fn can_score(&self) -> bool {
        self.stage2.is_some()
    }

    /// Whether stage 1 was trained.
    pub fn can_rank(&self) -> bool {
        self.stage1.is_some()
    }

    /// Stage 1, where it was trained.
    pub fn stage1(&self) -> Option<&Stage1<B>> {
        self.stage1.as_ref()
    }

    /// Stage 2, where it was trained.
    pub fn stage2(&self) -> Option<&Stage2<B>> {
        self.stage2.as_ref()
    }

    /// Token ids of texts.
    ///
    /// # Errors
    /// When the tokenizer cannot encode one.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Encoded>, ScorerError> {
        let encode = |texts: &[T]| texts.iter().map(|text| self.text_encoder.encode(text.as_ref())).collect();
        let parts = side_by_side(texts.chunks(TEXTS).collect(), encode);
        let parts: Vec<Vec<_>> = parts.into_iter().collect::<Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Scores in the order of the documents; `None` when only stage 1 was trained. `progress` hears how many
    /// are done.
    ///
    /// # Errors
    /// [`ScorerError::NotFinite`] for a document whose embedding or score is not finite.
    pub fn score(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize),
    ) -> Result<Option<Vec<Scored>>, ScorerError> {
        let Some(stage2) = &self.stage2 else { return Ok(None) };
        let scores = first_column(documents, progress, |rows| self.score_rows(stage2, rows))?;
        Ok(Some(
            scores.into_iter().zip(documents).map(|(score, document)| self.scored(score, document)).collect(),
        ))
    }

    /// Utilities in the order of the documents; `None` when stage 1 was not trained.
    ///
    /// # Errors
    /// [`ScorerError::NotFinite`] for a document whose embedding or utility is not finite.
    pub fn utilities(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize),
    ) -> Result<Option<Vec<f64>>, ScorerError> {
        let Some(stage1) = &self.stage1 else { return Ok(None) };
        let utilities = first_column(documents, progress, |rows| self.utility_rows(stage1, rows))?;
        Ok(Some(utilities.into_iter().map(f64::from).collect()))
    }

    /// The embedding of each document with what the scorer says of it: its score, or its utility where stage 2 was not
    /// trained. One row per document, the number last; nothing of a scorer without either. `progress` hears how many
    /// are done.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn embed_and_say(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize),
    ) -> Result<Vec<f32>, ScorerError> {
        let documents: Vec<&Encoded> = documents.iter().collect();
        let run = |rows: &[&[u32]]| match (&self.stage2, &self.stage1) {
            (Some(stage2), stage1) => {
                let embeddings = stage2.embed(stage1.as_ref(), &self.encoder, rows, &self.device);
                Tensor::cat(vec![embeddings.clone(), stage2.scores(embeddings)], 1)
            }
            (None, Some(stage1)) => {
                let embeddings = stage1.embed(&self.encoder, rows, &self.device);
                Tensor::cat(vec![embeddings.clone(), stage1.utilities(embeddings)], 1)
            }
            (None, None) => Tensor::zeros([rows.len(), 0], &self.device),
        };
        map_documents(&documents, progress, |_, rows| run(rows))
    }

    /// As [`score`](Self::score) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails, and as [`score`](Self::score).
    pub async fn score_async(&self, document: &Encoded) -> Result<Option<Scored>, ScorerError> {
        match &self.stage2 {
            None => Ok(None),
            Some(stage2) => {
                let score = read_async(self.score_rows(stage2, &[&document.ids])).await?;
                Ok(Some(self.scored(score, document)))
            }
        }
    }

    /// As [`utilities`](Self::utilities) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails, and as [`utilities`](Self::utilities).
    pub async fn utility_async(&self, document: &Encoded) -> Result<Option<f64>, ScorerError> {
        match &self.stage1 {
            None => Ok(None),
            Some(stage1) => Ok(Some(read_async(self.utility_rows(stage1, &[&document.ids])).await?.into())),
        }
    }

    /// Compares two documents.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn compare(&self, pair: &[Encoded; 2]) -> Result<Comparison, ScorerError> {
        Ok(Comparison {
            utilities: self.utilities(pair, |_| ())?.map(|u| [u[0], u[1]]),
            scores: self.score(pair, |_| ())?.map(|s| [s[0], s[1]]),
        })
    }

    /// Score and [`witness`] of each document of a batch, still on the device, `[batch, 2]`.
    fn score_rows(&self, stage2: &Stage2<B>, rows: &[&[u32]]) -> Tensor<B, 2> {
        let embeddings = stage2.embed(self.stage1.as_ref(), &self.encoder, rows, &self.device);
        Tensor::cat(vec![stage2.scores(embeddings.clone()), witness(embeddings)], 1)
    }

    /// Utility and [`witness`] of each document of a batch, still on the device, `[batch, 2]`.
    fn utility_rows(&self, stage1: &Stage1<B>, rows: &[&[u32]]) -> Tensor<B, 2> {
        let embeddings = stage1.embed(&self.encoder, rows, &self.device);
        Tensor::cat(vec![stage1.utilities(embeddings.clone()), witness(embeddings)], 1)
    }

    pub(crate) fn scored(&self, score: f32, document: &Encoded) -> Scored {
        let (score, ScorerSettings { scale, calibration, .. }) = (score.into(), &self.settings);
        Scored {
            score,
            grade: scale.nearest(score),
            calibrated: calibration.as_ref().map(|calibration| calibration.apply(score, scale)),
            truncated: document.truncated(),
        }
    }
}

/// The first of the two numbers that `run` gives for each document, where both are finite.
fn first_column<B: Kernels>(
    documents: &[Encoded],
    progress: impl FnMut(usize),
    run: impl Fn(&[&[u32]]) -> Tensor<B, 2> + Sync,
) -> Result<Vec<f32>, ScorerError> {
    let documents: Vec<&Encoded> = documents.iter().collect();
    let rows = map_documents(&documents, progress, |_, rows| run(rows))?;
    Ok(rows.chunks_exact(2).map(|row| row[0]).collect())
}

/// The first of the two numbers of one document, waited for.
async fn read_async<B: Backend>(row: Tensor<B, 2>) -> Result<f32, ScorerError> {
    let data = row.into_data_async().await.map_err(|error| ScorerError::Device(error.to_string()))?;
    let numbers: Vec<f32> = data.iter().collect();
    check_finite(0, &numbers)?;
    numbers.first().copied().ok_or_else(|| ScorerError::Device("it gave no result".into()))
}
