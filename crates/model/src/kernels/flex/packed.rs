//! Products with packed weights.
//!
//! Where the chip multiplies 8-bit integers (AVX512-VNNI, AVX-VNNI, Arm's dot product) or more pairs of integers at once than numbers
//! in f32 (AVX2, and the vectors of a page), the activations become blocks of 8-bit numbers too ([`integers`]). Elsewhere a
//! panel of the weight is unpacked into the cache and multiplied in f32, then the next, so that the weight is never whole
//! in f32.

use burn_flex::FlexQTensor;

use super::blocks::Packed;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32"))]
use super::integers;
#[cfg(not(target_arch = "wasm32"))]
use super::{
    matrix::{Matrix, Target},
    product::product,
    tasks,
};
use crate::packed::BLOCK;

/// Rows of a weight that are unpacked at a time.
#[cfg(not(target_arch = "wasm32"))]
const PANEL: usize = 128;

/// `x Wᵀ`, `[rows, outputs]`, for a weight with so many inputs.
pub(super) fn projection(x: &[f32], weight: &FlexQTensor, inputs: usize) -> Vec<f32> {
    let (values, _) = weight.tensor().storage::<i8>().as_chunks();
    let weight = Packed { values, scales: weight.scales(), blocks: inputs / BLOCK };
    multiplied(x, weight)
}

#[cfg(not(target_arch = "wasm32"))]
fn multiplied(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if integers::vnni::avx512::are_fast() {
        return integers::vnni::avx512::projection(x, weight);
    }
    #[cfg(target_arch = "x86_64")]
    if integers::vnni::avx::are_fast() {
        return integers::vnni::avx::projection(x, weight);
    }
    #[cfg(target_arch = "x86_64")]
    if integers::avx2::are_fast() {
        return integers::avx2::projection(x, weight);
    }
    #[cfg(target_arch = "aarch64")]
    if integers::arm::are_fast() {
        return integers::arm::projection(x, weight);
    }
    in_f32(x, weight)
}

#[cfg(target_arch = "wasm32")]
fn multiplied(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    #[cfg(feature = "relaxed-simd")]
    return integers::simd128::of_fours(x, weight, super::vectors::eighth_bit());
    #[cfg(not(feature = "relaxed-simd"))]
    integers::simd128::of_pairs(x, weight)
}

/// The product of the activations as they are.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn in_f32(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    let (inputs, outputs) = (weight.blocks * BLOCK, weight.outputs());
    let rows = x.len() / inputs;
    let x = Matrix::rows(x, rows, inputs, inputs);
    let panels = tasks(outputs.div_ceil(PANEL), |panel| {
        let first = panel * PANEL;
        let width = PANEL.min(outputs - first);
        let blocks = first * weight.blocks..(first + width) * weight.blocks;
        let mut unpacked = Vec::with_capacity(width * inputs);
        for (block, &scale) in weight.values[blocks.clone()].iter().zip(&weight.scales[blocks]) {
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
