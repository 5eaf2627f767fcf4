//! Running a written file: an evaluator of the operators that are written, node by node.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::backend::Backend;
use onnx_protobuf::NodeProto;
use pair2score_scorer::{Encoded, TextEncoder};

use super::operators::apply;
use super::read::read;
use super::tensor::{Tensor, Values};
use super::{FOLDER, MODEL};
use crate::backbone::read_json;
use crate::{ExportError, Numbers, golden};

/// The scores that the written model gives. Texts of similar length share a batch, which is padded on the left and on
/// the right in turns.
pub(crate) fn read_back<B: Backend>(folder: &Path, device: &B::Device) -> Result<Numbers, ExportError> {
    let path = folder.join("tokenizer.json");
    let max_length = read_json(&path)?["truncation"]["max_length"]
        .as_u64()
        .ok_or_else(|| ExportError::read_back(&path, "no truncation.max_length"))?;
    let text_encoder = TextEncoder::load(folder, max_length as usize)?;
    let texts = golden::texts();
    let documents = texts.iter().map(|text| text_encoder.encode(text)).collect::<Result<Vec<_>, _>>()?;

    let model = Model::load(&folder.join(FOLDER))?;
    let mut scores = vec![Vec::new(); documents.len()];
    for (index, batch) in batches(&documents).into_iter().enumerate() {
        let rows: Vec<&[u32]> = batch.iter().map(|&i| documents[i].ids.as_slice()).collect();
        let inputs = rectangle(&rows, text_encoder.pad_id, index % 2 == 0);
        let found = model
            .scores::<B>(inputs, device)
            .map_err(|problem| ExportError::read_back(&folder.join(FOLDER).join(MODEL), problem))?;
        let traits = found.len() / batch.len();
        for (&i, row) in batch.iter().zip(found.chunks_exact(traits)) {
            scores[i] = row.iter().map(|&score| score.into()).collect();
        }
    }
    Ok(Numbers { scores: Some(scores), calibrated: None, utilities: None, embeddings: None })
}

/// A graph that was read, with its constants.
struct Model {
    nodes: Vec<NodeProto>,
    constants: HashMap<String, Tensor>,
}

impl Model {
    fn load(folder: &Path) -> Result<Self, ExportError> {
        let mut constants = HashMap::new();
        let nodes = read(folder, |stored| {
            let tensor = Tensor::from_bytes(stored.dtype, stored.shape, &stored.bytes)?;
            constants.insert(stored.name, tensor);
            Ok(())
        })?;
        Ok(Self { nodes, constants })
    }

    /// Scores of a batch, row by row: its token ids and mask, `[batch, length]`.
    fn scores<B: Backend>(&self, [ids, mask]: [Tensor; 2], device: &B::Device) -> Result<Vec<f32>, String> {
        let batch = ids.shape[0];
        let mut values = HashMap::from([("input_ids".to_owned(), ids), ("attention_mask".to_owned(), mask)]);
        // Readers of each value that are still to come: after the last it is dropped.
        let mut readers: HashMap<&str, usize> = HashMap::new();
        for name in self.nodes.iter().flat_map(|node| &node.input) {
            *readers.entry(name).or_default() += 1;
        }
        for node in &self.nodes {
            let failed = |problem| format!("{}: {problem}", node.name);
            let value = |name: &String| {
                values
                    .get(name)
                    .or_else(|| self.constants.get(name))
                    .ok_or_else(|| format!("no value {name}"))
            };
            let inputs = node.input.iter().map(value).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let outputs = apply::<B>(node, &inputs, device).map_err(failed)?;
            for name in &node.input {
                let left = readers.entry(name).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    values.remove(name);
                }
            }
            values.extend(node.output.iter().cloned().zip(outputs));
        }
        match values.remove("score") {
            Some(Tensor { shape, values: Values::F32(scores) })
                if shape.len() <= 2 && shape.first() == Some(&batch) && scores.len() >= batch =>
            {
                Ok(scores)
            }
            _ => Err(format!("no output `score` of 32-bit floats for {batch} texts")),
        }
    }
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
fn rectangle(rows: &[&[u32]], pad_id: u32, pad_left: bool) -> [Tensor; 2] {
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
    let shape = vec![rows.len(), length];
    [ids, mask].map(|values| Tensor { shape: shape.clone(), values: Values::I64(values) })
}
