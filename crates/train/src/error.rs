//! What can stop a training run.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;

/// A run that cannot start or go on. The message names the file, the place and what to do.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Documents, folds or pairs.
    #[error(transparent)]
    Data(#[from] pair2score_data::DataError),
    /// Backbone, adapter or tokenizer.
    #[error(transparent)]
    Scorer(#[from] pair2score_scorer::ScorerError),
    /// Files that are right one by one and do not fit together.
    #[error("{}: {problem}", path.display())]
    Mismatch {
        /// The file that has to change.
        path: PathBuf,
        /// What does not fit, where, and what to do.
        problem: String,
    },
    /// The loss left the finite numbers.
    #[error(
        "{stage}: the loss is {loss} at step {step} (documents {documents}); lower the learning rate or set \
         training.max_grad_norm"
    )]
    NotFinite {
        /// Stage that was training.
        stage: String,
        /// Optimiser steps done.
        step: usize,
        /// Value of the loss.
        loss: f64,
        /// Ids of the last batch.
        documents: String,
    },
    /// A metric that does not exist for these data, for example a kappa of one document.
    #[error(transparent)]
    Metric(#[from] crate::metrics::MetricsError),
}
