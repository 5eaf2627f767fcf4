//! The keys of a run's configuration. Each is declared here and nowhere else; `docs/config.md` is written from this.
//!
//! The file as written and the resolved settings are the same structs. Resolving fills in what follows from other
//! keys and checks everything, so that code beyond this module only sees settings that are complete and consistent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pair2score_data::{Columns, Encoding, Layout, Mark, PromptTemplate, ScoreScale, TableOptions};
use pair2score_model::{Depth, LlamaConfig, LoraConfig, Pooling, Projection};
use pair2score_scorer::WeightDType;

use super::choices::{
    Binning, Calibration, DeviceKind, Head, HeadInit, Mode, Monitor, MonitorMode, Objective, Quantization,
    RelativeMode, UtilityInit,
};
use super::scalar::{Layers, Name, Required, names, notes};
use super::scale::{ScaleSettings, scale_or_auto};
use super::section::section;
use super::values::{
    ABOVE_0, DROPOUT, FROM_0, MAX_BATCH, MAX_EPOCHS, MAX_LAYERS, MAX_RANK, MAX_STEPS, MAX_TOKENS, RATE, SHARE,
};
use crate::batches::Batching;
use crate::schedule::ScheduleKind;

section! {
    /// A run: both stages for one trait, or for several at once, on one assignment of folds.
    pub struct Settings {
        /// What is trained, and on which folds.
        pipeline: PipelineSettings = Default::default();
        /// What published configurations ask of PyTorch. A run here is as deterministic as its device, whatever they
        /// say ([REPRODUCIBILITY.md](REPRODUCIBILITY.md)).
        determinism: DeterminismSettings = Default::default();
        /// Where a run is computed. A resumed run must have the same device, whichever key or option chose it.
        hardware: HardwareSettings = Default::default();
        /// Free notes, copied to the outputs; no result depends on them. This section takes any key.
        #[serde(deserialize_with = "notes")]
        metadata: BTreeMap<String, String> = BTreeMap::new() => Any, Free;
        /// Files and folders, relative to the working directory.
        paths: PathSettings = Default::default();
        /// The backbone.
        model: ModelSettings = Default::default();
        /// How the documents are laid out.
        data: DataSettings = Default::default();
        /// What a label can be: one of evenly spaced grades, or on a continuous scale any number. `scale: auto` stands for
        /// `scale: {auto: true}`.
        #[serde(deserialize_with = "scale_or_auto")]
        scale: ScaleSettings = Default::default();
        /// Stage 1: utilities from pairs.
        relative as "stage1_relative": RelativeSettings = Default::default();
        /// Stage 2: scores in rubric units.
        absolute as "stage2_absolute": AbsoluteSettings = Default::default();
    }
}

section! {
    /// What is trained, and on which folds.
    pub struct PipelineSettings {
        /// Name of the run in logs and reports. Without one, the run is called by its `run_id`.
        experiment as "experiment_id": Required<String> = Default::default()
            => Required("a name for the run"), Free;
        /// Number of the rotation of folds, or a name. A number also finds the pairs, see
        /// `stage1_relative.pairs_file`.
        run_id: Option<Name> = None => Any, Free, Added;
        /// The rated attribute, which names the column of labels. Needed unless there are `traits`.
        target as "trait": Required<String> = Default::default() => Any, Same;
        /// Several rated attributes, in the place of `trait`: one scorer rates all of them from one pass through the
        /// backbone. Each has a column of labels, which may be missing trait by trait, and a head of its own in either
        /// stage; the adapters and the scale are the same for all. Metrics under their plain names are means over the
        /// traits, and so is the monitor.
        #[serde(deserialize_with = "names")]
        traits: Vec<String> = Vec::new() => Any, Same, Added;
        /// Folds that train.
        #[serde(deserialize_with = "names")]
        train_folds: Vec<String> = Vec::new() => Required("a list like [C, D, E, A]"), Same;
        /// The fold that is measured at the end, not a training fold.
        test_fold: Required<String> = Default::default() => Required("a fold like B"), Same;
        /// Share of the training folds' documents that validates stage 2.
        val_ratio: f64 = 0.1 => SHARE, Same;
        /// Seed of every random choice.
        seed: Required<u64> = Default::default() => Required("a whole number like 42"), Same;
        /// Keep the validation documents of stage 2 out of the training pairs of stage 1.
        share_val_split: bool = true => Any, Same, Added;
        /// Steps between checkpoints, besides the one after each epoch; `null` saves only those.
        checkpoint_every: Option<usize> = Some(100) => Count(1, MAX_STEPS), Free, Added;
        /// Checkpoints kept of a stage that is not over, so that a damaged one has another before it.
        checkpoint_keep: usize = 2 => Count(2, 1000), Free, Added;
    }
}

section! {
    /// What published configurations ask of PyTorch.
    pub struct DeterminismSettings {
        /// Insist on deterministic algorithms.
        enabled: bool = true => Any, NoEffect;
        /// Warn instead of insisting.
        warn_only: bool = false => Any, NoEffect;
        /// Allow matrix products of 19 bits on NVIDIA cards.
        allow_tf32: bool = false => Any, NoEffect;
    }
}

section! {
    /// Where a run is computed.
    pub struct HardwareSettings {
        /// Which NVIDIA card, from 0.
        cuda_device: usize = 0 => Any, Free;
        /// Several NVIDIA cards that share the batches of a step, the first with the weights; `null` is `cuda_device`
        /// alone.
        devices: Option<Vec<usize>> = None => Any, Free, Added;
        /// Kind of device; `null` takes CUDA where there is some, else the CPU.
        device: Option<DeviceKind> = None => Any, Free, Added;
    }
}

impl HardwareSettings {
    /// Which NVIDIA cards: at least one, no duplicates, at most as many as a step that trains an adapter has batches.
    /// The first holds the weights.
    pub fn cuda_devices(&self) -> Vec<usize> {
        self.devices.clone().unwrap_or_else(|| vec![self.cuda_device])
    }
}

section! {
    /// Files and folders.
    pub struct PathSettings {
        /// The documents with folds and labels: a file called .csv, .xlsx, .parquet or .jsonl.
        essays_csv: Required<PathBuf> = Default::default()
            => Required("the file of documents with folds and labels"), File;
        /// Folder of logs and metrics.
        output_dir: Required<PathBuf> = Default::default() => Required("a folder for logs and metrics"), Free;
        /// Folder of checkpoints, adapters and heads.
        checkpoint_dir: Required<PathBuf> = Default::default() => Required("a folder for checkpoints"), Free;
        /// Folder of pair caches, see `stage1_relative.pairs_file`.
        pair_cache_dir: Option<PathBuf> = None => Any, Free;
        /// Folder where embeddings of frozen weights are kept, by content, so that no run computes them again; several
        /// configurations may share it. By default `embeddings` in `paths.checkpoint_dir`.
        embedding_dir: Option<PathBuf> = None => Any, Free;
    }
}

section! {
    /// The backbone.
    pub struct ModelSettings {
        /// Folder of the backbone; or its name on the Hub of Hugging Face, like `HuggingFaceTB/SmolLM2-135M`, where `@` and a
        /// revision may follow. What is not there yet is fetched, and its commit is noted in `metadata`.
        backbone as "base_model": Required<PathBuf> = Default::default()
            => Required("the folder of a LLaMA checkpoint"), File;
        /// Packed weights cannot be trained on; `null` is `none`.
        quantization: Option<Quantization> = Some(Quantization::None) => Any, Same;
        /// Decoder layers that are read, from the first; `null` reads all of them. Of a part, the embedding is taken before
        /// the final norm, which belongs to the last layer. What is above is neither loaded nor computed. `auto` embeds
        /// the documents at about ten depths in one pass, and takes the one whose ridge has the least leave-one-out
        /// error on the labels.
        layers: Option<Layers> = None => Count(1, MAX_LAYERS), Same, Added;
        /// Tokens kept of a document.
        max_length: usize = 512 => Count(2, MAX_TOKENS), Same, Added;
        /// Which tokens the embedding of a document is made of.
        pooling: Pooling = Pooling::Mean => Any, Same, Added;
        /// Type of the frozen weights in memory; `auto` keeps that of the file.
        dtype: WeightDType = WeightDType::F32 => Any, Same, Added;
        /// Compute each layer once more in the backward pass instead of keeping what happens inside: less memory, more
        /// time, the same numbers.
        recompute: bool = false => Any, Same, Added;
    }
}

impl ModelSettings {
    /// Where the hidden states of this backbone are read; where that is still to be chosen, all of it.
    pub fn depth(&self, backbone: &LlamaConfig) -> Depth {
        match self.layers {
            Some(Layers::First(layers)) => backbone.depth_of(layers),
            Some(Layers::Auto) | None => Depth::default(),
        }
    }
}

section! {
    /// How the documents are laid out.
    pub struct DataSettings {
        /// Names of the columns.
        columns: Columns = Columns::default();
        /// How the prompt of a document stands before its text, where `data.columns.prompt` names one: words around
        /// `{prompt}` and `{text}`. What is too long for `model.max_length` loses the end of its prompt first.
        prompt_template: PromptTemplate = PromptTemplate::default() => Any, Same, Added;
        /// What separates fields of a table; `null` finds it in the header.
        delimiter: Option<Mark> = None => Any, Same, Added;
        /// The encoding of a file without a byte order mark; `null` is UTF-8.
        encoding: Option<Encoding> = None => Any, Same, Added;
        /// The character before quotes inside fields where they are not doubled, mostly a backslash.
        escape: Option<Mark> = None => Any, Same, Added;
        /// Refuse a document without a label, whatever its fold. Otherwise it takes part in all but stage 2.
        require_labels: bool = false => Any, Free, Added;
    }
}

impl DataSettings {
    /// Where documents are in their file.
    pub fn layout(&self) -> Layout {
        let table = TableOptions { delimiter: self.delimiter, encoding: self.encoding, escape: self.escape };
        Layout { columns: self.columns.clone(), table }
    }

    /// How prompts are read; `None` where documents have none.
    pub fn template(&self) -> Option<&PromptTemplate> {
        self.columns.prompt.as_ref().map(|_| &self.prompt_template)
    }
}

section! {
    /// Stage 1: utilities from pairs.
    pub struct RelativeSettings {
        /// Whether there is a stage 1. The other keys of a disabled one are ignored.
        enabled: bool = true => Any, Same;
        /// Folder with the stage 1 of an earlier run (its `relative/`), which is used instead of training one. One of another
        /// trait, depth, pooling, length or prompt is refused, and one that learned from the test fold.
        from: Option<PathBuf> = None => Any, File, Added;
        /// What is learned from the pairs. `adapter` trains an adapter and a head of utilities; `head_only` solves for the
        /// head on embeddings of the frozen backbone, in seconds, and has no use for the keys of `lora` and `training`.
        mode: RelativeMode = RelativeMode::Adapter => Any, Same, Added;
        /// Where the head of `mode: adapter` begins. `random`: as published. `head_only`: at the head that `head_only` finds,
        /// on embeddings with mean 0 and deviation 1 over the documents of the training pairs, which are embedded first;
        /// the adapter then only has to improve on it (linear probing before fine-tuning, Kumar et al. 2022,
        /// arXiv:2202.10054).
        head_init: UtilityInit = UtilityInit::Random => Any, Same, Added;
        /// JSONL of pairs; by default `run{run_id}_{trait}.jsonl` in `paths.pair_cache_dir`. Of several traits, one file has
        /// the pairs of all, or the name has the word `{trait}` with its braces and stands for a file of each.
        pairs_file: Required<PathBuf> = Default::default() => Any, File;
        /// Description of the pairs, which is compared with the run where it is given.
        pairs_meta: Option<PathBuf> = None => Any, Free;
        /// Pairs count by the weights in their file, such as the reliability of judges; else each counts 1.
        pair_weights: bool = false => Any, Same, Added;
        /// Training pairs used at most, chosen by the seed from those of the file in whatever order they stand there;
        /// `null` uses all.
        max_pairs: Option<usize> = None => Count(1, MAX_STEPS), Same, Added;
        /// The adapter that is trained.
        lora: RelativeLoraSettings = Default::default();
        /// The loop.
        training: TrainingSettings = Default::default();
        /// What is written besides checkpoints.
        outputs: OutputSettings = Default::default();
    }
}

section! {
    /// The adapter of stage 1.
    pub struct RelativeLoraSettings {
        /// Rank of the update.
        rank as "r": usize = 16 => Count(1, MAX_RANK), Same;
        /// The update is scaled by alpha / rank.
        alpha: f64 = 32.0 => ABOVE_0, Same;
        /// Share of the adapter's inputs that is set to 0 in training.
        dropout: f64 = 0.05 => DROPOUT, Same;
        /// Projections that get an adapter.
        targets as "target_modules": Vec<Projection> = attention() => Any, Same;
    }
}

fn attention() -> Vec<Projection> {
    vec![Projection::Q, Projection::K, Projection::V, Projection::O]
}

impl RelativeLoraSettings {
    /// The adapter.
    pub fn config(&self) -> LoraConfig {
        let Self { rank, alpha, dropout, ref targets } = *self;
        LoraConfig { rank, alpha, dropout, targets: targets.clone() }
    }
}

section! {
    /// What stage 1 writes.
    pub struct OutputSettings {
        /// Write the adapter and its head. Stage 2 needs them, unless it trains from scratch.
        save_adapter: bool = true => Any, Free;
        /// Write the pooled embeddings of the training documents.
        save_embeddings: bool = true => Any, Free;
        /// Epochs, from 1, whose results are written too, to `epoch_N/`, as if the training had ended there.
        save_epochs: Vec<usize> = Vec::new() => Any, Free, Added;
    }
}

section! {
    /// The loop of a stage.
    pub struct TrainingSettings {
        /// Passes over the training data.
        epochs: usize = 10 => Count(1, MAX_EPOCHS), Same;
        /// Steps after which training ends, whatever the number of epochs; `null` does not bound them. The learning rate
        /// reaches its end there, and the model is evaluated as after an epoch.
        max_steps: Option<usize> = None => Count(1, MAX_STEPS), Same, Added;
        /// Pairs (stage 1) or documents (stage 2) of a micro-batch.
        batch_size: usize = 4 => Count(1, MAX_BATCH), Same;
        /// Peak learning rate.
        lr: f64 = 2e-4 => RATE, Same;
        /// Weight decay of AdamW, per step.
        weight_decay: f64 = 0.01 => FROM_0, Same;
        /// Steps between log lines.
        log_every: usize = 100 => Count(1, MAX_STEPS), Free;
        /// The metric that chooses the epoch: in stage 1 `val_acc` or `val_loss`, in stage 2 any but `val_acc`.
        /// On a continuous scale there is no `val_qwk`; `val_r2` takes its place, which chooses the epoch that `val_rmse`
        /// would.
        monitor: Monitor = Monitor::ValAccuracy => Any, Same;
        /// Which values of the monitor are better; `auto` knows it.
        monitor_mode: MonitorMode = MonitorMode::Auto => Any, Same;
        /// Epochs without improvement before stopping; 0 or `null` never stops.
        patience as "early_stop_patience": Option<usize> = Some(3) => Any, Same;
        /// An improvement must exceed this.
        min_delta as "early_stop_min_delta": f64 = 5e-4 => FROM_0, Same;
        /// Micro-batches of a step.
        accumulation as "gradient_accumulation": usize = 1 => Count(1, MAX_BATCH), Same, Added;
        /// Gradients whose norm is larger are scaled down to it; `null` does not clip.
        max_grad_norm: Option<f64> = None => ABOVE_0, Same, Added;
        /// Shape of the learning rate over the steps.
        schedule: ScheduleKind = ScheduleKind::Constant => Any, Same, Added;
        /// Steps from 0 to the peak.
        warmup_steps: usize = 0 => Count(0, MAX_STEPS), Same, Added;
        /// Put examples of similar length together. No device pads, so this saves no work.
        length_grouped: bool = false => Any, Same, Added;
        /// Tokens of a micro-batch, whatever `batch_size` says; `null` goes by `batch_size`. With `document_grouped` a
        /// document counts once for all of its pairs.
        max_batch_tokens: Option<usize> = None => Count(1, MAX_STEPS), Same, Added;
        /// Stage 1 only: put pairs that share documents together, which are then encoded once.
        document_grouped: bool = false => Any, Same, Added;
    }
}

impl TrainingSettings {
    fn absolute() -> Self {
        Self { epochs: 15, lr: 1e-4, monitor: Monitor::ValQwk, patience: Some(4), ..Self::default() }
    }

    /// How examples are put into micro-batches.
    pub fn batching(&self) -> Batching {
        Batching {
            size: self.batch_size,
            max_tokens: self.max_batch_tokens,
            length_grouped: self.length_grouped,
            document_grouped: self.document_grouped,
        }
    }
}

section! {
    /// Stage 2: scores in rubric units.
    pub struct AbsoluteSettings {
        /// What is taken over from stage 1. With `base` the flags below decide; they must not contradict any other.
        mode: Mode = Mode::Base => Any, Same;
        /// The adapter that is trained.
        lora: AbsoluteLoraSettings = Default::default();
        /// The loop.
        training: TrainingSettings = TrainingSettings::absolute();
        /// Whether the frozen embedding of stage 1 is appended to the current one.
        embedding_fusion: FusionSettings = Default::default();
        /// The map from an embedding to a score. `mlp` is trained; `ridge` and `joint` are solved for, in seconds and from
        /// training and validation documents alike, where nothing below them trains; the keys of the loop then have no
        /// part. `ridge` learns from labels, `joint` from labels and the training pairs of stage 1 together.
        head: Head = Head::Mlp => Any, Same, Added;
        /// Where the `mlp` begins. `random`: as published, near 0 on embeddings as they are. `data`: on embeddings with mean 0
        /// and deviation 1, at the mean of the training labels and with their deviation, which suits any scale; folded into
        /// the layers of the head at the end. `ridge`: as `data`, at the linear map that `head: ridge` would find for the
        /// training documents, whose embeddings are computed first; what trains then only has to improve on it, as in
        /// linear probing before fine-tuning (Kumar et al. 2022, arXiv:2202.10054). `null` is `random` on the published
        /// scale, 1 to 5 by 0.5, and `data` on any other.
        head_init: Option<HeadInit> = None => Any, Same, Added;
        /// Labels of the training folds that are used at most, validation documents included, chosen by the seed; `null`
        /// uses all. The other documents are as good as unlabelled; pairs may still be about them.
        max_labels: Option<usize> = None => Count(2, MAX_STEPS), Same, Added;
        /// Weights of several traits in the loss of the `mlp`, in the order of `pipeline.traits`; `null` is 1 each.
        trait_weights: Option<Vec<f64>> = None => ABOVE_0, Same, Added;
        /// The loss of `mlp`.
        objective: Objective = Objective::L1 => Any, Same, Added;
        /// Where the Huber loss turns from squared to linear, in score units.
        huber_delta: f64 = 1.0 => ABOVE_0, Same, Added;
        /// Which binning of scores into grades `val_qwk` means.
        binning as "qwk": Binning = Binning::Nearest => Any, Same, Added;
        /// How raw scores are mapped to calibrated ones, and where grades begin: as the validation documents say, or for a
        /// head that is solved for all labelled documents, each as the others predict it. Raw scores, plain grades and all metrics
        /// of these stay what they are.
        calibration: Calibration = Calibration::Linear => Any, Same, Added;
        /// What is left with the scorer.
        outputs: ScorerOutputSettings = Default::default();
    }
}

section! {
    /// What stage 2 leaves with the scorer.
    pub struct ScorerOutputSettings {
        /// Keep the texts of the [anchors](files.md#anchors), graded documents that a text is compared with, in the scorer,
        /// its exports and its page. Otherwise their ids and labels are kept alone.
        keep_anchor_texts: bool = false => Any, Same, Added;
    }
}

section! {
    /// The adapter of stage 2.
    pub struct AbsoluteLoraSettings {
        /// Start from the adapter of stage 1. If this is not given, stage 2 does so wherever there is one.
        reuse_relative_adapter: Option<bool> = None => Any, Same;
        /// Rank of a fresh adapter; a reused one keeps its own.
        rank as "new_adapter_rank": usize = 16 => Count(1, MAX_RANK), Same;
        /// The update of a fresh adapter is scaled by alpha / rank.
        alpha: f64 = 32.0 => ABOVE_0, Same;
        /// Share of the adapter's inputs that is set to 0 in training.
        dropout: f64 = 0.05 => DROPOUT, Same;
        /// Projections that get a fresh adapter.
        targets as "target_modules": Vec<Projection> = attention() => Any, Same;
        /// Freeze the reused adapter and train a fresh one on top. If this is not given, there is no second adapter.
        stack_new_adapter: Option<bool> = None => Any, Same, Added;
        /// Name of the fresh adapter of a stack.
        stack_adapter_name: String = "stage2".into() => Any, NoEffect, Added;
        /// Train a reused adapter further. If this is not given, it is trained unless a fresh one is stacked on it.
        train_reused_adapter: Option<bool> = None => Any, Same, Added;
    }
}

impl AbsoluteLoraSettings {
    /// A fresh adapter; a reused one keeps its own rank, alpha and targets.
    pub fn config(&self) -> LoraConfig {
        let Self { rank, alpha, dropout, ref targets, .. } = *self;
        LoraConfig { rank, alpha, dropout, targets: targets.clone() }
    }
}

section! {
    /// Whether the frozen embedding of stage 1 is appended.
    pub struct FusionSettings {
        /// By default only where `mode` says so.
        enabled: Option<bool> = None => Any, Same;
    }
}

impl RelativeSettings {
    /// That of an earlier run in this folder; none without a folder.
    pub fn earlier(from: Option<PathBuf>) -> Self {
        Self { enabled: from.is_some(), from, ..Self::default() }
    }

    /// With the pairs of another stage 1.
    pub fn with_pairs_of(&self, other: &Self) -> Self {
        let Self { pairs_file, pairs_meta, pair_weights, max_pairs, .. } = other.clone();
        Self { pairs_file, pairs_meta, pair_weights, max_pairs, ..self.clone() }
    }
}

impl PipelineSettings {
    /// The rated attributes; at least one.
    pub fn targets(&self) -> &[String] {
        if self.traits.is_empty() { std::slice::from_ref(&*self.target) } else { &self.traits }
    }

    /// Their names in words.
    pub fn named(&self) -> String {
        self.targets().join(", ")
    }
}

/// Stands in a name of files for the trait that each is about.
pub(super) const TRAIT: &str = "{trait}";

impl Settings {
    /// The files of pairs, which may be about one trait each or about all.
    pub fn pair_files(&self, stage1: &RelativeSettings) -> Vec<PathBuf> {
        let name = stage1.pairs_file.to_string_lossy();
        let of = |target: &String| PathBuf::from(name.replace(TRAIT, target));
        match name.contains(TRAIT) {
            true => self.pipeline.targets().iter().map(of).collect(),
            false => vec![stage1.pairs_file.to_path_buf()],
        }
    }

    /// The weights of the traits in the loss of stage 2.
    pub fn trait_weights(&self) -> Vec<f64> {
        let equal = || vec![1.0; self.pipeline.targets().len()];
        self.absolute.trait_weights.clone().unwrap_or_else(equal)
    }

    /// The settings with the ends of a scale that the labels decided.
    pub fn with_scale(&self, scale: &ScoreScale) -> Self {
        let mut settings = self.clone();
        settings.scale.record(scale);
        settings
    }

    /// Stage 1 where this run trains it: it is enabled, and not that of an earlier run.
    pub fn stage1(&self) -> Option<&RelativeSettings> {
        Some(&self.relative).filter(|stage1| stage1.enabled && stage1.from.is_none())
    }

    /// The stage 1 whose pairs are read: one that this run trains, or any if stage 2 learns from its pairs too.
    pub fn pair_source(&self) -> Option<&RelativeSettings> {
        let judged = self.absolute.head == Head::Joint;
        Some(&self.relative).filter(|stage1| stage1.enabled && (judged || stage1.from.is_none()))
    }

    /// The folder where embeddings of frozen weights are kept.
    pub fn embedding_cache(&self) -> PathBuf {
        let own = || self.paths.checkpoint_dir.join("embeddings");
        self.paths.embedding_dir.clone().unwrap_or_else(own)
    }
}
