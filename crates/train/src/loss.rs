//! The loss of a batch, and its gradients with or without a second forward pass.

use burn::module::AutodiffModule;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use pair2score_model::{Adapter, Recorded, TokenBatch};
use pair2score_scorer::Encoder;

use crate::fit::TrainBackend;

/// The loss of a batch and the way back from it.
#[derive(Debug)]
pub struct Loss<'a, B: TrainBackend> {
    /// Sum of the weighted losses of the examples, `[1]`.
    pub sum: Tensor<B, 1>,
    /// The way through the layers, where the graph of `sum` begins behind them.
    pub recorded: Option<Recorded<'a, B>>,
}

impl<B: TrainBackend> From<Tensor<B, 1>> for Loss<'_, B> {
    fn from(sum: Tensor<B, 1>) -> Self {
        Self { sum, recorded: None }
    }
}

impl<B: TrainBackend> Loss<'_, B> {
    /// Hands on the gradients of `sum / weight`, in parts to be added up.
    pub(crate) fn backward<M: AutodiffModule<B>>(
        self,
        weight: f64,
        model: &M,
        mut add: impl FnMut(GradientsParams),
    ) {
        let mut add = |gradients| add(GradientsParams::from_grads(gradients, model));
        let gradients = self.sum.div_scalar(weight).backward();
        if let Some(recorded) = self.recorded {
            recorded.backward(&gradients, &mut add);
        }
        add(gradients);
    }
}

/// Pooled embeddings of documents, `[documents, d_model]`. With `recompute` the backward pass computes each layer once
/// more, and only what enters the layers is kept.
pub(crate) fn embed_in_training<'a, B: TrainBackend>(
    encoder: &'a Encoder<B>,
    rows: &[&[u32]],
    adapters: Vec<&'a Adapter<B>>,
    dropout_seed: u64,
    recompute: bool,
    device: &B::Device,
) -> (Tensor<B, 2>, Option<Recorded<'a, B>>) {
    if !recompute {
        return (encoder.embed_with_dropout(rows, &adapters, Some(dropout_seed), device), None);
    }
    let batch = TokenBatch::packed(rows, device);
    let (hidden, recorded) =
        encoder.backbone.forward_recorded(&encoder.config, &batch, adapters, Some(dropout_seed));
    (encoder.pooling.pool(hidden, &batch), Some(recorded))
}
