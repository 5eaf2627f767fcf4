//! `config.json` of a Hugging Face LLaMA checkpoint, in both spellings of its RoPE keys.

use std::path::Path;

use pair2score_model::{LlamaConfig, RopeConfig, RopeScaling};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ScorerError;
use crate::error::read_to_string;

/// The keys we read; every other key of a `config.json` does not change what a forward pass computes.
#[derive(Debug, Deserialize)]
struct HfConfig {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeParameters>,
    rope_parameters: Option<RopeParameters>,
    partial_rotary_factor: Option<f64>,
    tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    is_causal: Option<bool>,
    use_bidirectional_attention: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct RopeParameters {
    rope_type: Option<String>,
    /// `rope_type` in older files; newer ones may have both.
    #[serde(rename = "type")]
    old_rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
}

/// Architectures of which the trunk is a LLaMA; their heads are left aside.
const ARCHITECTURES: [&str; 4] =
    ["LlamaForCausalLM", "LlamaModel", "LlamaForSequenceClassification", "LlamaForTokenClassification"];

/// Reads the shape of a backbone.
///
/// # Errors
/// When the file is not a LLaMA config, or uses what is not supported: all reasons in one error.
pub fn read_config(path: &Path) -> Result<LlamaConfig, ScorerError> {
    let text = read_to_string(path)?;
    parse_config(&text).map_err(|problem| ScorerError::invalid(path, problem))
}

pub(crate) fn parse_config(text: &str) -> Result<LlamaConfig, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    // Before the sizes, whose names differ between architectures: the reader wants to hear the real reason.
    if let Some(kind) = value.get("model_type").and_then(Value::as_str).filter(|kind| *kind != "llama") {
        return Err(format!("model_type is {kind:?}, only \"llama\" backbones are supported"));
    }
    for key in ["quantization_config", "compression_config"] {
        if let Some(set) = value.get(key).filter(|set| !set.is_null()) {
            let method = set["quant_method"].as_str().unwrap_or("a method of its own");
            return Err(format!("quantised by {method} ({key}); take the original, in f32, f16 or bf16"));
        }
    }
    let hf: HfConfig =
        serde_json::from_value(value).map_err(|error| format!("not a LLaMA config: {error}"))?;

    let mut problems = Vec::new();
    let rope = rope(&hf);
    let architectures = hf.architectures.unwrap_or_default();
    if let Some(other) = architectures.iter().find(|a| !ARCHITECTURES.contains(&a.as_str())) {
        problems.push(format!("architecture {other:?} is not supported, only {}", ARCHITECTURES.join(", ")));
    }
    if architectures.is_empty() && hf.model_type.is_none() {
        problems.push("names neither model_type nor architectures".into());
    }
    if let Some(act) = hf.hidden_act.filter(|act| act != "silu") {
        problems.push(format!("hidden_act {act:?} is not supported, only \"silu\""));
    }
    for (name, set) in [("attention_bias", hf.attention_bias), ("mlp_bias", hf.mlp_bias)] {
        if set == Some(true) {
            problems.push(format!("{name} is true, projections with a bias are not supported"));
        }
    }
    let sees_ahead = [
        ("is_causal", hf.is_causal, false),
        ("use_bidirectional_attention", hf.use_bidirectional_attention, true),
    ];
    if let Some((name, _, value)) = sees_ahead.into_iter().find(|(_, set, ahead)| *set == Some(*ahead)) {
        problems.push(format!(
            "{name} is {value}: attention to later tokens is not supported, take the causal original"
        ));
    }
    let rope = rope.unwrap_or_else(|problem| {
        problems.push(problem);
        RopeConfig { theta: DEFAULT_THETA, scaling: RopeScaling::None }
    });
    let config = LlamaConfig {
        vocab_size: hf.vocab_size,
        d_model: hf.hidden_size,
        d_ff: hf.intermediate_size,
        n_layers: hf.num_hidden_layers,
        n_heads: hf.num_attention_heads,
        n_kv_heads: hf.num_key_value_heads.unwrap_or(hf.num_attention_heads),
        head_dim: hf.head_dim.unwrap_or(hf.hidden_size / hf.num_attention_heads.max(1)),
        max_positions: hf.max_position_embeddings.unwrap_or(2048),
        rms_norm_eps: hf.rms_norm_eps.unwrap_or(1e-6),
        rope,
        tie_embeddings: hf.tie_word_embeddings.unwrap_or(false),
        layers_above: 0,
        final_norm: true,
    };
    if let Err(error) = config.validate() {
        problems.extend(error.0);
    }
    if problems.is_empty() { Ok(config) } else { Err(problems.join("; ")) }
}

/// What transformers takes where a config says nothing.
const DEFAULT_THETA: f64 = 10_000.0;

/// The rotary embedding, which a config may state in two places, and its base in three.
fn rope(hf: &HfConfig) -> Result<RopeConfig, String> {
    let mut scaling = None;
    let mut theta = None;
    let mut partial = hf.partial_rotary_factor;
    for (place, parameters) in [("rope_parameters", &hf.rope_parameters), ("rope_scaling", &hf.rope_scaling)]
    {
        let Some(parameters) = parameters else { continue };
        let stated = rope_scaling(parameters).map_err(|problem| format!("{place}: {problem}"))?;
        scaling = agreed("rope scaling", scaling, Some((place, stated)))?;
        theta = agreed("rope_theta", theta, parameters.rope_theta.map(|theta| (place, theta)))?;
        partial = partial.or(parameters.partial_rotary_factor);
    }
    theta = agreed("rope_theta", theta, hf.rope_theta.map(|theta| ("the config itself", theta)))?;
    if let Some(share) = partial.filter(|&share| share != 1.0) {
        return Err(format!("partial_rotary_factor is {share}, only 1 is supported"));
    }
    Ok(RopeConfig {
        theta: theta.map_or(DEFAULT_THETA, |(_, theta)| theta),
        scaling: scaling.map_or(RopeScaling::None, |(_, scaling)| scaling),
    })
}

/// A value with the place that states it.
type Stated<'a, T> = (&'a str, T);

/// What two places state, the first where both do.
fn agreed<'a, T: PartialEq + std::fmt::Debug>(
    key: &str,
    first: Option<Stated<'a, T>>,
    second: Option<Stated<'a, T>>,
) -> Result<Option<Stated<'a, T>>, String> {
    match (first, second) {
        (Some((place, value)), Some((other_place, other))) if value != other => Err(format!(
            "{key} is {value:?} by {place} and {other:?} by {other_place}; keep the one the backbone was trained with"
        )),
        (first, second) => Ok(first.or(second)),
    }
}

fn rope_scaling(rope: &RopeParameters) -> Result<RopeScaling, String> {
    let need = |name: &str, value: Option<f64>| value.ok_or(format!("rope scaling has no {name}"));
    let kind = match (rope.rope_type.as_deref(), rope.old_rope_type.as_deref()) {
        (Some(new), Some(old)) if new != old => {
            return Err(format!("rope_type is {new:?} and type {old:?}; keep the right one"));
        }
        (new, old) => new.or(old),
    };
    match kind {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: need("factor", rope.factor)? }),
        Some("llama3") => Ok(RopeScaling::Llama3 {
            factor: need("factor", rope.factor)?,
            low_freq_factor: need("low_freq_factor", rope.low_freq_factor)?,
            high_freq_factor: need("high_freq_factor", rope.high_freq_factor)?,
            original_max_positions: rope
                .original_max_position_embeddings
                .ok_or("rope scaling has no original_max_position_embeddings")?,
        }),
        Some(other) => Err(format!("rope type {other:?} is not supported, only default, linear and llama3")),
    }
}

/// The config as Hugging Face writes it, both spellings of the RoPE keys included.
pub fn config_json(config: &LlamaConfig, bos: Option<u32>, eos: Option<u32>) -> String {
    let mut rope = Map::new();
    match config.rope.scaling {
        RopeScaling::None => {
            rope.insert("rope_type".into(), "default".into());
        }
        RopeScaling::Linear { factor } => {
            rope.insert("rope_type".into(), "linear".into());
            rope.insert("factor".into(), factor.into());
        }
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
            rope.insert("rope_type".into(), "llama3".into());
            rope.insert("factor".into(), factor.into());
            rope.insert("low_freq_factor".into(), low_freq_factor.into());
            rope.insert("high_freq_factor".into(), high_freq_factor.into());
            rope.insert("original_max_position_embeddings".into(), original_max_positions.into());
        }
    }
    let scaling = if config.rope.scaling == RopeScaling::None { Value::Null } else { rope.clone().into() };
    rope.insert("rope_theta".into(), config.rope.theta.into());
    let value = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope.theta,
        "rope_scaling": scaling,
        "rope_parameters": rope,
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "torch_dtype": "float32",
    });
    serde_json::to_string_pretty(&value).expect("a JSON value serialises") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = include_str!("../tests/fixtures/oracle/backbone/config.json");
    const NEW: &str = include_str!("../tests/fixtures/oracle/config.transformers5.json");

    #[test]
    fn both_spellings_of_the_rope_keys_mean_the_same() {
        assert_eq!(parse_config(OLD).unwrap(), parse_config(NEW).unwrap());
    }

    #[test]
    fn what_we_write_we_read() {
        let config = parse_config(OLD).unwrap();
        assert_eq!(parse_config(&config_json(&config, Some(0), Some(1))).unwrap(), config);
    }

    #[test]
    fn every_unsupported_feature_is_named() {
        let text = OLD
            .replace("\"silu\"", "\"gelu\"")
            .replace("\"attention_bias\": false", "\"attention_bias\": true")
            .replace("\"llama3\"", "\"yarn\"");
        let problem = parse_config(&text).unwrap_err();
        for part in ["gelu", "attention_bias is true", "yarn"] {
            assert!(problem.contains(part), "{problem}");
        }
    }

    /// The oracle's config with other RoPE keys.
    fn with_rope(keys: Value) -> Result<RopeConfig, String> {
        let mut config: Value = serde_json::from_str(OLD).unwrap();
        for key in ["rope_theta", "rope_scaling", "rope_parameters"] {
            config[key] = keys[key].clone();
        }
        parse_config(&config.to_string()).map(|config| config.rope)
    }

    #[test]
    fn rope_keys_may_stand_in_several_places_that_agree() {
        let linear = |theta| RopeConfig { theta, scaling: RopeScaling::Linear { factor: 2.0 } };
        let nested = json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5});
        for (keys, expected) in [
            (json!({"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2.0}}), linear(1e4)),
            (json!({"rope_scaling": nested.clone()}), linear(5e5)),
            (
                json!({"rope_scaling": nested.clone(), "rope_theta": 5e5, "rope_parameters": nested}),
                linear(5e5),
            ),
            (json!({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 7e3}), linear(7e3)),
            (json!({}), RopeConfig { theta: 1e4, scaling: RopeScaling::None }),
        ] {
            assert_eq!(with_rope(keys.clone()), Ok(expected), "{keys}");
        }
        for (keys, problem) in [
            (
                json!({"rope_scaling": {"type": "linear", "rope_type": "llama3"}}),
                "rope_type is \"llama3\" and type",
            ),
            (
                json!({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default"}}),
                "rope scaling is None by rope_parameters and Linear { factor: 2.0 } by rope_scaling",
            ),
            (
                json!({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0, "rope_theta": 5e5}}),
                "rope_theta is 500000.0 by rope_scaling and 10000.0 by the config itself",
            ),
            (json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "partial_rotary_factor is 0.5"),
        ] {
            let found = with_rope(keys.clone()).unwrap_err();
            assert!(found.contains(problem), "{keys}: {found}");
        }
    }

    #[test]
    fn a_quantised_checkpoint_is_named_by_its_method() {
        for (key, set, method) in [
            ("quantization_config", json!({"quant_method": "gptq", "bits": 4}), "gptq"),
            (
                "quantization_config",
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
                "bitsandbytes",
            ),
            ("compression_config", json!({"format": "pack-quantized"}), "a method of its own"),
        ] {
            let mut config: Value = serde_json::from_str(OLD).unwrap();
            config[key] = set;
            let problem = parse_config(&config.to_string()).unwrap_err();
            assert!(
                problem.starts_with(&format!("quantised by {method} ({key}); take the original")),
                "{problem}"
            );
        }
    }

    #[test]
    fn another_architecture_is_named() {
        let problem = parse_config(r#"{"model_type": "bert"}"#).unwrap_err();
        assert!(problem.contains("model_type is \"bert\""), "{problem}");
    }
}
