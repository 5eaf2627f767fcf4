//! With Arm's bf16, whose instruction adds two products to each lane, and takes one word of a vector for all lanes: a
//! vector holds four words of a row. It rounds each of the two sums, and sets numbers below 2⁻¹²⁶ to zero.

use std::arch::aarch64::{float32x4_t, uint32x4_t, vdupq_n_f32};
use std::arch::asm;

use burn::tensor::bf16;
use pulp::bytemuck;

use super::Weight;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile.
const ROWS: usize = 4;
/// Vectors in a row of a tile: the sums take 16 of the 32 registers.
const VECTORS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 4 * VECTORS;
/// Words of a row in a step of its stream: those of a vector.
const WORDS: usize = 4;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    std::arch::is_aarch64_feature_detected!("bf16")
}

/// As [`product`](super::product).
///
/// # Panics
/// Without the instructions.
pub(in super::super) fn product(x: &[f32], weight: Weight<'_>) -> Vec<f32> {
    assert!(are_fast());
    super::of_pairs(x, weight, put_row, |left, right| {
        // SAFETY: the chip has the instructions (asserted above).
        #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
        unsafe {
            sums(left, right)
        }
    })
}

/// Rounds a row of a tile into its stream.
fn put_row(row: &[f32], r: usize, stream: &mut [[[u32; WORDS]; ROWS]]) {
    for (step, numbers) in stream.iter_mut().zip(row.chunks(2 * WORDS)) {
        for (word, pair) in step[r].iter_mut().zip(numbers.chunks(2)) {
            let second = pair.get(1).copied().unwrap_or_default();
            *word = super::word(bf16::from_f32(pair[0]), bf16::from_f32(second));
        }
    }
}

/// The sums of a tile.
#[target_feature(enable = "neon,bf16")]
fn sums(left: &[[[u32; WORDS]; ROWS]], right: &[[[u32; COLUMNS]; WORDS]]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
    for (left, weights) in left.iter().zip(right) {
        let x = left.map(bytemuck::cast);
        add_word::<0>(&mut sums, weights, x);
        add_word::<1>(&mut sums, weights, x);
        add_word::<2>(&mut sums, weights, x);
        add_word::<3>(&mut sums, weights, x);
    }
    bytemuck::cast(sums)
}

/// Adds what the weights of one of four words make with that word of each row.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn add_word<const WORD: usize>(
    sums: &mut [[float32x4_t; VECTORS]; ROWS],
    weights: &[[u32; COLUMNS]; WORDS],
    x: [uint32x4_t; ROWS],
) {
    let weights: [uint32x4_t; VECTORS] = bytemuck::cast(weights[WORD]);
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            add_products::<WORD>(sum, weights, x);
        }
    }
}

/// Adds to each lane the two products of its weights and the numbers of word `WORD` of `x`.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn add_products<const WORD: usize>(sum: &mut float32x4_t, weights: uint32x4_t, x: uint32x4_t) {
    // SAFETY: the instruction reads and writes these registers alone, and the caller's chip has it.
    #[expect(unsafe_code, reason = "its intrinsic is younger than our oldest compiler")]
    unsafe {
        asm!(
            "bfdot {sum:v}.4s, {weights:v}.8h, {x:v}.2h[{word}]",
            sum = inout(vreg) *sum,
            weights = in(vreg) weights,
            x = in(vreg) x,
            word = const WORD,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
