//! Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::backend::Backend;
use pair2score_data::files::write_atomic;
use pair2score_model::{Adapter, LayerAdapter, LlamaConfig, LoraConfig, LoraFactors, Projection};
use serde_json::{Map, Value, json};

use crate::ScorerError;
use crate::error::read_to_string;
use crate::names::{self, Factor, FactorKey};
use crate::source::{FileSource, TensorSource};
use crate::tensors::{StoredTensor, TensorFile, WeightDType, write_tensors};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// An adapter from a PEFT folder.
#[derive(Debug)]
pub struct LoadedAdapter<B: Backend> {
    /// The factors; trainable.
    pub adapter: Adapter<B>,
    /// Its `r`, `lora_alpha`, dropout and targets.
    pub config: LoraConfig,
}

/// What we need of `adapter_config.json`.
#[derive(Debug)]
pub(crate) struct PeftConfig {
    config: LoraConfig,
    rank_pattern: BTreeMap<String, usize>,
    alpha_pattern: BTreeMap<String, f64>,
    rslora: bool,
}

impl PeftConfig {
    /// Rank and scale of the module `layers.{layer}.{parent}.{projection}`.
    fn rank_and_scale(&self, layer: usize, projection: Projection) -> (usize, f64) {
        let module = format!("model.layers.{layer}.{}.{}", projection.parent(), projection.name());
        let rank = matching(&self.rank_pattern, &module).unwrap_or(self.config.rank);
        let alpha = matching(&self.alpha_pattern, &module).unwrap_or(self.config.alpha);
        let divisor = if self.rslora { (rank as f64).sqrt() } else { rank as f64 };
        (rank, alpha / divisor)
    }

    /// Every factor on a backbone with its shape.
    pub(crate) fn shapes(&self, backbone: &LlamaConfig) -> Vec<(FactorKey, Vec<usize>)> {
        let mut shapes = Vec::new();
        for layer in 0..backbone.n_layers {
            for &projection in &self.config.targets {
                let (inputs, outputs) = backbone.projection_shape(projection);
                let (rank, _) = self.rank_and_scale(layer, projection);
                shapes.push(((layer, projection, Factor::A), vec![rank, inputs]));
                shapes.push(((layer, projection, Factor::B), vec![outputs, rank]));
            }
        }
        shapes
    }
}

/// The value of the first pattern that matches.
fn matching<T: Copy>(patterns: &BTreeMap<String, T>, module: &str) -> Option<T> {
    patterns.iter().find(|(key, _)| pattern_matches(key, module)).map(|(_, &value)| value)
}

/// A pattern is the module's name or the end of it, as PEFT matches a plain key.
fn pattern_matches(key: &str, module: &str) -> bool {
    let key = key.trim_start_matches('^').trim_end_matches('$').replace("\\.", ".");
    module == key || module.ends_with(&format!(".{key}"))
}

/// Keys whose value changes what an adapter computes, and the values that leave it unchanged.
const NEUTRAL: [(&str, &[&str]); 14] = [
    ("use_dora", &["false", "null"]),
    ("use_qalora", &["false", "null"]),
    ("use_bdlora", &["false", "null"]),
    ("lora_bias", &["false", "null"]),
    ("fan_in_fan_out", &["false", "null"]),
    ("bias", &["\"none\"", "null"]),
    ("modules_to_save", &["null", "[]"]),
    ("layer_replication", &["null", "[]"]),
    ("layers_to_transform", &["null", "[]"]),
    ("target_parameters", &["null", "[]"]),
    ("trainable_token_indices", &["null", "[]", "{}"]),
    ("alora_invocation_tokens", &["null", "[]"]),
    ("exclude_modules", &["null", "[]"]),
    ("megatron_config", &["null"]),
];

fn read_peft_config(path: &Path) -> Result<PeftConfig, ScorerError> {
    let value: Map<String, Value> = serde_json::from_str(&read_to_string(path)?)
        .map_err(|error| ScorerError::invalid(path, format!("not a JSON object: {error}")))?;
    parse_peft_config(&value).map_err(|problem| ScorerError::invalid(path, problem))
}

pub(crate) fn parse_peft_config(value: &Map<String, Value>) -> Result<PeftConfig, String> {
    let mut problems = Vec::new();
    if value.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        problems.push(format!(
            "peft_type is {}, only \"LORA\" is supported",
            value.get("peft_type").unwrap_or(&Value::Null)
        ));
    }
    for (key, neutral) in NEUTRAL {
        if let Some(set) = value.get(key).filter(|v| !neutral.contains(&v.to_string().as_str())) {
            problems.push(format!("{key} = {set} is not supported"));
        }
    }
    let rank = value.get("r").and_then(as_rank).unwrap_or_else(|| {
        problems.push(format!("r must be {RANK}"));
        1
    });
    let alpha = value.get("lora_alpha").and_then(as_alpha).unwrap_or_else(|| {
        problems.push(format!("lora_alpha must be {ALPHA}"));
        1.0
    });
    let dropout = match value.get("lora_dropout") {
        None | Some(Value::Null) => 0.0,
        Some(share) => share.as_f64().filter(|share| (0.0..1.0).contains(share)).unwrap_or_else(|| {
            problems.push(format!("lora_dropout is {share}, it must be in [0, 1)"));
            0.0
        }),
    };
    let rslora = match value.get("use_rslora") {
        None | Some(Value::Null) => false,
        Some(flag) => flag.as_bool().unwrap_or_else(|| {
            problems.push(format!("use_rslora is {flag}, it must be true or false"));
            false
        }),
    };
    let targets = targets(value.get("target_modules"), &mut problems);
    let rank_pattern = pattern(value, "rank_pattern", as_rank, RANK, &mut problems);
    let positive = |value: &Value| as_alpha(value).filter(|&alpha| alpha > 0.0);
    let alpha_pattern = pattern(value, "alpha_pattern", positive, &format!("{ALPHA} above 0"), &mut problems);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    Ok(PeftConfig {
        config: LoraConfig { rank, alpha, dropout, targets },
        rank_pattern,
        alpha_pattern,
        rslora,
    })
}

/// No adapter in use comes near; larger ones come from damaged files.
const MAX_RANK: u64 = 65_536;
/// What a rank must be, for messages.
const RANK: &str = "an integer from 1 to 65536";
/// What an alpha must be, for messages: scales are computed with in f32.
const ALPHA: &str = "a number of 32 bits";

fn as_rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|rank| (1..=MAX_RANK).contains(rank)).map(|rank| rank as usize)
}

fn as_alpha(value: &Value) -> Option<f64> {
    value.as_f64().filter(|&alpha| (alpha as f32).is_finite())
}

/// A map from modules to numbers; `read` refuses what is not `expected`.
fn pattern<T>(
    config: &Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
    expected: &str,
    problems: &mut Vec<String>,
) -> BTreeMap<String, T> {
    let mut numbers = BTreeMap::new();
    match config.get(key) {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (module, value) in map {
                match read(value) {
                    Some(number) => _ = numbers.insert(module.clone(), number),
                    None => problems.push(format!("{key}.{module} is {value}, it must be {expected}")),
                }
            }
        }
        Some(other) => problems.push(format!("{key} is {other}, it must be an object")),
    }
    numbers
}

fn targets(value: Option<&Value>, problems: &mut Vec<String>) -> Vec<Projection> {
    if value.and_then(Value::as_str) == Some("all-linear") {
        return Projection::ALL.to_vec();
    }
    let Some(list) = value.and_then(Value::as_array) else {
        problems.push("target_modules must be a list of projections or \"all-linear\"".into());
        return Vec::new();
    };
    let mut targets = Vec::new();
    for name in list {
        match name.as_str().and_then(Projection::from_name) {
            Some(projection) => targets.push(projection),
            None => problems.push(format!(
                "target_modules names {name}, supported are {}",
                Projection::ALL.map(Projection::name).join(", ")
            )),
        }
    }
    targets.sort();
    targets
}

/// Loads a PEFT LoRA folder for a backbone; the factors come back in f32 and trainable.
///
/// # Errors
/// When the folder uses a PEFT feature that is not supported, or its tensors do not fit the backbone.
pub fn load_adapter<B: Backend>(
    folder: &Path,
    backbone: &LlamaConfig,
    device: &B::Device,
) -> Result<LoadedAdapter<B>, ScorerError> {
    let peft = read_peft_config(&folder.join(CONFIG))?;
    let file = TensorFile::open(&folder.join(WEIGHTS))?;
    // The file, not the config, says which layers carry factors; what it says must then be complete.
    let mut stored: BTreeMap<FactorKey, String> = BTreeMap::new();
    let mut unknown = Vec::new();
    for name in file.names() {
        match names::parse_adapter(name) {
            Some(key) if key.0 < backbone.n_layers && peft.config.targets.contains(&key.1) => {
                stored.insert(key, name.to_owned());
            }
            _ => unknown.push(name.to_owned()),
        }
    }
    let full_name = |key: FactorKey| stored.get(&key).cloned().unwrap_or_else(|| names::adapter(key));
    let expected: Vec<_> =
        peft.shapes(backbone).into_iter().map(|(key, shape)| (full_name(key), shape)).collect();
    file.expect(&expected, |_| false).map_err(|error| match error {
        ScorerError::Invalid { path, problem } if !unknown.is_empty() => ScorerError::Invalid {
            path,
            problem: format!("does not fit a backbone of {} layers: {problem}", backbone.n_layers),
        },
        other => other,
    })?;
    let source = &mut FileSource::<B> { file: &file, prefix: "", dtype: WeightDType::F32, device };
    let adapter = assemble_adapter(&peft, backbone, full_name, source)?;
    Ok(LoadedAdapter { adapter, config: peft.config })
}

/// Puts an adapter together; `name` says how the source calls a factor.
pub(crate) fn assemble_adapter<B: Backend>(
    peft: &PeftConfig,
    backbone: &LlamaConfig,
    name: impl Fn(FactorKey) -> String,
    source: &mut impl TensorSource<B>,
) -> Result<Adapter<B>, ScorerError> {
    let dropout = peft.config.dropout;
    let mut layers = Vec::with_capacity(backbone.n_layers);
    for layer in 0..backbone.n_layers {
        let mut failed = None;
        let factors = LayerAdapter::new(|projection| {
            if !peft.config.targets.contains(&projection) {
                return None;
            }
            let (_, scale) = peft.rank_and_scale(layer, projection);
            let mut read = |factor| source.trainable(&name((layer, projection, factor)));
            match (read(Factor::A), read(Factor::B)) {
                (Ok(a), Ok(b)) => Some(LoraFactors { a, b, scale, dropout }),
                (Err(error), _) | (_, Err(error)) => {
                    failed = Some(error);
                    None
                }
            }
        });
        match failed {
            Some(error) => return Err(error),
            None => layers.push(factors),
        }
    }
    Ok(Adapter { layers })
}

/// Writes an adapter as PEFT does, so that `PeftModel.from_pretrained` loads it.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter<B: Backend>(
    folder: &Path,
    adapter: &Adapter<B>,
    config: &LoraConfig,
    base_model: &str,
) -> Result<(), ScorerError> {
    save_for(Host::CausalLanguageModel, folder, adapter, config, base_model)
}

/// As [`save_adapter`], for a backbone folder that is a bare `LlamaModel`, without a language-model head.
///
/// # Errors
/// When a file cannot be written.
pub fn save_bare_adapter<B: Backend>(
    folder: &Path,
    adapter: &Adapter<B>,
    config: &LoraConfig,
    base_model: &str,
) -> Result<(), ScorerError> {
    save_for(Host::BareModel, folder, adapter, config, base_model)
}

/// The transformers class that PEFT puts an adapter on; PEFT refuses a task the class does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    CausalLanguageModel,
    BareModel,
}

impl Host {
    /// Before `layers` in the names of its modules.
    fn prefix(self) -> &'static str {
        match self {
            Self::CausalLanguageModel => names::PREFIX,
            Self::BareModel => "",
        }
    }

    fn task(self) -> &'static str {
        match self {
            Self::CausalLanguageModel => "CAUSAL_LM",
            Self::BareModel => "FEATURE_EXTRACTION",
        }
    }
}

fn save_for<B: Backend>(
    host: Host,
    folder: &Path,
    adapter: &Adapter<B>,
    config: &LoraConfig,
    base_model: &str,
) -> Result<(), ScorerError> {
    let mut tensors = BTreeMap::new();
    for_each_factor(adapter, |key, tensor| {
        tensors.insert(names::adapter_on(host.prefix(), key), tensor);
    });
    write_tensors(&folder.join(WEIGHTS), &tensors, &[])?;
    let json = peft_json(host, adapter, config, base_model);
    let text = serde_json::to_string_pretty(&json).expect("a JSON value serialises") + "\n";
    Ok(write_atomic(folder.join(CONFIG), text.as_bytes())?)
}

/// Every factor of an adapter with its place.
pub(crate) fn for_each_factor<B: Backend>(
    adapter: &Adapter<B>,
    mut put: impl FnMut(FactorKey, StoredTensor),
) {
    for (layer, factors) in adapter.layers.iter().enumerate() {
        for projection in Projection::ALL {
            if let Some(factors) = factors.get(projection) {
                put((layer, projection, Factor::A), StoredTensor::from_tensor(factors.a.val()));
                put((layer, projection, Factor::B), StoredTensor::from_tensor(factors.b.val()));
            }
        }
    }
}

/// The content of `adapter_config.json`.
pub(crate) fn peft_json<B: Backend>(
    host: Host,
    adapter: &Adapter<B>,
    config: &LoraConfig,
    base_model: &str,
) -> Value {
    let (rank_pattern, alpha_pattern) = patterns(host, adapter, config);
    json!({
        "peft_type": "LORA",
        "task_type": host.task(),
        "base_model_name_or_path": base_model,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": adapter.targets(),
        "rank_pattern": rank_pattern,
        "alpha_pattern": alpha_pattern,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_dora": false,
        "use_rslora": false,
    })
}

/// Modules whose rank or scale differs from the adapter's own, as PEFT's patterns.
fn patterns<B: Backend>(
    host: Host,
    adapter: &Adapter<B>,
    config: &LoraConfig,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    for (layer, layer_adapter) in adapter.layers.iter().enumerate() {
        for projection in Projection::ALL {
            let Some(factors) = layer_adapter.get(projection) else { continue };
            let [rank, _] = factors.a.dims();
            let alpha = factors.scale * rank as f64;
            let key =
                format!("{}layers.{layer}.{}.{}", host.prefix(), projection.parent(), projection.name());
            if rank != config.rank {
                ranks.insert(key.clone(), rank.into());
            }
            if (alpha - config.alpha).abs() > 1e-9 {
                alphas.insert(key, alpha.into());
            }
        }
    }
    (ranks, alphas)
}
