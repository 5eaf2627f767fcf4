//! The LLaMA decoder without its language-model head.
//!
//! Source: Touvron et al. 2023 (arXiv:2302.13971), in the layout of Hugging Face's `LlamaModel`. What differs:
//! weights keep PyTorch's `[out, in]` layout; the residual stream, the norms and the adapters are in f32
//! whatever the dtype of the frozen weights; there is no head over the vocabulary and no key-value cache.

use burn::{
    module::{Module, Param},
    tensor::{DType, Tensor, TensorData, backend::Backend},
};
use rand::Rng;

use crate::adapter::{Adapter, LayerAdapter, Projection};
use crate::batch::TokenBatch;
use crate::config::LlamaConfig;
use crate::kernels::{self, AttentionPlan, Kernels};
use crate::norm::{RmsNorm, as_f32};
use crate::rope::inverse_frequencies;
use crate::substream;

/// Embedding table, decoder layers and the final norm.
#[derive(Module, Debug)]
pub struct Backbone<B: Backend> {
    /// `[vocab_size, d_model]`; `None` where rows are looked up elsewhere, for
    /// [`forward_embedded`](Backbone::forward_embedded).
    pub embed_tokens: Option<Param<Tensor<B, 2>>>,
    /// In the order of the computation.
    pub layers: Vec<DecoderLayer<B>>,
    /// Before pooling.
    pub norm: RmsNorm<B>,
}

/// Norm, attention, norm, gated feed-forward; both with a residual connection.
#[derive(Module, Debug)]
pub struct DecoderLayer<B: Backend> {
    /// Before attention.
    pub input_norm: RmsNorm<B>,
    /// `[n_heads · head_dim, d_model]`
    pub q: Param<Tensor<B, 2>>,
    /// `[n_kv_heads · head_dim, d_model]`
    pub k: Param<Tensor<B, 2>>,
    /// `[n_kv_heads · head_dim, d_model]`
    pub v: Param<Tensor<B, 2>>,
    /// `[d_model, n_heads · head_dim]`
    pub o: Param<Tensor<B, 2>>,
    /// Before the feed-forward layer.
    pub post_attention_norm: RmsNorm<B>,
    /// `[d_ff, d_model]`
    pub gate: Param<Tensor<B, 2>>,
    /// `[d_ff, d_model]`
    pub up: Param<Tensor<B, 2>>,
    /// `[d_model, d_ff]`
    pub down: Param<Tensor<B, 2>>,
}

impl<B: Backend> DecoderLayer<B> {
    /// The weight of a projection, `[out, in]`.
    pub fn weight(&self, projection: Projection) -> &Param<Tensor<B, 2>> {
        match projection {
            Projection::Q => &self.q,
            Projection::K => &self.k,
            Projection::V => &self.v,
            Projection::O => &self.o,
            Projection::Gate => &self.gate,
            Projection::Up => &self.up,
            Projection::Down => &self.down,
        }
    }

    /// As [`weight`](Self::weight), to replace it.
    pub fn weight_mut(&mut self, projection: Projection) -> &mut Param<Tensor<B, 2>> {
        match projection {
            Projection::Q => &mut self.q,
            Projection::K => &mut self.k,
            Projection::V => &mut self.v,
            Projection::O => &mut self.o,
            Projection::Gate => &mut self.gate,
            Projection::Up => &mut self.up,
            Projection::Down => &mut self.down,
        }
    }
}

/// Spread of fresh weights, as in GPT-2 and in transformers' `initializer_range`.
pub(crate) const INIT_STD: f64 = 0.02;

impl<B: Backend> Backbone<B> {
    /// Trainable random weights in f32, as GPT-2 begins (Radford et al. 2019): normal with standard deviation
    /// 0.02, divided by `√(2 n_layers)` where a projection adds to the residual stream, and norms of 1.
    pub fn init(config: &LlamaConfig, rng: &mut impl Rng, device: &B::Device) -> Self {
        let residual_std = INIT_STD / (2.0 * config.n_layers as f64).sqrt();
        let norm = || RmsNorm {
            weight: Param::from_tensor(Tensor::ones([config.d_model], (device, DType::F32))),
            eps: config.rms_norm_eps,
        };
        let embed_tokens = Some(normal([config.vocab_size, config.d_model], INIT_STD, rng, device));
        let layers = (0..config.n_layers)
            .map(|_| {
                let mut weight = |projection| {
                    let (inputs, outputs) = config.projection_shape(projection);
                    let std = match projection {
                        Projection::O | Projection::Down => residual_std,
                        _ => INIT_STD,
                    };
                    normal([outputs, inputs], std, rng, device)
                };
                DecoderLayer {
                    input_norm: norm(),
                    q: weight(Projection::Q),
                    k: weight(Projection::K),
                    v: weight(Projection::V),
                    o: weight(Projection::O),
                    post_attention_norm: norm(),
                    gate: weight(Projection::Gate),
                    up: weight(Projection::Up),
                    down: weight(Projection::Down),
                }
            })
            .collect();
        Self { embed_tokens, layers, norm: norm() }
    }
}

impl<B: Backend> Backbone<B> {
    /// The embedding table.
    ///
    /// # Panics
    /// When the backbone has none, which is so only where [`forward_embedded`](Self::forward_embedded) is called.
    pub fn table(&self) -> &Param<Tensor<B, 2>> {
        self.embed_tokens.as_ref().expect("a backbone without a table is given embeddings")
    }
}

/// A trainable f32 tensor, normal around 0 (Box and Muller 1958). Drawn on the host, so that every device begins
/// with the same numbers.
pub(crate) fn normal<B: Backend, const D: usize>(
    shape: [usize; D],
    std: f64,
    rng: &mut impl Rng,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let n: usize = shape.iter().product();
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // A draw can be 0 and never 1, and the logarithm must not see 0.
        let radius = std * (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(n);
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}

impl<B: Kernels> Backbone<B> {
    /// Hidden states after the final norm. With a seed the adapters drop parts of their inputs: for training.
    ///
    /// # Shapes
    /// - output: `[slots, d_model]`, f32; slots of padding are unspecified but finite
    pub fn forward(
        &self,
        config: &LlamaConfig,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
        dropout_seed: Option<u64>,
    ) -> Tensor<B, 2> {
        let last = self.visit_layers(config, self.embed(batch), batch, adapters, dropout_seed, |_| ());
        self.norm.forward(last)
    }

    /// As [`forward`](Self::forward) without dropout, from embeddings that were looked up elsewhere: a device that
    /// has no room for the table needs only the rows of the batch.
    ///
    /// # Shapes
    /// - embedded: `[slots, d_model]`, f32, the rows of the batch's ids
    pub fn forward_embedded(
        &self,
        config: &LlamaConfig,
        embedded: Tensor<B, 2>,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
    ) -> Tensor<B, 2> {
        self.norm.forward(self.visit_layers(config, embedded, batch, adapters, None, |_| ()))
    }

    /// What [`forward`](Self::forward) passes through: the embeddings, the output of every layer but the last,
    /// and the final hidden states, as transformers' `output_hidden_states` lists them.
    ///
    /// # Shapes
    /// - output: `n_layers + 1` tensors `[slots, d_model]`, f32
    pub fn hidden_states(
        &self,
        config: &LlamaConfig,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
    ) -> Vec<Tensor<B, 2>> {
        let mut states = Vec::with_capacity(config.n_layers + 1);
        let visit = |hidden: &Tensor<B, 2>| states.push(hidden.clone());
        let last = self.visit_layers(config, self.embed(batch), batch, adapters, None, visit);
        states.pop();
        states.push(self.norm.forward(last));
        states
    }

    /// What the first layer sees: the rows of the embedding table, `[slots, d_model]`, f32.
    pub(crate) fn embed(&self, batch: &TokenBatch<B>) -> Tensor<B, 2> {
        as_f32(self.table().val().select(0, batch.ids.clone()))
    }

    /// The output of the last layer; `visit` sees the embeddings and the output of every layer.
    pub(crate) fn visit_layers(
        &self,
        config: &LlamaConfig,
        embedded: Tensor<B, 2>,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
        dropout_seed: Option<u64>,
        mut visit: impl FnMut(&Tensor<B, 2>),
    ) -> Tensor<B, 2> {
        let plan = AttentionPlan::new(config, &inverse_frequencies(config), batch);
        let mut hidden = embedded;
        visit(&hidden);
        for (index, layer) in self.layers.iter().enumerate() {
            let adapters: Vec<_> = adapters.iter().map(|adapter| &adapter.layers[index]).collect();
            hidden = layer.forward(hidden, &plan, &adapters, layer_seed(dropout_seed, index));
            visit(&hidden);
        }
        hidden
    }
}

/// The dropout seed of a layer.
pub(crate) fn layer_seed(dropout_seed: Option<u64>, index: usize) -> Option<u64> {
    dropout_seed.map(|seed| substream(seed, index))
}

impl<B: Kernels> DecoderLayer<B> {
    /// # Shapes
    /// - hidden: `[slots, d_model]`, f32
    /// - output: the same
    pub fn forward(
        &self,
        hidden: Tensor<B, 2>,
        plan: &AttentionPlan<B>,
        adapters: &[&LayerAdapter<B>],
        dropout_seed: Option<u64>,
    ) -> Tensor<B, 2> {
        let project = |x: &Tensor<B, 2>, projection| {
            let seed = dropout_seed.map(|seed| substream(seed, projection as usize));
            project(x, self.weight(projection), projection, adapters, seed)
        };
        let x = self.input_norm.forward(hidden.clone());
        let [q, k, v] = [Projection::Q, Projection::K, Projection::V].map(|p| project(&x, p));
        let hidden = hidden + project(&kernels::attention(q, k, v, plan), Projection::O);

        let x = self.post_attention_norm.forward(hidden.clone());
        let gated = kernels::gated_silu(project(&x, Projection::Gate), project(&x, Projection::Up));
        hidden + project(&gated, Projection::Down)
    }
}

/// `x Wᵀ` plus what the adapters add, in f32; the product itself runs in the weight's dtype.
fn project<B: Kernels>(
    x: &Tensor<B, 2>,
    weight: &Param<Tensor<B, 2>>,
    projection: Projection,
    adapters: &[&LayerAdapter<B>],
    dropout_seed: Option<u64>,
) -> Tensor<B, 2> {
    let base = kernels::projection(x.clone(), weight.val());
    let factors = adapters.iter().enumerate().filter_map(|(i, adapter)| Some((i, adapter.get(projection)?)));
    factors.fold(base, |sum, (i, factors)| {
        factors.add_to(sum, x.clone(), dropout_seed.map(|seed| substream(seed, i)))
    })
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::config::{RopeConfig, RopeScaling};

    /// Root mean square of the values.
    fn rms(weight: &Param<Tensor<Flex, 2>>) -> f64 {
        let values = weight.val().into_data().iter::<f64>().collect::<Vec<_>>();
        (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn fresh_weights_have_the_stated_spread() {
        let config = LlamaConfig {
            vocab_size: 64,
            d_model: 64,
            d_ff: 96,
            n_layers: 2,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 16,
            max_positions: 32,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 1e4, scaling: RopeScaling::None },
            tie_embeddings: true,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let backbone = Backbone::<Flex>::init(&config, &mut rng, &Default::default());
        assert_eq!(backbone.num_params(), config.n_parameters());
        // The root mean square of n normal numbers varies by 1 / √(2n), at most 1.6 % here; 8 % is five times that.
        let layer = &backbone.layers[1];
        for (weight, expected) in [
            (backbone.table(), 0.02),
            (&layer.q, 0.02),
            (&layer.k, 0.02),
            (&layer.gate, 0.02),
            (&layer.o, 0.01),
            (&layer.down, 0.01),
        ] {
            assert!((rms(weight) / expected - 1.0).abs() < 0.08, "{} {expected}", rms(weight));
        }
    }

    #[test]
    fn an_odd_number_of_weights_is_drawn() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(normal::<Flex, 1>([3], 1.0, &mut rng, &Default::default()).val().dims(), [3]);
    }
}
