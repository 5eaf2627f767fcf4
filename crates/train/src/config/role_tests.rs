//! What a stage that goes on, or is over, must have unchanged: of every key, by changing it.

use std::collections::BTreeSet;

use super::section::Walk;
use super::tests::{SMALLEST, read};
use super::{STAGE1, STAGE2, Settings};

/// Another value of every key, and the stages whose results it changes: 1, 2, both or none.
///
/// Written from what the code does with a key, not from its declaration.
const OTHER_VALUES: &[(&str, &str, &str)] = &[
    ("pipeline.experiment_id", "other", ""),
    ("pipeline.run_id", "7", ""),
    ("pipeline.trait", "syntax", "12"),
    ("pipeline.traits", "[grammar, syntax]", "12"),
    ("pipeline.train_folds", "[A, D]", "12"),
    ("pipeline.test_fold", "E", "12"),
    ("pipeline.val_ratio", "0.2", "12"),
    ("pipeline.seed", "2", "12"),
    ("pipeline.share_val_split", "false", "12"),
    ("pipeline.checkpoint_every", "7", ""),
    ("pipeline.checkpoint_keep", "3", ""),
    ("determinism.enabled", "false", ""),
    ("determinism.warn_only", "true", ""),
    ("determinism.allow_tf32", "true", ""),
    ("hardware.cuda_device", "1", ""),
    ("hardware.devices", "[0, 1]", ""),
    ("hardware.device", "cpu", ""),
    ("metadata", "{note: x}", ""),
    ("paths.essays_csv", "other.csv", ""),
    ("paths.output_dir", "other", ""),
    ("paths.checkpoint_dir", "other", ""),
    ("paths.pair_cache_dir", "other", ""),
    ("paths.embedding_dir", "other", ""),
    ("model.base_model", "other", ""),
    // Its only other value means the same.
    ("model.quantization", "null", ""),
    ("model.layers", "2", "12"),
    ("model.max_length", "64", "12"),
    ("model.pooling", "last", "12"),
    ("model.dtype", "bf16", "12"),
    ("model.recompute", "true", "12"),
    ("data.columns.id", "i", "12"),
    ("data.columns.text", "t", "12"),
    ("data.columns.fold", "f", "12"),
    ("data.columns.label", "l", "12"),
    ("data.columns.prompt", "p", "12"),
    ("data.columns.label_se", "e", "12"),
    ("data.columns.second_rating", "s", "12"),
    ("data.prompt_template", "'Q: {prompt} A: {text}'", "12"),
    ("data.delimiter", "tab", "12"),
    ("data.encoding", "latin-1", "12"),
    ("data.escape", "'\\'", "12"),
    ("data.require_labels", "true", ""),
    ("scale.min", "0", "12"),
    ("scale.max", "6", "12"),
    ("scale.step", "1", "12"),
    ("scale.auto", "true", "12"),
    ("stage1_relative.enabled", "false", "1"),
    ("stage1_relative.from", "earlier", "1"),
    ("stage1_relative.mode", "head_only", "1"),
    ("stage1_relative.head_init", "head_only", "1"),
    ("stage1_relative.pairs_file", "other.jsonl", ""),
    ("stage1_relative.pairs_meta", "meta.json", ""),
    ("stage1_relative.pair_weights", "true", "1"),
    ("stage1_relative.max_pairs", "9", "1"),
    ("stage1_relative.lora.r", "4", "1"),
    ("stage1_relative.lora.alpha", "4", "1"),
    ("stage1_relative.lora.dropout", "0", "1"),
    ("stage1_relative.lora.target_modules", "[q_proj]", "1"),
    ("stage1_relative.training.epochs", "3", "1"),
    ("stage1_relative.training.max_steps", "3", "1"),
    ("stage1_relative.training.batch_size", "3", "1"),
    ("stage1_relative.training.lr", "0.1", "1"),
    ("stage1_relative.training.weight_decay", "0", "1"),
    ("stage1_relative.training.log_every", "3", ""),
    ("stage1_relative.training.monitor", "val_loss", "1"),
    // Its only other value means the same.
    ("stage1_relative.training.monitor_mode", "max", ""),
    ("stage1_relative.training.early_stop_patience", "null", "1"),
    ("stage1_relative.training.early_stop_min_delta", "0", "1"),
    ("stage1_relative.training.gradient_accumulation", "3", "1"),
    ("stage1_relative.training.max_grad_norm", "1", "1"),
    ("stage1_relative.training.schedule", "linear", "1"),
    ("stage1_relative.training.warmup_steps", "3", "1"),
    ("stage1_relative.training.length_grouped", "true", "1"),
    ("stage1_relative.training.max_batch_tokens", "300", "1"),
    ("stage1_relative.training.document_grouped", "true", "1"),
    ("stage1_relative.outputs.save_adapter", "false", ""),
    ("stage1_relative.outputs.save_embeddings", "false", ""),
    ("stage1_relative.outputs.save_epochs", "[1]", ""),
    ("stage2_absolute.mode", "head_only", "2"),
    ("stage2_absolute.lora.reuse_relative_adapter", "false", "2"),
    ("stage2_absolute.lora.new_adapter_rank", "4", "2"),
    ("stage2_absolute.lora.alpha", "4", "2"),
    ("stage2_absolute.lora.dropout", "0", "2"),
    ("stage2_absolute.lora.target_modules", "[q_proj]", "2"),
    ("stage2_absolute.lora.stack_new_adapter", "true", "2"),
    ("stage2_absolute.lora.stack_adapter_name", "other", ""),
    ("stage2_absolute.lora.train_reused_adapter", "false", "2"),
    ("stage2_absolute.training.epochs", "3", "2"),
    ("stage2_absolute.training.max_steps", "3", "2"),
    ("stage2_absolute.training.batch_size", "3", "2"),
    ("stage2_absolute.training.lr", "0.1", "2"),
    ("stage2_absolute.training.weight_decay", "0", "2"),
    ("stage2_absolute.training.log_every", "3", ""),
    ("stage2_absolute.training.monitor", "val_mae", "2"),
    // Its only other value means the same.
    ("stage2_absolute.training.monitor_mode", "max", ""),
    ("stage2_absolute.training.early_stop_patience", "null", "2"),
    ("stage2_absolute.training.early_stop_min_delta", "0", "2"),
    ("stage2_absolute.training.gradient_accumulation", "3", "2"),
    ("stage2_absolute.training.max_grad_norm", "1", "2"),
    ("stage2_absolute.training.schedule", "linear", "2"),
    ("stage2_absolute.training.warmup_steps", "3", "2"),
    ("stage2_absolute.training.length_grouped", "true", "2"),
    ("stage2_absolute.training.max_batch_tokens", "300", "2"),
    // Its other value is for pairs.
    ("stage2_absolute.training.document_grouped", "false", ""),
    ("stage2_absolute.embedding_fusion.enabled", "true", "2"),
    ("stage2_absolute.head", "ridge", "2"),
    ("stage2_absolute.head_init", "data", "2"),
    ("stage2_absolute.max_labels", "9", "2"),
    ("stage2_absolute.trait_weights", "[2]", "2"),
    ("stage2_absolute.objective", "mse", "2"),
    ("stage2_absolute.huber_delta", "0.5", "2"),
    ("stage2_absolute.qwk", "floor", "2"),
    ("stage2_absolute.calibration", "none", "2"),
    ("stage2_absolute.outputs.keep_anchor_texts", "true", "2"),
];

/// What else has to be said for the other value to be valid, or to mean something; said on both sides.
fn beside(key: &str) -> &'static [&'static str] {
    match key {
        "hardware.devices" => &[
            "stage1_relative.training.gradient_accumulation=2",
            "stage2_absolute.training.gradient_accumulation=2",
        ],
        "stage1_relative.enabled"
        | "stage1_relative.from"
        | "stage1_relative.mode"
        | "stage1_relative.outputs.save_adapter"
        | "stage2_absolute.mode" => &["stage2_absolute.lora.reuse_relative_adapter=false"],
        "pipeline.traits" => &["pipeline.trait=null", "pipeline.traits=[grammar, vocabulary]"],
        "stage2_absolute.head" => &["stage2_absolute.mode=head_only"],
        "stage2_absolute.huber_delta" => &["stage2_absolute.objective=huber"],
        _ => &[],
    }
}

#[test]
fn a_head_that_learns_from_pairs_depends_on_which_they_are() {
    for (key, other) in [("stage1_relative.pair_weights", "true"), ("stage1_relative.max_pairs", "9")] {
        let other = format!("{key}={other}");
        let stage2 = |sets: &[&str]| {
            let joint = ["stage2_absolute.mode=head_only", "stage2_absolute.head=joint"];
            read(SMALLEST, &[&joint, sets].concat()).unwrap().compared(STAGE2)
        };
        assert_ne!(stage2(&[]), stage2(&[&other]), "{key}");
    }
}

#[test]
fn a_depth_that_labels_choose_depends_on_which_they_are() {
    let stage1 = |layers: &str, max_labels: &str| {
        let sets = [format!("model.layers={layers}"), format!("stage2_absolute.max_labels={max_labels}")];
        read(SMALLEST, &sets.each_ref().map(String::as_str)).unwrap().compared(STAGE1)
    };
    assert_ne!(stage1("auto", "9"), stage1("auto", "12"));
    assert_eq!(stage1("2", "9"), stage1("2", "12"));
}

#[test]
fn every_key_is_compared_where_it_counts() {
    let mut tried = BTreeSet::new();
    for (key, other, stages) in OTHER_VALUES {
        let settings = |sets: &[&str]| -> Settings {
            let sets: Vec<&str> = beside(key).iter().chain(sets).copied().collect();
            read(SMALLEST, &sets).unwrap_or_else(|error| panic!("{key}: {error}"))
        };
        let (one, other) = (settings(&[]), settings(&[&format!("{key}={other}")]));
        let changed: String = [("1", STAGE1), ("2", STAGE2)]
            .iter()
            .filter(|(_, section)| one.compared(section) != other.compared(section))
            .map(|(stage, _)| *stage)
            .collect();
        assert_eq!(changed, *stages, "{key}");
        assert!(tried.insert(*key), "{key} occurs twice");
    }
    let keys = Walk::of_defaults::<Settings>().keys;
    let keys: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(tried, keys);
}
