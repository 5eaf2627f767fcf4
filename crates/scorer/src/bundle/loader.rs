//! Puts a scorer together while its shards arrive.

use std::collections::HashMap;
use std::convert::identity;
use std::path::{Path, PathBuf};

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorPrimitive, backend::Backend};
use pair2score_model::{Backbone, Decoder, Kernels, LlamaConfig, Pooling, packed};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::dtype::BundleDType;
use super::host_table::{HostTable, HostTableEncoder};
use super::manifest::{BundleError, Configs, Manifest, TensorEntry, adapter_paths, component};
use crate::adapter::assemble_adapter;
use crate::anchors::AnchorSpace;
use crate::backbone::assemble_decoder;
use crate::cache::hex;
use crate::encoder::Encoder;
use crate::error::ScorerError;
use crate::heads::{assemble_score_head, assemble_utility_head};
use crate::names;
use crate::scorer::Scorer;
use crate::settings::HeadFile;
use crate::source::TensorSource;
use crate::stages::{LinkedHead, Stage1, Stage2};
use crate::tokenizer::TextEncoder;

/// A scorer of which some shards have arrived.
///
/// Memory beside the device's: the shard at hand, one tensor that began in an earlier shard, and the embedding table,
/// which goes to the device at the end, if at all.
#[derive(Debug)]
pub struct BundleLoader<B: Backend> {
    manifest: Manifest,
    configs: Configs,
    /// Whether f16 weights stay f16 on the device.
    keep_f16: bool,
    device: B::Device,
    /// Number of the shard that comes next.
    shard: usize,
    /// Number of the tensor that comes next.
    tensor: usize,
    /// The part of that tensor that has arrived.
    begun: Vec<u8>,
    arrived: HashMap<String, TensorPrimitive<B>>,
    table: Option<HostTable>,
    /// The tensors of the anchors, which are compared on the host.
    anchors: HashMap<String, Vec<f32>>,
    text_encoder: Option<TextEncoder>,
}

impl<B: Kernels> BundleLoader<B> {
    /// Checks the manifest; nothing of the sizes it claims is allocated before the bytes are there. With `keep_f16` f16
    /// weights stay so on the device; else they become f32, which every device computes with.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn new(manifest: &str, keep_f16: bool, device: &B::Device) -> Result<Self, BundleError> {
        let (manifest, configs) = Manifest::parse_with_configs(manifest)?;
        Ok(Self {
            manifest,
            configs,
            keep_f16,
            device: device.clone(),
            shard: 0,
            tensor: 0,
            begun: Vec::new(),
            arrived: HashMap::new(),
            table: None,
            anchors: HashMap::new(),
            text_encoder: None,
        })
    }

    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes the next shard: compares it with its hash and moves the tensors that it completes to the device.
    ///
    /// # Errors
    /// When it is not the shard that the manifest describes, which is then still the next one; when the tensors are too
    /// large for this machine, or hold what is no finite number.
    pub fn put_shard(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        let Some(shard) = self.manifest.shards.get(self.shard) else {
            return Err(BundleError::Manifest("all shards have been loaded".into()));
        };
        verify(&shard.file, bytes, shard.bytes, &shard.sha256)?;
        let mut rest = bytes;
        while let Some(entry) = self.manifest.tensors.get(self.tensor) {
            // Whatever is claimed, only what arrived is held.
            let missing =
                usize::try_from(entry.bytes).map_err(|_| too_large(entry))?.saturating_sub(self.begun.len());
            let (here, later) = rest.split_at(missing.min(rest.len()));
            rest = later;
            if here.is_empty() {
                break;
            }
            if here.len() < missing {
                let room = self.begun.try_reserve_exact(missing);
                room.map_err(|_| too_large(entry))?;
                self.begun.extend_from_slice(here);
                break;
            }
            let entry = entry.clone();
            if self.begun.is_empty() {
                self.put_tensor(&entry, here.into())?;
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(here);
                self.put_tensor(&entry, whole.into())?;
            }
            self.tensor += 1;
        }
        self.shard += 1;
        Ok(())
    }

    fn put_tensor(
        &mut self,
        entry: &TensorEntry,
        bytes: std::borrow::Cow<'_, [u8]>,
    ) -> Result<(), BundleError> {
        if let Some((index, value)) = entry.dtype.first_not_finite(&bytes) {
            let file = Path::new(&self.manifest.shards[entry.shard].file);
            return Err(ScorerError::not_finite_weight(file, &entry.name, &entry.shape, index, value).into());
        }
        if entry.name == self.table_name() {
            let config = &self.configs.config;
            let shape = [config.vocab_size, config.d_model];
            self.table = Some(HostTable::new(shape, entry.dtype, bytes.into_owned()));
            return Ok(());
        }
        if let Some(name) = self.anchor_tensor(&entry.name) {
            let mut values = Vec::new();
            entry.dtype.decode(&bytes, &mut values);
            self.anchors.insert(name, values);
            return Ok(());
        }
        // For the life of the scorer: where memory comes in pages of fixed sizes, these fit exactly.
        let tensor = B::memory_persistent_allocations(&self.device, bytes, |bytes| match entry.dtype {
            BundleDType::Q8 => {
                let data = packed::data(bytes.into_owned(), entry.shape.clone());
                TensorPrimitive::QFloat(B::q_from_data(data, &self.device))
            }
            dtype => {
                // Only what the frozen products multiply may be in f16.
                let matrix = entry.shape.len() == 2 && entry.name.starts_with(&self.backbone_prefix());
                let data = dtype.data(&bytes, entry.shape.clone(), self.keep_f16 && matrix);
                TensorPrimitive::Float(B::float_from_data(data, &self.device))
            }
        });
        self.arrived.insert(entry.name.clone(), tensor);
        Ok(())
    }

    fn table_name(&self) -> String {
        format!("{}{}", self.backbone_prefix(), names::EMBEDDING)
    }

    /// What the anchors call a tensor, where it is one of theirs.
    fn anchor_tensor(&self, name: &str) -> Option<String> {
        let component = component(&self.manifest.scorer.anchors.as_ref()?.embeddings);
        Some(name.strip_prefix(&component)?.strip_prefix('/')?.to_owned())
    }

    fn backbone_prefix(&self) -> String {
        format!("{}/", component(&self.manifest.scorer.backbone))
    }

    /// Waits until the device has taken what was loaded, so that copies on their way to it do not pile up.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn settle(&self) -> Result<(), BundleError> {
        // A device works through its queue in order, so that reading anything back waits for all before it.
        let last = Tensor::<B, 1>::zeros([1], &self.device).into_data_async().await;
        last.map_err(|error| ScorerError::Device(error.to_string()))?;
        Ok(())
    }

    /// Takes `tokenizer.json`.
    ///
    /// # Errors
    /// When it is not the file that the manifest describes, or does not fit the backbone.
    pub fn put_tokenizer(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        let entry = &self.manifest.tokenizer;
        verify(&entry.file, bytes, entry.bytes, &entry.sha256)?;
        let special = Value::Object(entry.config.clone());
        let path = PathBuf::from(&entry.file);
        let encoder = TextEncoder::from_bytes(bytes, &special, path, self.manifest.scorer.max_length)?;
        encoder.check(&self.configs.config)?;
        self.text_encoder = Some(encoder);
        Ok(())
    }

    /// The scorer, once everything is there, with its embedding table on the device.
    ///
    /// # Errors
    /// When a shard or the tokenizer is missing.
    pub fn finish(self) -> Result<Scorer<B>, BundleError> {
        let keep_f16 = self.keep_f16;
        self.assemble(|config, table, decoder, pooling, device| {
            let data = table.into_data(keep_f16);
            let dtype = data.dtype;
            let embed_tokens = B::memory_persistent_allocations(device, data, |data| {
                Tensor::from_data(data, (device, dtype))
            });
            let embed_tokens = Param::initialized(ParamId::new(), embed_tokens);
            Encoder::new(config, Backbone { embed_tokens, decoder }, pooling)
        })
    }

    /// As [`finish`](Self::finish), with the embedding table on the host.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_with_host_table(self) -> Result<Scorer<B, HostTableEncoder<B>>, BundleError> {
        self.assemble(|config, table, decoder, pooling, _| HostTableEncoder {
            config,
            table,
            decoder,
            pooling,
        })
    }

    fn assemble<E>(
        self,
        encoder: impl FnOnce(LlamaConfig, HostTable, Decoder<B>, Pooling, &B::Device) -> E,
    ) -> Result<Scorer<B, E>, BundleError> {
        let missing =
            |file: &String| BundleError::Damaged { file: file.clone(), problem: "has not arrived".into() };
        if let Some(shard) = self.manifest.shards.get(self.shard) {
            return Err(missing(&shard.file));
        }
        let Self { manifest, configs, device, mut arrived, mut anchors, table, text_encoder, .. } = self;
        let text_encoder = text_encoder.ok_or_else(|| missing(&manifest.tokenizer.file))?;
        let settings = manifest.scorer;
        let config = configs.config;
        let arrived = &mut arrived;
        let mut adapters = HashMap::new();
        for path in adapter_paths(&settings) {
            let peft = &configs.adapters[&component(path)];
            let adapter = assemble_adapter(peft, &config, names::PREFIX, &mut Arrived::of(path, arrived))?;
            adapters.insert(path.clone(), adapter);
        }
        let stage1 = match &settings.relative {
            None => None,
            Some(files) => Some(Stage1 {
                adapter: files.adapter.as_ref().map(|path| adapters[path].clone()),
                heads: files
                    .heads
                    .iter()
                    .map(|path| assemble_utility_head(&mut Arrived::of(path, arrived)))
                    .collect::<Result<_, _>>()?,
            }),
        };
        let stage2 = match &settings.score {
            None => None,
            Some(files) => Some(Stage2 {
                adapters: files.adapters.iter().map(|path| adapters[path].clone()).collect(),
                fusion: files.fusion,
                heads: files
                    .heads
                    .iter()
                    .map(|&HeadFile { ref path, link }| {
                        let head = assemble_score_head(&mut Arrived::of(path, arrived))?;
                        Ok(LinkedHead { head, link })
                    })
                    .collect::<Result<_, ScorerError>>()?,
            }),
        };
        let anchors = settings.anchors.is_some().then(|| {
            let [mean, scale, directions] = names::ANCHORS.map(|name| {
                anchors.remove(name).expect("the manifest was checked and every shard has arrived")
            });
            AnchorSpace { mean, scale, directions }
        });
        let table = table.expect("the manifest was checked and every shard has arrived");
        let decoder = assemble_decoder(&config, &mut Arrived::of(&settings.backbone, arrived), identity)?;
        let encoder = encoder(config, table, decoder, settings.pooling, &device);
        Ok(Scorer { settings, text_encoder, encoder, stage1, stage2, anchors, device })
    }
}

fn too_large(entry: &TensorEntry) -> BundleError {
    BundleError::TooLarge(format!(
        "tensor {} of {} bytes is more than this program can hold; use a smaller scorer or an f16 bundle",
        entry.name, entry.bytes
    ))
}

/// Compares a file with what the manifest says about it.
pub(super) fn verify(file: &str, bytes: &[u8], size: u64, sha256: &str) -> Result<(), BundleError> {
    let damaged = |problem: String| BundleError::Damaged { file: file.into(), problem };
    if bytes.len() as u64 != size {
        return Err(damaged(format!("has {} bytes instead of {size}", bytes.len())));
    }
    if hash(bytes) != sha256 {
        return Err(damaged("its SHA-256 is not the manifest's".into()));
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The tensors of one component that have arrived.
struct Arrived<'a, B: Backend> {
    component: String,
    tensors: &'a mut HashMap<String, TensorPrimitive<B>>,
}

impl<'a, B: Backend> Arrived<'a, B> {
    fn of(path: &Path, tensors: &'a mut HashMap<String, TensorPrimitive<B>>) -> Self {
        Self { component: component(path), tensors }
    }
}

impl<B: Backend> TensorSource<B> for Arrived<'_, B> {
    fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<B, D>, ScorerError> {
        let name = format!("{}/{name}", self.component);
        let tensor =
            self.tensors.remove(&name).expect("the manifest was checked and every shard has arrived");
        Ok(Tensor::from_primitive(tensor))
    }
}
