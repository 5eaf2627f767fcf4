//! The whole artifact: scores and compares texts.

use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};
use pair2score_data::Passage;
use pair2score_model::{Kernels, side_by_side};

use crate::anchors::{AnchorSpace, Near};
use crate::calibration::Calibrated;
use crate::encoder::{Embedder, Encoder, GoOn, check_finite, map_documents, witness};
use crate::error::ScorerError;
use crate::settings::{ScorerSettings, TraitSettings};
use crate::stages::{Stage1, Stage2};
use crate::tokenizer::{Encoded, TextEncoder};

/// Documents of a long list that are scored at once, unless someone asks for another number. Which documents are computed
/// together decides the last digits of their scores, so whoever scores a list takes as many.
pub const WINDOW: usize = 4096;

/// Texts that one thread encodes at a time.
const TEXTS: usize = 32;

/// Score of one document for one trait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Stage-2 output in rubric units.
    pub score: f64,
    /// Nearest grade of the scale; `None` on a continuous one.
    pub grade: Option<f64>,
    /// Both as validation documents correct them, where the scorer holds a calibration.
    pub calibrated: Option<Calibrated>,
    /// The lowest and the highest label that people are likely to give, where the scorer holds intervals; both grades
    /// lie within.
    pub interval: Option<[f64; 2]>,
}

impl Scored {
    /// What a raw score of a trait is.
    pub fn new(score: f64, TraitSettings { scale, calibration, intervals, .. }: &TraitSettings) -> Self {
        let calibrated = calibration.as_ref().map(|calibration| calibration.apply(score, scale));
        // A calibration may spread scores farther than labels lie from them, and nobody believes a grade beyond its
        // own interval. A wider interval holds no fewer labels.
        let also = calibrated.map(|Calibrated { score, grade }| grade.unwrap_or(score));
        let interval = intervals.as_ref().map(|intervals| {
            let [low, high] = intervals.apply(score, scale);
            also.map_or([low, high], |also| [low.min(also), high.max(also)])
        });
        Self { score, grade: scale.nearest(score), calibrated, interval }
    }

    /// The calibrated score and grade in the place of the raw ones, where there are some.
    pub fn by_calibration(self) -> Self {
        let raw = Calibrated { score: self.score, grade: self.grade };
        let Calibrated { score, grade } = self.calibrated.unwrap_or(raw);
        Self { score, grade, ..self }
    }
}

/// Which of two documents is better in one trait.
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
    pub(crate) anchors: Option<AnchorSpace>,
    pub(crate) device: B::Device,
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

    /// Token ids of texts, with their prompts where the scorer reads prompts.
    ///
    /// # Errors
    /// When the tokenizer cannot encode one.
    pub fn encode<P: Passage + Sync>(&self, texts: &[P]) -> Result<Vec<Encoded>, ScorerError> {
        let template = self.settings.prompt_template.as_ref();
        let encode =
            |texts: &[P]| texts.iter().map(|text| self.text_encoder.passage(text, template)).collect();
        let parts = side_by_side(texts.chunks(TEXTS).collect(), encode);
        let parts: Vec<Vec<_>> = parts.into_iter().collect::<Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Scores in the order of the documents, of each a score per trait; `None` when only stage 1 was trained. `progress`
    /// hears how many are done, and may end the work.
    ///
    /// # Errors
    /// [`ScorerError::NotFinite`] for a document whose embedding or score is not finite, [`ScorerError::Stopped`].
    pub fn score<G: GoOn>(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize) -> G,
    ) -> Result<Option<Vec<Vec<Scored>>>, ScorerError> {
        let Some(stage2) = &self.stage2 else { return Ok(None) };
        let rows = self.rows(documents, progress, |rows| self.score_rows(stage2, rows))?;
        Ok(Some(rows.iter().map(|scores| self.scored(scores)).collect()))
    }

    /// Utilities in the order of the documents, of each a utility per trait; `None` when stage 1 was not trained.
    ///
    /// # Errors
    /// [`ScorerError::NotFinite`] for a document whose embedding or utility is not finite, [`ScorerError::Stopped`].
    pub fn utilities<G: GoOn>(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize) -> G,
    ) -> Result<Option<Vec<Vec<f64>>>, ScorerError> {
        let Some(stage1) = &self.stage1 else { return Ok(None) };
        let rows = self.rows(documents, progress, |rows| self.utility_rows(stage1, rows))?;
        Ok(Some(rows.iter().map(|utilities| as_f64(utilities)).collect()))
    }

    /// Where its anchors lie; `None` where it has none.
    pub fn anchors(&self) -> Option<&AnchorSpace> {
        self.anchors.as_ref()
    }

    /// The anchors of the trait at a place that are nearest to an [embedding](Self::embed), `n` at most, the nearest first;
    /// none of a scorer without anchors.
    pub fn nearest(&self, embedding: &[f32], place: usize, n: usize) -> Vec<Near> {
        let (Some(space), Some(anchors)) = (&self.anchors, &self.settings.anchors) else { return Vec::new() };
        space.nearest(embedding, n, |anchor| anchors.documents[anchor].labels[place].is_some())
    }

    /// Refuses a backbone alone, which was loaded from this folder, where something is asked of a scorer.
    ///
    /// # Errors
    /// When it says nothing.
    pub fn check_heads(&self, folder: &Path) -> Result<(), ScorerError> {
        if self.says_something() {
            return Ok(());
        }
        let problem = "is a backbone alone, which says nothing of a text; make a scorer with `judgements scorer` or `run`";
        Err(ScorerError::invalid(folder, problem))
    }

    /// Refuses a scorer without stage 2, which was loaded from this folder, where scores are asked for.
    ///
    /// # Errors
    /// When it ranks only, or says nothing.
    pub fn check_scores(&self, folder: &Path) -> Result<(), ScorerError> {
        self.check_heads(folder)?;
        if self.can_score() {
            return Ok(());
        }
        let problem =
            "holds stage 1 only, which ranks and does not score; run `pair2score absolute CONFIG` first";
        Err(ScorerError::invalid(folder, problem))
    }

    /// The first trait whose scores no calibration corrects.
    pub fn uncalibrated(&self) -> Option<&str> {
        let first = self.settings.traits.iter().find(|of| of.calibration.is_none());
        first.map(|of| of.target.as_str())
    }

    /// The first trait of which it holds no intervals.
    pub fn without_intervals(&self) -> Option<&str> {
        let first = self.settings.traits.iter().find(|of| of.intervals.is_none());
        first.map(|of| of.target.as_str())
    }

    /// Whether it says something of a document beside embedding it: a backbone alone does not.
    pub fn says_something(&self) -> bool {
        self.can_score() || self.can_rank()
    }

    /// The embedding of each document with what the scorer says of it: its score in each trait, or its utilities where
    /// stage 2 was not trained. One row per document, these numbers last; of a backbone alone, the embedding. `progress`
    /// hears how many are done.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn embed_and_say<G: GoOn>(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize) -> G,
    ) -> Result<Vec<f32>, ScorerError> {
        let documents: Vec<&Encoded> = documents.iter().collect();
        map_documents(&documents, progress, |_, rows| self.said_rows(rows))
    }

    /// The embedding of each document: what the heads of stage 2 read, or those of stage 1 where stage 2 was not trained.
    ///
    /// # Shapes
    /// - output: a row per document, `[documents, width]`
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn embed<G: GoOn>(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize) -> G,
    ) -> Result<Vec<Vec<f32>>, ScorerError> {
        let rows = self.embed_and_say(documents, progress)?;
        let said = if self.says_something() { self.settings.traits.len() } else { 0 };
        let width = self.width();
        Ok(rows.chunks_exact(width + said).map(|row| row[..width].to_vec()).collect())
    }

    /// Width of an embedding.
    pub fn width(&self) -> usize {
        let stages = if self.stage2.as_ref().is_some_and(|stage2| stage2.fusion) { 2 } else { 1 };
        stages * self.encoder.width()
    }

    /// As [`embed_and_say`](Self::embed_and_say) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails, and as [`score`](Self::score).
    pub async fn embed_and_say_async(&self, document: &Encoded) -> Result<Vec<f32>, ScorerError> {
        read_row(self.said_rows(&[&document.ids])).await
    }

    /// A batch of what [`embed_and_say`](Self::embed_and_say) gives, still on the device.
    fn said_rows(&self, rows: &[&[u32]]) -> Tensor<B, 2> {
        match (&self.stage2, &self.stage1) {
            (Some(stage2), stage1) => {
                let embeddings = stage2.embed(stage1.as_ref(), &self.encoder, rows, &self.device);
                Tensor::cat(vec![embeddings.clone(), stage2.scores(embeddings)], 1)
            }
            (None, Some(stage1)) => {
                let embeddings = stage1.embed(&self.encoder, rows, &self.device);
                Tensor::cat(vec![embeddings.clone(), stage1.utilities(embeddings)], 1)
            }
            (None, None) => self.encoder.embed(rows, &[], &self.device),
        }
    }

    /// As [`score`](Self::score) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails, and as [`score`](Self::score).
    pub async fn score_async(&self, document: &Encoded) -> Result<Option<Vec<Scored>>, ScorerError> {
        match &self.stage2 {
            None => Ok(None),
            Some(stage2) => {
                let scores = read_async(self.score_rows(stage2, &[&document.ids])).await?;
                Ok(Some(self.scored(&scores)))
            }
        }
    }

    /// As [`score_async`](Self::score_async), with the [nearest](Self::nearest) anchors of each trait, from one pass.
    ///
    /// # Errors
    /// As [`score_async`](Self::score_async).
    pub async fn score_beside_async(
        &self,
        document: &Encoded,
        n: usize,
    ) -> Result<Option<(Vec<Scored>, Vec<Vec<Near>>)>, ScorerError> {
        match self.can_score() {
            true => Ok(Some(self.said(&self.embed_and_say_async(document).await?, n))),
            false => Ok(None),
        }
    }

    /// The scores of a row of [`embed_and_say`](Self::embed_and_say) of a scorer that scores, and the
    /// [nearest](Self::nearest) anchors of each trait.
    pub fn said(&self, row: &[f32], n: usize) -> (Vec<Scored>, Vec<Vec<Near>>) {
        let (embedding, scores) = row.split_at(self.width());
        let near = (0..scores.len()).map(|place| self.nearest(embedding, place, n)).collect();
        (self.scored(scores), near)
    }

    /// As [`utilities`](Self::utilities) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails, and as [`utilities`](Self::utilities).
    pub async fn utility_async(&self, document: &Encoded) -> Result<Option<Vec<f64>>, ScorerError> {
        match &self.stage1 {
            None => Ok(None),
            Some(stage1) => Ok(Some(as_f64(&read_async(self.utility_rows(stage1, &[&document.ids])).await?))),
        }
    }

    /// Compares two documents, in each trait.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn compare(&self, pair: &[Encoded; 2]) -> Result<Vec<Comparison>, ScorerError> {
        let (utilities, scores) = (self.utilities(pair, |_| ())?, self.score(pair, |_| ())?);
        let of_trait = |place: usize| Comparison {
            utilities: utilities.as_ref().map(|rows| [0, 1].map(|side| rows[side][place])),
            scores: scores.as_ref().map(|rows| [0, 1].map(|side| rows[side][place])),
        };
        Ok((0..self.settings.traits.len()).map(of_trait).collect())
    }

    /// Scores and [`witness`] of each document of a batch, still on the device, `[batch, traits + 1]`.
    fn score_rows(&self, stage2: &Stage2<B>, rows: &[&[u32]]) -> Tensor<B, 2> {
        let embeddings = stage2.embed(self.stage1.as_ref(), &self.encoder, rows, &self.device);
        Tensor::cat(vec![stage2.scores(embeddings.clone()), witness(embeddings)], 1)
    }

    /// Utilities and [`witness`] of each document of a batch, still on the device, `[batch, traits + 1]`.
    fn utility_rows(&self, stage1: &Stage1<B>, rows: &[&[u32]]) -> Tensor<B, 2> {
        let embeddings = stage1.embed(&self.encoder, rows, &self.device);
        Tensor::cat(vec![stage1.utilities(embeddings.clone()), witness(embeddings)], 1)
    }

    /// A number per trait of each document, of those that `run` gives with a witness beside them, where all are finite.
    fn rows<G: GoOn>(
        &self,
        documents: &[Encoded],
        progress: impl FnMut(usize) -> G,
        run: impl Fn(&[&[u32]]) -> Tensor<B, 2> + Sync,
    ) -> Result<Vec<Vec<f32>>, ScorerError> {
        let documents: Vec<&Encoded> = documents.iter().collect();
        let rows = map_documents(&documents, progress, |_, rows| run(rows))?;
        let traits = self.settings.traits.len();
        Ok(rows.chunks_exact(traits + 1).map(|row| row[..traits].to_vec()).collect())
    }

    /// What the scores of a document are in each trait.
    pub(crate) fn scored(&self, scores: &[f32]) -> Vec<Scored> {
        let traits = self.settings.traits.iter();
        traits.zip(scores).map(|(of, &score)| Scored::new(score.into(), of)).collect()
    }
}

/// Numbers of the device as callers compute with them.
pub(crate) fn as_f64(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| number.into()).collect()
}

/// The numbers of one document without their witness, waited for.
async fn read_async<B: Backend>(row: Tensor<B, 2>) -> Result<Vec<f32>, ScorerError> {
    let mut numbers = read_row(row).await?;
    numbers.pop().ok_or_else(|| ScorerError::Device("it gave no result".into()))?;
    Ok(numbers)
}

/// The numbers of one document, waited for.
pub(crate) async fn read_row<B: Backend>(row: Tensor<B, 2>) -> Result<Vec<f32>, ScorerError> {
    let data = row.into_data_async().await.map_err(|error| ScorerError::Device(error.to_string()))?;
    let numbers: Vec<f32> = data.iter().collect();
    check_finite(0, &numbers)?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use pair2score_data::ScoreScale;

    use super::*;
    use crate::{Calibration, CalibrationMethod, Intervals};

    #[test]
    fn an_interval_holds_the_grade_that_is_given() {
        let mut of = TraitSettings::new("grammar", ScoreScale::graded(1.0, 5.0, 1.0));
        assert_eq!(Scored::new(3.9, &of).interval, None);
        of.intervals =
            Some(Intervals { level: 0.9, documents: 99, thresholds: Vec::new(), half_widths: vec![1.0] });
        assert_eq!(Scored::new(3.9, &of).interval, Some([3.0, 4.0]));
        // Three times as far from 3.
        of.calibration = Some(Calibration {
            method: CalibrationMethod::Linear,
            documents: 99,
            knots: vec![[3.0 - 2.0 / 3.0, 1.0], [3.0 + 2.0 / 3.0, 5.0]],
            thresholds: vec![2.5, 2.85, 3.15, 3.5],
        });
        let scored = Scored::new(3.9, &of);
        assert_eq!((scored.calibrated.and_then(|c| c.grade), scored.interval), (Some(5.0), Some([3.0, 5.0])));
        assert_eq!(Scored::new(3.1, &of).interval, Some([3.0, 4.0]));
        of.scale = ScoreScale::continuous(1.0, 5.0);
        of.calibration.as_mut().unwrap().thresholds.clear();
        let [low, high] = Scored::new(3.9, &of).interval.unwrap();
        assert!((low - 2.9).abs() < 1e-12 && high == 5.0, "{low} {high}");
    }
}
