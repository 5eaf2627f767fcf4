//! The file as written: every key there is, with its default, before anything is checked.
//!
//! `RawConfig::default()` is the one list of valid keys and the one place of defaults: the reader compares the
//! user's keys with it and lays the user's values over it. `Option` is used where "not given" differs from every
//! value: required keys, and flags whose contradictions are errors only when spelled out.

use std::collections::BTreeMap;

use pair2score_data::{Columns, ScoreScale};
use serde::{Deserialize, Serialize};

use super::raw_absolute::RawAbsolute;
use super::scalar::{Name, Note};

/// A run: both stages of one trait on one fold assignment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawConfig {
    /// What is trained and on which folds.
    pub pipeline: RawPipeline,
    /// Permissions of the published code that ours never uses: a run is as deterministic as its device.
    pub determinism: RawDeterminism,
    /// Where it is computed.
    pub hardware: RawHardware,
    /// Free notes; copied to the outputs, never read.
    pub metadata: BTreeMap<String, Note>,
    /// Files and folders, relative to the working directory.
    pub paths: RawPaths,
    /// The backbone.
    pub model: RawModel,
    /// Addition: how the documents are laid out.
    pub data: RawData,
    /// Addition: the grades a label can take.
    pub scale: ScoreScale,
    /// Stage 1.
    pub stage1_relative: RawRelative,
    /// Stage 2.
    pub stage2_absolute: RawAbsolute,
}

/// See [`RawConfig::pipeline`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawPipeline {
    /// Required, unless `run_id` is given.
    pub experiment_id: Option<Name>,
    /// Addition: a whole number names the pair file too.
    pub run_id: Option<Name>,
    /// Required: the rated attribute.
    #[serde(rename = "trait")]
    pub target: Option<Name>,
    /// Required.
    pub train_folds: Vec<Name>,
    /// Required.
    pub test_fold: Option<Name>,
    /// Share of the training folds that validates stage 2; above 0, below 1.
    pub val_ratio: f64,
    /// Required.
    pub seed: Option<u64>,
    /// Addition: keep the validation documents of stage 2 out of the training pairs of stage 1.
    pub share_val_split: bool,
    /// Addition: steps between checkpoints, besides the one after each epoch; null saves only those.
    pub checkpoint_every: Option<usize>,
    /// Addition: checkpoints kept of a stage that is not over, 2 to 1000.
    pub checkpoint_keep: usize,
}

impl Default for RawPipeline {
    fn default() -> Self {
        Self {
            experiment_id: None,
            run_id: None,
            target: None,
            train_folds: Vec::new(),
            test_fold: None,
            val_ratio: 0.1,
            seed: None,
            share_val_split: true,
            checkpoint_every: Some(100),
            checkpoint_keep: 2,
        }
    }
}

/// See [`RawConfig::determinism`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawDeterminism {
    /// Insist on deterministic algorithms.
    pub enabled: bool,
    /// Warn instead of insisting.
    pub warn_only: bool,
    /// Allow 19-bit matrix products on NVIDIA cards.
    pub allow_tf32: bool,
}

impl Default for RawDeterminism {
    fn default() -> Self {
        Self { enabled: true, warn_only: false, allow_tf32: false }
    }
}

/// See [`RawConfig::hardware`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawHardware {
    /// Which NVIDIA card, from 0.
    pub cuda_device: usize,
    /// Addition: several cards that share the batches of a step, the first with the weights; null is `cuda_device`.
    pub devices: Option<Vec<usize>>,
    /// Addition: `cpu`, `cuda` or `wgpu`; null leaves it to the program.
    pub device: Option<String>,
}

/// See [`RawConfig::paths`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawPaths {
    /// Required: the documents with folds and labels.
    pub essays_csv: Option<String>,
    /// Required: logs and metrics.
    pub output_dir: Option<String>,
    /// Required: adapters and heads.
    pub checkpoint_dir: Option<String>,
    /// Where `run{run_id}_{trait}.jsonl` lies if `pairs_file` is not given.
    pub pair_cache_dir: Option<String>,
    /// Accepted from published configs; embeddings are written beside the adapter they come from.
    pub embedding_dir: Option<String>,
}

/// See [`RawConfig::model`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawModel {
    /// Required: folder of the backbone.
    pub base_model: Option<String>,
    /// Only `none` can be trained.
    pub quantization: Option<String>,
    /// Addition: tokens kept of a document, 2 to 131072.
    pub max_length: usize,
    /// Addition: `mean` or `last`.
    pub pooling: String,
    /// Addition: `f32`, `bf16`, `f16` or `auto` (as the file has them), for the frozen weights.
    pub dtype: String,
    /// Addition: compute each layer once more in the backward pass instead of keeping what happens inside.
    pub recompute: bool,
}

impl Default for RawModel {
    fn default() -> Self {
        Self {
            base_model: None,
            quantization: Some("none".into()),
            max_length: 512,
            pooling: "mean".into(),
            dtype: "f32".into(),
            recompute: false,
        }
    }
}

/// See [`RawConfig::data`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawData {
    /// Names of the columns.
    pub columns: Columns,
}

/// See [`RawConfig::stage1_relative`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawRelative {
    /// Whether there is a stage 1; its other keys are not checked if there is none.
    pub enabled: bool,
    /// Addition: a folder with the stage 1 of an earlier run (its `relative/`), which is used instead of training one.
    pub from: Option<String>,
    /// JSONL of pairs.
    pub pairs_file: Option<String>,
    /// Its `_meta.json`.
    pub pairs_meta: Option<String>,
    /// Addition: pairs count by the weights in their file, such as the reliability of judges; else all count 1.
    pub pair_weights: bool,
    /// The adapter it trains.
    pub lora: RawRelativeLora,
    /// Its loop.
    pub training: RawTraining,
    /// What it leaves behind.
    pub outputs: RawOutputs,
}

impl Default for RawRelative {
    fn default() -> Self {
        Self {
            enabled: true,
            from: None,
            pairs_file: None,
            pairs_meta: None,
            pair_weights: false,
            lora: RawRelativeLora::default(),
            training: RawTraining::relative(),
            outputs: RawOutputs::default(),
        }
    }
}

/// The adapter of stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawRelativeLora {
    /// Rank.
    pub r: usize,
    /// Numerator of the scale alpha / rank.
    pub alpha: f64,
    /// Of the adapter's input, 0 to below 1.
    pub dropout: f64,
    /// Projections that get one.
    pub target_modules: Vec<String>,
}

impl Default for RawRelativeLora {
    fn default() -> Self {
        Self { r: 16, alpha: 32.0, dropout: 0.05, target_modules: attention_projections() }
    }
}

pub(super) fn attention_projections() -> Vec<String> {
    ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).to_vec()
}

/// What stage 1 writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawOutputs {
    /// The adapter and its head.
    pub save_adapter: bool,
    /// The pooled embeddings of the training documents.
    pub save_embeddings: bool,
    /// Addition: epochs whose results are written too, to `epoch_N/`, as if the training had ended there.
    pub save_epochs: Vec<usize>,
}

impl Default for RawOutputs {
    fn default() -> Self {
        Self { save_adapter: true, save_embeddings: true, save_epochs: Vec::new() }
    }
}

/// The loop of either stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawTraining {
    /// Passes over the training data.
    pub epochs: usize,
    /// Pairs (stage 1) or documents (stage 2) per micro-batch.
    pub batch_size: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Of AdamW.
    pub weight_decay: f64,
    /// Steps between log lines.
    pub log_every: usize,
    /// The metric that chooses the epoch.
    pub monitor: String,
    /// `max`, `min` or `auto`.
    pub monitor_mode: String,
    /// Epochs without improvement before stopping; 0 or null never stops.
    pub early_stop_patience: Option<usize>,
    /// What counts as improvement.
    pub early_stop_min_delta: f64,
    /// Addition: micro-batches per step.
    pub gradient_accumulation: usize,
    /// Addition: null does not clip.
    pub max_grad_norm: Option<f64>,
    /// Addition: `constant`, `linear` or `cosine`.
    pub schedule: String,
    /// Addition: steps from 0 to the peak.
    pub warmup_steps: usize,
    /// Addition: documents of similar length together; padding costs nothing, but a GPU's attention pads.
    pub length_grouped: bool,
    /// Addition: tokens of a micro-batch; null goes by `batch_size`.
    pub max_batch_tokens: Option<usize>,
    /// Addition, stage 1: pairs that share documents together, which are then encoded once.
    pub document_grouped: bool,
}

impl RawTraining {
    fn relative() -> Self {
        Self {
            epochs: 10,
            batch_size: 4,
            lr: 2e-4,
            weight_decay: 0.01,
            log_every: 100,
            monitor: "val_acc".into(),
            monitor_mode: "auto".into(),
            early_stop_patience: Some(3),
            early_stop_min_delta: 5e-4,
            gradient_accumulation: 1,
            max_grad_norm: None,
            schedule: "constant".into(),
            warmup_steps: 0,
            length_grouped: false,
            max_batch_tokens: None,
            document_grouped: false,
        }
    }

    pub(super) fn absolute() -> Self {
        Self {
            epochs: 15,
            lr: 1e-4,
            monitor: "val_qwk".into(),
            early_stop_patience: Some(4),
            ..Self::relative()
        }
    }
}

/// Only serde asks for this, to find the line of a wrong value; the stages bring their own defaults.
impl Default for RawTraining {
    fn default() -> Self {
        Self::relative()
    }
}
