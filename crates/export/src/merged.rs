//! A scorer on one merged backbone, tensor by tensor.
//!
//! Stage 2 is folded into the weights, `W' = W + Σ Δ₂`, and needs no adapter any more. Stage 1 runs on the same
//! weights: `W + Δ₁ = W' + (Δ₁ - Σ Δ₂)`, and what is in the brackets is again a LoRA adapter, whose factors are those
//! of all the adapters side by side, some with their sign turned. So a scorer with both stages, a fusion included,
//! stays exact with one backbone, at the price of a larger rank in stage 1.

use burn::module::{Param, ParamId};
use burn::tensor::{FloatDType, Tensor, backend::Backend};
use half::{bf16, f16};
use pair2score_model::{Adapter, Kernels, LayerAdapter, LlamaConfig, LoraConfig, LoraFactors, Projection};
use pair2score_scorer::{Scorer, Stage2, names::Weight};

use crate::{ExportError, Precision};

/// The merged form of a scorer; weights are computed when they are read.
#[derive(Debug)]
pub(crate) struct Merged<'a, B: Backend> {
    scorer: &'a Scorer<B>,
    /// Folded into the backbone.
    folded: Vec<&'a Adapter<B>>,
    /// What stage 1 adds to the merged backbone: adapters and the signs of their updates.
    stage1: Vec<(&'a Adapter<B>, f64)>,
}

impl<'a, B: Kernels> Merged<'a, B> {
    /// Folds in what stage 2 uses, or stage 1 where there is no stage 2.
    pub(crate) fn new(scorer: &'a Scorer<B>) -> Self {
        let own = scorer.stage1().and_then(|stage1| stage1.adapter.as_ref());
        let Some(Stage2 { adapters: folded, .. }) = scorer.stage2() else {
            return Self { scorer, folded: own.into_iter().collect(), stage1: Vec::new() };
        };
        let mut stage1: Vec<_> = folded.iter().map(|adapter| (adapter, -1.0)).collect();
        if scorer.can_rank() {
            match own.zip(shared_adapter(scorer)) {
                // Stacking: the adapter is in both sums, and cancels.
                Some((_, place)) => {
                    stage1.remove(place);
                }
                None => stage1.extend(own.map(|adapter| (adapter, 1.0))),
            }
        } else {
            stage1.clear();
        }
        Self { scorer, folded: folded.iter().collect(), stage1 }
    }

    /// Shape of the backbone as a model that ends with a norm, as every LLaMA of transformers does. Where the scorer reads
    /// hidden states before that norm, one layer more follows, which adds nothing to them: what it is given,
    /// `hidden_states[n]` after n layers, is what the scorer reads.
    pub(crate) fn config(&self) -> LlamaConfig {
        let n_layers = self.own().n_layers + usize::from(self.has_further_layer());
        LlamaConfig { n_layers, layers_above: 0, final_norm: true, ..self.own().clone() }
    }

    /// Whether a layer follows that adds nothing.
    pub(crate) fn has_further_layer(&self) -> bool {
        !self.own().final_norm
    }

    /// Shape of the scorer's backbone.
    fn own(&self) -> &LlamaConfig {
        &self.scorer.encoder.config
    }

    /// Values of a weight of the merged backbone, in f32.
    pub(crate) fn values(&self, weight: Weight) -> Vec<f32> {
        let backbone = &self.scorer.encoder.backbone;
        let layers = &backbone.decoder.layers;
        let constant = |value| vec![value; weight.shape(self.own()).iter().product()];
        match weight {
            // Of the layer that adds nothing, and the norm after it.
            Weight::Projection(layer, _) if layer == layers.len() => constant(0.0),
            Weight::InputNorm(layer) | Weight::PostAttentionNorm(layer) if layer == layers.len() => {
                constant(1.0)
            }
            Weight::FinalNorm if backbone.decoder.norm.is_none() => constant(1.0),

            Weight::Embedding => host(backbone.embed_tokens.val()),
            Weight::InputNorm(layer) => host(layers[layer].input_norm.weight.val()),
            Weight::PostAttentionNorm(layer) => host(layers[layer].post_attention_norm.weight.val()),
            Weight::FinalNorm => {
                backbone.decoder.norm.iter().flat_map(|norm| host(norm.weight.val())).collect()
            }
            Weight::Projection(layer, projection) => {
                let base = layers[layer].weight(projection).val().dequantize().cast(FloatDType::F32);
                let factors = self.folded.iter().filter_map(|adapter| adapter.layers[layer].get(projection));
                host(factors.fold(base, |sum, factors| sum + factors.delta()))
            }
        }
    }

    /// What stage 1 adds to the merged backbone, with a scale of 1, and its PEFT configuration; `None` where it adds
    /// nothing or there is no stage 1.
    pub(crate) fn stage1_adapter(&self) -> Option<(Adapter<B>, LoraConfig)> {
        if self.stage1.is_empty() {
            return None;
        }
        let layers = (0..self.own().n_layers).map(|layer| {
            LayerAdapter::new(|projection| {
                let parts = self.stage1.iter();
                let parts: Vec<_> = parts
                    .filter_map(|(adapter, sign)| Some((adapter.layers[layer].get(projection)?, *sign)))
                    .collect();
                (!parts.is_empty()).then(|| side_by_side(&parts))
            })
        });
        let adapter = Adapter { layers: layers.collect() };
        let ranks = adapter.layers.iter().flat_map(|layer| Projection::ALL.map(|p| layer.get(p)));
        let rank = ranks.flatten().map(|factors| factors.a.dims()[0]).max().unwrap_or(1);
        let config = LoraConfig { rank, alpha: rank as f64, dropout: 0.0, targets: adapter.targets() };
        Some((adapter, config))
    }
}

/// Place among stage 2's adapters of the very adapter that stage 1 uses, if it is there.
fn shared_adapter<B: Kernels>(scorer: &Scorer<B>) -> Option<usize> {
    let own = scorer.settings.relative.as_ref()?.adapter.as_ref()?;
    scorer.settings.score.as_ref()?.adapters.iter().position(|path| path == own)
}

/// Factors whose update is the sum of the parts' with their signs: `A` below one another, `B` beside one another with
/// sign and scale multiplied in.
fn side_by_side<B: Backend>(parts: &[(&LoraFactors<B>, f64)]) -> LoraFactors<B> {
    let a = parts.iter().map(|(factors, _)| factors.a.val().cast(FloatDType::F32)).collect();
    let b = parts
        .iter()
        .map(|(factors, sign)| factors.b.val().cast(FloatDType::F32).mul_scalar(sign * factors.scale));
    let param = |tensor| Param::initialized(ParamId::new(), tensor);
    LoraFactors {
        a: param(Tensor::cat(a, 0)),
        b: param(Tensor::cat(b.collect(), 1)),
        scale: 1.0,
        dropout: 0.0,
    }
}

/// The values of a tensor, row by row, in f32.
pub(crate) fn host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().expect("converted to f32 one line above")
}

/// Largest change that rounding to a precision makes to a value.
///
/// # Errors
/// When a finite value is beyond the precision: f16 ends at 65504.
pub(crate) fn rounding(name: &str, values: &[f32], precision: Precision) -> Result<f64, ExportError> {
    let rounded = |v: f32| match precision {
        Precision::F32 => v,
        Precision::F16 => f16::from_f32(v).to_f32(),
        Precision::Bf16 => bf16::from_f32(v).to_f32(),
    };
    let mut largest = 0.0_f32;
    for &value in values {
        let change = (value - rounded(value)).abs();
        if value.is_finite() && !change.is_finite() {
            return Err(ExportError::Beyond { name: name.into(), value, precision });
        }
        largest = largest.max(change);
    }
    Ok(largest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_measured_and_overflow_is_named() {
        let values = [1.0, 1.0 + 1.0 / 4096.0, -3.0];
        assert_eq!(rounding("w", &values, Precision::F32).unwrap(), 0.0);
        // f16 has steps of 1/1024 above 1, bf16 of 1/128: both round to 1.
        for precision in [Precision::F16, Precision::Bf16] {
            assert_eq!(rounding("w", &values, precision).unwrap(), 1.0 / 4096.0);
        }
        let error = rounding("layers.3.w", &[70_000.0], Precision::F16).unwrap_err().to_string();
        assert!(error.contains("layers.3.w") && error.contains("70000"), "{error}");
        assert!(rounding("w", &[70_000.0], Precision::Bf16).is_ok());
    }
}
