//! `manifest.json`: what a bundle holds, and everything that can be checked before a byte of it is fetched.
//!
//! A manifest comes from wherever the page does and is not trusted: every size it claims is compared with what the
//! backbone's configuration asks for, and all of them with the sizes of the shards, before anything is allocated.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use pair2score_model::LlamaConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::dtype::BundleDType;
use crate::anchors::AnchorSpace;
use crate::hf_config::parse_config;
use crate::peft::{PeftConfig, parse_peft_config};
use crate::{HeadFile, ScorerError, ScorerSettings, heads, names};

/// Why a bundle cannot be used. The message names the file and what to do.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The manifest is damaged, of another version, or contradicts itself.
    #[error("manifest.json: {0}")]
    Manifest(String),
    /// A file is not the one the manifest describes; fetching it again may help.
    #[error("{file}: {problem}; fetch it again")]
    Damaged {
        /// Name in the bundle's folder.
        file: String,
        /// How it differs.
        problem: String,
    },
    /// The device or this program cannot hold the bundle.
    #[error("{0}")]
    TooLarge(String),
    /// The content of a file is wrong.
    #[error(transparent)]
    Scorer(#[from] ScorerError),
}

/// The whole `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the bundle, [`Manifest::FORMAT`].
    pub format: u32,
    /// As in `scorer.json`; what are paths there are the first parts of tensor names here.
    pub scorer: ScorerSettings,
    /// The backbone's `config.json`.
    pub config: Value,
    /// The `adapter_config.json` of each adapter, by its name in `scorer`.
    pub adapters: BTreeMap<String, Map<String, Value>>,
    /// The tokenizer.
    pub tokenizer: TokenizerEntry,
    /// The stream of bytes, in order.
    pub shards: Vec<ShardEntry>,
    /// The tensors, in the order of the stream.
    pub tensors: Vec<TensorEntry>,
    /// Texts with what the scorer gave for them when the bundle was made, in f32 on a CPU.
    pub golden: Vec<Golden>,
}

/// `tokenizer.json` and its special tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// Name in the bundle's folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// `bos_token`, `eos_token` and `pad_token`, where there are some.
    pub config: Map<String, Value>,
}

/// A part of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Name in the bundle's folder.
    pub file: String,
    /// Its size, from 1 to [`Manifest::MAX_SHARD`].
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A tensor and its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// The component of the scorer, a slash, and the name within it.
    pub name: String,
    /// How it is stored: row-major, little-endian.
    pub dtype: BundleDType,
    /// Axis order as in a checkpoint.
    pub shape: Vec<usize>,
    /// Number of the shard it begins in.
    pub shard: usize,
    /// Where in that shard.
    pub offset: u64,
    /// Its size; beyond the end of the shard it goes on in the next.
    pub bytes: u64,
}

/// A text and its results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The text.
    pub text: String,
    /// Its scores, where stage 2 was trained.
    pub score: Option<PerTrait>,
    /// Its utilities, where stage 1 was trained.
    pub utility: Option<PerTrait>,
}

/// A number for each trait; written as the number alone where there is one trait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerTrait {
    /// Of a scorer of one trait.
    One(f64),
    /// In the order of the traits.
    Several(Vec<f64>),
}

impl From<&[f64]> for PerTrait {
    fn from(numbers: &[f64]) -> Self {
        match *numbers {
            [number] => Self::One(number),
            _ => Self::Several(numbers.to_vec()),
        }
    }
}

/// What a checked manifest says about the modules.
#[derive(Debug)]
pub(crate) struct Configs {
    pub(crate) config: LlamaConfig,
    pub(crate) adapters: BTreeMap<String, PeftConfig>,
}

impl Manifest {
    /// The version this program writes and reads.
    pub const FORMAT: u32 = 1;
    /// Bytes of the largest shard.
    pub const MAX_SHARD: u64 = 32 << 20;

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// When it is damaged, of another version, or contradicts itself; missing, extra and misshapen tensors together.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        Ok(Self::parse_with_configs(text)?.0)
    }

    pub(crate) fn parse_with_configs(text: &str) -> Result<(Self, Configs), BundleError> {
        // The version first: the keys of another one are not ours to judge.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |error: serde_json::Error| BundleError::Manifest(format!("not a manifest: {error}"));
        let Version { format } = serde_json::from_str(text).map_err(damaged)?;
        if format != Self::FORMAT {
            return Err(BundleError::Manifest(format!(
                "has format {format}, this program reads format {}; use a page and a bundle of one export",
                Self::FORMAT
            )));
        }
        let manifest: Self = serde_json::from_str(text).map_err(damaged)?;
        let configs = manifest.check().map_err(BundleError::Manifest)?;
        Ok((manifest, configs))
    }

    fn check(&self) -> Result<Configs, String> {
        self.scorer.validate()?;
        self.check_files()?;
        let config =
            parse_config(&self.config.to_string()).map_err(|problem| format!("config: {problem}"))?;
        let config = config.read_to(self.scorer.depth()).map_err(|error| error.to_string())?;
        let mut adapters = BTreeMap::new();
        for (name, json) in &self.adapters {
            let peft = parse_peft_config(json).map_err(|problem| format!("adapter {name:?}: {problem}"))?;
            adapters.insert(name.clone(), peft);
        }
        // Before the names are written out: a claim of a billion layers must not make a billion names.
        if config.n_layers > self.tensors.len() {
            return Err(format!(
                "has {} tensors, fewer than its config has layers ({})",
                self.tensors.len(),
                config.n_layers
            ));
        }
        let configs = Configs { config, adapters };
        self.check_names(&self.expected(&configs)?)?;
        self.check_places()?;
        Ok(configs)
    }

    /// Names that stay in the folder, sizes in range.
    fn check_files(&self) -> Result<(), String> {
        for file in self.shards.iter().map(|shard| &shard.file).chain([&self.tokenizer.file]) {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if file.is_empty() || file.starts_with('.') || !file.chars().all(plain) {
                return Err(format!("names the file {file:?}, which is no plain name"));
            }
        }
        let sizes = self.shards.iter().map(|shard| (&shard.file, shard.bytes));
        for (file, bytes) in sizes.chain([(&self.tokenizer.file, self.tokenizer.bytes)]) {
            if bytes == 0 || bytes > Self::MAX_SHARD {
                return Err(format!(
                    "gives {file} a size of {bytes} bytes, it must be from 1 to {}",
                    Self::MAX_SHARD
                ));
            }
        }
        Ok(())
    }

    fn check_names(&self, expected: &[(String, Vec<usize>)]) -> Result<(), String> {
        let shapes: HashMap<&str, &[usize]> =
            expected.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
        let mut present: HashMap<&str, usize> = HashMap::new();
        let (mut extra, mut wrong) = (Vec::new(), Vec::new());
        for TensorEntry { name, shape, .. } in &self.tensors {
            *present.entry(name).or_default() += 1;
            match shapes.get(name.as_str()) {
                None => extra.push(name.as_str()),
                Some(expected) if expected != shape => {
                    wrong.push(format!("{name} has shape {shape:?}, expected {expected:?}"));
                }
                Some(_) => {}
            }
        }
        wrong.extend(
            present.iter().filter(|(_, n)| **n > 1).map(|(name, n)| format!("{name} is there {n} times")),
        );
        let missing: Vec<&str> = expected
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !present.contains_key(name))
            .collect();
        let list =
            |what: &str, names: String| (!names.is_empty()).then(|| format!("{what} tensors: {names}"));
        let problems: Vec<String> = [
            list("missing", missing.join(", ")),
            list("unexpected", extra.join(", ")),
            list("wrong", wrong.join(", ")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Every tensor of the scorer with its shape.
    fn expected(&self, configs: &Configs) -> Result<Vec<(String, Vec<usize>)>, String> {
        let settings = &self.scorer;
        let mut tensors = Vec::new();
        let mut put = |component: &str, named: Vec<(String, Vec<usize>)>| {
            tensors.extend(named.into_iter().map(|(name, shape)| (format!("{component}/{name}"), shape)));
        };
        put(&component(&settings.backbone), names::backbone(&configs.config));
        let mut used = Vec::new();
        for path in adapter_paths(settings) {
            let name = component(path);
            let peft =
                configs.adapters.get(&name).ok_or(format!("has no configuration of the adapter {name:?}"))?;
            let factors = peft.shapes(names::PREFIX, &configs.config);
            put(&name, factors.into_iter().map(|(key, shape)| (names::adapter(key), shape)).collect());
            used.push(name);
        }
        if let Some(extra) = configs.adapters.keys().find(|name| !used.contains(name)) {
            return Err(format!("configures the adapter {extra:?}, which the scorer does not use"));
        }
        let d = configs.config.d_model;
        for head in settings.relative.iter().flat_map(|files| &files.heads) {
            put(&component(head), heads::utility_head_shapes(d).into());
        }
        if let Some(files) = &settings.score {
            let width = files.embedding_width(d);
            for HeadFile { path, link } in &files.heads {
                let head = component(path);
                let bias = format!("{head}/{}", names::SCORE_HEAD[1]);
                let hidden = self.tensors.iter().find(|tensor| tensor.name == bias);
                let hidden = hidden.and_then(|tensor| tensor.shape.first().copied());
                put(&head, heads::score_head_shapes(width, hidden, link.n_outputs()).into());
            }
            if let Some(anchors) = &settings.anchors {
                let shapes = AnchorSpace::shapes(anchors.documents.len(), width);
                put(&component(&anchors.embeddings), shapes.into());
            }
        }
        Ok(tensors)
    }

    /// The tensors must fill the shards exactly, in order.
    fn check_places(&self) -> Result<(), String> {
        let mut starts = Vec::with_capacity(self.shards.len());
        let mut total: u64 = 0;
        for shard in &self.shards {
            starts.push(total);
            // At most 2⁶⁴ / 2²⁵ shards would overflow, more than a manifest can list.
            total += shard.bytes;
        }
        let mut position: u64 = 0;
        let backbone = format!("{}/", component(&self.scorer.backbone));
        for tensor in &self.tensors {
            let name = &tensor.name;
            let of_backbone = name.strip_prefix(&backbone).is_some_and(|name| name != names::EMBEDDING);
            if tensor.dtype == BundleDType::Q8 && !(of_backbone && tensor.shape.len() == 2) {
                return Err(format!("tensor {name} is in q8, which only the backbone's projections may be"));
            }
            if tensor.dtype.bytes(&tensor.shape) != Some(tensor.bytes) {
                return Err(format!(
                    "tensor {name} has {} bytes, which does not fit its shape {:?}",
                    tensor.bytes, tensor.shape
                ));
            }
            let claimed = starts.get(tensor.shard).and_then(|start| start.checked_add(tensor.offset));
            if claimed != Some(position) {
                return Err(format!(
                    "tensor {name} lies at byte {} of shard {}, which is not where the tensor before it ends",
                    tensor.offset, tensor.shard
                ));
            }
            position = position
                .checked_add(tensor.bytes)
                .filter(|end| *end <= total)
                .ok_or_else(|| format!("tensor {name} ends beyond the last shard"))?;
        }
        if position == total {
            Ok(())
        } else {
            Err(format!("the shards hold {total} bytes, the tensors {position}"))
        }
    }
}

/// A component of a scorer (its backbone, an adapter or a head) as tensor names begin with it.
pub(crate) fn component(path: &Path) -> String {
    path.display().to_string()
}

/// The adapters of a scorer by their paths, each once, stage 1's first.
pub(crate) fn adapter_paths(settings: &ScorerSettings) -> Vec<&PathBuf> {
    let relative = settings.relative.iter().filter_map(|files| files.adapter.as_ref());
    let score = settings.score.iter().flat_map(|files| &files.adapters);
    let mut paths: Vec<&PathBuf> = Vec::new();
    for path in relative.chain(score) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}
