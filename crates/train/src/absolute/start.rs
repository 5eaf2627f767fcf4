//! What stage 2 starts from: a transfer as adapters.

use burn::module::Module;
use burn::tensor::backend::Backend;
use pair2score_data::rng::stream;
use pair2score_model::{Adapter, Kernels, LoraConfig};
use pair2score_scorer::Encoder;

use crate::config::Transfer;

/// The adapters that a transfer asks for.
#[derive(Debug)]
pub struct Start<B: Backend> {
    /// Adapters that do not train, without dropout.
    pub frozen: Vec<Adapter<B>>,
    /// The adapter that trains.
    pub trainable: Option<Adapter<B>>,
    /// Whether that adapter is a fresh one, which changes nothing before the first step.
    is_fresh: bool,
    /// The adapter whose embedding is concatenated.
    pub fused: Option<Adapter<B>>,
}

impl<B: Kernels> Start<B> {
    /// The start a transfer asks for; `relative` is the stage-1 adapter, which the configuration guarantees where
    /// the transfer needs it.
    pub fn new(
        transfer: Transfer,
        lora: &LoraConfig,
        relative: Option<Adapter<B>>,
        encoder: &Encoder<B>,
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let fresh = || {
            let mut rng = stream(seed, &["init", "absolute", "adapter"]);
            Adapter::init(lora, &encoder.config, &mut rng, device)
        };
        let relative = || relative.clone().expect("the configuration asks for stage 1 with this transfer");
        let frozen = || relative().with_dropout(0.0).no_grad();
        let reused = |train: bool| match train {
            true => (vec![], Some(relative().with_dropout(lora.dropout))),
            false => (vec![frozen()], None),
        };
        let ((frozen_adapters, trainable), fused) = match transfer {
            Transfer::HeadOnly => ((vec![], None), None),
            Transfer::Scratch => ((vec![], Some(fresh())), None),
            Transfer::WarmStart { train_adapter } => (reused(train_adapter), None),
            Transfer::Stacked => ((vec![frozen()], Some(fresh())), None),
            Transfer::Fusion { reuse: true, train_adapter } => (reused(train_adapter), Some(frozen())),
            Transfer::Fusion { reuse: false, .. } => ((vec![], Some(fresh())), Some(frozen())),
        };
        let is_fresh = match transfer {
            Transfer::Scratch | Transfer::Stacked | Transfer::Fusion { reuse: false, .. } => true,
            Transfer::HeadOnly | Transfer::WarmStart { .. } | Transfer::Fusion { reuse: true, .. } => false,
        };
        Self { frozen: frozen_adapters, trainable, is_fresh, fused }
    }

    /// The adapters that decide the embeddings before the first step.
    pub(super) fn adapters(&self) -> impl Iterator<Item = &Adapter<B>> {
        self.frozen.iter().chain(self.trainable.as_ref().filter(|_| !self.is_fresh))
    }
}
