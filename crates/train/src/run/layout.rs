//! Where the files of a run lie.

use std::path::{Path, PathBuf};

use pair2score_scorer::head_files;

use crate::config::{RelativeMode, RelativeSettings, Settings};

/// Stage 1, as folders and random streams name it.
pub(crate) const RELATIVE: &str = "relative";
/// Stage 2, as folders and random streams name it.
pub(super) const ABSOLUTE: &str = "absolute";
/// The PEFT folder of an adapter, in the folder of a stage.
pub(super) const ADAPTER: &str = "adapter";
/// The two files of an adapter.
pub(super) const ADAPTER_FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
/// The settings of a scorer, in the folder of a stage.
pub(super) const SCORER: &str = "scorer.json";
/// The summary of stage 1, in its folder.
pub(super) const RELATIVE_INFO: &str = "relative_run_info.txt";
/// Pooled embeddings of the training documents, where stage 1 is asked to write them.
pub(super) const TRAIN_EMBEDDINGS: &str = "train_embeddings.safetensors";

/// The summary of the results, among the outputs.
pub(super) const METRICS_INFO: &str = "absolute_metrics_info.txt";
/// What was predicted for the test documents, among the outputs.
pub(super) const PREDICTIONS: &str = "test_predictions.csv";
/// What files of heads of stage 1 are called by.
pub(super) const RELATIVE_HEAD: &str = "relative_head";
/// What files of heads of stage 2 are called by.
pub(super) const HEAD: &str = "head";

/// Folder of a stage's checkpoints.
pub(super) fn training_folder(settings: &Settings, stage: &str) -> PathBuf {
    settings.paths.checkpoint_dir.join(stage).join("training")
}

/// Where the stage 1 of a run lies: that of an earlier one where the configuration names it.
pub(crate) fn relative_folder(settings: &Settings) -> PathBuf {
    settings.relative.from.clone().unwrap_or_else(|| settings.paths.checkpoint_dir.join(RELATIVE))
}

/// Folder in a stage-1 folder with what training would have given if it had ended after this epoch.
pub fn epoch_folder(epoch: usize) -> String {
    format!("epoch_{epoch}")
}

/// The heads of stage 1, one for each trait, in its folder.
pub(super) fn relative_heads(settings: &Settings) -> Vec<PathBuf> {
    head_files(RELATIVE_HEAD, settings.pipeline.targets().iter().map(String::as_str))
}

/// The heads of stage 2, one for each trait, in its folder.
pub(super) fn score_heads(settings: &Settings) -> Vec<PathBuf> {
    head_files(HEAD, settings.pipeline.targets().iter().map(String::as_str))
}

/// Where the results of a trait lie: among the outputs, and of several traits in a folder of each.
pub(super) fn results_folder(settings: &Settings, target: &str) -> PathBuf {
    let outputs = &settings.paths.output_dir;
    if settings.pipeline.targets().len() == 1 { outputs.to_path_buf() } else { outputs.join(target) }
}

/// The first result of stage 2 that is not among the outputs.
pub(super) fn missing_result(settings: &Settings) -> Option<PathBuf> {
    let of_trait = |target: &String| {
        let folder = results_folder(settings, target);
        [folder.join(PREDICTIONS), folder.join(METRICS_INFO)]
    };
    let of_all = settings.paths.output_dir.join(METRICS_INFO);
    let mut results = std::iter::once(of_all).chain(settings.pipeline.targets().iter().flat_map(of_trait));
    results.find(|path| !path.is_file())
}

/// The files of a stage 1 with an adapter, in its folder.
pub(super) fn stage1_files(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let adapter = ADAPTER_FILES.iter().map(|name| Path::new(ADAPTER).join(name));
    adapter.chain(relative_heads(settings))
}

/// Whether there is a stage 1 that stage 2 may take over, with an adapter or without as this run would train it.
pub(super) fn has_stage1(settings: &Settings) -> bool {
    let folder = relative_folder(settings);
    let wanted = match settings.stage1() {
        Some(stage1) => has_adapter(&folder) == (stage1.mode == RelativeMode::Adapter),
        None => settings.relative.from.is_some(),
    };
    wanted && relative_heads(settings).iter().all(|name| folder.join(name).is_file())
}

/// Whether the stage 1 in this folder has an adapter.
pub(super) fn has_adapter(folder: &Path) -> bool {
    ADAPTER_FILES.iter().any(|name| folder.join(ADAPTER).join(name).is_file())
}

/// The first file that stage 1 is asked to write (`stage1_relative.outputs`) and that is not there.
pub(super) fn missing_output(settings: &Settings, relative: &RelativeSettings) -> Option<PathBuf> {
    let folder = relative_folder(settings);
    let epochs = relative.outputs.save_epochs.iter().map(|&epoch| folder.join(epoch_folder(epoch)));
    let without_adapter = relative.mode == RelativeMode::HeadOnly;
    let adapter = stage1_files(settings)
        .filter(|name| relative.outputs.save_adapter && !(without_adapter && name.starts_with(ADAPTER)));
    let embeddings = Some(PathBuf::from(TRAIN_EMBEDDINGS)).filter(|_| relative.outputs.save_embeddings);
    let names: Vec<PathBuf> = adapter.chain(embeddings).collect();
    let folders = std::iter::once(folder.clone()).chain(epochs);
    let mut outputs = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    outputs.find(|path| !path.is_file())
}
