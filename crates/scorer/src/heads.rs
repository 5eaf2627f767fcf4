//! Files of the two heads.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, backend::Backend};
use pair2score_model::{ScoreHead, UtilityHead, hidden_width};

use crate::tensors::{StoredTensor, TensorFile, WeightDType, write_tensors};
use crate::{ScorerError, names};

/// Writes `relative_head.safetensors`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_utility_head<B: Backend>(path: &Path, head: &UtilityHead<B>) -> Result<(), ScorerError> {
    let weight = StoredTensor::from_tensor(head.weight.val());
    write_tensors(path, &BTreeMap::from([(names::UTILITY_HEAD.to_owned(), weight)]), &[])
}

/// Reads `relative_head.safetensors` for embeddings of width `d`.
///
/// # Errors
/// When the file's tensors are not those of a stage-1 head of that width.
pub fn load_utility_head<B: Backend>(
    path: &Path,
    d: usize,
    device: &B::Device,
) -> Result<UtilityHead<B>, ScorerError> {
    let file = TensorFile::open(path)?;
    file.expect(&[(names::UTILITY_HEAD.into(), vec![1, d])], |_| false)?;
    Ok(UtilityHead { weight: trainable(&file, names::UTILITY_HEAD, device)? })
}

/// Writes `head.safetensors`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_score_head<B: Backend>(path: &Path, head: &ScoreHead<B>) -> Result<(), ScorerError> {
    let [w0, b0, w2, b2] = names::SCORE_HEAD.map(str::to_owned);
    let tensors = BTreeMap::from([
        (w0, StoredTensor::from_tensor(head.hidden_weight.val())),
        (b0, StoredTensor::from_tensor(head.hidden_bias.val())),
        (w2, StoredTensor::from_tensor(head.output_weight.val())),
        (b2, StoredTensor::from_tensor(head.output_bias.val())),
    ]);
    write_tensors(path, &tensors, &[])
}

/// Reads `head.safetensors` for embeddings of width `d` and a number of outputs.
///
/// # Errors
/// When the file's tensors are not those of such a stage-2 head.
pub fn load_score_head<B: Backend>(
    path: &Path,
    d: usize,
    outputs: usize,
    device: &B::Device,
) -> Result<ScoreHead<B>, ScorerError> {
    let file = TensorFile::open(path)?;
    let [w0, b0, w2, b2] = names::SCORE_HEAD;
    let h = hidden_width(d);
    let shapes = [(w0, vec![h, d]), (b0, vec![h]), (w2, vec![outputs, h]), (b2, vec![outputs])];
    file.expect(&shapes.map(|(name, shape)| (name.to_owned(), shape)), |_| false)?;
    Ok(ScoreHead {
        hidden_weight: trainable(&file, w0, device)?,
        hidden_bias: trainable(&file, b0, device)?,
        output_weight: trainable(&file, w2, device)?,
        output_bias: trainable(&file, b2, device)?,
    })
}

fn trainable<B: Backend, const D: usize>(
    file: &TensorFile,
    name: &str,
    device: &B::Device,
) -> Result<Param<Tensor<B, D>>, ScorerError> {
    let data = file.read(name, WeightDType::F32)?;
    let dtype = data.dtype;
    let tensor = Tensor::from_data(data, (device, dtype)).require_grad();
    Ok(Param::initialized(ParamId::new(), tensor))
}
