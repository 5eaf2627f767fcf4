//! Some tokens of a document on their way through the layers, while others go elsewhere.
//!
//! In a causal decoder a token sees those before it, by their keys and values, and never one behind it. So whoever computes
//! the beginning of a document needs nothing of the rest, and whoever computes the rest needs the keys and values of the
//! beginning, a layer at a time: several workers can share one document, each a layer or so behind the one before it.

use burn::tensor::{Tensor, backend::Backend};

use crate::adapter::Adapter;
use crate::backbone::Decoder;
use crate::config::LlamaConfig;
use crate::kernels::{self, AttentionPlan, Kernels};

/// Neighbouring tokens of a document, before one of the layers.
#[derive(Debug)]
pub struct Stretch<B: Backend> {
    hidden: Tensor<B, 2>,
    plan: AttentionPlan<B>,
    layer: usize,
}

impl<B: Kernels> Stretch<B> {
    /// Tokens with so many before them, from their embeddings, `[tokens, d_model]`, f32.
    pub fn new(config: &LlamaConfig, embedded: Tensor<B, 2>, earlier: usize) -> Self {
        let plan = AttentionPlan::of_document(config, earlier + embedded.dims()[0], &embedded.device());
        Self { hidden: embedded, plan, layer: 0 }
    }

    /// Takes them through the next layer and gives their keys and values there, which tokens behind them need; nothing
    /// where all layers are passed.
    ///
    /// # Shapes
    /// - earlier: keys and values of all tokens before them in this layer, `[earlier, n_kv_heads · head_dim]` each, not
    ///   rotated; `None` where there are none
    /// - output: the same of these tokens, `[tokens, n_kv_heads · head_dim]` each
    pub fn pass(
        &mut self,
        decoder: &Decoder<B>,
        adapters: &[&Adapter<B>],
        earlier: Option<[Tensor<B, 2>; 2]>,
    ) -> Option<[Tensor<B, 2>; 2]> {
        let layer = decoder.layers.get(self.layer)?;
        let adapters: Vec<_> = adapters.iter().map(|adapter| &adapter.layers[self.layer]).collect();
        let mut own = None;
        self.hidden = layer.with_attention(self.hidden.clone(), &adapters, None, |[q, k, v]| {
            own = Some([k.clone(), v.clone()]);
            match earlier {
                None => kernels::attention(q, k, v, &self.plan),
                Some([before_k, before_v]) => {
                    let [k, v] = [[before_k, k], [before_v, v]].map(|parts| Tensor::cat(parts.into(), 0));
                    kernels::attention_of_end(q, k, v, &self.plan)
                }
            }
        });
        self.layer += 1;
        own
    }

    /// What the layers that it passed came to, `[tokens, d_model]`, f32; behind the last, before the final norm.
    pub fn hidden(&self) -> Tensor<B, 2> {
        self.hidden.clone()
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::config::{RopeConfig, RopeScaling};
    use crate::{Backbone, TokenBatch};

    fn values(x: Tensor<Flex, 2>) -> Vec<f32> {
        x.into_data().into_vec().unwrap()
    }

    #[test]
    fn parts_of_a_document_come_to_what_the_whole_does() {
        let config = LlamaConfig {
            vocab_size: 50,
            d_model: 24,
            d_ff: 40,
            n_layers: 3,
            n_heads: 6,
            n_kv_heads: 2,
            head_dim: 4,
            max_positions: 300,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 1e4, scaling: RopeScaling::None },
            tie_embeddings: true,
            layers_above: 0,
            final_norm: true,
        };
        let device = Default::default();
        let backbone = Backbone::<Flex>::init(&config, &mut ChaCha8Rng::seed_from_u64(1), &device);
        let ids: Vec<u32> = (0..230).map(|i| i * 7 % 50).collect();
        let batch = TokenBatch::packed(&[&ids], &device);
        let whole = values(backbone.forward(&config, &batch, &[], None));
        for ends in [&[230][..], &[64, 230], &[64, 192, 230], &[1, 100, 230]] {
            let mut first = 0;
            // Of every layer the keys and values so far.
            let mut passed: Vec<Option<[Tensor<Flex, 2>; 2]>> = vec![None; config.n_layers];
            let mut hidden = Vec::new();
            for &end in ends {
                let embedded = backbone.embed(&TokenBatch::packed(&[&ids[first..end]], &device));
                let mut stretch = Stretch::new(&config, embedded, first);
                for earlier in &mut passed {
                    let own = stretch.pass(&backbone.decoder, &[], earlier.clone()).unwrap();
                    *earlier = Some(match earlier.take() {
                        None => own,
                        Some([k, v]) => {
                            let [own_k, own_v] = own;
                            [Tensor::cat(vec![k, own_k], 0), Tensor::cat(vec![v, own_v], 0)]
                        }
                    });
                }
                assert!(stretch.pass(&backbone.decoder, &[], None).is_none());
                hidden.push(stretch.hidden());
                first = end;
            }
            let parts = values(backbone.decoder.normed(Tensor::cat(hidden, 0)));
            assert_eq!(parts.len(), whole.len());
            for (part, whole) in parts.iter().zip(&whole) {
                assert!((part - whole).abs() <= 1e-5 * (1.0 + whole.abs()), "{ends:?}: {part}, not {whole}");
            }
        }
    }
}
