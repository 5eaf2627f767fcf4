//! Resolved settings back to the layout of the file, every default filled in.

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml::Value;

use super::choices::{BINNINGS, CALIBRATIONS, DEVICES, DTYPES, Objective, POOLINGS, SCHEDULES, spell};
use super::raw::{
    RawConfig, RawData, RawDeterminism, RawHardware, RawModel, RawOutputs, RawPaths, RawPipeline,
    RawRelative, RawRelativeLora, RawTraining,
};
use super::raw_absolute::{RawAbsolute, RawAbsoluteLora, RawFusion};
use super::scalar::{Name, Note};
use super::settings::{AbsoluteSettings, RelativeSettings, Settings, TrainingSettings, Transfer};

impl Settings {
    /// YAML that resolves to the same settings again.
    pub fn to_yaml(&self) -> String {
        // Strings, numbers and maps with text keys: nothing here can fail to serialise.
        serde_yaml::to_string(&raw(self)).unwrap_or_default()
    }

    /// The same as dotted keys and values in one line each, for comparing.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let mut entries = BTreeMap::new();
        flatten(String::new(), &serde_yaml::to_value(raw(self)).unwrap_or(Value::Null), &mut entries);
        entries
    }
}

fn flatten(key: String, value: &Value, entries: &mut BTreeMap<String, String>) {
    match value {
        Value::Mapping(map) => {
            for (name, value) in map {
                let name = name.as_str().unwrap_or_default();
                let key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                flatten(key, value, entries);
            }
        }
        value => {
            let text = serde_yaml::to_string(value).unwrap_or_default();
            entries.insert(key, text.trim().replace('\n', " "));
        }
    }
}

fn raw(settings: &Settings) -> RawConfig {
    RawConfig {
        pipeline: RawPipeline {
            experiment_id: Some(Name(settings.experiment.clone())),
            run_id: None,
            target: Some(Name(settings.target.clone())),
            train_folds: settings.train_folds.iter().cloned().map(Name).collect(),
            test_fold: Some(Name(settings.test_fold.clone())),
            val_ratio: settings.val_ratio,
            seed: Some(settings.seed),
            share_val_split: settings.share_val_split,
            checkpoint_every: settings.checkpoint_every,
            checkpoint_keep: settings.checkpoint_keep,
        },
        determinism: RawDeterminism {
            enabled: settings.determinism.enabled,
            warn_only: settings.determinism.warn_only,
            allow_tf32: settings.determinism.allow_tf32,
        },
        hardware: RawHardware {
            cuda_device: settings.cuda_devices[0],
            devices: (settings.cuda_devices.len() > 1).then(|| settings.cuda_devices.clone()),
            device: settings.device.map(|device| spell(DEVICES, device).into()),
        },
        metadata: settings.metadata.iter().map(|(key, note)| (key.clone(), Note(note.clone()))).collect(),
        paths: RawPaths {
            essays_csv: Some(text(&settings.essays_csv)),
            output_dir: Some(text(&settings.output_dir)),
            checkpoint_dir: Some(text(&settings.checkpoint_dir)),
            pair_cache_dir: settings.pair_cache_dir.as_deref().map(text),
            embedding_dir: settings.embedding_dir.as_deref().map(text),
        },
        model: RawModel {
            base_model: Some(text(&settings.backbone)),
            max_length: settings.max_length,
            pooling: spell(POOLINGS, settings.pooling).into(),
            dtype: spell(DTYPES, settings.dtype).into(),
            recompute: settings.recompute,
            ..RawModel::default()
        },
        data: RawData { columns: settings.columns.clone() },
        scale: settings.scale,
        stage1_relative: match &settings.relative {
            Some(relative) => raw_relative(relative),
            None => RawRelative {
                enabled: settings.relative_from.is_some(),
                from: settings.relative_from.as_deref().map(text),
                ..RawRelative::default()
            },
        },
        stage2_absolute: raw_absolute(&settings.absolute),
    }
}

/// Paths come from YAML or the command line as text; one built in code from bytes that are no text is approximated.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn raw_relative(relative: &RelativeSettings) -> RawRelative {
    RawRelative {
        enabled: true,
        from: None,
        pairs_file: Some(text(&relative.pairs_file)),
        pairs_meta: relative.pairs_meta.as_deref().map(text),
        pair_weights: relative.pair_weights,
        lora: RawRelativeLora {
            r: relative.lora.rank,
            alpha: relative.lora.alpha,
            dropout: relative.lora.dropout,
            target_modules: relative.lora.targets.clone(),
        },
        training: raw_training(&relative.training),
        outputs: RawOutputs {
            save_adapter: relative.save_adapter,
            save_embeddings: relative.save_embeddings,
            save_epochs: relative.save_epochs.clone(),
        },
    }
}

/// A transfer as mode and flags.
struct Flags {
    mode: &'static str,
    reuse: bool,
    stack: bool,
    train_reused: Option<bool>,
}

fn flags(transfer: Transfer) -> Flags {
    let base = Flags { mode: "base", reuse: false, stack: false, train_reused: None };
    match transfer {
        Transfer::Scratch => base,
        Transfer::HeadOnly => Flags { mode: "head_only", ..base },
        Transfer::WarmStart { train_adapter } => {
            Flags { reuse: true, train_reused: Some(train_adapter), ..base }
        }
        Transfer::Stacked => Flags { reuse: true, stack: true, train_reused: Some(false), ..base },
        Transfer::Fusion { reuse, train_adapter } => {
            Flags { mode: "embedding_fusion", reuse, train_reused: Some(train_adapter), ..base }
        }
    }
}

fn raw_absolute(absolute: &AbsoluteSettings) -> RawAbsolute {
    let flags = flags(absolute.transfer);
    let defaults = RawAbsolute::default();
    RawAbsolute {
        mode: flags.mode.into(),
        lora: RawAbsoluteLora {
            reuse_relative_adapter: Some(flags.reuse),
            new_adapter_rank: absolute.lora.rank,
            alpha: absolute.lora.alpha,
            dropout: absolute.lora.dropout,
            target_modules: absolute.lora.targets.clone(),
            stack_new_adapter: Some(flags.stack),
            stack_adapter_name: absolute.stack_adapter_name.clone(),
            train_reused_adapter: flags.train_reused,
        },
        training: raw_training(&absolute.training),
        embedding_fusion: RawFusion { enabled: Some(matches!(absolute.transfer, Transfer::Fusion { .. })) },
        objective: absolute.objective.key().into(),
        huber_delta: match absolute.objective {
            Objective::Huber { delta } => delta,
            _ => defaults.huber_delta,
        },
        qwk: spell(BINNINGS, absolute.binning).into(),
        calibration: spell(CALIBRATIONS, absolute.calibration).into(),
    }
}

fn raw_training(training: &TrainingSettings) -> RawTraining {
    RawTraining {
        epochs: training.epochs,
        batch_size: training.batching.size,
        lr: training.lr,
        weight_decay: training.weight_decay,
        log_every: training.log_every,
        monitor: training.monitor.key().into(),
        monitor_mode: if training.monitor.higher_is_better() { "max" } else { "min" }.into(),
        early_stop_patience: training.patience,
        early_stop_min_delta: training.min_delta,
        gradient_accumulation: training.accumulation,
        max_grad_norm: training.max_grad_norm,
        schedule: spell(SCHEDULES, training.schedule).into(),
        warmup_steps: training.warmup_steps,
        length_grouped: training.batching.length_grouped,
        max_batch_tokens: training.batching.max_tokens,
        document_grouped: training.batching.document_grouped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_become_dotted_names() {
        let mut entries = BTreeMap::new();
        let yaml = "a: {b: {c: 1.5, d: [x, y]}}\ne: null\n";
        flatten(String::new(), &serde_yaml::from_str(yaml).unwrap(), &mut entries);
        let expected = [("a.b.c", "1.5"), ("a.b.d", "- x - y"), ("e", "null")];
        assert_eq!(entries, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
}
