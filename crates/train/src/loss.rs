//! The loss of a batch, and the way back from it to the gradients of an adapter.
//!
//! The key decision: the graph of the loss begins at the pooled embeddings, which are its leaf. Below them each part of
//! the batch (some of its documents) has a graph of its own, so that parts are computed beside each other, and the
//! gradient of the embeddings is handed on to each of them.

use burn::module::{AutodiffModule, Module};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use pair2score_model::{Adapter, Recorded, TokenBatch, parts, side_by_side, substream};
use pair2score_scorer::Encoder;

use crate::backend::TrainBackend;

/// The loss of a batch and the way back from it.
#[derive(Debug)]
pub struct Loss<'a, B: TrainBackend> {
    /// Sum of the weighted losses of the examples, `[1]`.
    pub sum: Tensor<B, 1>,
    /// The embedded documents at which the graph of `sum` begins; `None` where it begins at the parameters.
    pub documents: Option<Embedded<'a, B>>,
}

impl<B: TrainBackend> From<Tensor<B, 1>> for Loss<'_, B> {
    fn from(sum: Tensor<B, 1>) -> Self {
        Self { sum, documents: None }
    }
}

impl<B: TrainBackend> Loss<'_, B> {
    /// The gradients of `sum / weight`.
    pub fn gradients<M: AutodiffModule<B>>(self, weight: f64, model: &M) -> GradientsParams {
        let mut accumulator = GradientsAccumulator::new();
        self.backward(weight, model, |term| accumulator.accumulate(model, term));
        accumulator.grads()
    }

    /// Gives `add` the terms that sum to the gradients of `sum / weight`.
    pub(crate) fn backward<M: AutodiffModule<B>>(
        self,
        weight: f64,
        model: &M,
        mut add: impl FnMut(GradientsParams),
    ) {
        let gradients = self.sum.div_scalar(weight).backward();
        if let Some(documents) = self.documents {
            documents.backward(&gradients).into_iter().for_each(&mut add);
        }
        add(GradientsParams::from_grads(gradients, model));
    }
}

/// The documents of a batch, embedded for training.
#[derive(Debug)]
pub struct Embedded<'a, B: TrainBackend> {
    /// `[documents, d_model]`, a leaf: what is computed from it has a graph that begins here.
    pub pooled: Tensor<B, 2>,
    parts: Vec<Part<'a, B>>,
}

/// Some of the documents, in a graph of their own.
#[derive(Debug)]
struct Part<'a, B: TrainBackend> {
    /// Places in the batch.
    documents: Vec<usize>,
    /// Copies with leaves of their own: graphs that share a leaf are one graph.
    adapters: Vec<Adapter<B>>,
    pooled: Tensor<B, 2>,
    /// The pass through the layers, where the graph of `pooled` begins above them.
    recorded: Option<Recorded<'a, B>>,
}

impl<'a, B: TrainBackend> Embedded<'a, B> {
    /// Pooled embeddings of documents. With `recompute` the backward pass computes each layer once more, and only what
    /// enters the layers is kept.
    pub fn new(
        encoder: &'a Encoder<B>,
        rows: &[&[u32]],
        adapters: &[&Adapter<B>],
        dropout_seed: u64,
        recompute: bool,
        device: &B::Device,
    ) -> Self {
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let parts = parts::<B>(&lengths).into_iter().enumerate().collect();
        let parts = side_by_side(parts, |(index, documents): (usize, Vec<usize>)| {
            let rows: Vec<&[u32]> = documents.iter().map(|&document| rows[document]).collect();
            let adapters: Vec<Adapter<B>> =
                adapters.iter().map(|&adapter| adapter.clone().fork(device)).collect();
            let seed = Some(substream(dropout_seed, index));
            if recompute {
                let batch = TokenBatch::packed(&rows, device);
                let (hidden, recorded) =
                    encoder.backbone.forward_recorded(&encoder.config, &batch, adapters.clone(), seed);
                let pooled = encoder.pooling.pool(hidden, &batch);
                return Part { documents, adapters, pooled, recorded: Some(recorded) };
            }
            let borrowed: Vec<&Adapter<B>> = adapters.iter().collect();
            let pooled = encoder.embed_with_dropout(&rows, &borrowed, seed, device);
            Part { documents, adapters, pooled, recorded: None }
        });

        let pooled = Tensor::cat(parts.iter().map(|part| part.pooled.clone().inner()).collect(), 0);
        let mut places = vec![0; rows.len()];
        for (row, &document) in parts.iter().flat_map(|part| &part.documents).enumerate() {
            places[document] = row;
        }
        let pooled = Tensor::from_inner(pooled.select(0, indices(&places, device))).require_grad();
        Self { pooled, parts }
    }

    /// The terms that sum to the gradients of the adapters; `above` are the gradients of the graph that begins at
    /// `pooled`.
    fn backward(self, above: &B::Gradients) -> Vec<GradientsParams> {
        let Some(gradient) = self.pooled.grad(above) else { return Vec::new() };
        let gradients = side_by_side(self.parts, |part| {
            let Part { documents, adapters, pooled, recorded } = part;
            let gradient = gradient.clone().select(0, indices(&documents, &gradient.device()));
            // The gradient of this sum with respect to `pooled` is `gradient`.
            let gradients = (pooled * Tensor::from_inner(gradient)).sum().backward();
            let mut results = Vec::new();
            if let Some(recorded) = recorded {
                recorded.backward(&gradients, |layer| {
                    results.push(GradientsParams::from_grads(layer, &adapters));
                });
            }
            results.push(GradientsParams::from_grads(gradients, &adapters));
            results
        });
        gradients.into_iter().flatten().collect()
    }
}

/// Places in a tensor, to select them.
pub(crate) fn indices<B: Backend>(places: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let n = places.len();
    Tensor::from_data(TensorData::new(places, [n]), device)
}
