//! What a run measured.

use std::path::PathBuf;

use pair2score_data::ScoreScale;
use serde::{Deserialize, Serialize};

use crate::calibrate::CalibratedMetrics;
use crate::intervals::IntervalMetrics;
use crate::metrics::{RaterAgreement, RegressionMetrics};
use crate::relative::PairMetrics;
use crate::state::FitOutcome;
use crate::task::Evaluation;

/// What a run measured.
#[derive(Debug, Default)]
pub struct RunReport {
    /// Stage 1, where it ran.
    pub relative: Option<RelativeReport>,
    /// Stage 2, where it ran.
    pub absolute: Option<AbsoluteReport>,
}

/// What stage 1 measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RelativeReport {
    /// Accuracy and loss on the test pairs; `None` where there are none.
    pub test: Option<PairMetrics>,
    /// How the training went.
    pub fit: FitSummary,
}

/// What stage 2 measured on the test fold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AbsoluteReport {
    /// What the labels are.
    #[serde(default)]
    pub scale: ScoreScale,
    /// Of the first trait; in files it has no name of its own, which is how a run of one trait has always been written.
    #[serde(flatten)]
    first: TraitReport,
    /// Of the other traits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<TraitReport>,
    /// How the training went.
    pub fit: FitSummary,
    /// Folder of the scorer.
    pub scorer: PathBuf,
}

/// What stage 2 measured of a trait.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraitReport {
    /// Agreement with the labels.
    pub test: RegressionMetrics,
    /// Share of test-document pairs with different labels that the scores order rightly.
    pub pair_accuracy: Option<f64>,
    /// The same scores as the validation documents calibrate them, where they do.
    pub calibrated: Option<CalibratedMetrics>,
    /// What intervals around the scores hold, where there are some.
    #[serde(default)]
    pub intervals: Option<IntervalMetrics>,
    /// How two people agree, where there is a second rating.
    #[serde(default)]
    pub raters: Option<RaterAgreement>,
}

impl AbsoluteReport {
    /// The report of these traits, at least one.
    pub(super) fn new(scale: ScoreScale, traits: Vec<TraitReport>, fit: FitSummary, scorer: PathBuf) -> Self {
        let mut traits = traits.into_iter();
        let first = traits.next().expect("there is a trait");
        Self { scale, first, others: traits.collect(), fit, scorer }
    }

    /// What was measured of each trait, in the order of the configuration.
    pub fn traits(&self) -> impl Iterator<Item = &TraitReport> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// How the training of a stage went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FitSummary {
    /// The epochs of the loop; `None` where the head was solved for.
    #[serde(flatten)]
    pub epochs: Option<Epochs>,
    /// Validation metrics: of the best epoch, or of the head that was solved for.
    pub best: Evaluation,
    /// Real tokens that the backbone read to train, per second of the whole stage.
    pub tokens_per_second: f64,
    /// The same in documents of average length.
    #[serde(default)]
    pub documents_per_second: f64,
    /// Seconds of the whole stage: embedding, training, evaluation, and those before an interruption.
    pub seconds: f64,
}

/// What a loop went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// From 1; 0 where nothing improved on a start that counts.
    pub best_epoch: usize,
    /// Epochs trained.
    pub epochs: usize,
}

/// What a stage did beside the loop, and how much it read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Real tokens that the backbone read to train.
    pub(super) tokens: usize,
    /// Mean number of tokens of a training document.
    pub(super) tokens_per_document: f64,
    /// Seconds of the stage that are not the loop's.
    pub(super) other_seconds: f64,
}

impl FitSummary {
    /// The summary of a stage with this loop and this effort.
    pub(super) fn trained<M>(outcome: &FitOutcome<M>, effort: Effort) -> Self {
        let epochs = Epochs { best_epoch: outcome.best_epoch, epochs: outcome.epochs };
        Self::new(Some(epochs), outcome.best.clone(), outcome.seconds, effort)
    }

    /// The summary of a stage whose head was solved for in so many seconds.
    pub(super) fn solved(best: Evaluation, seconds: f64, effort: Effort) -> Self {
        Self::new(None, best, seconds, effort)
    }

    fn new(epochs: Option<Epochs>, best: Evaluation, fitting_seconds: f64, effort: Effort) -> Self {
        let seconds = fitting_seconds + effort.other_seconds;
        let tokens_per_second = effort.tokens as f64 / seconds.max(1e-9);
        let documents_per_second = tokens_per_second / effort.tokens_per_document;
        Self { epochs, best, tokens_per_second, documents_per_second, seconds }
    }

    /// How the head was found, in words.
    pub fn how(&self) -> String {
        match self.epochs {
            Some(Epochs { best_epoch, epochs }) => format!("best epoch {best_epoch} of {epochs}"),
            None => "head solved for".to_owned(),
        }
    }
}
