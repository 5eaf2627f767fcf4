//! The resolved configuration: typed, complete and consistent. Code beyond this module sees nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pair2score_data::{Columns, ScoreScale};
use pair2score_scorer::CalibrationMethod;

use super::choices::{Binning, DeviceKind, DtypeKind, Monitor, Objective, PoolingKind};
use crate::batches::Batching;
use crate::schedule::ScheduleKind;

/// A run, ready to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Names the run in logs; not empty.
    pub experiment: String,
    /// The rated attribute (`trait` in the file); not empty.
    pub target: String,
    /// At least one, no duplicates.
    pub train_folds: Vec<String>,
    /// Not a training fold.
    pub test_fold: String,
    /// Share of the training folds' documents that validates stage 2; above 0, below 1.
    pub val_ratio: f64,
    /// Of every random choice.
    pub seed: u64,
    /// Whether the validation documents of stage 2 stay out of the training pairs of stage 1.
    pub share_val_split: bool,
    /// Steps between checkpoints, at least 1, besides the one after each epoch; `None` saves only those.
    pub checkpoint_every: Option<usize>,
    /// Checkpoints kept of a stage that is not over, 2 to 1000: a damaged one has another before it.
    pub checkpoint_keep: usize,
    /// Kept for the record; see [`Determinism`].
    pub determinism: Determinism,
    /// `None` leaves the choice to the program.
    pub device: Option<DeviceKind>,
    /// Which NVIDIA cards, from 0: at least one, no duplicates, at most as many as a step that trains an adapter has
    /// batches. The first holds the weights.
    pub cuda_devices: Vec<usize>,
    /// Free notes.
    pub metadata: BTreeMap<String, String>,
    /// Documents with folds and labels.
    pub essays_csv: PathBuf,
    /// Folder of logs and metrics.
    pub output_dir: PathBuf,
    /// Folder of adapters and heads.
    pub checkpoint_dir: PathBuf,
    /// Folder of pair caches; already used to find [`RelativeSettings::pairs_file`].
    pub pair_cache_dir: Option<PathBuf>,
    /// Kept for the record: embeddings are written beside the adapter they come from.
    pub embedding_dir: Option<PathBuf>,
    /// How the columns of `essays_csv` are called.
    pub columns: Columns,
    /// The grades a label can take; validated.
    pub scale: ScoreScale,
    /// Folder of the backbone.
    pub backbone: PathBuf,
    /// Tokens kept of a document, 2 to 131072.
    pub max_length: usize,
    /// Hidden states to one embedding.
    pub pooling: PoolingKind,
    /// In which the frozen weights are kept.
    pub dtype: DtypeKind,
    /// Whether the backward pass computes each layer once more: less memory, more time, the same numbers.
    pub recompute: bool,
    /// Stage 1, `None` if it is disabled or that of an earlier run.
    pub relative: Option<RelativeSettings>,
    /// Folder of an earlier run's stage 1, which stage 2 may start from; only without [`relative`](Self::relative).
    pub relative_from: Option<PathBuf>,
    /// Stage 2.
    pub absolute: AbsoluteSettings,
}

/// What published configs say of determinism: kept for the record. It switches nothing, a run is as deterministic
/// as its device (`docs/REPRODUCIBILITY.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Determinism {
    /// Insist on deterministic algorithms.
    pub enabled: bool,
    /// Warn instead of insisting.
    pub warn_only: bool,
    /// Allow 19-bit matrix products.
    pub allow_tf32: bool,
}

/// Stage 1: utilities from pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeSettings {
    /// JSONL of pairs.
    pub pairs_file: PathBuf,
    /// Its `_meta.json`; `None` means beside it, if anywhere.
    pub pairs_meta: Option<PathBuf>,
    /// Whether pairs count by the weights in their file; else all count 1.
    pub pair_weights: bool,
    /// The adapter it trains.
    pub lora: LoraSettings,
    /// Its loop; the monitor is `val_acc` or `val_loss`.
    pub training: TrainingSettings,
    /// Write adapter and head; true whenever stage 2 needs them.
    pub save_adapter: bool,
    /// Write the pooled embeddings of the training documents.
    pub save_embeddings: bool,
    /// Epochs, from 1, that also leave what training would give if it ended there, in `epoch_N/`; sorted, none above
    /// the number of epochs.
    pub save_epochs: Vec<usize>,
}

/// Stage 2: scores in rubric units.
#[derive(Debug, Clone, PartialEq)]
pub struct AbsoluteSettings {
    /// What it takes over from stage 1.
    pub transfer: Transfer,
    /// Of a fresh adapter; a reused one keeps its own rank, alpha and targets.
    pub lora: LoraSettings,
    /// Name of the fresh adapter when stacked; letters, digits, `_` and `-`.
    pub stack_adapter_name: String,
    /// Its loop; the monitor is `val_qwk`, `val_mae`, `val_rmse` or `val_loss`.
    pub training: TrainingSettings,
    /// The loss.
    pub objective: Objective,
    /// Which kappa `val_qwk` means.
    pub binning: Binning,
    /// Of the scores, on the validation documents; `None` leaves them as they are.
    pub calibration: Option<CalibrationMethod>,
}

/// What stage 2 takes over from stage 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing: a fresh adapter.
    Scratch,
    /// Nothing, and no adapter: a head on frozen embeddings.
    HeadOnly,
    /// Begins from the stage-1 adapter.
    WarmStart {
        /// False trains only the head, which is what the published code does.
        train_adapter: bool,
    },
    /// The stage-1 adapter frozen, a fresh one on top.
    Stacked,
    /// The frozen stage-1 embedding appended to the current one.
    Fusion {
        /// Whether the current embedding begins from the stage-1 adapter, else from a fresh one.
        reuse: bool,
        /// Whether the adapter learns; always true for a fresh one.
        train_adapter: bool,
    },
}

impl Transfer {
    /// Whether the stage-1 adapter must be there.
    pub fn needs_stage1(self) -> bool {
        matches!(self, Self::WarmStart { .. } | Self::Stacked | Self::Fusion { .. })
    }

    /// Whether stage 2 trains more than its head.
    pub fn trains_adapter(self) -> bool {
        match self {
            Self::HeadOnly => false,
            Self::Scratch | Self::Stacked => true,
            Self::WarmStart { train_adapter } | Self::Fusion { train_adapter, .. } => train_adapter,
        }
    }
}

/// A low-rank adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraSettings {
    /// 1 to 4096.
    pub rank: usize,
    /// Above 0; the update is scaled by alpha / rank.
    pub alpha: f64,
    /// Of the adapter's input while training, 0 to below 1.
    pub dropout: f64,
    /// Projections that get one, by their file names (`q_proj`, …); at least one, no duplicates.
    pub targets: Vec<String>,
}

/// The loop of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSettings {
    /// Passes over the training data, 1 to 100000.
    pub epochs: usize,
    /// How pairs (stage 1) or documents (stage 2) are put into micro-batches.
    pub batching: Batching,
    /// Peak learning rate, above 0, at most 1.
    pub lr: f64,
    /// Of AdamW, not negative.
    pub weight_decay: f64,
    /// Steps between log lines, at least 1.
    pub log_every: usize,
    /// The metric that chooses the epoch.
    pub monitor: Monitor,
    /// Epochs without improvement before stopping; `None` never stops.
    pub patience: Option<usize>,
    /// An improvement must exceed this; not negative.
    pub min_delta: f64,
    /// Micro-batches per step, 1 to 65536.
    pub accumulation: usize,
    /// Above 0; `None` does not clip.
    pub max_grad_norm: Option<f64>,
    /// Shape of the learning rate over the steps.
    pub schedule: ScheduleKind,
    /// Steps from 0 to the peak.
    pub warmup_steps: usize,
}
