//! The LLaMA decoder without its language-model head.
//!
//! Source: Touvron et al. 2023 (arXiv:2302.13971), in the layout of Hugging Face's `LlamaModel`. What differs:
//! weights keep PyTorch's `[out, in]` layout; the residual stream, the norms and the adapters are in f32
//! whatever the dtype of the frozen weights; there is no head over the vocabulary and no key-value cache.

use burn::{
    module::{Module, Param, ParamId},
    tensor::{DType, Tensor, TensorPrimitive, backend::Backend},
};
use rand::Rng;

use crate::adapter::{Adapter, LayerAdapter};
use crate::batch::TokenBatch;
use crate::config::{Depth, LlamaConfig};
use crate::dtype::as_f32;
use crate::init::{INIT_STD, normal};
use crate::kernels::{self, AttentionPlan, Kernels};
use crate::norm::RmsNorm;
use crate::packed;
use crate::pooling::Pooling;
use crate::projection::Projection;
use crate::rope::inverse_frequencies;
use crate::substream;

/// Embedding table and decoder.
#[derive(Module, Debug)]
pub struct Backbone<B: Backend> {
    /// `[vocab_size, d_model]`
    pub embed_tokens: Param<Tensor<B, 2>>,
    /// From embeddings to hidden states.
    pub decoder: Decoder<B>,
}

/// Decoder layers and the final norm: a backbone whose embeddings are looked up elsewhere.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    /// In the order of the computation.
    pub layers: Vec<DecoderLayer<B>>,
    /// Applied to the output of the last layer; `None` where that output is read as it is
    /// ([`LlamaConfig::final_norm`]).
    pub norm: Option<RmsNorm<B>>,
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

impl<B: Backend> Backbone<B> {
    /// Trainable random weights in f32, as GPT-2 begins (Radford et al. 2019): normal with standard deviation
    /// 0.02, divided by `√(2 n_layers)` where a projection adds to the residual stream, and norms of 1.
    pub fn init(config: &LlamaConfig, rng: &mut impl Rng, device: &B::Device) -> Self {
        let residual_std = INIT_STD / (2.0 * config.n_layers as f64).sqrt();
        let norm = || RmsNorm {
            weight: Param::from_tensor(Tensor::ones([config.d_model], (device, DType::F32))),
            eps: config.rms_norm_eps,
        };
        let embed_tokens = normal([config.vocab_size, config.d_model], INIT_STD, rng, device);
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
        Self { embed_tokens, decoder: Decoder { layers, norm: config.final_norm.then(norm) } }
    }
}

impl<B: Kernels> Backbone<B> {
    /// Hidden states after the last layer and the final norm. With a seed the adapters drop parts of their inputs: for
    /// training.
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
        self.decoder.forward(config, self.embed(batch), batch, adapters, dropout_seed)
    }

    /// Pooled embeddings at several depths of one pass, in the order of `depths`; for inference. The layers above the
    /// deepest of them do not run.
    ///
    /// # Shapes
    /// - output: one `[batch, d_model]` for each depth, f32
    ///
    /// # Panics
    /// When a depth is none of this backbone ([`LlamaConfig::read_to`] checks that).
    pub fn pooled_at(
        &self,
        config: &LlamaConfig,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
        pooling: Pooling,
        depths: &[Depth],
    ) -> Vec<Tensor<B, 2>> {
        let layers = |depth: &Depth| depth.layers.unwrap_or(self.decoder.layers.len());
        let mut pooled: Vec<Option<Tensor<B, 2>>> = vec![None; depths.len()];
        let mut passed = 0;
        let mut visit = |hidden: &Tensor<B, 2>| {
            for (depth, pooled) in depths.iter().zip(&mut pooled).filter(|(depth, _)| layers(depth) == passed)
            {
                let hidden = match depth.final_norm {
                    true => {
                        self.decoder.norm.as_ref().expect("the final norm was loaded").forward(hidden.clone())
                    }
                    false => hidden.clone(),
                };
                *pooled = Some(pooling.pool(hidden, batch));
            }
            passed += 1;
        };
        let deepest = depths.iter().map(layers).max().unwrap_or(0);
        let plan = AttentionPlan::new(config, &inverse_frequencies(config), batch);
        self.decoder.visit_layers(deepest, self.embed(batch), &plan, adapters, None, &mut visit);
        pooled.into_iter().map(|pooled| pooled.expect("a depth is at most the number of layers")).collect()
    }

    /// What the first layer sees: the rows of the embedding table, `[slots, d_model]`, f32.
    pub(crate) fn embed(&self, batch: &TokenBatch<B>) -> Tensor<B, 2> {
        as_f32(self.embed_tokens.val().select(0, batch.ids.clone()))
    }
}

impl<B: Kernels> Decoder<B> {
    /// With every projection [`packed`] whose rows are whole blocks; for inference.
    pub fn packed(self) -> Self {
        Self { layers: self.layers.into_iter().map(DecoderLayer::packed).collect(), ..self }
    }

    /// Hidden states from the embeddings of the batch's tokens; otherwise as [`Backbone::forward`].
    ///
    /// # Shapes
    /// - embedded: `[slots, d_model]`, f32, the rows of the batch's ids
    /// - output: the same
    pub fn forward(
        &self,
        config: &LlamaConfig,
        embedded: Tensor<B, 2>,
        batch: &TokenBatch<B>,
        adapters: &[&Adapter<B>],
        dropout_seed: Option<u64>,
    ) -> Tensor<B, 2> {
        let plan = AttentionPlan::new(config, &inverse_frequencies(config), batch);
        let all = self.layers.len();
        self.normed(self.visit_layers(all, embedded, &plan, adapters, dropout_seed, |_| ()))
    }

    /// The output of the last layer as it is pooled.
    pub fn normed(&self, output: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.norm {
            Some(norm) => norm.forward(output),
            None => output,
        }
    }

    /// The output of the `n`th layer; `visit` sees the embeddings and the output of every layer up to it.
    pub(crate) fn visit_layers(
        &self,
        n: usize,
        embedded: Tensor<B, 2>,
        plan: &AttentionPlan<B>,
        adapters: &[&Adapter<B>],
        dropout_seed: Option<u64>,
        mut visit: impl FnMut(&Tensor<B, 2>),
    ) -> Tensor<B, 2> {
        let mut hidden = embedded;
        visit(&hidden);
        for (index, layer) in self.layers.iter().take(n).enumerate() {
            let adapters: Vec<_> = adapters.iter().map(|adapter| &adapter.layers[index]).collect();
            hidden = layer.forward(hidden, plan, &adapters, layer_seed(dropout_seed, index));
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
    /// As [`Decoder::packed`], of this layer.
    pub fn packed(mut self) -> Self {
        for projection in Projection::ALL {
            let weight = self.weight(projection).val();
            let (shape, device) = (weight.dims(), weight.device());
            if !packed::is_packable(&shape) || matches!(weight.dtype(), DType::QFloat(_)) {
                continue;
            }
            let values = weight.into_data().convert::<f32>().into_vec::<f32>().expect("converted to f32");
            let data = packed::data(packed::pack(&values), shape.to_vec());
            let weight = TensorPrimitive::QFloat(B::q_from_data(data, &device));
            *self.weight_mut(projection) = Param::initialized(ParamId::new(), Tensor::from_primitive(weight));
        }
        self
    }

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
        self.with_attention(hidden, adapters, dropout_seed, |[q, k, v]| kernels::attention(q, k, v, plan))
    }

    /// The layer, with what gives attention its output from queries, keys and values.
    pub(crate) fn with_attention(
        &self,
        hidden: Tensor<B, 2>,
        adapters: &[&LayerAdapter<B>],
        dropout_seed: Option<u64>,
        attention: impl FnOnce([Tensor<B, 2>; 3]) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let project = |x: &Tensor<B, 2>, projection| {
            let seed = dropout_seed.map(|seed| substream(seed, projection as usize));
            project(x, self.weight(projection), projection, adapters, seed)
        };
        let x = self.input_norm.forward(hidden.clone());
        let inputs = [Projection::Q, Projection::K, Projection::V].map(|p| project(&x, p));
        let hidden = hidden + project(&attention(inputs), Projection::O);

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
            layers_above: 0,
            final_norm: true,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let backbone = Backbone::<Flex>::init(&config, &mut rng, &Default::default());
        assert_eq!(backbone.num_params(), config.n_parameters());
        // The root mean square of n normal numbers varies by 1 / √(2n), at most 1.6 % here; 8 % is five times that.
        let layer = &backbone.decoder.layers[1];
        for (weight, expected) in [
            (&backbone.embed_tokens, 0.02),
            (&layer.q, 0.02),
            (&layer.k, 0.02),
            (&layer.gate, 0.02),
            (&layer.o, 0.01),
            (&layer.down, 0.01),
        ] {
            assert!((rms(weight) / expected - 1.0).abs() < 0.08, "{} {expected}", rms(weight));
        }
    }
}
