//! Files of the two heads.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use pair2score_model::{ScoreHead, UtilityHead, hidden_width};

use crate::dtype::WeightDType;
use crate::source::{FileSource, TensorSource};
use crate::tensor_file::TensorFile;
use crate::tensors::{StoredTensor, write_tensors};
use crate::{ScorerError, names};

/// Where the heads of a stage lie, one for each of these traits: a single one in `stem.safetensors`, several in
/// `stems/trait.safetensors`.
pub fn head_files<'t>(stem: &str, targets: impl IntoIterator<Item = &'t str>) -> Vec<PathBuf> {
    let targets: Vec<&str> = targets.into_iter().collect();
    match targets[..] {
        [_] => vec![format!("{stem}.safetensors").into()],
        _ => targets.iter().map(|target| format!("{stem}s/{target}.safetensors").into()).collect(),
    }
}

/// Writes `relative_head.safetensors`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_utility_head<B: Backend>(path: &Path, head: &UtilityHead<B>) -> Result<(), ScorerError> {
    write_tensors(path, &utility_head_tensors(head).into(), &[])
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
    file.expect(&utility_head_shapes(d), |_| false)?;
    assemble_utility_head(&mut head_source(&file, device))
}

/// Writes `head.safetensors`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_score_head<B: Backend>(path: &Path, head: &ScoreHead<B>) -> Result<(), ScorerError> {
    write_tensors(path, &score_head_tensors(head).into(), &[])
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
    let hidden = file.shape(names::SCORE_HEAD[1]).and_then(<[usize]>::first).copied();
    file.expect(&score_head_shapes(d, hidden, outputs), |_| false)?;
    assemble_score_head(&mut head_source(&file, device))
}

fn head_source<'a, B: Backend>(file: &'a TensorFile, device: &'a B::Device) -> FileSource<'a, B> {
    FileSource { file, prefix: "", dtype: WeightDType::F32, device }
}

pub(crate) fn utility_head_shapes(d: usize) -> [(String, Vec<usize>); 1] {
    [(names::UTILITY_HEAD.into(), vec![1, d])]
}

pub(crate) fn utility_head_tensors<B: Backend>(head: &UtilityHead<B>) -> [(String, StoredTensor); 1] {
    [(names::UTILITY_HEAD.into(), StoredTensor::from_tensor(head.weight.val()))]
}

pub(crate) fn assemble_utility_head<B: Backend>(
    source: &mut impl TensorSource<B>,
) -> Result<UtilityHead<B>, ScorerError> {
    Ok(UtilityHead { weight: source.trainable(names::UTILITY_HEAD)? })
}

/// The shapes of a head with this many hidden units, one at least, as its bias says; where that is missing, the
/// published number.
pub(crate) fn score_head_shapes(
    d: usize,
    hidden: Option<usize>,
    outputs: usize,
) -> [(String, Vec<usize>); 4] {
    let [w0, b0, w2, b2] = names::SCORE_HEAD.map(str::to_owned);
    let h = hidden.filter(|hidden| *hidden > 0).unwrap_or_else(|| hidden_width(d));
    [(w0, vec![h, d]), (b0, vec![h]), (w2, vec![outputs, h]), (b2, vec![outputs])]
}

pub(crate) fn score_head_tensors<B: Backend>(head: &ScoreHead<B>) -> [(String, StoredTensor); 4] {
    let [w0, b0, w2, b2] = names::SCORE_HEAD.map(str::to_owned);
    [
        (w0, StoredTensor::from_tensor(head.hidden_weight.val())),
        (b0, StoredTensor::from_tensor(head.hidden_bias.val())),
        (w2, StoredTensor::from_tensor(head.output_weight.val())),
        (b2, StoredTensor::from_tensor(head.output_bias.val())),
    ]
}

pub(crate) fn assemble_score_head<B: Backend>(
    source: &mut impl TensorSource<B>,
) -> Result<ScoreHead<B>, ScorerError> {
    let [w0, b0, w2, b2] = names::SCORE_HEAD;
    Ok(ScoreHead {
        hidden_weight: source.trainable(w0)?,
        hidden_bias: source.trainable(b0)?,
        output_weight: source.trainable(w2)?,
        output_bias: source.trainable(b2)?,
    })
}
