//! Elementwise loops, compiled for the widest vectors the machine has.
//!
//! The loops are plain Rust; `pulp` picks a copy of them compiled for AVX2 or AVX-512 at run time. The exponential
//! is a polynomial because calls into libm cannot be vectorised.

use pulp::Arch;

/// Elements per task: enough that starting a task costs nothing beside it.
const CHUNK: usize = 1 << 14;

/// `eˣ` within 3 ulp for normal results; 0 below -87.3, capped above 88.
///
/// Range reduction `x = n ln 2 + r` with Cody and Waite's split of `ln 2`, then a polynomial on `|r| ≤ ln 2 / 2`.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "the constants are the polynomial's, to the last bit")]
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5 · 2²³ rounds to the nearest integer without a call.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.0);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    if x < -87.3 { 0.0 } else { p * power }
}

/// Turns scores into `exp(score - max)` in place; gives the sum and the maximum.
pub(super) fn exp_row(arch: Arch, row: &mut [f32]) -> (f32, f32) {
    arch.dispatch(
        #[inline(always)]
        || {
            let max = lanes(row, f32::NEG_INFINITY, f32::max);
            for x in row.iter_mut() {
                *x = exp(*x - max);
            }
            (lanes(row, 0.0, |a, b| a + b), max)
        },
    )
}

/// Turns scores into weights in place: `exp(score - log_sum)`.
pub(super) fn weights_row(arch: Arch, row: &mut [f32], log_sum: f32) {
    arch.dispatch(
        #[inline(always)]
        || row.iter_mut().for_each(|x| *x = exp(*x - log_sum)),
    );
}

/// `weight · (gradient - mean)` in place of the gradient.
pub(super) fn softmax_gradient_row(arch: Arch, gradient: &mut [f32], weights: &[f32], mean: f32) {
    arch.dispatch(
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

/// `silu(gate) · up`.
pub(super) fn gated_silu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let parts = super::tasks(gate.len().div_ceil(CHUNK), |part| {
        let range = part * CHUNK..gate.len().min((part + 1) * CHUNK);
        let (gate, up) = (&gate[range.clone()], &up[range]);
        arch.dispatch(
            #[inline(always)]
            || gate.iter().zip(up).map(|(&g, &u)| g * u / (1.0 + exp(-g))).collect::<Vec<f32>>(),
        )
    });
    parts.concat()
}

/// Gradients of [`gated_silu`] with respect to gate and up.
pub(super) fn gated_silu_backward(gate: &[f32], up: &[f32], grad: &[f32]) -> [Vec<f32>; 2] {
    let arch = Arch::new();
    let parts = super::tasks(gate.len().div_ceil(CHUNK), |part| {
        let range = part * CHUNK..gate.len().min((part + 1) * CHUNK);
        let (gate, up, grad) = (&gate[range.clone()], &up[range.clone()], &grad[range]);
        let (mut grad_gate, mut grad_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
        arch.dispatch(
            #[inline(always)]
            || {
                for i in 0..gate.len() {
                    let sigmoid = 1.0 / (1.0 + exp(-gate[i]));
                    let silu = gate[i] * sigmoid;
                    grad_gate[i] = grad[i] * up[i] * (sigmoid + silu * (1.0 - sigmoid));
                    grad_up[i] = grad[i] * silu;
                }
            },
        );
        (grad_gate, grad_up)
    });
    let (gates, ups): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    [gates.concat(), ups.concat()]
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
}
