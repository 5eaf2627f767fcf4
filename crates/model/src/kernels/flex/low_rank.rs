//! The update of an adapter, in blocks of rows: what a block needs stays in the cache, and the input without its
//! dropped elements is made anew in the backward pass instead of being kept.

use pulp::Arch;

use super::matrix::{Matrix, Target};
use super::product::product;
use super::simd::DropRow;
use super::{blocks, filled, sums};
use crate::kernels::Dropout;

/// Rows of a block.
const ROWS: usize = 128;

/// Sizes and factors of a call.
pub(super) struct LowRank<'a> {
    /// `[rows, inputs]`
    pub(super) x: &'a [f32],
    /// `[rank, inputs]`
    pub(super) a: &'a [f32],
    /// `[outputs, rank]`
    pub(super) b: &'a [f32],
    pub(super) inputs: usize,
    pub(super) rank: usize,
    pub(super) outputs: usize,
    pub(super) scale: f32,
    pub(super) dropout: Option<Dropout>,
}

impl LowRank<'_> {
    /// Adds the update to `[rows, outputs]` in place and gives `dropout(x) Aᵀ`, `[rows, rank]`.
    pub(super) fn add_to(&self, base: &mut [f32]) -> Vec<f32> {
        let Self { inputs, rank, outputs, scale, .. } = *self;
        let arch = Arch::new();
        let mut low = vec![0.0; base.len() / outputs * rank];
        blocks([base, &mut low], [outputs, rank], ROWS, |first, [base, low]| {
            let rows = low.len() / rank;
            let mut dropped = Vec::new();
            let x = self.dropped(arch, first, rows, &mut dropped);
            product(
                Matrix::rows(x, rows, inputs, inputs),
                Matrix::rows(self.a, rank, inputs, inputs).transposed(),
                &mut Target { values: low, rows, columns: rank, stride: rank, add: false },
            );
            let scaled: Vec<f32> = low.iter().map(|x| x * scale).collect();
            product(
                Matrix::rows(&scaled, rows, rank, rank),
                Matrix::rows(self.b, outputs, rank, rank).transposed(),
                &mut Target { values: base, rows, columns: outputs, stride: outputs, add: true },
            );
        });
        low
    }

    /// Gradients with respect to `x`, `A` and `B`. Sums over the rows are taken block by block in a fixed order, so
    /// that they do not depend on the number of threads.
    pub(super) fn backward(&self, low: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let Self { inputs, rank, outputs, scale, dropout, .. } = *self;
        let arch = Arch::new();
        let ([grad_x], of_blocks) = filled(self.x.len() / inputs, [inputs], ROWS, |first, [grad_x]| {
            let rows = grad_x.len() / inputs;
            let grad = Matrix::rows(&grad[first * outputs..], rows, outputs, outputs);
            let b = Matrix::rows(self.b, outputs, rank, rank);
            let mut grad_low = vec![0.0; rows * rank];
            let mut target = Target { values: &mut grad_low, rows, columns: rank, stride: rank, add: false };
            product(grad, b, &mut target);
            grad_low.iter_mut().for_each(|x| *x *= scale);

            let mut grad_b = vec![0.0; outputs * rank];
            let low: Vec<f32> = low[first * rank..][..rows * rank].iter().map(|x| x * scale).collect();
            product(
                grad.transposed(),
                Matrix::rows(&low, rows, rank, rank),
                &mut Target { values: &mut grad_b, rows: outputs, columns: rank, stride: rank, add: false },
            );
            let mut dropped = Vec::new();
            let x = self.dropped(arch, first, rows, &mut dropped);
            let mut grad_a = vec![0.0; rank * inputs];
            let grad_low = Matrix::rows(&grad_low, rows, rank, rank);
            product(
                grad_low.transposed(),
                Matrix::rows(x, rows, inputs, inputs),
                &mut Target { values: &mut grad_a, rows: rank, columns: inputs, stride: inputs, add: false },
            );
            product(
                grad_low,
                Matrix::rows(self.a, rank, inputs, inputs),
                &mut Target { values: &mut *grad_x, rows, columns: inputs, stride: inputs, add: false },
            );
            if let Some(dropout) = dropout {
                for (row, x) in grad_x.chunks_exact_mut(inputs).enumerate() {
                    DropRow::new(dropout, first + row).apply_in_place(arch, x);
                }
            }
            [grad_a, grad_b]
        });
        let [grad_a, grad_b] = sums(of_blocks);
        [grad_x, grad_a, grad_b]
    }

    /// `dropout(x)` of some rows, in `buffer` where something is dropped.
    fn dropped<'b>(&'b self, arch: Arch, first: usize, rows: usize, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        let x = &self.x[first * self.inputs..][..rows * self.inputs];
        let Some(dropout) = self.dropout else { return x };
        buffer.resize(x.len(), 0.0);
        let pairs = x.chunks_exact(self.inputs).zip(buffer.chunks_exact_mut(self.inputs));
        for (row, (x, output)) in pairs.enumerate() {
            DropRow::new(dropout, first + row).apply(arch, x, output);
        }
        buffer
    }
}
