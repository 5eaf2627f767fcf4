//! A scorer on a device that is known only when the program runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pair2score_cli::{DeviceChoice, OnDevice};
use pair2score_data::judgements::Features;
use pair2score_data::{PromptTemplate, ScoreScale};
use pair2score_model::Kernels;
use pair2score_scorer::{
    AnchorDocument, Comparison, EmbeddingCache, Encoded, KeptStages, Near, Scored, Scorer, ScorerError,
    WINDOW,
};
use pair2score_train::TrainBackend;
use pyo3::PyResult;

use crate::error::Error;

/// The device that is asked for.
pub(crate) fn choice(device: Option<&str>) -> PyResult<Option<DeviceChoice>> {
    let choose =
        |name: &str| name.parse().map_err(|problem| Error::new_err(format!("device {name:?}: {problem}")));
    device.map(choose).transpose()
}

/// What is asked of a scorer, on whichever device it is.
pub(crate) trait AnyScorer: Send + Sync {
    /// What it rates, with the scale of each trait.
    fn traits(&self) -> Vec<(&str, ScoreScale)>;
    /// Longest text read, in tokens.
    fn max_length(&self) -> usize;
    /// Width of an embedding.
    fn width(&self) -> usize;
    /// Whether stage 2 was trained, which gives scores.
    fn can_score(&self) -> bool;
    /// Whether stage 1 was trained, which gives utilities.
    fn can_rank(&self) -> bool;
    /// The first trait whose scores no calibration corrects.
    fn uncalibrated(&self) -> Option<&str>;
    /// The first trait of which it holds no intervals.
    fn without_intervals(&self) -> Option<&str>;
    /// # Errors
    /// Where no stage 2 was trained.
    fn check_scores(&self, folder: &Path) -> Result<(), ScorerError>;
    /// Scores of each text in each trait.
    fn score(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<Scored>>, ScorerError>;
    /// The embedding of each text.
    fn embed(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<f32>>, ScorerError>;
    /// The graded documents that it remembers; none of most.
    fn anchors(&self) -> &[AnchorDocument];
    /// Those that resemble each text most, in each trait.
    fn nearest(
        &self,
        texts: &[Asked],
        n: usize,
        go_on: &mut GoOn<'_>,
    ) -> Result<Read<Vec<Vec<Near>>>, ScorerError>;
    /// What it tells of texts, which judgements add to, in the trait of this place; and the places of those that were cut.
    fn features(
        &self,
        texts: &[Asked],
        place: usize,
        go_on: &mut GoOn<'_>,
    ) -> Result<(Features, Vec<usize>), ScorerError>;
    /// The place of a trait; of a single one, whatever it is called.
    fn place_of(&self, target: Option<&str>) -> Result<usize, String>;
    /// Two texts in each trait.
    fn compare(&self, texts: &[Asked; 2]) -> Result<Read<Comparison>, ScorerError>;
    /// How the prompt of a text is read with it, where it is.
    fn template(&self) -> Option<&PromptTemplate>;
}

/// A text and the prompt that it answers, blank for a scorer that reads none.
pub(crate) type Asked = (Arc<str>, String);

/// Hears how many texts are done, and says whether to go on.
pub(crate) type GoOn<'a> = dyn FnMut(usize) -> bool + Send + 'a;

/// What was computed of texts, and which of them were cut: their places.
pub(crate) struct Read<T> {
    pub(crate) values: Vec<T>,
    pub(crate) cut: Vec<usize>,
}

/// A scorer with its cache of embeddings, where it has one.
struct Loaded<B: Kernels> {
    scorer: Scorer<B>,
    kept: Option<Mutex<KeptStages>>,
}

impl<B: Kernels> Loaded<B> {
    /// What is kept; whoever else computes with the cache waits. A thread that broke off has left whole rows.
    fn kept(&self) -> Option<MutexGuard<'_, KeptStages>> {
        Some(self.kept.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<B: Kernels> AnyScorer for Loaded<B> {
    fn traits(&self) -> Vec<(&str, ScoreScale)> {
        self.scorer.settings.traits.iter().map(|of| (of.target.as_str(), of.scale)).collect()
    }

    fn max_length(&self) -> usize {
        self.scorer.text_encoder.max_length()
    }

    fn width(&self) -> usize {
        self.scorer.width()
    }

    fn can_score(&self) -> bool {
        self.scorer.can_score()
    }

    fn can_rank(&self) -> bool {
        self.scorer.can_rank()
    }

    fn uncalibrated(&self) -> Option<&str> {
        self.scorer.uncalibrated()
    }

    fn without_intervals(&self) -> Option<&str> {
        self.scorer.without_intervals()
    }

    fn check_scores(&self, folder: &Path) -> Result<(), ScorerError> {
        self.scorer.check_scores(folder)
    }

    fn score(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<Scored>>, ScorerError> {
        in_windows(&self.scorer, texts, go_on, |documents, go_on| {
            let scores = match self.kept() {
                Some(mut kept) => self.scorer.score_cached(documents, &mut kept, go_on)?,
                None => self.scorer.score(documents, go_on)?,
            };
            Ok(scores.unwrap_or_default())
        })
    }

    fn embed(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<f32>>, ScorerError> {
        in_windows(&self.scorer, texts, go_on, |documents, go_on| {
            let Some(mut kept) = self.kept() else { return self.scorer.embed(documents, go_on) };
            let rows = self.scorer.embed_and_say_cached(documents, &mut kept, go_on)?;
            let (width, said) = (self.scorer.width(), self.scorer.settings.traits.len());
            Ok(rows.chunks_exact(width + said).map(|row| row[..width].to_vec()).collect())
        })
    }

    fn anchors(&self) -> &[AnchorDocument] {
        self.scorer.settings.anchors.as_ref().map_or(&[], |anchors| &anchors.documents)
    }

    fn nearest(
        &self,
        texts: &[Asked],
        n: usize,
        go_on: &mut GoOn<'_>,
    ) -> Result<Read<Vec<Vec<Near>>>, ScorerError> {
        let Read { values, cut } = AnyScorer::embed(self, texts, go_on)?;
        let traits = 0..self.scorer.settings.traits.len();
        let near = |row: &Vec<f32>| traits.clone().map(|place| self.scorer.nearest(row, place, n)).collect();
        Ok(Read { values: values.iter().map(near).collect(), cut })
    }

    fn features(
        &self,
        texts: &[Asked],
        place: usize,
        go_on: &mut GoOn<'_>,
    ) -> Result<(Features, Vec<usize>), ScorerError> {
        let documents = self.scorer.encode(texts)?;
        let rows = match self.kept() {
            Some(mut kept) => self.scorer.embed_and_say_cached(&documents, &mut kept, go_on),
            None => self.scorer.embed_and_say(&documents, go_on),
        };
        let rows = rows.map_err(|error| error.of_document(|place| format!("texts[{place}]")))?;
        let features =
            Features::of_rows(texts.len(), &rows, Some((place, self.scorer.settings.traits.len())))?;
        let cut = (0..documents.len()).filter(|&place| documents[place].truncated()).collect();
        Ok((features, cut))
    }

    fn place_of(&self, target: Option<&str>) -> Result<usize, String> {
        self.scorer.settings.place_of(target)
    }

    fn compare(&self, [a, b]: &[Asked; 2]) -> Result<Read<Comparison>, ScorerError> {
        let encode = |text: &Asked| self.scorer.text_encoder.passage(text, self.template());
        let pair = [encode(a)?, encode(b)?];
        let cut = (0..2).filter(|&side| pair[side].truncated()).collect();
        Ok(Read { values: self.scorer.compare(&pair)?, cut })
    }

    fn template(&self) -> Option<&PromptTemplate> {
        self.scorer.settings.prompt_template.as_ref()
    }
}

/// Runs something on windows of texts, as `pair2score score` does, and gives what came of each text.
fn in_windows<B: Kernels, T>(
    scorer: &Scorer<B>,
    texts: &[Asked],
    go_on: &mut GoOn<'_>,
    mut run: impl FnMut(&[Encoded], &mut GoOn<'_>) -> Result<Vec<T>, ScorerError>,
) -> Result<Read<T>, ScorerError> {
    let mut read = Read { values: Vec::with_capacity(texts.len()), cut: Vec::new() };
    for window in texts.chunks(WINDOW) {
        let before = read.values.len();
        let documents = scorer.encode(window)?;
        let values = run(&documents, &mut |done| go_on(before + done));
        let name = |place| format!("texts[{}]", before + place);
        read.values.extend(values.map_err(|error| error.of_document(name))?);
        read.cut.extend((0..documents.len()).filter(|&i| documents[i].truncated()).map(|i| before + i));
    }
    Ok(read)
}

/// Loads a scorer.
pub(crate) struct Load {
    pub(crate) folder: PathBuf,
    /// With projections in 8 bits.
    pub(crate) packed: bool,
    /// Folder where embeddings are kept.
    pub(crate) cache: Option<PathBuf>,
}

impl OnDevice for Load {
    type Output = Box<dyn AnyScorer>;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> anyhow::Result<Box<dyn AnyScorer>> {
        let scorer = match self.packed {
            true => Scorer::<B::InnerBackend>::load_packed(&self.folder, device),
            false => Scorer::load(&self.folder, device),
        }?;
        scorer.check_heads(&self.folder)?;
        let cache = self.cache.as_ref().map(EmbeddingCache::new);
        let kept = cache.map(|cache| scorer.open_cache(&cache)).transpose()?;
        Ok(Box::new(Loaded { scorer, kept: kept.map(Mutex::new) }))
    }
}
