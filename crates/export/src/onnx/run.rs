//! Running the written file in tract.

use std::path::Path;

use pair2score_scorer::{Encoded, TextEncoder};
use tract_onnx::prelude::*;

use super::FOLDER;
use crate::backbone::read_json;
use crate::{ExportError, Numbers, golden};

/// The scores that the written model gives. Texts of similar length share a batch, which is padded on the left and on
/// the right in turns.
pub(crate) fn read_back(folder: &Path) -> Result<Numbers, ExportError> {
    let path = folder.join("tokenizer.json");
    let max_length = read_json(&path)?["truncation"]["max_length"]
        .as_u64()
        .ok_or_else(|| ExportError::read_back(&path, "no truncation.max_length"))?;
    let text_encoder = TextEncoder::load(folder, max_length as usize)?;
    let texts = golden::texts();
    let documents = texts.iter().map(|text| text_encoder.encode(text)).collect::<Result<Vec<_>, _>>()?;

    let path = folder.join(FOLDER).join("model.onnx");
    let failed = |error: TractError| ExportError::read_back(&path, format!("{error:#}"));
    let model = tract_onnx::onnx().model_for_path(&path).map_err(failed)?;
    let mut scores = vec![0.0; documents.len()];
    for (index, batch) in batches(&documents).into_iter().enumerate() {
        let rows: Vec<&[u32]> = batch.iter().map(|&i| documents[i].ids.as_slice()).collect();
        let [ids, mask] = rectangle(&rows, text_encoder.pad_id, index % 2 == 0).map_err(failed)?;
        for (&i, score) in batch.iter().zip(run(&model, ids, mask).map_err(failed)?) {
            scores[i] = score.into();
        }
    }
    Ok(Numbers { scores: Some(scores), calibrated: None, utilities: None })
}

/// Cells of a batch: attention takes their number times the length.
const BATCH_CELLS: usize = 4096;

/// Places of the documents in batches, the longest first; none is filled up to more than four times its length.
fn batches(documents: &[Encoded]) -> Vec<Vec<usize>> {
    let length = |i: usize| documents[i].ids.len();
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(length(i)), i));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match batches.last_mut() {
            Some(batch)
                if length(batch[0]) <= 4 * length(i)
                    && (batch.len() + 1) * length(batch[0]) <= BATCH_CELLS =>
            {
                batch.push(i);
            }
            _ => batches.push(vec![i]),
        }
    }
    batches
}

/// Token ids and mask of a batch, `[batch, length]`.
fn rectangle(rows: &[&[u32]], pad_id: u32, pad_left: bool) -> TractResult<[Tensor; 2]> {
    let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for row in rows {
        let padding = vec![(i64::from(pad_id), 0); length - row.len()];
        let real: Vec<(i64, i64)> = row.iter().map(|&id| (id.into(), 1)).collect();
        let cells = if pad_left { [padding, real] } else { [real, padding] };
        for (id, is_real) in cells.concat() {
            ids.push(id);
            mask.push(is_real);
        }
    }
    let shape = [rows.len(), length];
    Ok([Tensor::from_shape(&shape, &ids)?, Tensor::from_shape(&shape, &mask)?])
}

/// Scores of a batch, whose shape is made known to the model first.
fn run(model: &InferenceModel, ids: Tensor, mask: Tensor) -> TractResult<Vec<f32>> {
    let mut model = model.clone();
    for input in 0..2 {
        model.set_input_fact(input, i64::fact(ids.shape()).into())?;
    }
    let outputs = model.into_optimized()?.into_runnable()?.run(tvec!(ids.into(), mask.into()))?;
    Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
}
