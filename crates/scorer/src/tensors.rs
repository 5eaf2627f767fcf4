//! Tensors on the host, and writing them as safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};
use pair2score_data::files::write_atomic;
use safetensors::tensor::{Dtype, TensorInfo, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::dtype::WeightDType;
use crate::error::ScorerError;

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
