//! Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::backend::Backend;
use pair2score_data::files::write_atomic;
use pair2score_model::{Adapter, LayerAdapter, LlamaConfig, LoraConfig, LoraFactors, Projection};
use serde_json::{Map, Value, json};

use crate::dtype::WeightDType;
use crate::error::ScorerError;
use crate::names::{self, Factor, FactorKey};
use crate::peft::{PeftConfig, read_peft_config};
use crate::source::{FileSource, TensorSource};
use crate::tensor_file::TensorFile;
use crate::tensors::{StoredTensor, write_tensors};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const OLD_WEIGHTS: &str = "adapter_model.bin";

/// An adapter from a PEFT folder.
#[derive(Debug)]
pub struct LoadedAdapter<B: Backend> {
    /// The factors; trainable.
    pub adapter: Adapter<B>,
    /// Its `r`, `lora_alpha`, dropout and targets.
    pub config: LoraConfig,
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
    let config_path = folder.join(CONFIG);
    let peft = read_peft_config(&config_path)?;
    let weights = folder.join(WEIGHTS);
    if !weights.is_file() && folder.join(OLD_WEIGHTS).is_file() {
        let problem = format!("has {OLD_WEIGHTS}, which is not read: load it with PEFT and save it again");
        return Err(ScorerError::invalid(folder, problem));
    }
    let file = TensorFile::open(&weights)?.without_wrappers()?;
    let of_language_model = names::adapter_prefix(names::PREFIX);
    let bare = !file.names().any(|name| name.starts_with(&of_language_model));
    let prefix = if bare { "" } else { names::PREFIX };
    let n_layers = backbone.n_layers + backbone.layers_above;
    let expected: Vec<_> = peft
        .shapes(prefix, backbone)
        .into_iter()
        .map(|(key, shape)| (names::adapter_on(prefix, key), shape))
        .collect();
    if expected.is_empty() {
        return Err(ScorerError::invalid(&config_path, "target_modules match no projection of the backbone"));
    }
    if file.names().all(|name| names::parse_adapter(&format!("{}{name}", names::PEFT_PREFIX)).is_some()) {
        let problem = format!("its names lack {}, with which PEFT begins them", names::PEFT_PREFIX);
        return Err(ScorerError::invalid(file.path(), problem));
    }
    let is_of_backbone = |name: &str| names::parse_adapter(name).is_some_and(|(layer, ..)| layer < n_layers);
    let fits = file.names().all(|name| peft.is_foreign_head(name) || is_of_backbone(name));
    file.expect(&expected, |name| peft.is_foreign_head(name)).map_err(|error| match error {
        ScorerError::Invalid { path, problem } if !fits => ScorerError::Invalid {
            path,
            problem: format!("does not fit a backbone of {n_layers} layers: {problem}"),
        },
        other => other,
    })?;
    if file.names().any(|name| peft.is_foreign_head(name)) {
        tracing::warn!("{}: the head of a classifier is left aside", file.path().display());
    }
    let source = &mut FileSource::<B> { file: &file, prefix: "", dtype: WeightDType::F32, device };
    let adapter = assemble_adapter(&peft, backbone, prefix, source)?;
    let PeftConfig { rank, alpha, dropout, .. } = peft;
    let config = LoraConfig { rank, alpha, dropout, targets: adapter.targets() };
    Ok(LoadedAdapter { adapter, config })
}

/// Puts an adapter together, whose names in the source are those on a model that puts `prefix` before `layers`.
pub(crate) fn assemble_adapter<B: Backend>(
    peft: &PeftConfig,
    backbone: &LlamaConfig,
    prefix: &str,
    source: &mut impl TensorSource<B>,
) -> Result<Adapter<B>, ScorerError> {
    let dropout = peft.dropout;
    let mut layers = Vec::with_capacity(backbone.n_layers);
    for layer in 0..backbone.n_layers {
        let mut failed = None;
        let factors = LayerAdapter::new(|projection| {
            let (_, scale) = peft.rank_and_scale(prefix, layer, projection)?;
            let mut read = |factor| source.trainable(&names::adapter_on(prefix, (layer, projection, factor)));
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

/// Writes an adapter as PEFT does, so that `PeftModel.from_pretrained` loads it on the whole backbone, whatever of it
/// `backbone` reads.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter<B: Backend>(
    folder: &Path,
    adapter: &Adapter<B>,
    config: &LoraConfig,
    base_model: &str,
    backbone: &LlamaConfig,
) -> Result<(), ScorerError> {
    let json = peft_json(Host::CausalLanguageModel, adapter, config, base_model);
    save_for(Host::CausalLanguageModel, folder, adapter, json, backbone)
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
    backbone: &LlamaConfig,
) -> Result<(), ScorerError> {
    let json = peft_json(Host::BareModel, adapter, config, base_model);
    save_for(Host::BareModel, folder, adapter, json, backbone)
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
    mut json: Value,
    backbone: &LlamaConfig,
) -> Result<(), ScorerError> {
    let layers = 0..adapter.layers.len();
    // Otherwise the adapter would be one of the layers above, too.
    match host {
        _ if backbone.n_layers + backbone.layers_above == layers.len() => {}
        Host::CausalLanguageModel if is_on_every_layer(adapter) => {
            json["layers_to_transform"] = layers.collect();
        }
        // PEFT finds the number of a layer behind a dot alone, and the names of a bare model begin with it.
        Host::CausalLanguageModel | Host::BareModel => {
            json["target_modules"] = modules(host, adapter).into();
        }
    }
    let mut tensors = BTreeMap::new();
    for_each_factor(adapter, |key, tensor| {
        tensors.insert(names::adapter_on(host.prefix(), key), tensor);
    });
    write_tensors(&folder.join(WEIGHTS), &tensors, &[])?;
    let text = serde_json::to_string_pretty(&json).expect("a JSON value serialises") + "\n";
    Ok(write_atomic(folder.join(CONFIG), text.as_bytes())?)
}

/// Whether all layers have factors on the same projections.
fn is_on_every_layer<B: Backend>(adapter: &Adapter<B>) -> bool {
    let targets = adapter.targets();
    adapter.layers.iter().all(|layer| targets.iter().all(|&target| layer.get(target).is_some()))
}

/// The whole names of the modules that have factors.
fn modules<B: Backend>(host: Host, adapter: &Adapter<B>) -> Vec<String> {
    let of_layer = |(layer, factors): (usize, &LayerAdapter<B>)| {
        let targets = Projection::ALL.into_iter().filter(|&target| factors.get(target).is_some());
        let names = targets.map(|target| format!("{}{}", host.prefix(), names::module(layer, target)));
        names.collect::<Vec<_>>()
    };
    adapter.layers.iter().enumerate().flat_map(of_layer).collect()
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
    // The name of a projection alone would be that of every layer.
    let targets = match is_on_every_layer(adapter) {
        true => json!(adapter.targets()),
        false => json!(modules(host, adapter)),
    };
    json!({
        "peft_type": "LORA",
        "task_type": host.task(),
        "base_model_name_or_path": base_model,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": targets,
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
            let key = format!("{}{}", host.prefix(), names::module(layer, projection));
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
