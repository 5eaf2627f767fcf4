//! `scorer.json`.

mod written;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pair2score_data::{Grades, Letters, PromptTemplate, ScoreScale, files::write_atomic};
use pair2score_model::{Depth, Pooling, ScoreLink};
use serde::{Deserialize, Serialize};

use crate::dtype::WeightDType;
use crate::error::read_to_string;
use crate::{Anchors, Calibration, Intervals, Raters, ScorerError};
use written::Written;

/// The file of the settings.
pub(crate) const SETTINGS: &str = "scorer.json";

/// Everything a scorer is beside its tensors. Paths are relative to the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ScorerSettings {
    /// What is rated; at least one trait.
    pub traits: Vec<TraitSettings>,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
    /// Longest text read, in tokens.
    pub max_length: usize,
    /// How the prompt of a text is read with it; `None` where texts have no prompts.
    pub prompt_template: Option<PromptTemplate>,
    /// How letters follow each other in the documents that it was trained on; `None` in files of older versions.
    pub letters: Option<Letters>,
    /// Dtype of the frozen weights in memory.
    pub dtype: WeightDType,
    /// Folder of the backbone.
    pub backbone: PathBuf,
    /// By what its weights are known again ([`backbone_fingerprint`](crate::backbone_fingerprint)); `None` in files of older
    /// versions, and where the backbone lies with the scorer.
    pub backbone_fingerprint: Option<String>,
    /// Decoder layers of the backbone that are run; `None` for all of them.
    pub layers: Option<usize>,
    /// Whether the final norm of the backbone follows the last of them.
    pub final_norm: bool,
    /// Stage 1, where it was trained.
    pub relative: Option<RelativeFiles>,
    /// Stage 2, where it was trained.
    pub score: Option<ScoreFiles>,
    /// Graded documents that texts are compared with; `None` in files of older versions.
    pub anchors: Option<Anchors>,
}

/// A rated attribute, and what its scores mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraitSettings {
    /// Its name.
    pub target: String,
    /// What a score can be.
    pub scale: ScoreScale,
    /// Documents that stage 2 was trained on, by grade from the lowest, or on a continuous scale in intervals of equal
    /// width from its lowest label to its highest; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_counts: Option<Vec<usize>>,
    /// What validation documents say about scores and grades; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// How far labels of documents that did not decide the scores lie from them; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// How far two people who label the same document lie apart, where training knew; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raters: Option<Raters>,
}

/// Files of stage 1.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeFiles {
    /// PEFT folder; `None` for heads on the backbone as it is, into which an export has folded the adapter.
    pub adapter: Option<PathBuf>,
    /// The head of each trait, `[1, d_model]`.
    pub heads: Vec<PathBuf>,
}

/// Files of stage 2.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreFiles {
    /// PEFT folders, all active at once; empty for heads on the bare backbone.
    pub adapters: Vec<PathBuf>,
    /// Whether the stage-1 embedding is concatenated before the heads.
    pub fusion: bool,
    /// The head of each trait.
    pub heads: Vec<HeadFile>,
}

/// The head of a trait in stage 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadFile {
    /// Where its tensors are.
    #[serde(rename = "head")]
    pub path: PathBuf,
    /// From the head's outputs to a score.
    pub link: ScoreLink,
}

impl ScoreFiles {
    /// Width of what the heads read, for embeddings of width `d`.
    pub(crate) fn embedding_width(&self, d: usize) -> usize {
        if self.fusion { 2 * d } else { d }
    }
}

impl ScorerSettings {
    /// Reads `scorer.json`.
    ///
    /// # Errors
    /// When it is missing, damaged, of another version, or its values contradict each other.
    pub fn read(path: &Path) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(path, problem);
        let text = read_to_string(path)?;
        // The version first: the keys of another one are not ours to judge.
        written::check_format(&text).map_err(invalid)?;
        let settings: Self =
            serde_json::from_str(&text).map_err(|error| invalid(format!("not a scorer: {error}")))?;
        settings.validate().map_err(invalid)?;
        if settings.relative.is_none() && settings.score.is_none() {
            return Err(invalid("has neither stage 1 (relative) nor stage 2 (score)".into()));
        }
        Ok(settings)
    }

    /// Where the hidden states of the backbone are read.
    pub fn depth(&self) -> Depth {
        Depth { layers: self.layers, final_norm: self.final_norm }
    }

    /// The names of the traits, in their order.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.traits.iter().map(|of| of.target.as_str())
    }

    /// The place of the trait of this name.
    ///
    /// # Errors
    /// When there is none; says which there are.
    pub fn place_named(&self, target: &str) -> Result<usize, String> {
        let place = self.targets().position(|known| known == target);
        place.ok_or_else(|| format!("{}, but not {target:?}", self.rates()))
    }

    fn rates(&self) -> String {
        format!("rates {}", self.targets().collect::<Vec<_>>().join(", "))
    }

    /// The place of a trait that a command is about; of a single one, whatever the command calls it.
    ///
    /// # Errors
    /// When it has to be one of several, and is not named or none of them.
    pub fn place_of(&self, target: Option<&str>) -> Result<usize, String> {
        if self.traits.len() == 1 {
            return Ok(0);
        }
        let place = match target {
            Some(target) => self.place_named(target),
            None => Err(self.rates()),
        };
        place.map_err(|problem| format!("{problem}; name one of these as the trait"))
    }

    /// Checks that the values do not contradict each other.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn validate(&self) -> Result<(), String> {
        if self.traits.is_empty() {
            return Err("rates no trait".into());
        }
        check_traits(self.targets())?;
        self.traits.iter().try_for_each(TraitSettings::validate)?;
        self.letters.as_ref().map_or(Ok(()), Letters::validate)?;
        if self.layers == Some(0) {
            return Err("reads 0 decoder layers (layers), it must be at least 1".into());
        }
        let heads = [
            ("stage 1", self.relative.as_ref().map(|files| files.heads.len())),
            ("stage 2", self.score.as_ref().map(|files| files.heads.len())),
        ];
        for (stage, heads) in heads {
            if let Some(heads) = heads.filter(|heads| *heads != self.traits.len()) {
                return Err(format!("has {heads} heads of {stage} for {} traits", self.traits.len()));
            }
        }
        self.anchors.as_ref().map_or(Ok(()), |anchors| anchors.validate(self.traits.len()))?;
        if self.anchors.is_some() && self.score.is_none() {
            return Err("has anchors but no stage 2 (score), whose embeddings they lie among".into());
        }
        let Some(score) = &self.score else { return Ok(()) };
        if score.fusion && self.relative.is_none() {
            return Err("has fusion but no stage 1 (relative) to fuse with".into());
        }
        let mut heads = self.traits.iter().zip(&score.heads);
        heads.try_for_each(|(of, HeadFile { link, .. })| of.check_link(link))
    }
}

impl TraitSettings {
    /// A trait of which nothing else is known.
    pub fn new(target: impl Into<String>, scale: ScoreScale) -> Self {
        Self {
            target: target.into(),
            scale,
            label_counts: None,
            calibration: None,
            intervals: None,
            raters: None,
        }
    }

    fn validate(&self) -> Result<(), String> {
        self.scale.validate().map_err(|error| error.to_string())?;
        let grades = self.scale.grades().map(Grades::n_grades);
        match (grades, self.label_counts.as_ref().map(Vec::len)) {
            (Some(grades), Some(n)) if n != grades => {
                return Err(format!("has counts of labels for {n} grades on a scale of {grades}"));
            }
            (None, Some(0)) => return Err("has counts of labels for no interval".into()),
            _ => {}
        }
        self.calibration.as_ref().map_or(Ok(()), |calibration| calibration.validate(&self.scale))?;
        self.intervals.as_ref().map_or(Ok(()), Intervals::validate)?;
        self.raters.as_ref().map_or(Ok(()), Raters::validate)
    }

    fn check_link(&self, link: &ScoreLink) -> Result<(), String> {
        let grades = self.scale.grades().map(Grades::n_grades);
        match *link {
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

/// Checks that several traits can stand side by side, as columns of a table and as names of files. A single trait may be
/// called anything.
///
/// # Errors
/// Names the first that cannot, and why.
pub fn check_traits<'t>(targets: impl IntoIterator<Item = &'t str>) -> Result<(), String> {
    let targets: Vec<&str> = targets.into_iter().collect();
    if targets.len() < 2 {
        return Ok(());
    }
    let mut columns = BTreeSet::from(["id".to_owned(), "truncated".to_owned()]);
    for target in targets {
        let unusable = |c: char| c.is_control() || r#"/\:*?"<>|{}"#.contains(c);
        if target.is_empty()
            || target.starts_with('.')
            || target.ends_with(['.', ' '])
            || target.contains(unusable)
        {
            return Err(format!(
                "names the trait {target:?}, which cannot be the name of a file among others, rename its column"
            ));
        }
        for column in [target.to_owned(), format!("{target}_grade")] {
            // Some file systems do not tell cases apart.
            if !columns.insert(column.to_lowercase()) {
                return Err(format!(
                    "names the trait {target:?}, whose column {column:?} another one has, rename it"
                ));
            }
        }
    }
    Ok(())
}

/// Writes `scorer.json` into a folder.
///
/// # Errors
/// When the file cannot be written.
pub fn write_scorer_settings(folder: &Path, settings: &ScorerSettings) -> Result<(), ScorerError> {
    let text = serde_json::to_string_pretty(settings).expect("scorer settings serialise") + "\n";
    Ok(write_atomic(folder.join(SETTINGS), text.as_bytes())?)
}
