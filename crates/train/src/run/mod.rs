//! A run: both stages (or one) from a configuration to the files of a scorer.

mod absolute;
mod files;
mod identity;
mod lock;
mod plan;
mod relative;
mod tensorboard;

use std::collections::BTreeSet;
use std::path::PathBuf;

use pair2score_model::{LlamaConfig, LoraConfig, Pooling, Projection};
use pair2score_scorer::{
    BackboneFolder, Encoder, RelativeFiles, ScoreFiles, ScorerSettings, TextEncoder, WeightDType,
    load_backbone, read_config,
};
use serde::{Deserialize, Serialize};

use crate::calibrate::CalibratedMetrics;
use crate::checkpoint::{self, Checkpoints, OnUnfinished};
use crate::config::{DtypeKind, LoraSettings, PoolingKind, Settings, TrainingSettings, Transfer};
use crate::examples::Examples;
use crate::fit::{FitOutcome, FitPlan, Stop, TrainBackend};
use crate::metrics::RegressionMetrics;
use crate::relative::PairMetrics;
use crate::report::Progress;
use crate::{Evaluation, TrainError};

pub use files::stamp;
use files::{Info, RunLog};
use identity::identity;
pub(crate) use identity::settings_identity;
pub use identity::{FileHashes, finished};
use lock::FolderLock;
pub use plan::Plan;
pub use relative::epoch_folder;
pub(crate) use relative::relative_folder;

/// Which stages to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// Stage 1 where it is enabled, then stage 2.
    Both,
    /// Stage 1 only.
    Relative,
    /// Stage 2 only, from the stage 1 of an earlier run.
    Absolute,
}

/// How a run is started.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions<'a> {
    /// Which stages.
    pub stages: Stages,
    /// What to do where a run was stopped in its folder.
    pub unfinished: OnUnfinished,
    /// Name of the device, for reports.
    pub device_name: &'a str,
    /// Looked at after each step.
    pub stop: &'a Stop,
}

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
    /// The loop.
    pub fit: FitSummary,
}

/// What stage 2 measured on the test fold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AbsoluteReport {
    /// Agreement with the labels.
    pub test: RegressionMetrics,
    /// Share of test-document pairs with different labels that the scores order rightly.
    pub pair_accuracy: Option<f64>,
    /// The same scores as the validation documents calibrate them, where they do.
    pub calibrated: Option<CalibratedMetrics>,
    /// The loop.
    pub fit: FitSummary,
    /// Folder of the scorer.
    pub scorer: PathBuf,
}

/// How a loop went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FitSummary {
    /// From 1.
    pub best_epoch: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Validation metrics of the best epoch.
    pub best: Evaluation,
    /// Real tokens per second of training.
    pub tokens_per_second: f64,
    /// Seconds altogether.
    pub seconds: f64,
}

impl<M> From<&FitOutcome<M>> for FitSummary {
    fn from(outcome: &FitOutcome<M>) -> Self {
        Self {
            best_epoch: outcome.best_epoch,
            epochs: outcome.epochs,
            best: outcome.best.clone(),
            tokens_per_second: outcome.tokens as f64 / outcome.train_seconds.max(1e-9),
            seconds: outcome.seconds,
        }
    }
}

/// What is read before a device is needed.
pub struct Inputs {
    /// The tokenizer.
    pub text_encoder: TextEncoder,
    /// Shape of the backbone.
    pub config: LlamaConfig,
    /// Documents, splits and pairs.
    pub examples: Examples,
    backbone: BackboneFolder,
}

impl Inputs {
    /// Reads and checks everything a run reads but the weights.
    ///
    /// # Errors
    /// When a file is wrong or does not fit the others.
    pub fn load(settings: &Settings, progress: &mut dyn Progress) -> Result<Self, TrainError> {
        let backbone = BackboneFolder::find(&settings.backbone)?;
        let config = read_config(&backbone.model.join("config.json"))?;
        let text_encoder = TextEncoder::load(&backbone.tokenizer, settings.max_length)?;
        text_encoder.check(&config)?;
        let examples = Examples::load(settings, &text_encoder, progress)?;
        if settings.max_length > config.max_positions {
            progress.message(&format!(
                "model.max_length {} is beyond the {} positions the backbone was trained for",
                settings.max_length, config.max_positions
            ));
        }
        let encoded = examples.encoded.iter().flatten();
        let cut = encoded.clone().filter(|document| document.truncated()).count();
        if cut > 0 {
            progress.message(&format!(
                "{cut} of {} documents are longer than {} tokens and are cut (model.max_length)",
                encoded.count(),
                settings.max_length
            ));
        }
        Ok(Self { text_encoder, config, examples, backbone })
    }
}

/// Runs the stages of a configuration and writes their files; further devices take their share of every step.
///
/// # Errors
/// When a file is wrong, files do not fit together, the loss leaves the finite numbers, the device fails, another run
/// is at work in the folder, or a stop was asked for. What an earlier stage wrote stays, and so do checkpoints.
pub fn run<B: TrainBackend>(
    settings: &Settings,
    options: RunOptions<'_>,
    device: &B::Device,
    others: &[B::Device],
    progress: &mut dyn Progress,
) -> Result<RunReport, TrainError> {
    let stages = options.stages;
    // Both folders may be one.
    let folders = BTreeSet::from([&settings.checkpoint_dir, &settings.output_dir]);
    let _locks = folders.into_iter().map(|folder| FolderLock::take(folder)).collect::<Result<Vec<_>, _>>()?;
    for (stage, runs) in [
        (RELATIVE, stages != Stages::Absolute && settings.relative.is_some()),
        (ABSOLUTE, stages != Stages::Relative),
    ] {
        if runs {
            checkpoint::prepare(&training_folder(settings, stage), options.unfinished)?;
        }
    }
    let goes_on = matches!(options.unfinished, OnUnfinished::Resume | OnUnfinished::ResumeOrReplace);
    let mut log = RunLog::create(settings, goes_on, progress)?;
    let inputs = Inputs::load(settings, &mut log)?;
    let (config, backbone) =
        load_backbone::<B>(&inputs.backbone.model, weight_dtype(settings.dtype), device)?;
    let pooling = pooling(settings.pooling);
    let encoder = Encoder::new(config, backbone, pooling);
    let others = others.iter().map(|other| (encoder.on(other), other.clone())).collect();
    let run = Run { settings, options, examples: &inputs.examples, encoder, device, others };

    let mut report = RunReport::default();
    let mut stage1 = None;
    if let Some(relative) = settings.relative.as_ref().filter(|_| stages != Stages::Absolute) {
        let (learned, summary) = run.relative(relative, &mut log)?;
        report.relative = Some(summary);
        stage1 = Some(learned);
    }
    if stages != Stages::Relative {
        if stage1.is_none() {
            stage1 = run.load_stage1()?;
        }
        if stage1.is_none() && settings.absolute.transfer.needs_stage1() {
            return Err(TrainError::Mismatch {
                path: relative_folder(settings),
                problem: "has no stage 1 to start from; run `pair2score relative CONFIG` (or `run`) first"
                    .into(),
            });
        }
        report.absolute = Some(run.absolute(&settings.absolute, stage1, &mut log)?);
    }
    Ok(report)
}

/// What the stages of one run share.
struct Run<'a, B: TrainBackend> {
    settings: &'a Settings,
    options: RunOptions<'a>,
    examples: &'a Examples,
    encoder: Encoder<B>,
    device: &'a B::Device,
    /// Further devices for the steps, each with the encoder on it.
    others: Vec<(Encoder<B>, B::Device)>,
}

/// Folder of a stage's checkpoints.
fn training_folder(settings: &Settings, stage: &str) -> PathBuf {
    settings.checkpoint_dir.join(stage).join("training")
}

const RELATIVE_HEAD: &str = "relative_head.safetensors";
const ADAPTER: &str = "adapter";
const HEAD: &str = "head.safetensors";
pub(crate) const RELATIVE: &str = "relative";
const ABSOLUTE: &str = "absolute";

impl<B: TrainBackend> Run<'_, B> {
    /// Checkpoints of a stage.
    fn checkpoints(&self, stage: &str) -> Result<Checkpoints, TrainError> {
        let settings = self.settings;
        let identity = identity(settings, stage, self.options.device_name, &mut FileHashes::default())?;
        let folder = training_folder(settings, stage);
        Ok(Checkpoints::new(folder, settings.checkpoint_every, settings.checkpoint_keep, identity))
    }

    /// Throws away what was left by a run with other settings or files, where that was asked for.
    fn discard_others(&self, stage: &str, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        match self.options.unfinished {
            OnUnfinished::ResumeOrReplace if !checkpoints.fit_this_run() => {
                checkpoint::prepare(&training_folder(self.settings, stage), OnUnfinished::Discard)
            }
            _ => Ok(()),
        }
    }

    fn fit_plan<'p>(
        &'p self,
        stage: &'p str,
        training: &'p TrainingSettings,
        checkpoints: &'p Checkpoints,
    ) -> FitPlan<'p> {
        FitPlan {
            stage,
            training,
            seed: self.settings.seed,
            checkpoints: Some(checkpoints),
            stop: self.options.stop,
        }
    }

    fn backbone_name(&self) -> String {
        self.settings.backbone.display().to_string()
    }

    fn scorer_settings(&self, relative: Option<RelativeFiles>, score: Option<ScoreFiles>) -> ScorerSettings {
        let backbone = &self.settings.backbone;
        ScorerSettings {
            format: ScorerSettings::FORMAT,
            target: self.settings.target.clone(),
            scale: self.settings.scale,
            pooling: self.encoder.pooling,
            max_length: self.settings.max_length,
            dtype: weight_dtype(self.settings.dtype),
            backbone: std::path::absolute(backbone).unwrap_or_else(|_| backbone.clone()),
            label_counts: score.as_ref().map(|_| self.label_counts()),
            calibration: None,
            relative,
            score,
        }
    }

    /// Training documents of each grade, from the lowest.
    fn label_counts(&self) -> Vec<usize> {
        let scale = &self.settings.scale;
        let mut counts = vec![0; scale.n_grades()];
        for &document in &self.examples.splits.train {
            counts[scale.index_nearest(self.examples.label(document))] += 1;
        }
        counts
    }

    fn info(&self, stage: &str) -> Info {
        let mut info = Info::default();
        info.put("timestamp", stamp());
        info.put("stage", stage);
        info.put("experiment_id", &self.settings.experiment);
        info.put("trait", &self.settings.target);
        info.put("test_fold", &self.settings.test_fold);
        info.put("seed", self.settings.seed);
        info.put("device", self.options.device_name);
        info.put("backbone", self.backbone_name());
        for (key, value) in &self.settings.metadata {
            info.put(&format!("meta_{key}"), value);
        }
        info
    }
}

/// Short name of a transfer, as tables show it.
pub fn transfer_name(transfer: Transfer) -> &'static str {
    match transfer {
        Transfer::Scratch => "scratch",
        Transfer::HeadOnly => "head only",
        Transfer::WarmStart { train_adapter: true } => "warm start",
        Transfer::WarmStart { train_adapter: false } => "warm start, frozen adapter",
        Transfer::Stacked => "stacked",
        Transfer::Fusion { reuse: true, train_adapter: true } => "fusion",
        Transfer::Fusion { reuse: true, train_adapter: false } => "fusion, frozen adapter",
        Transfer::Fusion { reuse: false, .. } => "fusion, fresh adapter",
    }
}

pub(crate) fn weight_dtype(dtype: DtypeKind) -> WeightDType {
    match dtype {
        DtypeKind::F32 => WeightDType::F32,
        DtypeKind::F16 => WeightDType::F16,
        DtypeKind::Bf16 => WeightDType::Bf16,
        DtypeKind::Auto => WeightDType::Auto,
    }
}

pub(crate) fn pooling(pooling: PoolingKind) -> Pooling {
    match pooling {
        PoolingKind::Mean => Pooling::Mean,
        PoolingKind::Last => Pooling::Last,
    }
}

pub(crate) fn lora_config(settings: &LoraSettings) -> LoraConfig {
    LoraConfig {
        rank: settings.rank,
        alpha: settings.alpha,
        dropout: settings.dropout,
        targets: settings.targets.iter().filter_map(|name| Projection::from_name(name)).collect(),
    }
}
