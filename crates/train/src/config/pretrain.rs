//! The configuration of next-token training of a small backbone, new or continued.

use std::path::{Path, PathBuf};

use pair2score_data::Layout;

use super::error::{ConfigError, Problems};
use super::scalar::Required;
use super::section::{Walk, section};
use super::settings::DataSettings;
use super::source::{self, Given, Read};
use super::values::{ABOVE_0, FROM_0, MAX_BATCH, MAX_EPOCHS, MAX_STEPS, MAX_TOKENS, RATE, SHARE};
use crate::schedule::ScheduleKind;

section! {
    /// The file as written.
    pub struct PretrainFile {
        /// Next-token training of a backbone.
        pretrain: PretrainSection = Default::default();
        /// How documents in CSV files are laid out.
        data: DataSettings = Default::default();
    }
}

section! {
    /// Next-token training of a backbone.
    pub struct PretrainSection {
        /// Files of documents: `.csv`, or `.txt` with one document each.
        documents: Vec<PathBuf> = Vec::new() => Required("a list of files"), Same;
        /// Folder of the trained backbone.
        output: Required<PathBuf> = Default::default() => Required("a folder for the backbone"), Same;
        /// Folder of the backbone to continue, with its tokenizer and architecture; `null` begins a new one.
        from: Option<PathBuf> = None => Any, Same;
        /// The tokenizer of a new backbone.
        tokenizer: TokenizerSettings = Default::default();
        /// The sizes of a new backbone, named as in its `config.json`.
        architecture: Architecture = Default::default();
        /// The loop.
        training: PretrainTraining = Default::default();
    }
}

section! {
    /// The tokenizer of a new backbone.
    pub struct TokenizerSettings {
        /// Tokens, bytes and special tokens among them.
        vocab_size: usize = 1024 => Count(260, 200_000), Same;
    }
}

section! {
    /// Sizes of a LLaMA backbone, named as in its `config.json`.
    pub struct Architecture {
        /// Width of the hidden states, a multiple of twice `num_attention_heads`.
        hidden_size: usize = 64 => Count(1, 65_536), Same;
        /// Width of the feed-forward layer.
        intermediate_size: usize = 192 => Count(1, 262_144), Same;
        /// Decoder layers.
        num_hidden_layers: usize = 4 => Count(1, 1024), Same;
        /// Heads of the queries.
        num_attention_heads: usize = 4 => Count(1, 1024), Same;
        /// Heads of keys and values; divides `num_attention_heads`.
        num_key_value_heads: usize = 2 => Count(1, 1024), Same;
        /// Tokens that a document may have.
        max_position_embeddings: usize = 512 => Count(1, MAX_TOKENS), Same;
        /// Base of the rotary wave lengths.
        rope_theta: f64 = 10_000.0 => ABOVE_0, Same;
        /// Whether the output projection is the embedding table.
        tie_word_embeddings: bool = true => Any, Same;
    }
}

section! {
    /// The loop of pretraining.
    pub struct PretrainTraining {
        /// Passes over the training tokens.
        epochs: usize = 1 => Count(1, MAX_EPOCHS), Same;
        /// Sequences of a step.
        batch_size: usize = 8 => Count(1, MAX_BATCH), Same;
        /// Tokens of a sequence, at most the positions of a new backbone.
        sequence_length: usize = 256 => Count(2, MAX_TOKENS), Same;
        /// Peak learning rate.
        lr: f64 = 2e-3 => RATE, Same;
        /// Weight decay of AdamW, per step.
        weight_decay: f64 = 0.1 => FROM_0, Same;
        /// Steps from 0 to the peak.
        warmup_steps: usize = 50 => Count(0, MAX_STEPS), Same;
        /// Shape of the learning rate over the steps.
        schedule: ScheduleKind = ScheduleKind::Cosine => Any, Same;
        /// Gradients whose norm is larger are scaled down to it; `null` does not clip.
        max_grad_norm: Option<f64> = Some(1.0) => ABOVE_0, Same;
        /// Share of the documents that validates.
        val_ratio: f64 = 0.05 => SHARE, Same;
        /// Steps between log lines.
        log_every: usize = 20 => Count(1, MAX_STEPS), Same;
        /// Seed of every random choice.
        seed: u64 = 0 => Any, Same;
    }
}

/// Next-token training, ready to start.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainSettings {
    /// Files of documents; at least one.
    pub documents: Vec<PathBuf>,
    /// Folder of the trained backbone; not the one it continues.
    pub output: PathBuf,
    /// How documents are laid out.
    pub layout: Layout,
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
    let Read { settings: file, given, problems } = source::parse::<PretrainFile>(text, path, sets)?;
    let mut problems = Walk::over(&file).problems.after(problems);
    check(&file.pretrain, &given, &mut problems);
    let PretrainFile { pretrain, data } = file;
    let settings = PretrainSettings {
        documents: pretrain.documents,
        output: pretrain.output.to_path_buf(),
        layout: data.layout(),
        start: match pretrain.from {
            Some(folder) => PretrainStart::Continue(folder),
            None => PretrainStart::New {
                vocab_size: pretrain.tokenizer.vocab_size,
                architecture: pretrain.architecture,
            },
        },
        training: pretrain.training,
    };
    problems.finish(path, settings)
}

fn check(pretrain: &PretrainSection, given: &Given, problems: &mut Problems) {
    let blank = |path: &Path| path.to_string_lossy().trim().is_empty();
    if pretrain.documents.iter().any(|file| blank(file)) {
        problems.add("pretrain.documents", "a file without a name, remove it");
    }
    let Some(from) = &pretrain.from else {
        return sizes(&pretrain.architecture, pretrain.training.sequence_length, problems);
    };
    for section in ["tokenizer", "architecture"] {
        if given.contains("pretrain", section) {
            let what = "contradicts pretrain.from, which has its own, remove one";
            problems.add(&format!("pretrain.{section}"), what);
        }
    }
    if blank(from) {
        problems.add("pretrain.from", "empty, give a folder, or null for a new backbone");
    } else if *from == *pretrain.output {
        problems.add("pretrain.output", "would overwrite pretrain.from, choose another folder");
    }
}

/// Sizes that have to fit each other. Those of 0 are reported already, and divide nothing.
fn sizes(architecture: &Architecture, sequence_length: usize, problems: &mut Problems) {
    let key = |name: &str| format!("pretrain.architecture.{name}");
    let Architecture {
        hidden_size,
        num_attention_heads: heads,
        num_key_value_heads: kv_heads,
        max_position_embeddings: positions,
        ..
    } = *architecture;
    // A head rotates pairs of numbers.
    if heads > 0 && !hidden_size.is_multiple_of(2 * heads) {
        let what =
            format!("{hidden_size} is not a multiple of twice num_attention_heads {heads}, change one");
        problems.add(&key("hidden_size"), what);
    }
    if kv_heads > 0 && !heads.is_multiple_of(kv_heads) {
        let what = format!("{kv_heads} does not divide num_attention_heads {heads}, change one");
        problems.add(&key("num_key_value_heads"), what);
    }
    if sequence_length > positions {
        let what =
            format!("{sequence_length} exceeds architecture.max_position_embeddings {positions}, change one");
        problems.add("pretrain.training.sequence_length", what);
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
