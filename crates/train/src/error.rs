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
    /// The loss or a weight left the finite numbers.
    #[error(
        "{stage}: {what} at step {step} (documents {documents}); lower the learning rate or set training.max_grad_norm"
    )]
    NotFinite {
        /// Stage that was training.
        stage: String,
        /// Optimiser steps done.
        step: usize,
        /// What is not finite.
        what: String,
        /// Ids of the documents of the batch.
        documents: String,
    },
    /// An exact head has no solution for these embeddings and labels.
    #[error("{stage}: {problem}{}", document.as_ref().map_or(String::new(), |id| format!(" (it is {id})")))]
    Head {
        /// Stage of the head.
        stage: &'static str,
        /// Id of the document that the problem counts.
        document: Option<String>,
        /// What is wrong; no source, since the message has all that it says.
        problem: pair2score_heads::HeadError,
    },
    /// The device failed, for example for want of memory.
    #[error(
        "{stage}: the device failed in step {step} (documents {documents}): {problem}; if it is memory, lower \
         training.batch_size, then go on with --resume"
    )]
    Device {
        /// Stage that was training.
        stage: String,
        /// The step that failed, from 1.
        step: usize,
        /// What the device said.
        problem: String,
        /// Ids of the documents of the batch.
        documents: String,
    },
    /// A stop was asked for while documents were embedded.
    #[error("{stage}: stopped{}", if *kept { "; what was embedded is kept" } else { "" })]
    StoppedEmbedding {
        /// What the embeddings were for.
        stage: String,
        /// Whether there is a cache of them.
        kept: bool,
    },
    /// A stop was asked for.
    #[error("{stage}: stopped after step {step} of {total_steps}{}", if *saved { ", which is saved" } else { "" })]
    Interrupted {
        /// Stage that was training.
        stage: String,
        /// Optimiser steps done.
        step: usize,
        /// Steps of the whole stage.
        total_steps: usize,
        /// Whether there is a checkpoint of it.
        saved: bool,
    },
    /// A metric that does not exist for these data, for example a kappa of one document.
    #[error(transparent)]
    Metric(#[from] crate::metrics::MetricsError),
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_head_is_said_once() {
        let problem = pair2score_heads::HeadError::TooFew { n: 2, least: 3 };
        let error = TrainError::Head { stage: "absolute", document: None, problem };
        let said = "absolute: 2 labelled documents are too few for an exact head, label at least 3";
        assert_eq!(error.to_string(), said);
        assert!(error.source().is_none(), "the program prints sources after the message");
    }
}
