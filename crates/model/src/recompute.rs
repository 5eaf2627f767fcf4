//! A forward pass for training that keeps what enters each layer, and nothing that happens inside.
//!
//! Chen et al. 2016 (arXiv:1604.06174): the backward pass computes a layer once more when it gets there, so the
//! activations of one layer are alive at a time, for the price of a second forward pass. The layers have a graph each,
//! and the gradient is handed from one to the next here. The kernels are deterministic and dropout is a function of
//! its seed, so the second pass gives the numbers of the first.

use burn::module::AutodiffModule;
use burn::tensor::{Tensor, backend::AutodiffBackend};

use crate::adapter::Adapter;
use crate::backbone::Backbone;
use crate::batch::TokenBatch;
use crate::config::LlamaConfig;
use crate::kernels::{AttentionPlan, Kernels};
use crate::rope::inverse_frequencies;

/// The way back through the layers of one forward pass.
#[derive(Debug)]
pub struct Recorded<'a, B: AutodiffBackend> {
    backbone: &'a Backbone<B>,
    adapters: Vec<Adapter<B>>,
    /// What enters each layer, `[slots, d_model]`.
    inputs: Vec<Tensor<B::InnerBackend, 2>>,
    /// What leaves the last layer: a leaf of the graph behind it.
    output: Tensor<B, 2>,
    plan: AttentionPlan<B>,
    dropout_seed: Option<u64>,
}

impl<B: Kernels + AutodiffBackend<InnerBackend: Kernels>> Backbone<B> {
    /// The hidden states of [`forward`](Self::forward), in a graph that begins behind the layers, and the way back
    /// through these.
    ///
    /// # Shapes
    /// - output: `[slots, d_model]`, f32; slots of padding are unspecified but finite
    pub fn forward_recorded<'a>(
        &'a self,
        config: &LlamaConfig,
        batch: &TokenBatch<B>,
        adapters: Vec<Adapter<B>>,
        dropout_seed: Option<u64>,
    ) -> (Tensor<B, 2>, Recorded<'a, B>) {
        let frozen: Vec<_> = adapters.iter().map(|adapter| adapter.valid()).collect();
        let ids = TokenBatch { ids: batch.ids.clone().inner(), spans: batch.spans.clone() };
        let mut inputs = Vec::with_capacity(config.n_layers + 1);
        let (valid, frozen) = (self.valid(), frozen.iter().collect::<Vec<_>>());
        let plan = AttentionPlan::new(config, &inverse_frequencies(config), &ids);
        let (decoder, embedded) = (&valid.decoder, valid.embed(&ids));
        decoder.visit_layers(config.n_layers, embedded, &plan, &frozen, dropout_seed, |hidden| {
            inputs.push(hidden.clone());
        });
        let output = inputs.pop().expect("the embeddings are visited at least");
        let output = Tensor::from_inner(output).require_grad();
        let hidden = self.decoder.normed(output.clone());
        let plan = AttentionPlan::new(config, &inverse_frequencies(config), batch);
        (hidden, Recorded { backbone: self, adapters, inputs, output, plan, dropout_seed })
    }
}

impl<B: Kernels + AutodiffBackend<InnerBackend: Kernels>> Recorded<'_, B> {
    /// Walks from the last layer to the first: `each` gets the gradients that a layer's graph gives. `behind` are the
    /// gradients of the graph behind the layers; where the hidden states are not part of it, nothing is done.
    pub fn backward(self, behind: &B::Gradients, mut each: impl FnMut(B::Gradients)) {
        let Some(mut gradient) = self.output.grad(behind) else { return };
        for (index, input) in self.inputs.into_iter().enumerate().rev() {
            let adapters: Vec<_> = self.adapters.iter().map(|adapter| &adapter.layers[index]).collect();
            let seed = crate::backbone::layer_seed(self.dropout_seed, index);
            // Nothing below the first layer trains.
            let input = Tensor::from_inner(input).set_require_grad(index > 0);
            let output =
                self.backbone.decoder.layers[index].forward(input.clone(), &self.plan, &adapters, seed);
            // The gradient of this sum with respect to the output is `gradient`.
            let gradients = (output * Tensor::from_inner(gradient.clone())).sum().backward();
            if let Some(below) = input.grad(&gradients) {
                gradient = below;
            }
            each(gradients);
        }
    }
}
