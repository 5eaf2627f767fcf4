//! What is computed: documents of a request, on their way to a scorer and back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use pair2score_scorer::{Encoded, Scored};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What a scorer computes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pass {
    /// Stage 2: scores.
    Score,
    /// Stage 1: utilities.
    Utility,
    /// What the head of stage 2 reads; of a scorer without stage 2, that of stage 1.
    Embedding,
}

impl Pass {
    /// As metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Utility => "utility",
            Self::Embedding => "embedding",
        }
    }
}

/// Documents that can be computed together: those of one scorer and one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// Place of the scorer among all.
    pub(super) scorer: usize,
    pub(super) pass: Pass,
}

/// What a pass comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    /// In each trait.
    Score(Vec<Scored>),
    /// In each trait.
    Utility(Vec<f64>),
    Embedding(Vec<f32>),
}

/// Why a document has no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its embedding or its score is not finite.
    NotFinite,
    /// The device failed.
    Device,
}

/// Where an output is waited for.
pub(super) type Reply = oneshot::Receiver<Result<Output, Failure>>;

/// A document that waits.
pub(super) struct Item {
    pub(super) document: Encoded,
    /// The room its tokens take in the queue until it is answered.
    pub(super) room: OwnedSemaphorePermit,
    pub(super) reply: oneshot::Sender<Result<Output, Failure>>,
}

/// Who asks: a request, or a stream with all its lines. They take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker(u64);

impl Asker {
    /// Another one than all before.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Documents of one request for one pass, or of one line of a stream.
pub(super) struct Job {
    pub(super) asker: Asker,
    pub(super) lane: Lane,
    pub(super) items: VecDeque<Item>,
}
