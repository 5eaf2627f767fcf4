//! Stage 2 of the file as written; see [`raw`](super::raw).

use serde::{Deserialize, Serialize};

use super::raw::{RawTraining, attention_projections};

/// See [`RawConfig::stage2_absolute`](super::raw::RawConfig::stage2_absolute).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawAbsolute {
    /// `base` (the flags below decide), `embedding_fusion` or `head_only`; also `scratch` or `baseline`,
    /// `warm_start`, `stacked`, `fusion`, which the flags must not contradict.
    pub mode: String,
    /// The adapter it trains.
    pub lora: RawAbsoluteLora,
    /// Its loop.
    pub training: RawTraining,
    /// Whether the frozen stage-1 embedding is appended.
    pub embedding_fusion: RawFusion,
    /// Addition: `l1`, `mse`, `huber`, `ordinal` or `classification`.
    pub objective: String,
    /// Addition: where the Huber loss turns from squared to linear, in score units.
    pub huber_delta: f64,
    /// Addition: which binning `val_qwk` means, `nearest` or `floor`.
    pub qwk: String,
    /// Addition: `linear`, `isotonic` or `none`. The validation documents decide how raw scores map to calibrated ones
    /// and where grades begin. By default they do: it costs one scoring of them, and raw scores, plain grades and
    /// every metric of these stay what they are.
    pub calibration: String,
}

impl Default for RawAbsolute {
    fn default() -> Self {
        Self {
            mode: "base".into(),
            lora: RawAbsoluteLora::default(),
            training: RawTraining::absolute(),
            embedding_fusion: RawFusion::default(),
            objective: "l1".into(),
            huber_delta: 1.0,
            qwk: "nearest".into(),
            calibration: "linear".into(),
        }
    }
}

/// The adapter of stage 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawAbsoluteLora {
    /// Start from the stage-1 adapter; by default if there is a stage 1.
    pub reuse_relative_adapter: Option<bool>,
    /// Rank of a fresh adapter; a reused one keeps its own.
    pub new_adapter_rank: usize,
    /// As in stage 1.
    pub alpha: f64,
    /// As in stage 1.
    pub dropout: f64,
    /// As in stage 1.
    pub target_modules: Vec<String>,
    /// Addition: freeze the reused adapter and train a fresh one on top; by default not.
    pub stack_new_adapter: Option<bool>,
    /// Addition: what the fresh one is called.
    pub stack_adapter_name: String,
    /// Addition: whether a reused adapter keeps learning; by default, unless one is stacked on it.
    pub train_reused_adapter: Option<bool>,
}

impl Default for RawAbsoluteLora {
    fn default() -> Self {
        Self {
            reuse_relative_adapter: None,
            new_adapter_rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            target_modules: attention_projections(),
            stack_new_adapter: None,
            stack_adapter_name: "stage2".into(),
            train_reused_adapter: None,
        }
    }
}

/// See [`RawAbsolute::embedding_fusion`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawFusion {
    /// By default only with the mode of that name.
    pub enabled: Option<bool>,
}
