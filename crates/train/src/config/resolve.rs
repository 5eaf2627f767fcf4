//! Raw settings to resolved ones: everything is checked, and everything wrong is named at once.

use std::path::{Path, PathBuf};

use pair2score_data::Columns;

use super::choices::{
    ABSOLUTE_MONITORS, BINNINGS, CALIBRATIONS, DEVICES, DTYPES, MONITOR_MODES, Monitor, POOLINGS,
    RELATIVE_MONITORS, SCHEDULES, Spellings, objectives,
};
use super::error::{ConfigError, Problems};
use super::raw::{RawConfig, RawHardware, RawRelative, RawTraining};
use super::raw_absolute::RawAbsolute;
use super::scalar::Name;
use super::settings::{
    AbsoluteSettings, Determinism, LoraSettings, RelativeSettings, Settings, TrainingSettings,
};
use super::transfer::transfer;
use crate::batches::Batching;

/// Projections of a LLaMA layer, the only places an adapter can go.
const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// Larger counts are taken for mistakes; below them, products of counts fit.
pub(super) const MAX_EPOCHS: usize = 100_000;
pub(super) const MAX_BATCH: usize = 65_536;
pub(super) const MAX_STEPS: usize = 1_000_000_000;
const MAX_RANK: usize = 4096;

impl Settings {
    /// Checks `raw` as a whole; `path` is only named in messages.
    ///
    /// # Errors
    /// Names everything that is missing, out of range or contradictory, each with its key.
    pub fn resolve(raw: &RawConfig, path: &Path) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let settings = resolve(raw, &mut problems);
        problems.finish(path, settings)
    }
}

fn resolve(raw: &RawConfig, problems: &mut Problems) -> Settings {
    let pipeline = &raw.pipeline;
    let experiment = match (&pipeline.experiment_id, &pipeline.run_id) {
        (None, Some(run)) if run_number(run).is_some() => format!("run{}", run.0.trim()),
        (None, Some(run)) => problems.required("pipeline.run_id", Some(&run.0), "a number or a name"),
        (id, _) => problems.required("pipeline.experiment_id", text(id), "a name for the run"),
    };
    let target =
        problems.required("pipeline.trait", text(&pipeline.target), "the column to learn, like grammar");
    let (train_folds, test_fold) = folds(raw, problems);
    if pipeline.seed.is_none() {
        problems.add("pipeline.seed", "missing, give a whole number like 42");
    }
    let paths = &raw.paths;
    let mut path = |key, value: &Option<String>, example| {
        PathBuf::from(problems.required(key, value.as_deref(), example))
    };
    let essays_csv =
        path("paths.essays_csv", &paths.essays_csv, "the CSV of documents with folds and labels");
    let output_dir = path("paths.output_dir", &paths.output_dir, "a folder for logs and metrics");
    let checkpoint_dir = path("paths.checkpoint_dir", &paths.checkpoint_dir, "a folder for checkpoints");
    let backbone = path("model.base_model", &raw.model.base_model, "the folder of a LLaMA checkpoint");
    let quantization = raw.model.quantization.as_deref().unwrap_or("none");
    if quantization != "none" {
        problems.add("model.quantization", format!("{quantization:?} cannot be trained, use none"));
    }
    check_columns(problems, &raw.data.columns);
    if let Err(error) = raw.scale.validate() {
        problems.add_plain(error.to_string().replace("; ", ", "));
    }
    let device =
        raw.hardware.device.as_deref().map(|device| problems.choice("hardware.device", device, DEVICES));
    let relative = relative(raw, &target, problems);
    let absolute = absolute(&raw.stage2_absolute, &raw.stage1_relative, problems);
    let cuda_devices = cuda_devices(&raw.hardware, relative.as_ref(), &absolute, problems);
    Settings {
        experiment,
        relative,
        relative_from: raw
            .stage1_relative
            .from
            .as_ref()
            .filter(|_| raw.stage1_relative.enabled)
            .map(PathBuf::from),
        target,
        train_folds,
        test_fold,
        val_ratio: fraction(problems, "pipeline.val_ratio", pipeline.val_ratio),
        seed: pipeline.seed.unwrap_or_default(),
        share_val_split: pipeline.share_val_split,
        checkpoint_every: pipeline
            .checkpoint_every
            .map(|every| problems.count("pipeline.checkpoint_every", every, 1..=MAX_STEPS)),
        checkpoint_keep: problems.count("pipeline.checkpoint_keep", pipeline.checkpoint_keep, 2..=1000),
        determinism: Determinism {
            enabled: raw.determinism.enabled,
            warn_only: raw.determinism.warn_only,
            allow_tf32: raw.determinism.allow_tf32,
        },
        device,
        cuda_devices,
        metadata: raw.metadata.iter().map(|(key, note)| (key.clone(), note.0.clone())).collect(),
        essays_csv,
        output_dir,
        checkpoint_dir,
        pair_cache_dir: paths.pair_cache_dir.as_ref().map(PathBuf::from),
        embedding_dir: paths.embedding_dir.as_ref().map(PathBuf::from),
        columns: raw.data.columns.clone(),
        scale: raw.scale,
        backbone,
        max_length: problems.count("model.max_length", raw.model.max_length, 2..=131_072),
        pooling: problems.choice("model.pooling", &raw.model.pooling, POOLINGS),
        dtype: problems.choice("model.dtype", &raw.model.dtype, DTYPES),
        recompute: raw.model.recompute,
        absolute,
    }
}

/// The cards of a run; a step of every stage that trains below its head has a batch for each.
fn cuda_devices(
    raw: &RawHardware,
    relative: Option<&RelativeSettings>,
    absolute: &AbsoluteSettings,
    problems: &mut Problems,
) -> Vec<usize> {
    let Some(devices) = &raw.devices else { return vec![raw.cuda_device] };
    let key = "hardware.devices";
    let twice = devices.iter().enumerate().find(|(place, device)| devices[..*place].contains(device));
    let problem = match (devices.first(), raw.cuda_device) {
        (None, _) => Some("empty, name at least one card like [0]".to_owned()),
        (Some(&first), single) if single != 0 && single != first => {
            Some(format!("begins with card {first}, but cuda_device is {single}, remove cuda_device"))
        }
        _ => twice.map(|(_, device)| format!("card {device} occurs twice, remove one")),
    };
    if let Some(problem) = problem {
        problems.add(key, problem);
        return vec![raw.cuda_device];
    }
    let stages = [
        ("stage1_relative", relative.map(|stage| &stage.training)),
        ("stage2_absolute", absolute.transfer.trains_adapter().then_some(&absolute.training)),
    ];
    for (section, training) in stages {
        let cards = devices.len();
        if let Some(batches) = training.map(|training| training.accumulation).filter(|&n| n < cards) {
            problems.add(
                &format!("{section}.training.gradient_accumulation"),
                format!(
                    "{batches}, but a step gives each of the {cards} cards of {key} a batch at least, set it to \
                     {cards} or more"
                ),
            );
        }
    }
    devices.clone()
}

fn text(name: &Option<Name>) -> Option<&str> {
    name.as_ref().map(|name| name.0.as_str())
}

fn run_number(run: &Name) -> Option<u32> {
    run.0.trim().parse().ok()
}

/// Above 0, below 1.
pub(super) fn fraction(problems: &mut Problems, key: &str, value: f64) -> f64 {
    problems.number(
        key,
        value,
        |value| value > 0.0 && value < 1.0,
        "above 0 and below 1, use 0.1 for example",
    )
}

fn folds(raw: &RawConfig, problems: &mut Problems) -> (Vec<String>, String) {
    let names = raw.pipeline.train_folds.iter();
    let train: Vec<String> = names.map(|name| name.0.trim().to_owned()).collect();
    let test = problems.required("pipeline.test_fold", text(&raw.pipeline.test_fold), "a fold like B");
    if train.is_empty() {
        problems.add("pipeline.train_folds", "missing, give a list like [C, D, E, A]");
    }
    for (place, fold) in train.iter().enumerate() {
        if fold.is_empty() {
            problems.add("pipeline.train_folds", "a fold without a name, remove it");
        } else if train[..place].contains(fold) {
            problems.add("pipeline.train_folds", format!("{fold:?} occurs twice, remove one"));
        }
    }
    if !test.is_empty() && train.contains(&test) {
        problems.add("pipeline.test_fold", format!("{test:?} is also a training fold, remove it from one"));
    }
    (train, test)
}

pub(super) fn check_columns(problems: &mut Problems, columns: &Columns) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let label = columns.label.as_deref().map(|label| ("data.columns.label", label));
    let required = [
        ("data.columns.id", columns.id.as_str()),
        ("data.columns.text", &columns.text),
        ("data.columns.fold", &columns.fold),
    ];
    for (key, name) in required.into_iter().chain(label) {
        if name.trim().is_empty() {
            problems.add(key, "an empty name, give the name of the column");
        } else if let Some((other, _)) = seen.iter().find(|(_, seen)| *seen == name) {
            problems.add(key, format!("{name:?} is also {other}, name different columns"));
        }
        seen.push((key, name));
    }
}

fn relative(raw: &RawConfig, target: &str, problems: &mut Problems) -> Option<RelativeSettings> {
    let stage = &raw.stage1_relative;
    if !stage.enabled || stage.from.is_some() {
        return None;
    }
    let run = raw.pipeline.run_id.as_ref().and_then(run_number);
    let cache = raw.paths.pair_cache_dir.as_ref();
    let pairs_file = match (&stage.pairs_file, cache, run) {
        (None, Some(folder), Some(run)) => Path::new(folder).join(format!("run{run}_{target}.jsonl")),
        (file, ..) => {
            let example = "the JSONL of pairs (or paths.pair_cache_dir and a number as pipeline.run_id)";
            problems.required("stage1_relative.pairs_file", file.as_deref(), example).into()
        }
    };
    let lora = &stage.lora;
    let section = "stage1_relative.lora";
    Some(RelativeSettings {
        pairs_file,
        pairs_meta: stage.pairs_meta.as_ref().map(PathBuf::from),
        pair_weights: stage.pair_weights,
        lora: LoraSettings {
            rank: problems.count(&format!("{section}.r"), lora.r, 1..=MAX_RANK),
            ..adapter(problems, section, lora.alpha, lora.dropout, &lora.target_modules)
        },
        training: training(problems, "stage1_relative.training", &stage.training, RELATIVE_MONITORS),
        save_adapter: stage.outputs.save_adapter,
        save_embeddings: stage.outputs.save_embeddings,
        save_epochs: save_epochs(stage, problems),
    })
}

fn save_epochs(stage: &RawRelative, problems: &mut Problems) -> Vec<usize> {
    let key = "stage1_relative.outputs.save_epochs";
    let mut epochs = stage.outputs.save_epochs.clone();
    for &epoch in &epochs {
        problems.count(key, epoch, 1..=stage.training.epochs.max(1));
    }
    if !epochs.is_empty() && !stage.outputs.save_adapter {
        problems.add(key, "given, but stage1_relative.outputs.save_adapter is false, change one");
    }
    epochs.sort_unstable();
    epochs.dedup();
    epochs
}

fn absolute(raw: &RawAbsolute, stage1: &RawRelative, problems: &mut Problems) -> AbsoluteSettings {
    let transfer = transfer(raw, stage1.enabled, problems);
    if transfer.needs_stage1() && stage1.enabled && !stage1.outputs.save_adapter {
        let what = "false, but stage 2 starts from that adapter, set it to true";
        problems.add("stage1_relative.outputs.save_adapter", what);
    }
    let lora = &raw.lora;
    let section = "stage2_absolute.lora";
    let name = &lora.stack_adapter_name;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        problems.add(
            &format!("{section}.stack_adapter_name"),
            format!("{name:?} is not a name of letters, digits, _ and -"),
        );
    }
    let positive = |value: f64| value > 0.0;
    let delta = problems.number("stage2_absolute.huber_delta", raw.huber_delta, positive, "above 0");
    AbsoluteSettings {
        transfer,
        lora: LoraSettings {
            rank: problems.count(&format!("{section}.new_adapter_rank"), lora.new_adapter_rank, 1..=MAX_RANK),
            ..adapter(problems, section, lora.alpha, lora.dropout, &lora.target_modules)
        },
        stack_adapter_name: name.clone(),
        training: training(problems, "stage2_absolute.training", &raw.training, ABSOLUTE_MONITORS),
        objective: problems.choice("stage2_absolute.objective", &raw.objective, &objectives(delta)),
        binning: problems.choice("stage2_absolute.qwk", &raw.qwk, BINNINGS),
        calibration: problems.choice("stage2_absolute.calibration", &raw.calibration, CALIBRATIONS),
    }
}

/// All but the rank, whose key differs between the stages.
fn adapter(
    problems: &mut Problems,
    section: &str,
    alpha: f64,
    dropout: f64,
    target_modules: &[String],
) -> LoraSettings {
    let key = format!("{section}.target_modules");
    if target_modules.is_empty() {
        problems.add(&key, "empty, name at least one projection like q_proj");
    }
    let spellings = PROJECTIONS.map(|projection| (projection, ()));
    for (place, module) in target_modules.iter().enumerate() {
        problems.choice(&key, module, &spellings);
        if target_modules[..place].contains(module) {
            problems.add(&key, format!("{module:?} occurs twice, remove one"));
        }
    }
    let below_one = |value: f64| (0.0..1.0).contains(&value);
    LoraSettings {
        rank: 0,
        alpha: problems.number(&format!("{section}.alpha"), alpha, |value| value > 0.0, "above 0"),
        dropout: problems.number(&format!("{section}.dropout"), dropout, below_one, "0 or more and below 1"),
        targets: target_modules.to_vec(),
    }
}

/// Above 0, at most 1: a rate beyond that has lost its minus sign in the exponent.
pub(super) fn learning_rate(problems: &mut Problems, key: &str, value: f64) -> f64 {
    problems.number(key, value, |value| value > 0.0 && value <= 1.0, "above 0 and at most 1")
}

/// Not negative.
pub(super) fn not_negative(problems: &mut Problems, key: &str, value: f64) -> f64 {
    problems.number(key, value, |value| value >= 0.0, "0 or more")
}

/// `None` does not clip.
pub(super) fn clip(problems: &mut Problems, key: &str, value: Option<f64>) -> Option<f64> {
    value.map(|value| problems.number(key, value, |value| value > 0.0, "above 0, use null not to clip"))
}

fn training(
    problems: &mut Problems,
    section: &str,
    raw: &RawTraining,
    monitors: &Spellings<Monitor>,
) -> TrainingSettings {
    let key = |name: &str| format!("{section}.{name}");
    let monitor = problems.choice(&key("monitor"), &raw.monitor, monitors);
    let higher = problems.choice(&key("monitor_mode"), &raw.monitor_mode, MONITOR_MODES);
    let known = monitors.iter().any(|(spelling, _)| *spelling == raw.monitor);
    if known && higher.is_some_and(|higher| higher != monitor.higher_is_better()) {
        let right = if monitor.higher_is_better() { "max" } else { "min" };
        let what = format!("{} contradicts monitor {}, use {right} or auto", raw.monitor_mode, monitor.key());
        problems.add(&key("monitor_mode"), what);
    }
    if raw.document_grouped && (raw.length_grouped || section.starts_with("stage2")) {
        let what = match raw.length_grouped {
            true => "contradicts length_grouped, set one of them to false",
            false => "is for pairs, set it to false in stage 2",
        };
        problems.add(&key("document_grouped"), what);
    }
    TrainingSettings {
        epochs: problems.count(&key("epochs"), raw.epochs, 1..=MAX_EPOCHS),
        batching: Batching {
            size: problems.count(&key("batch_size"), raw.batch_size, 1..=MAX_BATCH),
            max_tokens: raw
                .max_batch_tokens
                .map(|tokens| problems.count(&key("max_batch_tokens"), tokens, 1..=MAX_STEPS)),
            length_grouped: raw.length_grouped,
            document_grouped: raw.document_grouped,
        },
        lr: learning_rate(problems, &key("lr"), raw.lr),
        weight_decay: not_negative(problems, &key("weight_decay"), raw.weight_decay),
        log_every: problems.count(&key("log_every"), raw.log_every, 1..=MAX_STEPS),
        monitor,
        patience: raw.early_stop_patience.filter(|&patience| patience > 0),
        min_delta: not_negative(problems, &key("early_stop_min_delta"), raw.early_stop_min_delta),
        accumulation: problems.count(&key("gradient_accumulation"), raw.gradient_accumulation, 1..=MAX_BATCH),
        max_grad_norm: clip(problems, &key("max_grad_norm"), raw.max_grad_norm),
        schedule: problems.choice(&key("schedule"), &raw.schedule, SCHEDULES),
        warmup_steps: problems.count(&key("warmup_steps"), raw.warmup_steps, 0..=MAX_STEPS),
    }
}
