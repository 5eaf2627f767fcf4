//! With Arm's bf16, whose instruction adds two products to each lane, and takes one word of a vector for all lanes: a
//! vector holds a word of each row of a tile. It rounds each of the two sums, and sets numbers below 2⁻¹²⁶ to zero.

use std::arch::aarch64::{float32x4_t, uint32x4_t, vdupq_n_f32};
use std::arch::asm;

use burn::tensor::bf16;
use pulp::bytemuck;

use super::Weight;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile: the words of a vector.
const ROWS: usize = 4;
/// Vectors in a row of a tile: the sums take 16 of the 32 registers.
const VECTORS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 4 * VECTORS;

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
fn put_row(row: &[f32], r: usize, stream: &mut [[u32; ROWS]]) {
    for (place, pair) in stream.iter_mut().zip(row.chunks(2)) {
        let second = pair.get(1).copied().unwrap_or_default();
        place[r] = super::word(bf16::from_f32(pair[0]), bf16::from_f32(second));
    }
}

/// The sums of a tile.
#[target_feature(enable = "neon,bf16")]
fn sums(left: &[[u32; ROWS]], right: &[[u32; COLUMNS]]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let x: uint32x4_t = bytemuck::cast(*left);
        let weights: [uint32x4_t; VECTORS] = bytemuck::cast(*right);
        let [first, second, third, fourth] = &mut sums;
        for v in 0..VECTORS {
            add_products::<0>(&mut first[v], weights[v], x);
            add_products::<1>(&mut second[v], weights[v], x);
            add_products::<2>(&mut third[v], weights[v], x);
            add_products::<3>(&mut fourth[v], weights[v], x);
        }
    }
    bytemuck::cast(sums)
}

/// Adds to each lane the two products of its weights and the numbers of word `ROW` of `x`.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn add_products<const ROW: usize>(sum: &mut float32x4_t, weights: uint32x4_t, x: uint32x4_t) {
    // SAFETY: the instruction reads and writes these registers alone, and the caller's chip has it.
    #[expect(unsafe_code, reason = "its intrinsic is younger than our oldest compiler")]
    unsafe {
        asm!(
            "bfdot {sum:v}.4s, {weights:v}.8h, {x:v}.2h[{row}]",
            sum = inout(vreg) *sum,
            weights = in(vreg) weights,
            x = in(vreg) x,
            row = const ROW,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
