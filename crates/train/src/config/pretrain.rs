//! The configuration of next-token training of a small backbone, new or continued.

use std::path::{Path, PathBuf};

use pair2score_data::Columns;
use serde::{Deserialize, Serialize};

use super::choices::SCHEDULES;
use super::error::{ConfigError, Problems};
use super::raw::RawData;
use super::resolve::{
    MAX_BATCH, MAX_EPOCHS, MAX_STEPS, check_columns, clip, fraction, learning_rate, not_negative,
};
use super::source;
use crate::schedule::ScheduleKind;

/// The file as written; as with [`RawConfig`](super::RawConfig), its default is the list of valid keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawPretrainConfig {
    /// Everything about the training.
    pub pretrain: RawPretrain,
    /// How CSV documents are laid out.
    pub data: RawData,
}

/// See [`RawPretrainConfig::pretrain`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawPretrain {
    /// Required: files of documents.
    pub documents: Vec<String>,
    /// Required: folder of the trained backbone.
    pub output: Option<String>,
    /// Folder of the backbone to continue; null begins a new one.
    pub from: Option<String>,
    /// Of a new backbone.
    pub tokenizer: RawTokenizer,
    /// Of a new backbone.
    pub architecture: RawArchitecture,
    /// The loop.
    pub training: RawPretrainTraining,
}

/// Options, because with `from` none may be given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawTokenizer {
    /// Tokens, 260 (bytes and special tokens) to 200000; default 1024.
    pub vocab_size: Option<usize>,
}

/// Options, because with `from` none may be given; the defaults are those of [`Architecture`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawArchitecture {
    /// See [`Architecture::hidden_size`].
    pub hidden_size: Option<usize>,
    /// See [`Architecture::intermediate_size`].
    pub intermediate_size: Option<usize>,
    /// See [`Architecture::num_hidden_layers`].
    pub num_hidden_layers: Option<usize>,
    /// See [`Architecture::num_attention_heads`].
    pub num_attention_heads: Option<usize>,
    /// See [`Architecture::num_key_value_heads`].
    pub num_key_value_heads: Option<usize>,
    /// See [`Architecture::max_position_embeddings`].
    pub max_position_embeddings: Option<usize>,
    /// See [`Architecture::rope_theta`].
    pub rope_theta: Option<f64>,
    /// See [`Architecture::tie_word_embeddings`].
    pub tie_word_embeddings: Option<bool>,
}

/// See [`PretrainTraining`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "field by field as in PretrainTraining")]
pub struct RawPretrainTraining {
    pub epochs: usize,
    pub batch_size: usize,
    pub sequence_length: usize,
    pub lr: f64,
    pub weight_decay: f64,
    pub warmup_steps: usize,
    pub schedule: String,
    pub max_grad_norm: Option<f64>,
    pub val_ratio: f64,
    pub log_every: usize,
    pub seed: u64,
}

impl Default for RawPretrainTraining {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 8,
            sequence_length: 256,
            lr: 2e-3,
            weight_decay: 0.1,
            warmup_steps: 50,
            schedule: "cosine".into(),
            max_grad_norm: Some(1.0),
            val_ratio: 0.05,
            log_every: 20,
            seed: 0,
        }
    }
}

/// Next-token training, ready to start.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainSettings {
    /// Files of documents; at least one.
    pub documents: Vec<PathBuf>,
    /// Folder of the trained backbone; not the one it continues.
    pub output: PathBuf,
    /// How CSV documents are laid out.
    pub columns: Columns,
    /// Where the weights begin.
    pub start: PretrainStart,
    /// The loop.
    pub training: PretrainTraining,
}

/// Where the weights begin.
#[derive(Debug, Clone, PartialEq)]
pub enum PretrainStart {
    /// A new tokenizer and random weights.
    New {
        /// Tokens, 260 to 200000.
        vocab_size: usize,
        /// Sizes of the backbone.
        architecture: Architecture,
    },
    /// The tokenizer and weights in this folder.
    Continue(PathBuf),
}

/// Sizes of a LLaMA backbone, named as in its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// A multiple of twice `num_attention_heads`, at most 65536; default 64.
    pub hidden_size: usize,
    /// Width of the feed-forward layer, 1 to 262144; default 192.
    pub intermediate_size: usize,
    /// 1 to 1024; default 4.
    pub num_hidden_layers: usize,
    /// 1 to 1024; default 4.
    pub num_attention_heads: usize,
    /// Divides `num_attention_heads`; default 2.
    pub num_key_value_heads: usize,
    /// 2 to 131072; default 512.
    pub max_position_embeddings: usize,
    /// Base of the rotary wave lengths, above 0; default 10000.
    pub rope_theta: f64,
    /// Whether the output projection is the embedding table; default true.
    pub tie_word_embeddings: bool,
}

/// The loop.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainTraining {
    /// Passes over the training tokens, 1 to 100000.
    pub epochs: usize,
    /// Sequences per step, 1 to 65536.
    pub batch_size: usize,
    /// Tokens per sequence, 2 to 131072, at most the positions of a new backbone.
    pub sequence_length: usize,
    /// Peak learning rate, above 0, at most 1.
    pub lr: f64,
    /// Of AdamW, not negative.
    pub weight_decay: f64,
    /// Steps from 0 to the peak.
    pub warmup_steps: usize,
    /// Shape of the learning rate over the steps.
    pub schedule: ScheduleKind,
    /// Above 0; `None` does not clip.
    pub max_grad_norm: Option<f64>,
    /// Share of the documents that validates; above 0, below 1.
    pub val_ratio: f64,
    /// Steps between log lines, at least 1.
    pub log_every: usize,
    /// Of every random choice.
    pub seed: u64,
}

/// Reads a pretraining configuration; see [`load`](super::load).
///
/// # Errors
/// As [`load`](super::load).
pub fn load_pretrain(path: &Path, sets: &[String]) -> Result<PretrainSettings, ConfigError> {
    parse_pretrain(&source::read_text(path)?, path, sets)
}

/// As [`load_pretrain`], from text; `path` is only named in messages.
///
/// # Errors
/// As [`load`](super::load).
pub fn parse_pretrain(text: &str, path: &Path, sets: &[String]) -> Result<PretrainSettings, ConfigError> {
    let raw: RawPretrainConfig = source::parse(text, path, sets)?;
    let mut problems = Problems::default();
    let settings = resolve(&raw, &mut problems);
    problems.finish(path, settings)
}

fn resolve(raw: &RawPretrainConfig, problems: &mut Problems) -> PretrainSettings {
    let pretrain = &raw.pretrain;
    if pretrain.documents.is_empty() {
        problems.add("pretrain.documents", "missing, give a list of files");
    }
    if pretrain.documents.iter().any(|file| file.trim().is_empty()) {
        problems.add("pretrain.documents", "a file without a name, remove it");
    }
    let output =
        problems.required("pretrain.output", pretrain.output.as_deref(), "a folder for the backbone");
    check_columns(problems, &raw.data.columns);
    let training = training(&pretrain.training, problems);
    let start = match &pretrain.from {
        Some(from) => {
            if pretrain.tokenizer != RawTokenizer::default() {
                problems
                    .add("pretrain.tokenizer", "contradicts pretrain.from, which has its own, remove one");
            }
            if pretrain.architecture != RawArchitecture::default() {
                problems
                    .add("pretrain.architecture", "contradicts pretrain.from, which has its own, remove one");
            }
            let from = problems.required("pretrain.from", Some(from), "a folder, or null for a new backbone");
            if !from.is_empty() && Path::new(&from) == Path::new(&output) {
                problems.add("pretrain.output", "would overwrite pretrain.from, choose another folder");
            }
            PretrainStart::Continue(from.into())
        }
        None => {
            let vocab_size = pretrain.tokenizer.vocab_size.unwrap_or(1024);
            let architecture = architecture(&pretrain.architecture, training.sequence_length, problems);
            let vocab_size = problems.count("pretrain.tokenizer.vocab_size", vocab_size, 260..=200_000);
            PretrainStart::New { vocab_size, architecture }
        }
    };
    PretrainSettings {
        documents: pretrain.documents.iter().map(PathBuf::from).collect(),
        output: output.into(),
        columns: raw.data.columns.clone(),
        start,
        training,
    }
}

fn architecture(raw: &RawArchitecture, sequence_length: usize, problems: &mut Problems) -> Architecture {
    let key = |name: &str| format!("pretrain.architecture.{name}");
    let mut count = |name: &str, value: Option<usize>, default: usize, max: usize| {
        problems.count(&key(name), value.unwrap_or(default), 1..=max)
    };
    let architecture = Architecture {
        hidden_size: count("hidden_size", raw.hidden_size, 64, 65_536),
        intermediate_size: count("intermediate_size", raw.intermediate_size, 192, 262_144),
        num_hidden_layers: count("num_hidden_layers", raw.num_hidden_layers, 4, 1024),
        num_attention_heads: count("num_attention_heads", raw.num_attention_heads, 4, 1024),
        num_key_value_heads: count("num_key_value_heads", raw.num_key_value_heads, 2, 1024),
        max_position_embeddings: count("max_position_embeddings", raw.max_position_embeddings, 512, 131_072),
        rope_theta: raw.rope_theta.unwrap_or(10_000.0),
        tie_word_embeddings: raw.tie_word_embeddings.unwrap_or(true),
    };
    problems.number(&key("rope_theta"), architecture.rope_theta, |value| value > 0.0, "above 0");
    let Architecture { hidden_size, num_attention_heads: heads, num_key_value_heads: kv_heads, .. } =
        architecture;
    // A head rotates pairs of numbers. Zero heads are already reported, and divide nothing.
    if heads > 0 && !hidden_size.is_multiple_of(2 * heads) {
        let what =
            format!("{hidden_size} is not a multiple of twice num_attention_heads {heads}, change one");
        problems.add(&key("hidden_size"), what);
    }
    if kv_heads > 0 && !heads.is_multiple_of(kv_heads) {
        let what = format!("{kv_heads} does not divide num_attention_heads {heads}, change one");
        problems.add(&key("num_key_value_heads"), what);
    }
    let positions = architecture.max_position_embeddings;
    if sequence_length > positions {
        let what =
            format!("{sequence_length} exceeds architecture.max_position_embeddings {positions}, change one");
        problems.add("pretrain.training.sequence_length", what);
    }
    architecture
}

fn training(raw: &RawPretrainTraining, problems: &mut Problems) -> PretrainTraining {
    let key = |name: &str| format!("pretrain.training.{name}");
    PretrainTraining {
        epochs: problems.count(&key("epochs"), raw.epochs, 1..=MAX_EPOCHS),
        batch_size: problems.count(&key("batch_size"), raw.batch_size, 1..=MAX_BATCH),
        sequence_length: problems.count(&key("sequence_length"), raw.sequence_length, 2..=131_072),
        lr: learning_rate(problems, &key("lr"), raw.lr),
        weight_decay: not_negative(problems, &key("weight_decay"), raw.weight_decay),
        warmup_steps: problems.count(&key("warmup_steps"), raw.warmup_steps, 0..=MAX_STEPS),
        schedule: problems.choice(&key("schedule"), &raw.schedule, SCHEDULES),
        max_grad_norm: clip(problems, &key("max_grad_norm"), raw.max_grad_norm),
        val_ratio: fraction(problems, &key("val_ratio"), raw.val_ratio),
        log_every: problems.count(&key("log_every"), raw.log_every, 1..=MAX_STEPS),
        seed: raw.seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "pretrain: {documents: [a.csv], output: backbone}";

    fn read(text: &str, sets: &[&str]) -> Result<PretrainSettings, ConfigError> {
        let sets: Vec<String> = sets.iter().map(|&set| set.into()).collect();
        parse_pretrain(text, Path::new("p.yaml"), &sets)
    }

    #[test]
    fn defaults_make_a_new_backbone() {
        let settings = read(SMALLEST, &[]).unwrap();
        let PretrainStart::New { vocab_size, architecture } = settings.start else { panic!("not new") };
        assert_eq!((vocab_size, architecture.hidden_size, architecture.num_key_value_heads), (1024, 64, 2));
        assert_eq!((settings.training.max_grad_norm, settings.training.lr), (Some(1.0), 2e-3));
    }

    #[test]
    fn null_turns_clipping_off() {
        let settings = read(SMALLEST, &["pretrain.training.max_grad_norm=null"]).unwrap();
        assert_eq!(settings.training.max_grad_norm, None);
    }

    #[test]
    fn from_continues_a_backbone() {
        let settings = read(SMALLEST, &["pretrain.from=old"]).unwrap();
        assert_eq!(settings.start, PretrainStart::Continue("old".into()));
    }

    #[test]
    fn mistakes_are_named() {
        for (sets, expected) in [
            (&["pretrain.documents=[]"][..], "pretrain.documents: missing"),
            (&["pretrain.documents=a.csv"], "pretrain.documents: invalid type"),
            (&["pretrain.output=null"], "pretrain.output: missing"),
            (&["pretrain.from=backbone"], "pretrain.output: would overwrite pretrain.from"),
            (&["pretrain.from=old", "pretrain.tokenizer.vocab_size=1024"], "pretrain.tokenizer: contradicts"),
            (
                &["pretrain.from=old", "pretrain.architecture.hidden_size=64"],
                "pretrain.architecture: contradicts",
            ),
            (&["pretrain.tokenizer.vocab_size=259"], "259 is not in 260 to 200000"),
            (&["pretrain.architecture.hidden_size=60"], "60 is not a multiple of twice"),
            (&["pretrain.architecture.num_attention_heads=0"], "0 is not in 1 to 1024"),
            (&["pretrain.architecture.num_key_value_heads=3"], "3 does not divide num_attention_heads 4"),
            (&["pretrain.architecture.rope_theta=.nan"], "rope_theta: NaN is not above 0"),
            (&["pretrain.training.sequence_length=1024"], "exceeds architecture.max_position_embeddings 512"),
            (&["pretrain.training.schedule=cosin"], "did you mean cosine?"),
            (&["pretrain.layers=2"], "pretrain.layers: unknown key"),
        ] {
            let message = read(SMALLEST, sets).unwrap_err().to_string();
            assert!(message.starts_with("p.yaml: ") && message.contains(expected), "{message}");
        }
    }
}
