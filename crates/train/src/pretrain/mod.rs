//! Next-token training of a whole backbone, new or continued.
//!
//! The key decision: it is one more task of the same loop ([`fit()`](crate::fit())) and writes a plain Hugging Face
//! folder, so what it makes is used like any backbone that was downloaded. It is meant for small backbones: nothing
//! is sharded, and the weights, their gradients and the optimiser's state are all in f32.
//!
//! A sequence is a stretch of the joined documents, so one may begin in the middle of a document and see the end
//! of another before it; the end-of-text token between them is what the model learns to go by.

mod corpus;
mod model;
mod output;
mod tokenizer;

use std::path::PathBuf;
use std::time::Instant;

use burn::module::AutodiffModule;
use pair2score_model::{LlamaConfig, RopeConfig, RopeScaling};
use pair2score_scorer::{BackboneFolder, TextEncoder, read_config};

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::config::pretrain::{Architecture, PretrainTraining};
use crate::config::{Monitor, PretrainSettings, TrainingSettings, pretrain::PretrainStart};
use crate::fit::{FitPlan, fit};
use crate::report::Progress;

use corpus::{Corpus, Sequences};
pub use model::LanguageModel;
use model::PretrainTask;
use tokenizer::TokenizerFiles;

/// Name of the stage, in random streams and reports.
const STAGE: &str = "pretrain";

/// Added to the mean square of a new backbone's norms, as in LLaMA 2 and 3.
const RMS_NORM_EPS: f64 = 1e-5;

/// What a pretraining made.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainReport {
    /// Documents that were not empty, those held out included.
    pub documents: usize,
    /// Tokens of the vocabulary; may be fewer than asked for, where the documents give no more.
    pub vocab_size: usize,
    /// Weights, the language-model head included where it has its own.
    pub parameters: usize,
    /// Training tokens of an epoch.
    pub tokens: usize,
    /// Validation loss of the best epoch, in nats per token.
    pub best_val_loss: f64,
    /// The epoch whose weights were written, from 1.
    pub best_epoch: usize,
    /// Real tokens per second of training, evaluation not counted.
    pub tokens_per_second: f64,
    /// Seconds altogether, reading and tokenising included.
    pub seconds: f64,
    /// Folder of the backbone.
    pub output: PathBuf,
}

impl PretrainReport {
    /// The size of a fair die that is as hard to predict as a token, at least 1.
    pub fn perplexity(&self) -> f64 {
        self.best_val_loss.exp()
    }
}

/// Trains a backbone on next-token prediction and writes it to the output folder; files of an earlier backbone
/// there are replaced.
///
/// # Errors
/// When a file is wrong, files do not fit together, there are too few documents, or the loss leaves the finite
/// numbers. No file is written before the training is over.
pub fn pretrain<B: TrainBackend>(
    settings: &PretrainSettings,
    device: &B::Device,
    progress: &mut dyn Progress,
) -> Result<PretrainReport, TrainError> {
    let started = Instant::now();
    let training = &settings.training;
    let from = match &settings.start {
        PretrainStart::New { .. } => None,
        PretrainStart::Continue(folder) => Some(BackboneFolder::find(folder)?),
    };
    output::prepare(settings, from.as_ref())?;
    let corpus = Corpus::read(settings, progress)?;
    let Vocabulary { files, encoder, config } = vocabulary(settings, from.as_ref(), &corpus, progress)?;
    let train = Sequences::encode("encode training documents", &corpus.train, &encoder, training, progress)?;
    let val = Sequences::encode("encode validation documents", &corpus.val, &encoder, training, progress)?;
    for (sequences, name) in [(&train, "training"), (&val, "validation")] {
        if sequences.is_empty() {
            let problem = format!("leaves no token to predict among the {name} documents, give longer ones");
            return Err(TrainError::Mismatch { path: settings.documents[0].clone(), problem });
        }
    }

    let model = match &from {
        None => LanguageModel::<B>::init(&config, training.seed, device),
        Some(from) => LanguageModel::load(&from.model, &config, device)?,
    };
    let parameters = model.n_parameters();
    progress.message(&format!(
        "{STAGE}: {parameters} parameters, {} tokens in {} training sequences, {} in {} validation sequences",
        train.n_tokens(),
        train.len(),
        val.n_tokens(),
        val.len(),
    ));
    let documents = corpus.train.len() + corpus.val.len();
    let tokens = train.n_tokens();
    let task = PretrainTask { config: &config, train, val, batch_size: training.batch_size, device };
    let loop_settings = loop_settings(training);
    let plan = FitPlan::new(STAGE, &loop_settings, training.seed);
    let outcome = fit(&task, model, &plan, progress)?;
    let Some(best_val_loss) = outcome.best.get(Monitor::ValLoss.key()).copied().flatten() else {
        return Err(TrainError::NotFinite {
            stage: STAGE.into(),
            step: outcome.steps,
            what: "the validation loss is not finite".into(),
            documents: "held out for validation".into(),
        });
    };

    let report = PretrainReport {
        documents,
        vocab_size: config.vocab_size,
        parameters,
        tokens,
        best_val_loss,
        best_epoch: outcome.best_epoch,
        tokens_per_second: outcome.tokens as f64 / outcome.train_seconds.max(1e-9),
        seconds: started.elapsed().as_secs_f64(),
        output: settings.output.clone(),
    };
    output::write(&report, &outcome.model.valid(), &config, &files, &encoder)?;
    progress.message(&format!(
        "{STAGE}: best epoch {}, validation loss {:.4} nats per token (perplexity {:.2})",
        report.best_epoch,
        report.best_val_loss,
        report.perplexity(),
    ));
    Ok(report)
}

/// The tokenizer and the shape of the backbone, which have to agree.
struct Vocabulary {
    files: TokenizerFiles,
    encoder: TextEncoder,
    config: LlamaConfig,
}

fn vocabulary(
    settings: &PretrainSettings,
    from: Option<&BackboneFolder>,
    corpus: &Corpus,
    progress: &mut dyn Progress,
) -> Result<Vocabulary, TrainError> {
    let length = settings.training.sequence_length;
    match (&settings.start, from) {
        (PretrainStart::New { vocab_size, architecture }, _) => {
            progress.message(&format!("training a tokenizer on {} documents", corpus.train.len()));
            let files =
                TokenizerFiles::train(&corpus.train, *vocab_size, architecture.max_position_embeddings)
                    .map_err(|problem| TrainError::Mismatch { path: settings.output.clone(), problem })?;
            let encoder = files.encoder(&settings.output)?;
            if encoder.vocab_size() < *vocab_size {
                progress.message(&format!(
                    "the documents give a vocabulary of {} tokens, not of {vocab_size}",
                    encoder.vocab_size()
                ));
            }
            let config = llama_config(architecture, encoder.vocab_size());
            config.validate().map_err(|error| TrainError::Mismatch {
                path: settings.output.clone(),
                problem: format!("no such backbone can be made: {error}"),
            })?;
            Ok(Vocabulary { files, encoder, config })
        }
        (PretrainStart::Continue(_), from) => {
            let from = from.expect("the folder was found before the documents were read");
            let files = TokenizerFiles::read(&from.tokenizer)?;
            let encoder = files.encoder(&from.tokenizer)?;
            let mut config = read_config(&from.model.join("config.json"))?;
            encoder.check(&config)?;
            if encoder.eos_id.is_none() {
                progress.message("the tokenizer names no eos_token, so nothing marks the end of a document");
            }
            if length > config.max_positions {
                progress.message(&format!(
                    "training.sequence_length {length} is beyond the {} positions the backbone was trained for; its \
                     config.json will say {length}",
                    config.max_positions
                ));
                config.max_positions = length;
            }
            Ok(Vocabulary { files, encoder, config })
        }
    }
}

fn llama_config(architecture: &Architecture, vocab_size: usize) -> LlamaConfig {
    LlamaConfig {
        vocab_size,
        d_model: architecture.hidden_size,
        d_ff: architecture.intermediate_size,
        n_layers: architecture.num_hidden_layers,
        n_heads: architecture.num_attention_heads,
        n_kv_heads: architecture.num_key_value_heads,
        head_dim: architecture.hidden_size / architecture.num_attention_heads.max(1),
        max_positions: architecture.max_position_embeddings,
        rms_norm_eps: RMS_NORM_EPS,
        rope: RopeConfig { theta: architecture.rope_theta, scaling: RopeScaling::None },
        tie_embeddings: architecture.tie_word_embeddings,
        layers_above: 0,
        final_norm: true,
    }
}

fn loop_settings(training: &PretrainTraining) -> TrainingSettings {
    TrainingSettings {
        epochs: training.epochs,
        batch_size: training.batch_size,
        lr: training.lr,
        weight_decay: training.weight_decay,
        log_every: training.log_every,
        monitor: Monitor::ValLoss,
        patience: None,
        min_delta: 0.0,
        max_grad_norm: training.max_grad_norm,
        schedule: training.schedule,
        warmup_steps: training.warmup_steps,
        ..TrainingSettings::default()
    }
}
