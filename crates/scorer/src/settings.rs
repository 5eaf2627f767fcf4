//! `scorer.json`.

use std::path::{Path, PathBuf};

use pair2score_data::{Grades, ScoreScale, files::write_atomic};
use pair2score_model::{Depth, Pooling, ScoreLink};
use serde::{Deserialize, Serialize};

use crate::dtype::WeightDType;
use crate::error::read_to_string;
use crate::{Calibration, ScorerError};

/// The file of the settings.
pub(crate) const SETTINGS: &str = "scorer.json";

/// `scorer.json`: everything a scorer is beside its tensors. Paths are relative to the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorerSettings {
    /// Version of this file, [`ScorerSettings::FORMAT`].
    pub format: u32,
    /// The rated attribute.
    pub target: String,
    /// What a score can be.
    pub scale: ScoreScale,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
    /// Longest text read, in tokens.
    pub max_length: usize,
    /// Dtype of the frozen weights in memory.
    #[serde(default)]
    pub dtype: WeightDType,
    /// Folder of the backbone.
    pub backbone: PathBuf,
    /// Decoder layers of the backbone that are run; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Whether the final norm of the backbone follows the last of them.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub final_norm: bool,
    /// Documents that stage 2 was trained on, by grade from the lowest, or on a continuous scale in intervals of equal
    /// width from its lowest label to its highest; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_counts: Option<Vec<usize>>,
    /// What validation documents say about scores and grades; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Stage 1, where it was trained.
    pub relative: Option<RelativeFiles>,
    /// Stage 2, where it was trained.
    pub score: Option<ScoreFiles>,
}

/// Files of stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeFiles {
    /// PEFT folder; `None` for a head on the backbone as it is, into which an export has folded the adapter.
    pub adapter: Option<PathBuf>,
    /// `[1, d_model]`
    pub head: PathBuf,
}

/// Files of stage 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreFiles {
    /// PEFT folders, all active at once; empty for a head on the bare backbone.
    pub adapters: Vec<PathBuf>,
    /// Whether the stage-1 embedding is concatenated before the head.
    pub fusion: bool,
    /// The head.
    pub head: PathBuf,
    /// From the head's outputs to a score.
    pub link: ScoreLink,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

impl ScoreFiles {
    /// Width of what the head reads, for embeddings of width `d`.
    pub(crate) fn embedding_width(&self, d: usize) -> usize {
        if self.fusion { 2 * d } else { d }
    }
}

impl ScorerSettings {
    /// The version this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Reads `scorer.json`.
    ///
    /// # Errors
    /// When it is missing, damaged, of another version, or its values contradict each other.
    pub fn read(path: &Path) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(path, problem);
        let not_a_scorer = |error: serde_json::Error| invalid(format!("not a scorer: {error}"));
        let text = read_to_string(path)?;
        // The version first: the keys of another one are not ours to judge.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(&text).map_err(not_a_scorer)?;
        if format != Self::FORMAT {
            return Err(invalid(format!("has format {format}, this program reads format {}", Self::FORMAT)));
        }
        let settings: Self = serde_json::from_str(&text).map_err(not_a_scorer)?;
        settings.validate().map_err(invalid)?;
        Ok(settings)
    }

    /// Where the hidden states of the backbone are read.
    pub fn depth(&self) -> Depth {
        Depth { layers: self.layers, final_norm: self.final_norm }
    }

    /// Checks that the values do not contradict each other.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn validate(&self) -> Result<(), String> {
        self.scale.validate().map_err(|error| error.to_string())?;
        if self.layers == Some(0) {
            return Err("reads 0 decoder layers (layers), it must be at least 1".into());
        }
        let grades = self.scale.grades().map(Grades::n_grades);
        match (grades, self.label_counts.as_ref().map(Vec::len)) {
            (Some(grades), Some(n)) if n != grades => {
                return Err(format!("has counts of labels for {n} grades on a scale of {grades}"));
            }
            (None, Some(0)) => return Err("has counts of labels for no interval".into()),
            _ => {}
        }
        if let Some(calibration) = &self.calibration {
            calibration.validate(&self.scale)?;
        }
        let Some(score) = &self.score else {
            return match self.relative {
                Some(_) => Ok(()),
                None => Err("has neither stage 1 (relative) nor stage 2 (score)".into()),
            };
        };
        if score.fusion && self.relative.is_none() {
            return Err("has fusion but no stage 1 (relative) to fuse with".into());
        }
        match score.link {
            ScoreLink::Cumulative { grades: n, .. } | ScoreLink::Expected { grades: n, .. }
                if grades != Some(n) =>
            {
                let scale = grades.map_or("without grades".into(), |grades| format!("of {grades}"));
                Err(format!("has a head for {n} grades on a scale {scale}"))
            }
            _ => Ok(()),
        }
    }
}

/// Writes `scorer.json` into a folder.
///
/// # Errors
/// When the file cannot be written.
pub fn write_scorer_settings(folder: &Path, settings: &ScorerSettings) -> Result<(), ScorerError> {
    let text = serde_json::to_string_pretty(settings).expect("scorer settings serialise") + "\n";
    Ok(write_atomic(folder.join(SETTINGS), text.as_bytes())?)
}
