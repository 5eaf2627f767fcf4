//! With Arm's dot product, whose instruction adds four products of numbers in 8 bits to each lane, and takes one word of a
//! vector for all lanes: a vector holds four words of a row.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vmulq_f32,
};
use std::arch::asm;

use pulp::bytemuck;

use super::{Activations, FOURS, Weights};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile.
const ROWS: usize = 4;
/// Vectors in a row of a tile: the sums of a block take 16 of the 32 registers.
const VECTORS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 4 * VECTORS;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
}

/// `x Wᵀ`, `[rows, outputs]`.
///
/// # Panics
/// Without the instructions.
pub(in super::super) fn projection(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    assert!(are_fast());
    super::product(x, weight, bytemuck::cast, bytemuck::cast, |left, right| {
        // SAFETY: the chip has the instructions (asserted above).
        #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
        unsafe {
            sums(left, right)
        }
    })
}

/// The sums of a tile.
#[target_feature(enable = "neon,dotprod")]
fn sums(left: &[Activations<FOURS, ROWS>], right: &[Weights<FOURS, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let mut counts = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for (four, weights) in right.words.as_chunks::<4>().0.iter().enumerate() {
            let x = left.words.map(|row| bytemuck::cast(row.as_chunks::<4>().0[four]));
            add_word::<0>(&mut counts, weights, x);
            add_word::<1>(&mut counts, weights, x);
            add_word::<2>(&mut counts, weights, x);
            add_word::<3>(&mut counts, weights, x);
        }
        let scales: [float32x4_t; VECTORS] = bytemuck::cast(right.scales);
        for ((sums, counts), &scale) in sums.iter_mut().zip(counts).zip(&left.scales) {
            for v in 0..VECTORS {
                let scale = vmulq_f32(vdupq_n_f32(scale), scales[v]);
                sums[v] = vfmaq_f32(sums[v], vcvtq_f32_s32(counts[v]), scale);
            }
        }
    }
    bytemuck::cast(sums)
}

/// Adds what the weights of one of four words make with that word of each row.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_word<const WORD: usize>(
    counts: &mut [[int32x4_t; VECTORS]; ROWS],
    weights: &[[u32; COLUMNS]; 4],
    x: [int32x4_t; ROWS],
) {
    let weights: [int32x4_t; VECTORS] = bytemuck::cast(weights[WORD]);
    for (counts, x) in counts.iter_mut().zip(x) {
        for (count, weights) in counts.iter_mut().zip(weights) {
            add_products::<WORD>(count, weights, x);
        }
    }
}

/// Adds to each lane the four products of its weights and the numbers of word `WORD` of `x`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_products<const WORD: usize>(sum: &mut int32x4_t, weights: int32x4_t, x: int32x4_t) {
    // SAFETY: the instruction reads and writes these registers alone, and the caller's chip has it.
    #[expect(unsafe_code, reason = "its intrinsic is younger than our oldest compiler")]
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{word}]",
            sum = inout(vreg) *sum,
            weights = in(vreg) weights,
            x = in(vreg) x,
            word = const WORD,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
