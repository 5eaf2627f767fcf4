//! Shape of a LLaMA backbone.
//!
//! Plain data: reading it from a Hugging Face `config.json` is the `scorer` crate's job.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::projection::Projection;

/// Sizes and constants of a LLaMA decoder (Touvron et al. 2023, arXiv:2302.13971), with the
/// grouped-query attention and the RoPE scalings of later releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Rows of the embedding table, at least 1.
    pub vocab_size: usize,
    /// Width of the hidden states, at least 1.
    pub d_model: usize,
    /// Width of the gated feed-forward layer, at least 1.
    pub d_ff: usize,
    /// Decoder layers that are run, at least 1.
    pub n_layers: usize,
    /// Query heads, at least 1.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head; even, because RoPE rotates halves.
    pub head_dim: usize,
    /// Longest sequence the backbone was trained for, in tokens.
    pub max_positions: usize,
    /// Added to the mean square before the root, greater than 0.
    pub rms_norm_eps: f64,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// Whether the language-model head shares the embedding table.
    pub tie_embeddings: bool,
    /// Decoder layers of the checkpoint above those, which are neither loaded nor run.
    pub layers_above: usize,
    /// Whether the final norm follows the last layer, as in every model of Hugging Face.
    pub final_norm: bool,
}

/// Where the hidden states of a backbone are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Depth {
    /// Decoder layers that run, from the first; `None` for all of them.
    pub layers: Option<usize>,
    /// Whether the final norm follows the last of them.
    pub final_norm: bool,
}

impl Default for Depth {
    fn default() -> Self {
        Self { layers: None, final_norm: true }
    }
}

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Base of the geometric series of wavelengths, greater than 0.
    pub theta: f64,
    /// How the frequencies are stretched for contexts longer than the original.
    pub scaling: RopeScaling,
}

/// Change of the RoPE frequencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// The frequencies as they are.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Long wavelengths divided by `factor`, short ones kept, those between blended (Llama 3.1).
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original_max_positions / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_positions / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of the original training, in tokens.
        original_max_positions: usize,
    },
}

/// A configuration no backbone can be built from.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(
    /// Every broken rule, each naming its field.
    pub Vec<String>,
);

impl LlamaConfig {
    /// Checks every rule stated on the fields.
    ///
    /// # Errors
    /// All broken rules together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut broken = Vec::new();
        for (name, value, max) in [
            ("vocab_size", self.vocab_size, MAX_SIZE),
            ("hidden_size", self.d_model, MAX_SIZE),
            ("intermediate_size", self.d_ff, MAX_SIZE),
            ("num_hidden_layers", self.n_layers, MAX_LAYERS),
            ("num_attention_heads", self.n_heads, MAX_SIZE),
            ("num_key_value_heads", self.n_kv_heads, MAX_SIZE),
            ("head_dim", self.head_dim, MAX_SIZE),
            ("max_position_embeddings", self.max_positions, MAX_SIZE),
        ] {
            if value == 0 {
                broken.push(format!("{name} is 0, it must be at least 1"));
            } else if value > max {
                broken.push(format!("{name} is {value}, it must be at most {max}"));
            }
        }
        if self.n_heads.saturating_mul(self.head_dim) > MAX_SIZE {
            broken.push(format!("num_attention_heads times head_dim is more than {MAX_SIZE}"));
        }
        if broken.is_empty() && self.count_parameters() > MAX_PARAMETERS {
            broken.push(format!("the sizes make more than {MAX_PARAMETERS} parameters"));
        }
        if self.n_kv_heads != 0 && !self.n_heads.is_multiple_of(self.n_kv_heads) {
            broken.push(format!(
                "num_key_value_heads {} does not divide num_attention_heads {}",
                self.n_kv_heads, self.n_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            broken.push(format!("head_dim {} is odd, RoPE needs an even one", self.head_dim));
        }
        positive(&mut broken, "rms_norm_eps", self.rms_norm_eps);
        positive(&mut broken, "rope_theta", self.rope.theta);
        match self.rope.scaling {
            RopeScaling::None => {}
            RopeScaling::Linear { factor } => at_least_one(&mut broken, factor),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
                at_least_one(&mut broken, factor);
                positive(&mut broken, "low_freq_factor", low_freq_factor);
                positive(&mut broken, "high_freq_factor", high_freq_factor);
                if high_freq_factor <= low_freq_factor {
                    broken.push(format!(
                        "high_freq_factor {high_freq_factor} must exceed low_freq_factor {low_freq_factor}"
                    ));
                }
                if original_max_positions == 0 {
                    broken.push("original_max_position_embeddings is 0".into());
                }
            }
        }
        if broken.is_empty() { Ok(()) } else { Err(ConfigError(broken)) }
    }

    /// Where its first `layers` decoder layers are read: of a part, before the final norm, which belongs to the last.
    pub fn depth_of(&self, layers: usize) -> Depth {
        Depth { layers: Some(layers), final_norm: layers >= self.n_layers }
    }

    /// The same backbone, read at a depth.
    ///
    /// # Errors
    /// When it has fewer layers, or none are to be read.
    pub fn read_to(mut self, depth: Depth) -> Result<Self, ConfigError> {
        let n_layers = depth.layers.unwrap_or(self.n_layers);
        if !(1..=self.n_layers).contains(&n_layers) {
            let all = self.n_layers;
            return Err(ConfigError(vec![format!(
                "{n_layers} decoder layers are to be read of a backbone that has {all}; give a number from 1 to {all}"
            )]));
        }
        self.layers_above += self.n_layers - n_layers;
        self.n_layers = n_layers;
        self.final_norm &= depth.final_norm;
        Ok(self)
    }

    /// Input and output width of one projection, `(in, out)`.
    pub fn projection_shape(&self, projection: Projection) -> (usize, usize) {
        use Projection::*;
        let (q, kv) = (self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim);
        match projection {
            Q => (self.d_model, q),
            K | V => (self.d_model, kv),
            O => (q, self.d_model),
            Gate | Up => (self.d_model, self.d_ff),
            Down => (self.d_ff, self.d_model),
        }
    }

    /// Weights of the backbone without a language-model head; of a configuration that is valid.
    pub fn n_parameters(&self) -> usize {
        self.count_parameters().try_into().unwrap_or(usize::MAX)
    }

    /// Wide enough for the product of any sizes that are valid one by one.
    fn count_parameters(&self) -> u128 {
        let product = |(one, other): (usize, usize)| one as u128 * other as u128;
        let projections: u128 = Projection::ALL.map(|p| product(self.projection_shape(p))).iter().sum();
        let [d, layers] = [self.d_model, self.n_layers].map(|size| size as u128);
        let final_norm = if self.final_norm { d } else { 0 };
        product((self.vocab_size, self.d_model)) + layers * (projections + 2 * d) + final_norm
    }
}

// No real backbone comes near; larger numbers come from damaged files, and must not decide what is allocated.
const MAX_SIZE: usize = 1 << 28;
const MAX_LAYERS: usize = 1 << 12;
const MAX_PARAMETERS: u128 = 1 << 48;

fn positive(broken: &mut Vec<String>, name: &str, value: f64) {
    if !(value.is_finite() && value > 0.0) {
        broken.push(format!("{name} is {value}, it must be finite and greater than 0"));
    }
}

fn at_least_one(broken: &mut Vec<String>, factor: f64) {
    if !(factor.is_finite() && factor >= 1.0) {
        broken.push(format!("rope scaling factor is {factor}, it must be finite and at least 1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small valid configuration.
    fn small() -> LlamaConfig {
        LlamaConfig {
            vocab_size: 8,
            d_model: 4,
            d_ff: 6,
            n_layers: 2,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 2,
            max_positions: 16,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 1e4, scaling: RopeScaling::None },
            tie_embeddings: true,
            layers_above: 0,
            final_norm: true,
        }
    }

    #[test]
    fn counts_parameters_by_hand() {
        // Per layer: q 4·4, k and v 4·2 each, o 4·4, gate, up and down 4·6 each, two norms of 4.
        let layer = 16 + 8 + 8 + 16 + 3 * 24 + 8;
        assert_eq!(small().n_parameters(), 8 * 4 + 2 * layer + 4);
        let first = small().read_to(Depth { layers: Some(1), final_norm: false }).unwrap();
        assert_eq!(first.n_parameters(), 8 * 4 + layer);
    }

    #[test]
    fn a_depth_is_one_of_the_backbone() {
        let first = small().read_to(Depth { layers: Some(1), final_norm: true }).unwrap();
        assert_eq!((first.n_layers, first.layers_above, first.final_norm), (1, 1, true));
        assert_eq!(small().read_to(Depth::default()).unwrap(), small());
        for layers in [0, 3] {
            let message =
                small().read_to(Depth { layers: Some(layers), final_norm: true }).unwrap_err().to_string();
            assert!(message.contains("a backbone that has 2"), "{message}");
        }
    }

    #[test]
    fn sizes_are_bounded_one_by_one_and_together() {
        let broken = |config: LlamaConfig| config.validate().unwrap_err().to_string();
        let message = broken(LlamaConfig { n_layers: MAX_SIZE, ..small() });
        assert!(message.contains("num_hidden_layers is 268435456, it must be at most 4096"), "{message}");
        let message = broken(LlamaConfig { n_heads: MAX_SIZE, head_dim: MAX_SIZE, ..small() });
        assert!(message.contains("num_attention_heads times head_dim is more than 268435456"), "{message}");
        let message = broken(LlamaConfig { d_model: MAX_SIZE, d_ff: MAX_SIZE, ..small() });
        assert!(message.contains("more than 281474976710656 parameters"), "{message}");
    }

    #[test]
    fn names_every_broken_rule() {
        let mut config = small();
        config.n_kv_heads = 3;
        config.head_dim = 5;
        config.rms_norm_eps = f64::NAN;
        let message = config.validate().unwrap_err().to_string();
        for part in ["num_key_value_heads 3", "head_dim 5 is odd", "rms_norm_eps is NaN"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
