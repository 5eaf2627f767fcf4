//! Elementwise loops, compiled for the widest vectors the machine has.
//!
//! The loops are plain Rust; `pulp` picks a copy of them compiled for AVX2 or AVX-512 at run time. The exponential
//! is a polynomial because calls into libm cannot be vectorised.

use pulp::{Arch, NullaryFnOnce};

use crate::kernels::Dropout;
use crate::kernels::dropout::DropoutHash;

/// Runs a loop compiled for the widest vectors. Its closure must be `#[inline(always)]`.
pub(super) fn vectorized<T>(arch: Arch, run: impl FnMut() -> T) -> T {
    /// Called through `FnMut`: `FnOnce` calls a closure through a function that the compiler makes, which is not
    /// `#[inline(always)]`, and what is not inlined is compiled for the narrowest vectors.
    struct Loop<F>(F);
    impl<T, F: FnMut() -> T> NullaryFnOnce for Loop<F> {
        type Output = T;

        #[inline(always)]
        fn call(mut self) -> T {
            (self.0)()
        }
    }
    arch.dispatch(Loop(run))
}

/// `eˣ` within 3 ulp for normal results; 0 below -87.3, capped above 88.
///
/// Range reduction `x = n ln 2 + r` with Cody and Waite's split of `ln 2`, then a polynomial on `|r| ≤ ln 2 / 2`.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "the constants are the polynomial's, to the last bit")]
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5 · 2²³ rounds to the nearest integer without a call, and the sum has the integer in
    // its last bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.0);
    let sum = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = sum - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = f32::from_bits(sum.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    if x < -87.3 { 0.0 } else { p * power }
}

/// Turns scores into `exp(score - max)` in place; gives the sum and the maximum.
pub(super) fn exp_row(arch: Arch, row: &mut [f32]) -> (f32, f32) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            // As `f32::max`, which wasm has as a call only.
            let max = lanes(row, f32::NEG_INFINITY, |max, x| if x > max { x } else { max });
            for x in row.iter_mut() {
                *x = exp(*x - max);
            }
            (lanes(row, 0.0, |a, b| a + b), max)
        },
    )
}

/// Turns scores into weights in place: `exp(score - log_sum)`.
pub(super) fn weights_row(arch: Arch, row: &mut [f32], log_sum: f32) {
    vectorized(
        arch,
        #[inline(always)]
        || row.iter_mut().for_each(|x| *x = exp(*x - log_sum)),
    );
}

/// `weight · (gradient - mean)` in place of the gradient.
pub(super) fn softmax_gradient_row(arch: Arch, gradient: &mut [f32], weights: &[f32], mean: f32) {
    vectorized(
        arch,
        #[inline(always)]
        || gradient.iter_mut().zip(weights).for_each(|(g, w)| *g = w * (*g - mean)),
    );
}

/// Folds a row with 16 independent accumulators, so that the loop can be vectorised; `fold` must be associative
/// and commutative up to rounding.
#[inline(always)]
fn lanes(row: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; 16];
    let chunks = row.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, x);
    }
    lanes.into_iter().fold(start, fold)
}

/// Rotates the pairs `(x[i], x[i + d / 2])` by angles of these cosines and sines, and multiplies by `scale`.
pub(super) fn rotate_row(
    arch: Arch,
    x: &[f32],
    (cos, sin): (&[f32], &[f32]),
    scale: f32,
    output: &mut [f32],
) {
    let half = x.len() / 2;
    vectorized(
        arch,
        #[inline(always)]
        || {
            let (first, second) = x.split_at(half);
            let (of_first, of_second) = output.split_at_mut(half);
            let inputs = first.iter().zip(second).zip(cos.iter().zip(sin));
            for (((&a, &b), (&c, &s)), (x, y)) in inputs.zip(of_first.iter_mut().zip(of_second.iter_mut())) {
                *x = (a * c - b * s) * scale;
                *y = (b * c + a * s) * scale;
            }
        },
    );
}

/// `silu(gate) · up`.
pub(super) fn gated_silu(arch: Arch, gate: &[f32], up: &[f32], output: &mut [f32]) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for ((o, &g), &u) in output.iter_mut().zip(gate).zip(up) {
                *o = g * u / (1.0 + exp(-g));
            }
        },
    );
}

/// Gradients of [`gated_silu`] with respect to gate and up.
pub(super) fn gated_silu_backward(
    arch: Arch,
    [gate, up, grad]: [&[f32]; 3],
    [grad_gate, grad_up]: [&mut [f32]; 2],
) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            let inputs = gate.iter().zip(up).zip(grad);
            for (((&g, &u), &grad), (grad_gate, grad_up)) in
                inputs.zip(grad_gate.iter_mut().zip(grad_up.iter_mut()))
            {
                let sigmoid = 1.0 / (1.0 + exp(-g));
                let silu = g * sigmoid;
                *grad_gate = grad * u * (sigmoid + silu * (1.0 - sigmoid));
                *grad_up = grad * silu;
            }
        },
    );
}

/// `Σ x · y`.
#[inline(always)]
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    let (xs, ys) = (x.chunks_exact(16), y.chunks_exact(16));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in xs.zip(ys) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.into_iter().sum::<f32>() + rest
}

/// `x · r · weight` of one row; gives `r`, the reciprocal root mean square.
pub(super) fn rms_norm_row(arch: Arch, x: &[f32], weight: &[f32], eps: f32, output: &mut [f32]) -> f32 {
    vectorized(
        arch,
        #[inline(always)]
        || {
            let scale = (dot(x, x) / x.len() as f32 + eps).sqrt().recip();
            for ((o, &x), &w) in output.iter_mut().zip(x).zip(weight) {
                *o = x * scale * w;
            }
            scale
        },
    )
}

/// Gradient of [`rms_norm_row`] with respect to its input: `r (h − x r² mean(h x))` with `h = grad · weight`.
pub(super) fn rms_norm_row_backward(
    arch: Arch,
    [x, weight, grad]: [&[f32]; 3],
    scale: f32,
    output: &mut [f32],
) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for ((o, &w), &g) in output.iter_mut().zip(weight).zip(grad) {
                *o = g * w;
            }
            let shrink = dot(output, x) / x.len() as f32 * scale * scale;
            for (o, &x) in output.iter_mut().zip(x) {
                *o = (*o - x * shrink) * scale;
            }
        },
    );
}

/// The choice of dropout in one row.
#[derive(Clone, Copy)]
pub(super) struct DropRow {
    hash: DropoutHash,
    key: u32,
}

impl DropRow {
    pub(super) fn new(dropout: Dropout, row: usize) -> Self {
        let hash = DropoutHash::from(dropout);
        Self { hash, key: hash.row_key(row as u32) }
    }

    /// `output = dropout(input)`.
    pub(super) fn apply(self, arch: Arch, input: &[f32], output: &mut [f32]) {
        vectorized(
            arch,
            #[inline(always)]
            || {
                for (column, (o, &x)) in (0_u32..).zip(output.iter_mut().zip(input)) {
                    *o = x * self.hash.factor(self.key, column);
                }
            },
        );
    }

    /// `row = dropout(row)`.
    pub(super) fn apply_in_place(self, arch: Arch, row: &mut [f32]) {
        vectorized(
            arch,
            #[inline(always)]
            || {
                for (column, x) in (0_u32..).zip(row.iter_mut()) {
                    *x *= self.hash.factor(self.key, column);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn exponential_agrees_with_the_library() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let (ours, exact) = (super::exp(x), f64::from(x).exp());
            assert!((f64::from(ours) - exact).abs() <= 5e-7 * exact, "exp({x}) = {ours}, exactly {exact}");
        }
        assert_eq!(super::exp(-1e9), 0.0);
    }

    #[test]
    fn dropout_keeps_its_share_in_every_row_and_column() {
        let (rows, columns, keep) = (400, 500, 0.9);
        let arch = pulp::Arch::new();
        let mut by_column = vec![0.0; columns];
        for row in 0..rows {
            let mut kept = vec![1.0; columns];
            super::DropRow::new(super::Dropout { keep, seed: 7 }, row).apply_in_place(arch, &mut kept);
            assert!(kept.iter().all(|&x| x == 0.0 || x == (1.0 / keep) as f32));
            by_column.iter_mut().zip(&kept).for_each(|(sum, x)| *sum += x);
            // Five standard deviations of the mean of independent draws.
            let mean = kept.iter().sum::<f32>() / columns as f32;
            assert!((mean - 1.0).abs() < 5.0 * (0.1_f32 / 0.9 / columns as f32).sqrt(), "row {row}: {mean}");
        }
        for (column, sum) in by_column.into_iter().enumerate() {
            let mean: f32 = sum / rows as f32;
            assert!(
                (mean - 1.0).abs() < 5.0 * (0.1_f32 / 0.9 / rows as f32).sqrt(),
                "column {column}: {mean}"
            );
        }
    }
}
