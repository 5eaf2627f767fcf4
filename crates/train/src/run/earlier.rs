//! Whether the stage 1 that stage 2 starts from was learned as this run reads documents, and not from its test fold.
//!
//! Weights fit wherever the width is the same, so that nothing else would show the difference.

use std::path::{Path, PathBuf};

use pair2score_data::files::read_text;
use pair2score_scorer::ScorerSettings;

use super::context::Run;
use super::layout::{RELATIVE_INFO, SCORER, has_stage1, relative_folder, relative_heads};
use crate::TrainError;
use crate::backend::TrainBackend;

/// The key of the folds that stage 1 learned from, in its summary.
pub(super) const TRAIN_FOLDS: &str = "train_folds";

/// Folds as they stand in the summary: a JSON list, since their names are any text.
pub(super) fn written_folds(folds: &[String]) -> String {
    serde_json::to_string(folds).expect("text serialises")
}

impl<B: TrainBackend> Run<'_, B> {
    /// The folder of the stage 1 that stage 2 may start from, if there is one.
    ///
    /// # Errors
    /// When it is of a run with another trait, depth, pooling, length or prompt, or learned from the test fold of this one;
    /// and when the configuration names a folder without one.
    pub(super) fn fitting_stage1(&self) -> Result<Option<PathBuf>, TrainError> {
        let (folder, from) = (relative_folder(self.settings), self.settings.relative.from.as_ref());
        if !has_stage1(self.settings) {
            let heads = relative_heads(self.settings);
            let missing = heads.iter().find(|head| !folder.join(head).is_file());
            return match (from, missing) {
                (Some(_), Some(head)) => {
                    let problem = format!(
                        "has no stage 1: {} is not there; name the folder relative/ of an earlier run \
                         (stage1_relative.from), or train one (stage1_relative.from: null)",
                        head.display()
                    );
                    Err(TrainError::Mismatch { path: folder, problem })
                }
                _ => Ok(None),
            };
        }
        let mut differences = self.differences(&folder)?;
        differences.extend(self.seen_test_fold(&folder)?);
        if differences.is_empty() {
            return Ok(Some(folder));
        }
        let another =
            if from.is_some() { "name another one (stage1_relative.from)" } else { "train it again" };
        let problem = format!(
            "holds a stage 1 that stage 2 cannot start from: {}; undo that, or {another}",
            differences.join(", ")
        );
        Err(TrainError::Mismatch { path: folder, problem })
    }

    /// How a stage 1 read documents otherwise than this run, by the keys of the configuration; nothing where its folder
    /// does not say.
    fn differences(&self, folder: &Path) -> Result<Vec<String>, TrainError> {
        let path = folder.join(SCORER);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let traits = (0..self.examples.traits.len()).map(|place| self.trait_settings(place)).collect();
        let backbone = &self.encoder.config;
        let layers = backbone.n_layers + backbone.layers_above;
        let was = reading(&ScorerSettings::read(&path)?, layers);
        let is = reading(&self.scorer_settings(traits, None, None), layers);
        let pairs = was.into_iter().zip(is).filter(|((_, was), (_, is))| was != is);
        Ok(pairs.map(|((key, was), (_, is))| format!("{key} was {was} and is {is}")).collect())
    }

    /// That stage 1 learned from the fold on which stage 2 is measured, where its summary says so.
    fn seen_test_fold(&self, folder: &Path) -> Result<Option<String>, TrainError> {
        let path = folder.join(RELATIVE_INFO);
        if !path.is_file() {
            return Ok(None);
        }
        let (summary, test_fold) = (read_text(&path)?, self.settings.pipeline.test_fold.to_string());
        let key = format!("{TRAIN_FOLDS}: ");
        let folds = summary.lines().find_map(|line| line.strip_prefix(&key));
        let folds: Vec<String> = folds.and_then(|folds| serde_json::from_str(folds).ok()).unwrap_or_default();
        let seen = folds.contains(&test_fold);
        Ok(seen.then(|| format!("it learned from fold {test_fold:?}, which tests now (pipeline.test_fold)")))
    }
}

/// What decides how a stage 1 reads documents, in words, by the keys of the configuration; the backbone has so many layers.
fn reading(settings: &ScorerSettings, all_layers: usize) -> [(&'static str, String); 5] {
    // Heads are found by the names of their traits, whatever their order.
    let mut traits: Vec<&str> = settings.targets().collect();
    traits.sort_unstable();
    let layers = settings.layers.unwrap_or(all_layers);
    let norm = if settings.final_norm { " with" } else { " without" };
    let template = settings.prompt_template.as_ref();
    [
        ("pipeline.trait", traits.join(", ")),
        ("model.layers", format!("{layers} of {all_layers}{norm} the final norm")),
        ("model.pooling", format!("{:?}", settings.pooling).to_lowercase()),
        ("model.max_length", settings.max_length.to_string()),
        (
            "data.prompt_template",
            template.map_or_else(|| "none".to_owned(), |template| format!("{:?}", template.to_string())),
        ),
    ]
}
