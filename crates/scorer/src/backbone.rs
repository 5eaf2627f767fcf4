//! Loading and saving a backbone folder.

use std::collections::BTreeMap;
use std::convert::identity;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};
use pair2score_data::files::write_atomic;
use pair2score_model::{Backbone, Decoder, DecoderLayer, Depth, LlamaConfig, Projection, RmsNorm};

use crate::dtype::WeightDType;
use crate::source::{FileSource, TensorSource};
use crate::tensor_file::TensorFile;
use crate::tensors::{StoredTensor, write_tensors};
use crate::{ScorerError, config_json, names, read_config};

/// Where the parts of a checkpoint lie: flat in the folder, or under `model/` and `tokenizer/`.
#[derive(Debug, Clone, PartialEq)]
pub struct BackboneFolder {
    /// Folder with `config.json` and the weights.
    pub model: PathBuf,
    /// Folder with `tokenizer.json`.
    pub tokenizer: PathBuf,
}

impl BackboneFolder {
    /// Finds both parts.
    ///
    /// # Errors
    /// When the folder, its `config.json` or its `tokenizer.json` is missing.
    pub fn find(folder: &Path) -> Result<Self, ScorerError> {
        if !folder.is_dir() {
            return Err(ScorerError::invalid(
                folder,
                "is not a folder; a backbone is a folder with config.json, model.safetensors and tokenizer.json",
            ));
        }
        let part = |file: &str, sub: &str| {
            let candidates = [folder.to_path_buf(), folder.join(sub)];
            let has = |file: &str| candidates.iter().find(|f| f.join(file).is_file());
            has(file).cloned().ok_or_else(|| {
                let hint = match has("tokenizer.model").filter(|_| file == "tokenizer.json") {
                    Some(_) => {
                        "; tokenizer.model alone is not read: write tokenizer.json beside it with transformers \
                         (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
                    }
                    None => "",
                };
                ScorerError::invalid(folder, format!("has no {file}, neither flat nor under {sub}/{hint}"))
            })
        };
        Ok(Self { model: part("config.json", "model")?, tokenizer: part("tokenizer.json", "tokenizer")? })
    }

    /// Every file that decides what the backbone computes.
    ///
    /// # Errors
    /// When the weights are not there.
    pub fn files(&self) -> Result<Vec<PathBuf>, ScorerError> {
        let mut files = vec![self.model.join("config.json"), self.tokenizer.join("tokenizer.json")];
        files.extend(Some(self.tokenizer.join("tokenizer_config.json")).filter(|path| path.is_file()));
        files.extend(TensorFile::open_folder(&self.model)?.paths().map(Path::to_owned));
        Ok(files)
    }
}

/// Loads the whole frozen backbone; the language-model head of a checkpoint is left out.
///
/// # Errors
/// When the config or the tensors do not make a LLaMA: everything wrong in one error.
pub fn load_backbone<B: Backend>(
    folder: &Path,
    dtype: WeightDType,
    device: &B::Device,
) -> Result<(LlamaConfig, Backbone<B>), ScorerError> {
    load_backbone_at(folder, Depth::default(), dtype, device)
}

/// As [`load_backbone`], of a backbone that is read at a depth: the layers above are not loaded, and neither is the
/// final norm where it is not applied.
///
/// # Errors
/// As [`load_backbone`], and when the backbone has no such depth.
pub fn load_backbone_at<B: Backend>(
    folder: &Path,
    depth: Depth,
    dtype: WeightDType,
    device: &B::Device,
) -> Result<(LlamaConfig, Backbone<B>), ScorerError> {
    load_backbone_with(folder, depth, dtype, device, identity)
}

/// As [`load_backbone_at`], with what `finish` makes of each layer in its place, as soon as it is read.
pub(crate) fn load_backbone_with<B: Backend>(
    folder: &Path,
    depth: Depth,
    dtype: WeightDType,
    device: &B::Device,
    finish: impl Fn(DecoderLayer<B>) -> DecoderLayer<B>,
) -> Result<(LlamaConfig, Backbone<B>), ScorerError> {
    // All of the checkpoint, so that a damaged one is found whatever is read of it.
    let (whole, file, prefix) = open_backbone(folder)?;
    let config = whole
        .read_to(depth)
        .map_err(|error| ScorerError::invalid(&folder.join("config.json"), error.to_string()))?;
    if file.names().any(names::is_classifier) {
        tracing::warn!("{}: the head of a classifier is left aside", file.path().display());
    }

    let source = &mut FileSource::<B> { file: &file, prefix, dtype, device };
    // First, because it is the largest tensor: reading it last would set the peak of memory.
    let embed_tokens = source.frozen(names::EMBEDDING)?;
    let decoder = assemble_decoder(&config, source, finish)?;
    Ok((config, Backbone { embed_tokens, decoder }))
}

/// The shape of a backbone, its tensors, all of which are there and of that shape, and what stands before their names.
///
/// # Errors
/// As [`load_backbone`].
pub fn open_backbone(folder: &Path) -> Result<(LlamaConfig, TensorFile, &'static str), ScorerError> {
    let config = read_config(&folder.join("config.json"))?;
    let file = TensorFile::open_folder(folder)?.without_wrappers()?;
    let prefix = if file.names().any(|name| name.starts_with(names::PREFIX)) { names::PREFIX } else { "" };
    let backbone = names::backbone(&config).into_iter();
    let expected: Vec<_> = backbone.map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect();
    file.expect(&expected, |name| names::is_foreign_head(name) || name.ends_with("rotary_emb.inv_freq"))?;
    Ok((config, file, prefix))
}

/// Layers and norms; `finish` sees each layer before the next one is read.
pub(crate) fn assemble_decoder<B: Backend>(
    config: &LlamaConfig,
    source: &mut impl TensorSource<B>,
    finish: impl Fn(DecoderLayer<B>) -> DecoderLayer<B>,
) -> Result<Decoder<B>, ScorerError> {
    let mut layers = Vec::with_capacity(config.n_layers);
    for i in 0..config.n_layers {
        let input_norm = norm(config, names::input_norm(i), source)?;
        let post_attention_norm = norm(config, names::post_attention_norm(i), source)?;
        let mut weight = |p| source.frozen(&names::projection(i, p));
        layers.push(finish(DecoderLayer {
            input_norm,
            q: weight(Projection::Q)?,
            k: weight(Projection::K)?,
            v: weight(Projection::V)?,
            o: weight(Projection::O)?,
            post_attention_norm,
            gate: weight(Projection::Gate)?,
            up: weight(Projection::Up)?,
            down: weight(Projection::Down)?,
        }));
    }
    let norm = match config.final_norm {
        true => Some(norm(config, names::FINAL_NORM.into(), source)?),
        false => None,
    };
    Ok(Decoder { layers, norm })
}

fn norm<B: Backend>(
    config: &LlamaConfig,
    name: String,
    source: &mut impl TensorSource<B>,
) -> Result<RmsNorm<B>, ScorerError> {
    Ok(RmsNorm { weight: source.frozen(&name)?, eps: config.rms_norm_eps })
}

/// Writes `config.json` and `model.safetensors` in Hugging Face layout.
///
/// # Errors
/// When a file cannot be written.
pub fn save_backbone<B: Backend>(
    folder: &Path,
    config: &LlamaConfig,
    backbone: &Backbone<B>,
    lm_head: Option<Tensor<B, 2>>,
    dtype: WeightDType,
    special: (Option<u32>, Option<u32>),
) -> Result<(), ScorerError> {
    let mut tensors = BTreeMap::new();
    let mut put = |name: String, mut tensor: StoredTensor| {
        tensor.dtype = dtype;
        tensors.insert(name, tensor);
    };
    for_each_tensor(backbone, |name, tensor| put(format!("{}{name}", names::PREFIX), tensor));
    if let Some(head) = lm_head {
        put(names::LM_HEAD.into(), StoredTensor::from_tensor(head));
    }
    write_tensors(&folder.join("model.safetensors"), &tensors, &[])?;
    let json = config_json(config, special.0, special.1);
    Ok(write_atomic(folder.join("config.json"), json.as_bytes())?)
}

/// Every tensor of a backbone with its name, in the order of [`names::backbone`].
pub(crate) fn for_each_tensor<B: Backend>(backbone: &Backbone<B>, mut put: impl FnMut(String, StoredTensor)) {
    put(names::EMBEDDING.into(), StoredTensor::from_tensor(backbone.embed_tokens.val()));
    for (i, layer) in backbone.decoder.layers.iter().enumerate() {
        put(names::input_norm(i), StoredTensor::from_tensor(layer.input_norm.weight.val()));
        put(names::post_attention_norm(i), StoredTensor::from_tensor(layer.post_attention_norm.weight.val()));
        for p in Projection::ALL {
            put(names::projection(i, p), StoredTensor::from_tensor(layer.weight(p).val()));
        }
    }
    if let Some(norm) = &backbone.decoder.norm {
        put(names::FINAL_NORM.into(), StoredTensor::from_tensor(norm.weight.val()));
    }
}
