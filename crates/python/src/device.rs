//! A scorer on a device that is known only when the program runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pair2score_cli::{DeviceChoice, OnDevice};
use pair2score_data::judgements::Features;
use pair2score_data::{PromptTemplate, ScoreScale};
use pair2score_model::Kernels;
use pair2score_scorer::{Comparison, Encoded, Scored, Scorer, ScorerError, WINDOW};
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
    /// What it tells of texts, which judgements add to, in the trait of this place.
    fn features(&self, texts: &[Asked], place: usize, go_on: &mut GoOn<'_>) -> Result<Features, ScorerError>;
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

impl<B: Kernels> AnyScorer for Scorer<B> {
    fn traits(&self) -> Vec<(&str, ScoreScale)> {
        self.settings.traits.iter().map(|of| (of.target.as_str(), of.scale)).collect()
    }

    fn max_length(&self) -> usize {
        self.text_encoder.max_length()
    }

    fn width(&self) -> usize {
        Self::width(self)
    }

    fn can_score(&self) -> bool {
        Self::can_score(self)
    }

    fn can_rank(&self) -> bool {
        Self::can_rank(self)
    }

    fn uncalibrated(&self) -> Option<&str> {
        Self::uncalibrated(self)
    }

    fn without_intervals(&self) -> Option<&str> {
        Self::without_intervals(self)
    }

    fn check_scores(&self, folder: &Path) -> Result<(), ScorerError> {
        Self::check_scores(self, folder)
    }

    fn score(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<Scored>>, ScorerError> {
        in_windows(self, texts, go_on, |documents, go_on| {
            Ok(Self::score(self, documents, go_on)?.unwrap_or_default())
        })
    }

    fn embed(&self, texts: &[Asked], go_on: &mut GoOn<'_>) -> Result<Read<Vec<f32>>, ScorerError> {
        in_windows(self, texts, go_on, |documents, go_on| Self::embed(self, documents, go_on))
    }

    fn features(&self, texts: &[Asked], place: usize, go_on: &mut GoOn<'_>) -> Result<Features, ScorerError> {
        let rows = self.embed_and_say(&self.encode(texts)?, go_on);
        let rows = rows.map_err(|error| error.of_document(|place| format!("texts[{place}]")))?;
        Ok(Features::of_rows(texts.len(), &rows, Some((place, self.settings.traits.len())))?)
    }

    fn place_of(&self, target: Option<&str>) -> Result<usize, String> {
        self.settings.place_of(target)
    }

    fn compare(&self, [a, b]: &[Asked; 2]) -> Result<Read<Comparison>, ScorerError> {
        let encode = |text: &Asked| self.text_encoder.passage(text, self.template());
        let pair = [encode(a)?, encode(b)?];
        let cut = (0..2).filter(|&side| pair[side].truncated()).collect();
        Ok(Read { values: Self::compare(self, &pair)?, cut })
    }

    fn template(&self) -> Option<&PromptTemplate> {
        self.settings.prompt_template.as_ref()
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
}

impl OnDevice for Load {
    type Output = Box<dyn AnyScorer>;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> anyhow::Result<Box<dyn AnyScorer>> {
        let scorer = Scorer::<B::InnerBackend>::load(&self.folder, device)?;
        scorer.check_heads(&self.folder)?;
        Ok(Box::new(if self.packed { scorer.packed() } else { scorer }))
    }
}
