//! A LLaMA in a GGUF file: configuration and weights under Hugging Face's names.
//!
//! llama.cpp rotates adjacent elements of a head where Hugging Face rotates its halves, so its files have the rows of
//! the q and k projections interleaved; here they are put back.

use std::collections::BTreeSet;
use std::path::Path;

use pair2score_model::{LlamaConfig, Projection, RopeConfig};
use pair2score_scorer::WeightDType;
use pair2score_scorer::names::{self, Weight};

use crate::gguf::reader::Gguf;
use crate::gguf::value::Keys;
use crate::gguf::{rope, tokenizer};
use crate::tokenizer_files::TokenizerFiles;
use crate::{BackboneError, Checkpoint};

/// A LLaMA whose configuration, tensors and tokenizer were found to be there.
#[derive(Debug)]
pub struct GgufModel {
    file: Gguf,
    config: LlamaConfig,
    tokenizer: TokenizerFiles,
}

/// The language-model head, where it is not the embedding table.
const OUTPUT: &str = "output.weight";
/// What a rotary frequency is divided by, for each plane of a head.
const ROPE_FREQS: &str = "rope_freqs.weight";

/// Keys of the architecture that say nothing about what is computed, or what [`config`] reads.
const KNOWN_KEYS: [&str; 19] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

impl GgufModel {
    /// Reads everything but the weights.
    ///
    /// # Errors
    /// As [`Gguf::open`], or when the file holds another architecture, lacks a tensor or has one too many, or its
    /// rotary scaling or tokenizer is not known.
    pub fn open(path: &Path) -> Result<Self, BackboneError> {
        let file = Gguf::open(path)?;
        let invalid = |problem| BackboneError::invalid(path, problem);
        let parts = Keys(file.metadata()).count("split.count").map_err(invalid)?;
        if let Some(parts) = parts.filter(|&parts| parts > 1) {
            let problem =
                format!("is one of {parts} parts of a model; join them with llama-gguf-split --merge");
            return Err(BackboneError::invalid(path, problem));
        }
        let frequencies = file.values(ROPE_FREQS)?;
        let config = config(&file, frequencies.as_deref()).map_err(invalid)?;
        check_tensors(&file, &config).map_err(invalid)?;
        let keys = Keys(file.metadata());
        let tokenizer = tokenizer::files(keys, config.max_positions).map_err(invalid)?;
        Ok(Self { file, config, tokenizer })
    }
}

impl Checkpoint for GgufModel {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn config(&self) -> &LlamaConfig {
        &self.config
    }

    fn values(&self, weight: Weight) -> Result<Vec<f32>, BackboneError> {
        let values =
            self.file.values(&tensor_name(weight))?.expect("all tensors were found when it was opened");
        Ok(match weight {
            Weight::Projection(_, Projection::Q | Projection::K) => halves(&values, &self.config),
            _ => values,
        })
    }

    fn tokenizer(&self) -> &TokenizerFiles {
        &self.tokenizer
    }

    /// Norms are in f32 in every file.
    fn dtype(&self) -> WeightDType {
        WeightDType::F32
    }

    fn stored_as(&self) -> Vec<String> {
        let kinds: BTreeSet<_> = self.file.tensors().values().map(|info| info.kind).collect();
        kinds.into_iter().map(|kind| kind.name().to_owned()).collect()
    }

    fn left_aside(&self) -> Vec<String> {
        let output = self.file.tensors().contains_key(OUTPUT);
        output.then(|| format!("the language-model head ({OUTPUT})")).into_iter().collect()
    }
}

/// The rows of a q or k projection in Hugging Face's order. Row `2 i + s` of a head here is row `s · half + i` there.
fn halves(values: &[f32], config: &LlamaConfig) -> Vec<f32> {
    let (width, half) = (config.d_model, config.head_dim / 2);
    let mut rows = Vec::with_capacity(values.len());
    for head in values.chunks_exact(config.head_dim * width) {
        for side in 0..2 {
            for plane in 0..half {
                rows.extend_from_slice(&head[(2 * plane + side) * width..][..width]);
            }
        }
    }
    rows
}

fn tensor_name(weight: Weight) -> String {
    match weight {
        Weight::Embedding => "token_embd.weight".into(),
        Weight::FinalNorm => "output_norm.weight".into(),
        Weight::InputNorm(layer) => format!("blk.{layer}.attn_norm.weight"),
        Weight::PostAttentionNorm(layer) => format!("blk.{layer}.ffn_norm.weight"),
        Weight::Projection(layer, projection) => {
            let name = match projection {
                Projection::Q => "attn_q",
                Projection::K => "attn_k",
                Projection::V => "attn_v",
                Projection::O => "attn_output",
                Projection::Gate => "ffn_gate",
                Projection::Up => "ffn_up",
                Projection::Down => "ffn_down",
            };
            format!("blk.{layer}.{name}.weight")
        }
    }
}

fn config(file: &Gguf, frequencies: Option<&[f32]>) -> Result<LlamaConfig, String> {
    let keys = Keys(file.metadata());
    match keys.text("general.architecture")? {
        Some("llama") => {}
        Some(other) => {
            return Err(format!("holds a model of architecture {other:?}, only \"llama\" is read"));
        }
        None => return Err("lacks the key \"general.architecture\"".into()),
    }
    check_keys(file)?;
    let embedding = file.tensors().get("token_embd.weight").ok_or("has no tensor token_embd.weight")?;
    let d_model = keys.needed_count("llama.embedding_length")?;
    let n_heads = keys.needed_count("llama.attention.head_count")?;
    let plain_head_dim = d_model.checked_div(n_heads).ok_or("\"llama.attention.head_count\" is 0")?;
    let head_dim = keys.count("llama.attention.key_length")?.unwrap_or(plain_head_dim);
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if let Some(other) = keys.count(key)?.filter(|&other| other != head_dim) {
            return Err(format!("has heads of width {head_dim} and {key:?} {other}, which must be the same"));
        }
    }
    let theta = keys.real("llama.rope.freq_base")?.unwrap_or(10_000.0);
    let mut config = LlamaConfig {
        vocab_size: embedding.shape[0],
        d_model,
        d_ff: keys.needed_count("llama.feed_forward_length")?,
        n_layers: keys.needed_count("llama.block_count")?,
        n_heads,
        n_kv_heads: keys.count("llama.attention.head_count_kv")?.unwrap_or(n_heads),
        head_dim,
        max_positions: keys.needed_count("llama.context_length")?,
        rms_norm_eps: keys
            .real("llama.attention.layer_norm_rms_epsilon")?
            .ok_or("lacks the key \"llama.attention.layer_norm_rms_epsilon\"")?,
        rope: RopeConfig { theta, scaling: rope::stated_scaling(keys)? },
        tie_embeddings: !file.tensors().contains_key(OUTPUT),
        layers_above: 0,
        final_norm: true,
    };
    config.validate().map_err(|error| error.to_string())?;
    if let Some(divisors) = frequencies {
        config.rope.scaling = rope::recovered_scaling(&config, divisors)
            .map_err(|problem| format!("has the tensor {ROPE_FREQS}, {problem}"))?;
    }
    Ok(config)
}

/// Refuses keys that would change what the model computes in ways not known here.
fn check_keys(file: &Gguf) -> Result<(), String> {
    let keys = Keys(file.metadata());
    if let Some(experts) = keys.count("llama.expert_count")?.filter(|&experts| experts > 0) {
        return Err(format!("holds a mixture of {experts} experts, which is not supported"));
    }
    let known = |key: &&str| KNOWN_KEYS.contains(key);
    let ours = file.metadata().keys().filter_map(|key| key.strip_prefix("llama."));
    let unknown: Vec<_> = ours.filter(|key| !known(key)).map(|key| format!("llama.{key}")).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("has keys that are not known: {}", unknown.join(", ")))
    }
}

/// Compares names and shapes, all differences in one message.
fn check_tensors(file: &Gguf, config: &LlamaConfig) -> Result<(), String> {
    let mut known = BTreeSet::from([OUTPUT.to_owned(), ROPE_FREQS.to_owned()]);
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for weight in Weight::all(config) {
        let (name, expected) = (tensor_name(weight), weight.shape(config));
        match file.tensors().get(&name) {
            None => missing.push(name.clone()),
            Some(info) if info.shape != expected => {
                wrong.push(format!("{name} has shape {:?}, expected {expected:?}", info.shape));
            }
            Some(_) => {}
        }
        known.insert(name);
    }
    let extra: Vec<_> = file.tensors().keys().filter(|&name| !known.contains(name)).cloned().collect();
    let lists = [("missing", missing), ("unexpected", extra), ("wrong", wrong)];
    let problems: Vec<_> = lists
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} tensors: {}", names::some_of(&names)))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
