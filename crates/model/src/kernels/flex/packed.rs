//! Products with packed weights: a panel of the weight is unpacked into the cache and multiplied, then the next, so
//! that the weight is never whole in f32.

use burn_flex::FlexQTensor;

use super::product::{Matrix, Target, product};
use super::tasks;
use crate::packed::BLOCK;

/// Rows of a weight that are unpacked at a time.
const PANEL: usize = 128;

/// `x Wᵀ`, `[rows, outputs]`; `sizes` are rows, inputs and outputs.
pub(super) fn projection(x: &[f32], weight: &FlexQTensor, sizes: [usize; 3]) -> Vec<f32> {
    let [rows, inputs, outputs] = sizes;
    let x = Matrix::rows(x, rows, inputs, inputs);
    let (values, scales) = (weight.tensor().storage::<i8>(), weight.scales());
    let panels = tasks(outputs.div_ceil(PANEL), |panel| {
        let first = panel * PANEL;
        let width = PANEL.min(outputs - first);
        let blocks = first * inputs / BLOCK..(first + width) * inputs / BLOCK;
        let (values, _) = values[blocks.start * BLOCK..blocks.end * BLOCK].as_chunks::<BLOCK>();
        let mut unpacked = Vec::with_capacity(width * inputs);
        for (block, &scale) in values.iter().zip(&scales[blocks]) {
            unpacked.extend(block.map(|q| scale * f32::from(q)));
        }
        let mut part = vec![0.0; rows * width];
        product(
            x,
            Matrix::rows(&unpacked, width, inputs, inputs).transposed(),
            &mut Target { values: &mut part, rows, columns: width, stride: width, add: false },
        );
        part
    });
    let mut output = Vec::with_capacity(rows * outputs);
    for row in 0..rows {
        for part in &panels {
            let width = part.len() / rows;
            output.extend_from_slice(&part[row * width..][..width]);
        }
    }
    output
}
