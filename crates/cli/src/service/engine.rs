//! The thread that computes: it owns the scorers, and takes all documents that wait as one batch after the other.
//!
//! The key decision: a batch is what has come while the one before it was computed. Nothing is waited for, so that a
//! single text on an idle server takes as long as it must, and under load batches fill by themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use pair2score_model::Kernels;
use pair2score_scorer::{Encoded, Scorer, ScorerError};

use super::job::{Failure, Item, Job, Lane, Output, Pass};
use super::lanes::Lanes;
use super::metrics::Metrics;

/// Scorers and what waits for them.
pub(super) struct Engine<B: Kernels> {
    pub(super) scorers: Vec<Scorer<B>>,
    pub(super) jobs: Receiver<Job>,
    /// Tokens of a batch, at most.
    pub(super) batch_tokens: usize,
    pub(super) metrics: Arc<Metrics>,
}

impl<B: Kernels> Engine<B> {
    /// Computes until nobody can ask any more.
    pub(super) fn run(self) {
        let mut lanes = Lanes::default();
        loop {
            if lanes.is_empty() {
                let Ok(job) = self.jobs.recv() else { return };
                lanes.add(job);
            }
            self.jobs.try_iter().for_each(|job| lanes.add(job));
            if let Some((lane, items)) = lanes.next(self.batch_tokens)
                && !items.is_empty()
            {
                self.answer(lane, items);
            }
        }
    }

    /// Computes a batch and hands its outputs to those who wait.
    fn answer(&self, lane: Lane, items: Vec<Item>) {
        let mut waiting = Vec::with_capacity(items.len());
        let mut documents = Vec::with_capacity(items.len());
        for Item { document, room, reply } in items {
            documents.push(document);
            waiting.push((room, reply));
        }
        let begun = Instant::now();
        let outputs = self.outputs(lane, &documents);
        let tokens = documents.iter().map(|document| document.ids.len()).sum();
        self.metrics.computed(lane, documents.len(), tokens, begun.elapsed());
        for ((room, reply), output) in waiting.into_iter().zip(outputs) {
            drop(room);
            // A client that has left meanwhile misses nothing.
            let _ = reply.send(output);
        }
    }

    /// An output per document, in their order.
    fn outputs(&self, lane: Lane, documents: &[Encoded]) -> Vec<Result<Output, Failure>> {
        match self.compute(lane, documents) {
            Ok(outputs) => outputs.into_iter().map(Ok).collect(),
            // Which of them have no number shows when each is computed alone, and the others have theirs.
            Err(Failure::NotFinite) if documents.len() > 1 => {
                let alone = |document| self.outputs(lane, slice::from_ref(document));
                documents.iter().flat_map(alone).collect()
            }
            Err(failure) => vec![Err(failure); documents.len()],
        }
    }

    fn compute(&self, lane: Lane, documents: &[Encoded]) -> Result<Vec<Output>, Failure> {
        // A device that fails may panic in its library. The next batch may still succeed.
        let computed =
            catch_unwind(AssertUnwindSafe(|| pass(&self.scorers[lane.scorer], lane.pass, documents)));
        match computed {
            Ok(Ok(outputs)) if outputs.len() == documents.len() => Ok(outputs),
            Ok(Ok(_)) => Err(Failure::Device),
            Ok(Err(ScorerError::NotFinite { .. })) => Err(Failure::NotFinite),
            Ok(Err(error)) => {
                errln!("error: {error}");
                Err(Failure::Device)
            }
            Err(_) => Err(Failure::Device),
        }
    }
}

/// Outputs of documents together, as the commands compute them; none of a stage that the scorer lacks.
fn pass<B: Kernels>(
    scorer: &Scorer<B>,
    pass: Pass,
    documents: &[Encoded],
) -> Result<Vec<Output>, ScorerError> {
    let unheard = |_: usize| ();
    Ok(match pass {
        Pass::Score => scorer.score(documents, unheard)?.into_iter().flatten().map(Output::Score).collect(),
        Pass::Utility => {
            scorer.utilities(documents, unheard)?.into_iter().flatten().map(Output::Utility).collect()
        }
        Pass::Embedding => scorer.embed(documents, unheard)?.into_iter().map(Output::Embedding).collect(),
    })
}
