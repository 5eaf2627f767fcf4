//! The one map between our modules and the tensor names of Hugging Face and PEFT checkpoints.
//!
//! | Ours | Hugging Face (`LlamaModel`, after the prefix `model.`) | Shape |
//! |---|---|---|
//! | `embed_tokens` | `embed_tokens.weight` | `[vocab_size, d_model]` |
//! | `layers[i].input_norm` | `layers.{i}.input_layernorm.weight` | `[d_model]` |
//! | `layers[i].q k v o` | `layers.{i}.self_attn.{q,k,v,o}_proj.weight` | `[out, in]` |
//! | `layers[i].post_attention_norm` | `layers.{i}.post_attention_layernorm.weight` | `[d_model]` |
//! | `layers[i].gate up down` | `layers.{i}.mlp.{gate,up,down}_proj.weight` | `[out, in]` |
//! | `norm` | `norm.weight` | `[d_model]` |
//!
//! PEFT names a factor `base_model.model.model.layers.{i}.self_attn.q_proj.lora_A.weight` (`[rank, in]`) and
//! `…lora_B.weight` (`[out, rank]`). Weights keep PyTorch's orientation, so nothing is transposed.

use pair2score_model::{LlamaConfig, Projection};

/// Prefix of the backbone's tensors in a `LlamaForCausalLM` checkpoint; a bare `LlamaModel` has none.
pub const PREFIX: &str = "model.";
/// Weight of the language-model head, which a scorer leaves out.
pub const LM_HEAD: &str = "lm_head.weight";
/// Embedding table.
pub const EMBEDDING: &str = "embed_tokens.weight";
/// Final norm.
pub const FINAL_NORM: &str = "norm.weight";
/// Weight of the stage-1 head in `relative_head.safetensors`.
pub const UTILITY_HEAD: &str = "weight";
/// Tensors of the stage-2 head in `head.safetensors`, in the order of the computation.
pub const SCORE_HEAD: [&str; 4] = ["0.weight", "0.bias", "2.weight", "2.bias"];

/// Tensors of the anchors in `anchors.safetensors`.
pub const ANCHORS: [&str; 3] = ["mean", "scale", "directions"];

/// Norm before attention.
pub fn input_norm(layer: usize) -> String {
    format!("layers.{layer}.input_layernorm.weight")
}

/// Norm before the feed-forward layer.
pub fn post_attention_norm(layer: usize) -> String {
    format!("layers.{layer}.post_attention_layernorm.weight")
}

/// Weight of a projection.
pub fn projection(layer: usize, projection: Projection) -> String {
    format!("{}.weight", module(layer, projection))
}

/// A projection as a module of the backbone.
pub(crate) fn module(layer: usize, projection: Projection) -> String {
    format!("layers.{layer}.{}.{}", projection.parent(), projection.name())
}

/// A tensor of the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Embedding table.
    Embedding,
    /// Norm before the attention of a layer.
    InputNorm(usize),
    /// Norm before the feed-forward part of a layer.
    PostAttentionNorm(usize),
    /// A linear map of a layer.
    Projection(usize, Projection),
    /// Final norm.
    FinalNorm,
}

impl Weight {
    /// All of a backbone, the largest first.
    pub fn all(config: &LlamaConfig) -> Vec<Self> {
        let layer = |i| {
            let norms = [Self::InputNorm(i), Self::PostAttentionNorm(i)];
            norms.into_iter().chain(Projection::ALL.map(|p| Self::Projection(i, p)))
        };
        let layers = (0..config.n_layers).flat_map(layer);
        let final_norm = config.final_norm.then_some(Self::FinalNorm);
        [Self::Embedding].into_iter().chain(layers).chain(final_norm).collect()
    }

    /// Its name, without [`PREFIX`].
    pub fn name(self) -> String {
        match self {
            Self::Embedding => EMBEDDING.to_owned(),
            Self::InputNorm(layer) => input_norm(layer),
            Self::PostAttentionNorm(layer) => post_attention_norm(layer),
            Self::Projection(layer, p) => projection(layer, p),
            Self::FinalNorm => FINAL_NORM.to_owned(),
        }
    }

    /// Its shape; `[out, in]` for a projection.
    pub fn shape(self, config: &LlamaConfig) -> Vec<usize> {
        match self {
            Self::Embedding => vec![config.vocab_size, config.d_model],
            Self::Projection(_, p) => {
                let (inputs, outputs) = config.projection_shape(p);
                vec![outputs, inputs]
            }
            Self::InputNorm(_) | Self::PostAttentionNorm(_) | Self::FinalNorm => vec![config.d_model],
        }
    }
}

/// Every tensor of a backbone with its shape, without [`PREFIX`], the largest first.
pub fn backbone(config: &LlamaConfig) -> Vec<(String, Vec<usize>)> {
    Weight::all(config).into_iter().map(|weight| (weight.name(), weight.shape(config))).collect()
}

/// Which factor of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// `[rank, in]`
    A,
    /// `[out, rank]`
    B,
}

/// A factor's layer, projection and which of the two it is.
pub type FactorKey = (usize, Projection, Factor);

/// Full PEFT name of a factor on a `LlamaForCausalLM`.
pub fn adapter(key: FactorKey) -> String {
    adapter_on(PREFIX, key)
}

/// Full PEFT name of a factor on a model whose own names begin with `prefix`: [`PREFIX`], or nothing for a bare
/// `LlamaModel`.
pub fn adapter_on(prefix: &str, (layer, projection, factor): FactorKey) -> String {
    let (parent, name, before) = (projection.parent(), projection.name(), adapter_prefix(prefix));
    let factor = match factor {
        Factor::A => "lora_A",
        Factor::B => "lora_B",
    };
    format!("{before}{layer}.{parent}.{name}.{factor}.weight")
}

/// What the names of an adapter's tensors begin with.
pub(crate) const PEFT_PREFIX: &str = "base_model.model.";

/// What the names of an adapter's factors begin with, before the number of the layer.
pub(crate) fn adapter_prefix(prefix: &str) -> String {
    format!("{PEFT_PREFIX}{prefix}layers.")
}

/// A name without the parts that others put into it: `torch.compile` (`_orig_mod`), data parallelism (`module`), and
/// PEFT when a module is saved as it is (the name of an adapter, mostly `default`).
pub(crate) fn without_wrappers(name: &str) -> String {
    let mut parts: Vec<&str> =
        name.split('.').filter(|part| !["_orig_mod", "module"].contains(part)).collect();
    if let [.., "lora_A" | "lora_B", _, "weight"] = parts[..] {
        parts.remove(parts.len() - 2);
    }
    parts.join(".")
}

/// Whether a tensor is a head that a scorer leaves out.
pub(crate) fn is_foreign_head(name: &str) -> bool {
    name == LM_HEAD || is_classifier(name)
}

/// Whether a tensor is the head of `LlamaForSequenceClassification` or `LlamaForTokenClassification`.
pub fn is_classifier(name: &str) -> bool {
    matches!(name, "score.weight" | "score.bias")
}

/// The inverse of [`adapter`]; also accepts names saved from a bare `LlamaModel` (one `model.` less).
pub fn parse_adapter(name: &str) -> Option<(usize, Projection, Factor)> {
    let rest = name.strip_prefix(PEFT_PREFIX)?;
    let rest = rest.strip_prefix(PREFIX).unwrap_or(rest).strip_prefix("layers.")?;
    let parts: Vec<&str> = rest.split('.').collect();
    let [layer, parent, projection, factor, "weight"] = parts[..] else { return None };
    let projection = Projection::from_name(projection).filter(|p| p.parent() == parent)?;
    let factor = match factor {
        "lora_A" => Factor::A,
        "lora_B" => Factor::B,
        _ => return None,
    };
    Some((layer.parse().ok()?, projection, factor))
}

/// Names for a message: not the thousands of a checkpoint.
pub fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapter_names_round_trip() {
        for projection in Projection::ALL {
            for factor in [Factor::A, Factor::B] {
                for prefix in [PREFIX, ""] {
                    let name = adapter_on(prefix, (12, projection, factor));
                    assert_eq!(parse_adapter(&name), Some((12, projection, factor)), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_projection_under_the_wrong_parent_is_not_an_adapter() {
        assert_eq!(parse_adapter("base_model.model.model.layers.0.mlp.q_proj.lora_A.weight"), None);
    }

    #[test]
    fn wrappers_are_taken_off_a_name() {
        for wrapped in [
            "_orig_mod.base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
            "module.base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight",
            "base_model.model.model.layers.0.mlp.up_proj.lora_A.mine.weight",
            "base_model.model._orig_mod.model.layers.0.mlp.up_proj.lora_A.weight",
        ] {
            let name = adapter((0, Projection::Up, Factor::A));
            assert_eq!(without_wrappers(wrapped), name);
            assert_eq!(without_wrappers(&name), name);
        }
    }
}
