//! Reading safetensors, one tensor at a time.
//!
//! The `safetensors` crate parses headers; tensors are read straight into a typed buffer, so that loading needs
//! little more memory than the weights themselves.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::{DType, Element, TensorData};
use half::{bf16, f16};
use pair2score_data::files::open;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;

use crate::dtype::{WeightDType, not_finite};
use crate::error::{LFS_POINTER, ScorerError, read_to_string, refuse_pointer};
use crate::names;
use crate::tensors::StoredTensor;

/// The tensors of one safetensors file, or of a sharded checkpoint.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    shards: Vec<Shard>,
    index: BTreeMap<String, Stored>,
}

/// Where a tensor is.
#[derive(Debug, Clone)]
struct Stored {
    shard: usize,
    /// What the shard calls it.
    name: String,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: Mutex<File>,
    /// Offset of the first tensor's bytes.
    data_start: u64,
    tensors: HashMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
}

/// Longest header accepted, in bytes: the limit of the safetensors format.
const MAX_HEADER: u64 = 100_000_000;

impl TensorFile {
    /// Opens one file.
    ///
    /// # Errors
    /// When it is missing, cut short or its header is wrong.
    pub fn open(path: &Path) -> Result<Self, ScorerError> {
        let shard = Shard::open(path)?;
        let stored = |name: &String| (name.clone(), Stored { shard: 0, name: name.clone() });
        let index = shard.tensors.keys().map(stored).collect();
        Ok(Self { path: path.into(), shards: vec![shard], index })
    }

    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names where that is not there, as
    /// transformers does: an index may be left from before the shards were joined.
    ///
    /// # Errors
    /// When neither is there, a shard is missing or outside the folder, or the index and the shards disagree.
    pub fn open_folder(folder: &Path) -> Result<Self, ScorerError> {
        let single = folder.join("model.safetensors");
        let index_path = folder.join("model.safetensors.index.json");
        if single.is_file() {
            return Self::open(&single);
        }
        if !index_path.is_file() {
            return Err(ScorerError::invalid(
                folder,
                format!(
                    "has neither model.safetensors nor model.safetensors.index.json{}",
                    other_weights(folder)
                ),
            ));
        }

        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = read_to_string(&index_path)?;
        let parsed: Index = serde_json::from_str(&text)
            .map_err(|error| ScorerError::invalid(&index_path, format!("not a shard index: {error}")))?;
        let mut files: Vec<&String> = parsed.weight_map.values().collect();
        files.sort();
        files.dedup();
        let mut shards = Vec::new();
        for file in &files {
            if file.contains(['/', '\\']) || file.as_str() == ".." {
                return Err(ScorerError::invalid(
                    &index_path,
                    format!("names the shard {file:?}, shards must lie beside the index"),
                ));
            }
            shards.push(Shard::open(&folder.join(file))?);
        }
        let mut index = BTreeMap::new();
        let mut absent = Vec::new();
        for (name, file) in &parsed.weight_map {
            let shard = files.iter().position(|f| *f == file).expect("every file was collected above");
            if shards[shard].tensors.contains_key(name) {
                index.insert(name.clone(), Stored { shard, name: name.clone() });
            } else {
                absent.push(format!("{name} (in {file})"));
            }
        }
        if !absent.is_empty() {
            return Err(ScorerError::invalid(
                &index_path,
                format!("names tensors that their shards do not hold: {}", absent.join(", ")),
            ));
        }
        Ok(Self { path: index_path, shards, index })
    }

    /// The same tensors by the names they had before others wrapped the model ([`names::without_wrappers`]).
    ///
    /// # Errors
    /// When two then have one name.
    pub(crate) fn without_wrappers(mut self) -> Result<Self, ScorerError> {
        let mut index = BTreeMap::new();
        for (name, stored) in std::mem::take(&mut self.index) {
            if let Some(other) = index.insert(names::without_wrappers(&name), stored) {
                let problem = format!("holds both {} and {name}, which are one tensor; keep one", other.name);
                return Err(ScorerError::invalid(&self.path, problem));
            }
        }
        Ok(Self { index, ..self })
    }

    /// The file, or the index of a sharded checkpoint.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, or every shard of a sharded checkpoint.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// Shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.info(name).map(|(_, info)| info.shape.as_slice())
    }

    /// Bytes of a tensor in its file, if it is there.
    pub fn size(&self, name: &str) -> Option<usize> {
        self.info(name).map(|(_, info)| info.data_offsets.1 - info.data_offsets.0)
    }

    /// What a tensor is stored as, if it is there and a float.
    pub fn dtype(&self, name: &str) -> Option<WeightDType> {
        match self.info(name)?.1.dtype {
            Dtype::F32 => Some(WeightDType::F32),
            Dtype::F16 => Some(WeightDType::F16),
            Dtype::BF16 => Some(WeightDType::Bf16),
            _ => None,
        }
    }

    /// A metadata entry of the (first) file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.shards.first()?.metadata.get(key).map(String::as_str)
    }

    fn info(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let Stored { shard, name } = self.index.get(name)?;
        let shard = &self.shards[*shard];
        Some((shard, shard.tensors.get(name)?))
    }

    /// Compares the tensors with the expected names and shapes.
    ///
    /// # Errors
    /// One error that lists whatever is missing, extra (unless `allowed`), misshapen or not a float.
    pub fn expect(
        &self,
        expected: &[(String, Vec<usize>)],
        allowed: impl Fn(&str) -> bool,
    ) -> Result<(), ScorerError> {
        let mut problems = Vec::new();
        let (mut missing, mut wrong) = (Vec::new(), Vec::new());
        for (name, shape) in expected {
            match self.info(name) {
                None => missing.push(name.clone()),
                Some((_, info)) if info.shape != *shape => {
                    wrong.push(format!("{name} has shape {:?}, expected {shape:?}", info.shape));
                }
                Some((_, info)) if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) => {
                    wrong.push(format!("{name} is {:?}, expected F32, F16 or BF16", info.dtype));
                }
                Some(_) => {}
            }
        }
        if let Some(prefix) = self.foreign_prefix(expected) {
            return Err(ScorerError::invalid(
                &self.path,
                format!(
                    "all its names begin with {prefix:?}, which no model of transformers writes; take that off"
                ),
            ));
        }
        let known: std::collections::HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        let extra: Vec<&str> = self.names().filter(|n| !known.contains(n) && !allowed(n)).collect();
        let extra: Vec<String> = extra.into_iter().map(str::to_owned).collect();
        for (what, names) in [("missing", missing), ("unexpected", extra), ("wrong", wrong)] {
            if !names.is_empty() {
                problems.push(format!("{what} tensors: {}", crate::names::some_of(&names)));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ScorerError::invalid(&self.path, problems.join("; "))) }
    }

    /// What all names begin with before the ones that are expected, where that is so.
    fn foreign_prefix(&self, expected: &[(String, Vec<usize>)]) -> Option<String> {
        let (first, _) = expected.first()?;
        let prefix = self.names().find_map(|name| name.strip_suffix(first.as_str()))?;
        let all = expected.iter().all(|(name, _)| self.info(&format!("{prefix}{name}")).is_some());
        (all && !prefix.is_empty()).then(|| prefix.to_owned())
    }

    /// Reads a tensor to the host, as f32.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn stored(&self, name: &str) -> Result<StoredTensor, ScorerError> {
        let data = self.read(name, WeightDType::F32)?;
        let shape = data.shape.to_vec();
        let values = data.into_vec().expect("f32 was asked for");
        Ok(StoredTensor { shape, values, dtype: WeightDType::F32 })
    }

    /// Reads a tensor in the wanted dtype.
    ///
    /// # Errors
    /// When it is absent, not a float, not finite in that dtype, or the file cannot be read.
    pub fn read(&self, name: &str, dtype: WeightDType) -> Result<TensorData, ScorerError> {
        let (shard, info) = self.named(name)?;
        match info.dtype {
            Dtype::F32 => shard.read_as::<f32>(name, info, dtype, f32::is_finite),
            Dtype::F16 => shard.read_as::<f16>(name, info, dtype, f16::is_finite),
            Dtype::BF16 => shard.read_as::<bf16>(name, info, dtype, bf16::is_finite),
            other => Err(shard.no_float(name, other)),
        }
    }

    /// The first values of a tensor, this many or all, whatever they are.
    ///
    /// # Errors
    /// When it is absent or not a float, or the file cannot be read.
    pub(crate) fn beginning(&self, name: &str, values: usize) -> Result<Vec<f32>, ScorerError> {
        let (shard, info) = self.named(name)?;
        let n = values.min(info.shape.iter().product());
        Ok(match info.dtype {
            Dtype::F32 => shard.values::<f32>(info, n)?,
            Dtype::F16 => shard.values::<f16>(info, n)?.into_iter().map(f16::to_f32).collect(),
            Dtype::BF16 => shard.values::<bf16>(info, n)?.into_iter().map(bf16::to_f32).collect(),
            other => return Err(shard.no_float(name, other)),
        })
    }

    fn named(&self, name: &str) -> Result<(&Shard, &TensorInfo), ScorerError> {
        self.info(name).ok_or_else(|| ScorerError::invalid(&self.path, format!("has no tensor {name}")))
    }
}

/// What a folder without weights that are read has in their place, for a message.
fn other_weights(folder: &Path) -> &'static str {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let has =
        |start: &str, end: &str| names.iter().any(|name| name.starts_with(start) && name.ends_with(end));
    if has("model-", ".safetensors") {
        "; its shards need the index that was published with them"
    } else if has("pytorch_model", ".bin") {
        "; pytorch_model.bin is not read: convert it to safetensors"
    } else {
        ""
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(path, problem);
        let mut file = open(path).map_err(ScorerError::io(path))?;
        let file_len = file.metadata().map_err(ScorerError::io(path))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| invalid("is not a safetensors file: shorter than 8 bytes".into()))?;
        let header_len = u64::from_le_bytes(length);
        let mut beginning = length.to_vec();
        if length[..] == LFS_POINTER[..8] {
            (&mut file).take(64).read_to_end(&mut beginning).map_err(ScorerError::io(path))?;
            refuse_pointer(path, &beginning)?;
        }
        if header_len > MAX_HEADER || header_len + 8 > file_len {
            return Err(invalid(format!(
                "is not a safetensors file, or is cut short: its header claims {header_len} bytes and the file \
                 has {file_len}; fetch it again"
            )));
        }
        let mut header = vec![0; header_len as usize];
        file.read_exact(&mut header).map_err(ScorerError::io(path))?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| invalid(format!("has a damaged safetensors header: {error}")))?;
        let data_start = 8 + header_len;
        let mut tensors = HashMap::new();
        for (name, info) in header.tensors() {
            let (start, end) = info.data_offsets;
            let size = info.shape.iter().try_fold(info.dtype.bitsize(), |n, &dim| n.checked_mul(dim));
            if end < start || size.map(|bits| bits / 8) != Some(end - start) {
                return Err(invalid(format!("tensor {name} has offsets that do not fit its shape")));
            }
            // Not `data_start + end`: a damaged header can make that overflow.
            if end as u64 > file_len - data_start {
                return Err(invalid(format!(
                    "is cut short: tensor {name} ends past the file; fetch it again"
                )));
            }
            tensors.insert(name, info.clone());
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.into(), file: Mutex::new(file), data_start, tensors, metadata })
    }

    fn no_float(&self, name: &str, dtype: Dtype) -> ScorerError {
        let problem = format!("tensor {name} is {dtype:?}, expected F32, F16 or BF16");
        ScorerError::invalid(&self.path, problem)
    }

    /// The first `n` values of a tensor stored as `E`.
    fn values<E: bytemuck::Pod>(&self, info: &TensorInfo, n: usize) -> Result<Vec<E>, ScorerError> {
        let mut values = vec![E::zeroed(); n];
        let mut file = self.file.lock().expect("no reader panics while it holds the file");
        file.seek(SeekFrom::Start(self.data_start + info.data_offsets.0 as u64))
            .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut values)))
            .map_err(ScorerError::io(&self.path))?;
        Ok(values)
    }

    /// A tensor stored as `E`, in the wanted dtype.
    fn read_as<E: bytemuck::Pod + Element>(
        &self,
        name: &str,
        info: &TensorInfo,
        wanted: WeightDType,
        is_finite: fn(E) -> bool,
    ) -> Result<TensorData, ScorerError> {
        let values = self.values::<E>(info, info.shape.iter().product())?;
        let bad = |index, value| Err(not_finite(&self.path, name, &info.shape, index, value, wanted));
        if let Some(index) = values.iter().position(|&value| !is_finite(value)) {
            return bad(index, values[index].to_f32());
        }
        // Of the casts there are, only that to f16 has less range.
        if wanted == WeightDType::F16
            && let Some(index) = values.iter().position(|&value| !wanted.rounded(value.to_f32()).is_finite())
        {
            return bad(index, values[index].to_f32());
        }
        let data = TensorData::new(values, info.shape.clone());
        Ok(match wanted {
            WeightDType::Auto => data,
            WeightDType::F32 => data.convert_dtype(DType::F32),
            WeightDType::F16 => data.convert_dtype(DType::F16),
            WeightDType::Bf16 => data.convert_dtype(DType::BF16),
        })
    }
}

#[cfg(target_endian = "big")]
compile_error!("safetensors are little-endian and are read without conversion");
