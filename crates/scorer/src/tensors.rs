//! Reading and writing safetensors, one tensor at a time.
//!
//! The `safetensors` crate parses headers; tensors are read straight into a typed buffer, so that loading needs
//! little more memory than the weights themselves.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::{DType, Element, Tensor, TensorData, backend::Backend};
use half::{bf16, f16};
use pair2score_data::files::write_atomic;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::ScorerError;
use crate::error::read_to_string;

/// The dtype in which weights are kept in memory or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightDType {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 5 of exponent.
    F16,
    /// 16 bits, 8 of exponent.
    Bf16,
    /// Whatever the file has.
    Auto,
}

impl WeightDType {
    /// Bytes of one value in a file; a tensor of ours without a dtype of its own is f32.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::Auto => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// A value as it is after it was written and read.
    pub fn rounded(self, value: f32) -> f32 {
        match self {
            Self::F32 | Self::Auto => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }

    /// Checks that values are finite when they are written.
    ///
    /// # Errors
    /// With the place of the first that is not.
    pub(crate) fn check(
        self,
        path: &Path,
        name: &str,
        shape: &[usize],
        values: &[f32],
    ) -> Result<(), ScorerError> {
        match values.iter().position(|&value| !self.rounded(value).is_finite()) {
            None => Ok(()),
            Some(index) => Err(not_finite(path, name, shape, index, values[index], self)),
        }
    }

    /// Values as they go into a file: rounded to the nearest, little-endian.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 | Self::Auto => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        }
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn stored(self) -> Dtype {
        match self {
            Self::F32 | Self::Auto => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }
}

/// The error of a weight that is not finite, or is not in the dtype it is wanted in.
fn not_finite(
    path: &Path,
    name: &str,
    shape: &[usize],
    index: usize,
    value: f32,
    wanted: WeightDType,
) -> ScorerError {
    if !value.is_finite() {
        return ScorerError::not_finite_weight(path, name, shape, index, value);
    }
    let place = crate::error::place(shape, index);
    let dtype = format!("{wanted:?}").to_lowercase();
    ScorerError::invalid(
        path,
        format!("tensor {name} is {value} at {place:?}, which {dtype} cannot hold; use bf16 or f32"),
    )
}

/// A tensor on the host, as it goes into a file.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    /// Axis order as in the file.
    pub shape: Vec<usize>,
    /// The values, exactly.
    pub values: Vec<f32>,
    /// How to write them.
    pub dtype: WeightDType,
}

impl StoredTensor {
    /// A tensor of a device, written as f32; a packed one is unpacked.
    pub fn from_tensor<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Self {
        let shape = tensor.dims().to_vec();
        let data = tensor.dequantize().into_data().convert::<f32>();
        Self {
            shape,
            values: data.into_vec().expect("converted to f32 one line above"),
            dtype: WeightDType::F32,
        }
    }

    fn bytes(&self) -> (Dtype, Vec<u8>) {
        (self.dtype.stored(), self.dtype.encode(&self.values))
    }
}

/// Writes named tensors as one safetensors file, all or nothing.
///
/// # Errors
/// When the file cannot be written, or a value is not finite.
pub fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<String, StoredTensor>,
    metadata: &[(&str, String)],
) -> Result<(), ScorerError> {
    for (name, tensor) in tensors {
        tensor.dtype.check(path, name, &tensor.shape, &tensor.values)?;
    }
    let bytes: Vec<_> = tensors.iter().map(|(name, tensor)| (name, tensor, tensor.bytes())).collect();
    let views = bytes.iter().map(|(name, tensor, (dtype, bytes))| {
        let view = TensorView::new(*dtype, tensor.shape.clone(), bytes);
        (name, view.expect("the bytes were made from this shape"))
    });
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let metadata = metadata.chain([("format".to_owned(), "pt".to_owned())]).collect();
    let mut file = serialize(views, Some(metadata))
        .map_err(|error| ScorerError::invalid(path, format!("cannot be serialised: {error}")))?;
    sort_header(&mut file);
    Ok(write_atomic(path, &file)?)
}

/// Puts the keys of a header in order: the library writes the metadata in the order of a hash map, which differs from
/// run to run, and the same tensors must give the same bytes. The length stays the same.
fn sort_header(file: &mut [u8]) {
    #[derive(Deserialize, Serialize)]
    struct Header {
        __metadata__: BTreeMap<String, String>,
        #[serde(flatten)]
        tensors: BTreeMap<String, TensorInfo>,
    }
    let (length, rest) = file.split_at_mut(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes were split off")) as usize;
    let header: Header = serde_json::from_slice(&rest[..length]).expect("the library wrote this header");
    let sorted = serde_json::to_vec(&header).expect("a header serialises");
    rest[..length].fill(b' ');
    rest[..sorted.len()].copy_from_slice(&sorted);
}

/// The tensors of one safetensors file, or of a sharded checkpoint.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name to shard.
    index: BTreeMap<String, usize>,
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
        let index = shard.tensors.keys().map(|name| (name.clone(), 0)).collect();
        Ok(Self { path: path.into(), shards: vec![shard], index })
    }

    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// When neither is there, a shard is missing or outside the folder, or the index and the shards disagree.
    pub fn open_folder(folder: &Path) -> Result<Self, ScorerError> {
        let single = folder.join("model.safetensors");
        let index_path = folder.join("model.safetensors.index.json");
        if !index_path.is_file() {
            if !single.is_file() {
                let hint = if folder.join("pytorch_model.bin").is_file() {
                    "; pytorch_model.bin is not read: convert it to safetensors"
                } else {
                    ""
                };
                return Err(ScorerError::invalid(
                    folder,
                    format!("has neither model.safetensors nor model.safetensors.index.json{hint}"),
                ));
            }
            return Self::open(&single);
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
                index.insert(name.clone(), shard);
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

    /// A metadata entry of the (first) file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.shards.first()?.metadata.get(key).map(String::as_str)
    }

    fn info(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.index.get(name)?];
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
        let known: std::collections::HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        let extra: Vec<&str> = self.names().filter(|n| !known.contains(n) && !allowed(n)).collect();
        if !missing.is_empty() {
            problems.push(format!("missing tensors: {}", missing.join(", ")));
        }
        if !extra.is_empty() {
            problems.push(format!("unexpected tensors: {}", extra.join(", ")));
        }
        if !wrong.is_empty() {
            problems.push(format!("wrong tensors: {}", wrong.join(", ")));
        }
        if problems.is_empty() { Ok(()) } else { Err(ScorerError::invalid(&self.path, problems.join("; "))) }
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
        let (shard, info) = self
            .info(name)
            .ok_or_else(|| ScorerError::invalid(&self.path, format!("has no tensor {name}")))?;
        match info.dtype {
            Dtype::F32 => shard.read_as::<f32>(name, info, dtype, f32::is_finite),
            Dtype::F16 => shard.read_as::<f16>(name, info, dtype, f16::is_finite),
            Dtype::BF16 => shard.read_as::<bf16>(name, info, dtype, bf16::is_finite),
            other => Err(ScorerError::invalid(
                &shard.path,
                format!("tensor {name} is {other:?}, expected F32, F16 or BF16"),
            )),
        }
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(path, problem);
        let mut file = File::open(path).map_err(ScorerError::io(path))?;
        let file_len = file.metadata().map_err(ScorerError::io(path))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| invalid("is not a safetensors file: shorter than 8 bytes".into()))?;
        let header_len = u64::from_le_bytes(length);
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

    /// A tensor stored as `E`, in the wanted dtype.
    fn read_as<E: bytemuck::Pod + Element>(
        &self,
        name: &str,
        info: &TensorInfo,
        wanted: WeightDType,
        is_finite: fn(E) -> bool,
    ) -> Result<TensorData, ScorerError> {
        let mut values = vec![E::zeroed(); info.shape.iter().product()];
        {
            let mut file = self.file.lock().expect("no reader panics while it holds the file");
            file.seek(SeekFrom::Start(self.data_start + info.data_offsets.0 as u64))
                .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut values)))
                .map_err(ScorerError::io(&self.path))?;
        }
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
