//! With the vectors of wasm, which have four lanes.
//!
//! Every browser multiplies pairs of numbers in 16 bits ([`of_pairs`]). Relaxed SIMD has fours of numbers in 8 bits
//! ([`of_fours`]), which browsers compute alike where one side has 7 bits and no sign. So activations give it their
//! magnitudes, and their signs go to the weights: where an activation is below zero, its weight's bits are flipped, which
//! makes `−w − 1` of `w`. What the ones take away, the magnitude there, is where a block's sum begins.
//!
//! Sums of blocks are added up by a product and a sum, never by one fused operation, so both bodies give the same bits.

use pulp::bytemuck;

use super::{Activations, Numbers, Weights};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;
use crate::kernels::flex::vectors::{self, Vector, four};
use crate::packed::BLOCK;

/// Rows of a tile: with two vectors a row, the sums of a block take half of the 16 registers of the usual processor. Of
/// the sizes that were tried, 4 by 8 and 2 by 16 are the fastest in Chromium.
const ROWS: usize = 4;
/// Vectors in a row of a tile.
const VECTORS: usize = 2;
/// Columns of a tile.
const COLUMNS: usize = 4 * VECTORS;
/// Words of two numbers in a block.
const PAIRS: usize = BLOCK / 2;
/// Words of four numbers in a block.
#[cfg(any(feature = "relaxed-simd", test))]
const FOURS: usize = BLOCK / 4;
/// Words of a block of activations for them.
#[cfg(any(feature = "relaxed-simd", test))]
const SIGNED: usize = 2 * FOURS + 1;

/// `x Wᵀ`, `[rows, outputs]`, in any browser.
#[cfg_attr(feature = "relaxed-simd", allow(dead_code, reason = "the body of the other file"))]
pub(in super::super) fn of_pairs(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    #[inline(always)]
    fn pairs(numbers: Numbers) -> [u32; PAIRS] {
        bytemuck::cast(numbers.map(i16::from))
    }
    super::product(x, weight, pairs, pairs, pair_sums)
}

fn pair_sums(left: &[Activations<PAIRS, ROWS>], right: &[Weights<PAIRS, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    sums(
        left,
        right,
        #[inline(always)]
        |_| 0,
        #[inline(always)]
        |row, word, weights, sum| vectors::add_pairs(sum, weights, vectors::word(row[word])),
    )
}

/// The same with relaxed SIMD.
#[cfg(any(feature = "relaxed-simd", test))]
pub(in super::super) fn of_fours(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    #[allow(clippy::redundant_closure, reason = "in wasm a function for instructions of its own is no `Fn`")]
    let tile = |left: &[_], right: &[_]| four_sums(left, right);
    super::product(x, weight, magnitudes_and_signs, bytemuck::cast, tile)
}

/// The magnitudes, then for each number a byte that is 255 where it is below zero, and the sum of the magnitudes there.
#[cfg(any(feature = "relaxed-simd", test))]
#[inline(always)]
fn magnitudes_and_signs(numbers: Numbers) -> [u32; SIGNED] {
    let mut bytes = [[0; BLOCK]; 2];
    let mut below = 0;
    for (i, &q) in numbers.iter().enumerate() {
        // Numbers of a block that is not finite are any.
        let magnitude = q.unsigned_abs().min(127);
        let sign = (q >> 7).cast_unsigned();
        (bytes[0][i], bytes[1][i]) = (magnitude, sign);
        below += u32::from(magnitude & sign);
    }
    let mut words = [below; SIGNED];
    words[..2 * FOURS].copy_from_slice(&bytemuck::cast::<_, [u32; 2 * FOURS]>(bytes));
    words
}

#[cfg(any(feature = "relaxed-simd", test))]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "relaxed-simd"))]
fn four_sums(left: &[Activations<SIGNED, ROWS>], right: &[Weights<FOURS, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    sums(
        left,
        right,
        #[inline(always)]
        |row| row[2 * FOURS],
        #[inline(always)]
        |row, word, weights, sum| {
            let [magnitudes, signs] = [word, FOURS + word].map(|word| vectors::word(row[word]));
            vectors::add_fours(sum, vectors::xor(weights, signs), magnitudes)
        },
    )
}

/// The sums of a tile: of a row's words `start` says where its sum begins, and `add` adds to it what weights make with one.
#[inline(always)]
fn sums<const A: usize, const W: usize>(
    left: &[Activations<A, ROWS>],
    right: &[Weights<W, COLUMNS>],
    start: impl Fn(&[u32; A]) -> u32,
    add: impl Fn(&[u32; A], usize, Vector, Vector) -> Vector,
) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vectors::numbers([0.0; 4]); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let mut counts: [_; ROWS] = std::array::from_fn(|r| [vectors::word(start(&left.words[r])); VECTORS]);
        for (word, weights) in right.words.iter().enumerate() {
            let weights: [_; VECTORS] = std::array::from_fn(|v| vectors::words(four(weights, v)));
            for (counts, row) in counts.iter_mut().zip(&left.words) {
                for (count, &weights) in counts.iter_mut().zip(&weights) {
                    *count = add(row, word, weights, *count);
                }
            }
        }
        for (row, (sums, counts)) in sums.iter_mut().zip(counts).enumerate() {
            let scale = vectors::numbers([left.scales[row]; 4]);
            for (v, (sum, count)) in sums.iter_mut().zip(counts).enumerate() {
                let scale = vectors::mul(scale, vectors::numbers(four(&right.scales, v)));
                *sum = vectors::add(*sum, vectors::mul(vectors::converted(count), scale));
            }
        }
    }
    sums.map(|row| bytemuck::cast(row.map(vectors::lanes)))
}
