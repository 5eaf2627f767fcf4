//! Writes a loaded scorer as a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::files::write_atomic;
use pair2score_model::{Adapter, Kernels, LoraConfig, Projection, packed};
use serde_json::{Map, Value};

use super::dtype::BundleDType;
use super::folder::MANIFEST;
use super::loader::hash;
use super::manifest::{BundleError, Golden, Manifest, ShardEntry, TensorEntry, TokenizerEntry, component};
use crate::adapter::{Host, for_each_factor, peft_json};
use crate::backbone::for_each_tensor;
use crate::dtype::WeightDType;
use crate::encoder::Embedder;
use crate::heads::{score_head_tensors, utility_head_tensors};
use crate::tensors::StoredTensor;
use crate::{Scorer, ScorerError, ScorerSettings, config_json, names};

/// How the backbone's matrices are written; norms, adapters and heads are in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrices {
    /// Type of all matrices that are not packed: f32 or f16.
    pub dtype: BundleDType,
    /// Whether projections are packed into 8 bits, where their rows are whole blocks.
    pub pack: bool,
}

/// Writes the bundle of a scorer into a folder: shards of at most `max_shard` bytes, the tokenizer, and the manifest
/// last, so that a folder with a manifest is whole. Gives the largest change of a weight by the cast.
///
/// # Errors
/// When a file cannot be written.
pub fn write_bundle<B: Kernels>(
    folder: &Path,
    scorer: &Scorer<B>,
    matrices: Matrices,
    max_shard: u64,
    golden: Vec<Golden>,
) -> Result<f64, ScorerError> {
    let settings = portable(&scorer.settings);
    let mut write = |file: &str, bytes: &[u8]| {
        write_atomic(folder.join(file), bytes)?;
        Ok(())
    };
    let mut stream = Stream::new(&mut write, max_shard.clamp(1, Manifest::MAX_SHARD));
    let backbone = component(&settings.backbone);
    for_each_tensor(&scorer.encoder.backbone, |name, tensor| {
        let dtype = match tensor.shape.len() {
            2 if matrices.pack && name != names::EMBEDDING && packed::is_packable(&tensor.shape) => {
                BundleDType::Q8
            }
            2 => matrices.dtype,
            _ => BundleDType::F32,
        };
        stream.put(&backbone, name, &tensor, dtype);
    });
    let mut configs = BTreeMap::new();
    for (name, adapter) in adapters(scorer, &settings) {
        for_each_factor(adapter, |key, tensor| {
            stream.put(&name, names::adapter(key), &tensor, BundleDType::F32);
        });
        if let Value::Object(json) = peft_json(Host::CausalLanguageModel, adapter, &lora_config(adapter), "")
        {
            configs.insert(name, json);
        }
    }
    stream.put_end(scorer, &settings);
    let (shards, tensors, largest_deviation) = stream.finish()?;
    let tokenizer = write_tokenizer(folder, scorer)?;
    let config = config_json(&scorer.encoder.config, scorer.text_encoder.bos_id, scorer.text_encoder.eos_id);
    let manifest = Manifest {
        format: Manifest::FORMAT,
        scorer: settings,
        config: serde_json::from_str(&config).expect("a config is JSON"),
        adapters: configs,
        tokenizer,
        shards,
        tensors,
        golden,
    };
    let text = checked_text(&manifest).map_err(|error| match error {
        BundleError::Scorer(error) => error,
        other => ScorerError::invalid(folder, other.to_string()),
    })?;
    write_atomic(folder.join(MANIFEST), text.as_bytes())?;
    Ok(largest_deviation)
}

/// The text of a manifest. What no page would load must not be written.
pub(super) fn checked_text(manifest: &Manifest) -> Result<String, BundleError> {
    let text = serde_json::to_string_pretty(manifest).expect("a manifest serialises") + "\n";
    Manifest::parse(&text)?;
    Ok(text)
}

/// The settings with names in place of paths; parts that share a path share a name.
pub(super) fn portable(settings: &ScorerSettings) -> ScorerSettings {
    let mut portable = settings.clone();
    portable.dtype = WeightDType::F32;
    portable.backbone = "backbone".into();
    portable.backbone_fingerprint = None;
    if let Some(files) = &mut portable.relative {
        files.adapter = files.adapter.as_ref().map(|_| "relative/adapter".into());
        let heads = files.heads.iter_mut().enumerate();
        heads.for_each(|(i, path)| *path = numbered("relative/head", i));
    }
    if let Some(files) = &mut portable.score {
        let stage1 = settings.relative.as_ref().and_then(|files| files.adapter.as_ref());
        for (i, path) in files.adapters.iter_mut().enumerate() {
            *path = match stage1 {
                Some(stage1) if stage1 == path => "relative/adapter".into(),
                _ => format!("score/adapter-{i}").into(),
            };
        }
        let heads = files.heads.iter_mut().enumerate();
        heads.for_each(|(i, file)| file.path = numbered("score/head", i));
    }
    if let Some(anchors) = &mut portable.anchors {
        anchors.embeddings = "anchors".into();
    }
    portable
}

/// The name of one of several heads; the first has the name alone.
fn numbered(name: &str, place: usize) -> PathBuf {
    match place {
        0 => name.into(),
        _ => format!("{name}-{place}").into(),
    }
}

/// Adapters with the names they have in `settings`, each once.
fn adapters<'a, B: Kernels>(
    scorer: &'a Scorer<B>,
    settings: &'a ScorerSettings,
) -> Vec<(String, &'a Adapter<B>)> {
    let stage1 = scorer.stage1().and_then(|stage1| stage1.adapter.as_ref());
    let stage2 = scorer.stage2().map_or(&[][..], |stage2| &stage2.adapters);
    let names = settings.relative.iter().filter_map(|files| files.adapter.as_ref());
    let names = names.chain(settings.score.iter().flat_map(|files| &files.adapters));
    let mut named: Vec<(String, &Adapter<B>)> = Vec::new();
    for (path, adapter) in names.zip(stage1.into_iter().chain(stage2)) {
        let name = component(path);
        if !named.iter().any(|(other, _)| *other == name) {
            named.push((name, adapter));
        }
    }
    named
}

/// What an adapter says about itself; ranks and scales that differ become patterns.
fn lora_config<B: Kernels>(adapter: &Adapter<B>) -> LoraConfig {
    let mut factors = adapter.layers.iter().flat_map(|layer| Projection::ALL.map(|p| layer.get(p))).flatten();
    let (rank, scale) = factors.next().map_or((1, 1.0), |factors| (factors.a.dims()[0], factors.scale));
    LoraConfig { rank, alpha: scale * rank as f64, dropout: 0.0, targets: adapter.targets() }
}

fn write_tokenizer<B: Kernels>(folder: &Path, scorer: &Scorer<B>) -> Result<TokenizerEntry, ScorerError> {
    const FILE: &str = "tokenizer.json";
    let encoder = &scorer.text_encoder;
    let bytes = encoder.to_json()?.into_bytes();
    write_atomic(folder.join(FILE), &bytes)?;
    let tokens =
        [("bos_token", encoder.bos_id), ("eos_token", encoder.eos_id), ("pad_token", Some(encoder.pad_id))];
    let mut config = Map::new();
    for (key, id) in tokens {
        if let Some(token) = id.and_then(|id| encoder.token(id)) {
            config.insert(key.into(), token.into());
        }
    }
    Ok(TokenizerEntry { file: FILE.into(), bytes: bytes.len() as u64, sha256: hash(&bytes), config })
}

/// Takes a shard by its name.
type Sink<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), ScorerError>;

/// The stream of bytes while it is cut into shards. The first failure is kept until the end.
pub(super) struct Stream<'a> {
    write: Sink<'a>,
    max_shard: usize,
    pub(super) buffer: Vec<u8>,
    pub(super) shards: Vec<ShardEntry>,
    pub(super) tensors: Vec<TensorEntry>,
    largest_deviation: f64,
    result: Result<(), ScorerError>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(write: Sink<'a>, max_shard: u64) -> Self {
        Self {
            write,
            max_shard: max_shard as usize,
            buffer: Vec::new(),
            shards: Vec::new(),
            tensors: Vec::new(),
            largest_deviation: 0.0,
            result: Ok(()),
        }
    }

    fn put(&mut self, component: &str, name: String, tensor: &StoredTensor, dtype: BundleDType) {
        let bytes = dtype.encode(&tensor.values);
        if let (Ok(()), Some((index, value))) = (&self.result, dtype.first_not_finite(&bytes)) {
            let place = Path::new(component);
            self.result = Err(ScorerError::not_finite_weight(place, &name, &tensor.shape, index, value));
        }
        let mut written = Vec::with_capacity(tensor.values.len());
        dtype.decode(&bytes, &mut written);
        let deviations = tensor.values.iter().zip(&written).map(|(a, b)| f64::from(*a) - f64::from(*b));
        self.largest_deviation = deviations.map(f64::abs).fold(self.largest_deviation, f64::max);
        self.tensors.push(TensorEntry {
            name: format!("{component}/{name}"),
            dtype,
            shape: tensor.shape.clone(),
            shard: self.shards.len(),
            offset: self.buffer.len() as u64,
            bytes: bytes.len() as u64,
        });
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (here, later) = rest.split_at(rest.len().min(self.max_shard - self.buffer.len()));
            self.buffer.extend_from_slice(here);
            rest = later;
            if self.buffer.len() == self.max_shard {
                self.cut();
            }
        }
    }

    /// The heads and what belongs to them, which come last.
    pub(super) fn put_end<B: Kernels, E: Embedder<B>>(
        &mut self,
        scorer: &Scorer<B, E>,
        settings: &ScorerSettings,
    ) {
        if let (Some(files), Some(stage1)) = (&settings.relative, scorer.stage1()) {
            for (path, head) in files.heads.iter().zip(&stage1.heads) {
                self.put_all(&component(path), utility_head_tensors(head));
            }
        }
        if let (Some(files), Some(stage2)) = (&settings.score, scorer.stage2()) {
            for (file, linked) in files.heads.iter().zip(&stage2.heads) {
                self.put_all(&component(&file.path), score_head_tensors(&linked.head));
            }
        }
        if let (Some(anchors), Some(space)) = (&settings.anchors, scorer.anchors()) {
            self.put_all(&component(&anchors.embeddings), space.tensors());
        }
    }

    fn put_all(&mut self, component: &str, tensors: impl IntoIterator<Item = (String, StoredTensor)>) {
        for (name, tensor) in tensors {
            let dtype = match tensor.dtype {
                WeightDType::F16 => BundleDType::F16,
                _ => BundleDType::F32,
            };
            self.put(component, name, &tensor, dtype);
        }
    }

    fn cut(&mut self) {
        let file = format!("weights-{:03}.bin", self.shards.len());
        if self.result.is_ok() {
            self.result = (self.write)(&file, &self.buffer);
        }
        let (bytes, sha256) = (self.buffer.len() as u64, hash(&self.buffer));
        self.shards.push(ShardEntry { file, bytes, sha256 });
        self.buffer.clear();
    }

    pub(super) fn finish(mut self) -> Result<(Vec<ShardEntry>, Vec<TensorEntry>, f64), ScorerError> {
        if !self.buffer.is_empty() {
            self.cut();
        }
        self.result?;
        Ok((self.shards, self.tensors, self.largest_deviation))
    }
}
