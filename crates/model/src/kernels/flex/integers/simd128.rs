//! With the vectors of wasm, which have four lanes.
//!
//! Every browser multiplies pairs of numbers in 16 bits ([`of_pairs`]). Relaxed SIMD has fours of numbers in 8 bits
//! ([`of_fours`]), which browsers compute alike where one side has 7 bits and no sign. What its eighth bit is, each browser
//! says for itself ([`EighthBit`]): where it is a sign, activations go there as they are, and where it is a value, they are
//! moved up by 128. Elsewhere activations give their magnitudes, and their signs go to the weights: where an activation is
//! below zero, its weight's bits are flipped, which makes `−w − 1` of `w`. What the ones take away, the magnitude there, is
//! where a block's sum begins.
//!
//! Sums of blocks are added up by a product and a sum, never by one fused operation, so all of them give the same bits.

use pulp::bytemuck;

use super::{Activations, Numbers, Weights};
#[cfg(any(feature = "relaxed-simd", test))]
use super::{
    FOURS,
    fours::{AND_START, moved_up, with_start},
};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;
#[cfg(any(feature = "relaxed-simd", test))]
use crate::kernels::flex::vectors::EighthBit;
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
/// Words of a block of activations whose signs are apart: magnitudes, signs, and where its sum begins.
#[cfg(any(feature = "relaxed-simd", test))]
const SIGNS_APART: usize = 2 * FOURS + 1;

/// The sums of a block.
type Counts = [[Vector; VECTORS]; ROWS];

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
        |rows, words| {
            add_words(
                nothing(),
                rows,
                words,
                #[inline(always)]
                |count, weights, row, word| vectors::add_pairs(count, weights, vectors::word(row[word])),
            )
        },
    )
}

/// The same with relaxed SIMD, in a browser with such an eighth bit.
#[cfg(any(feature = "relaxed-simd", test))]
#[allow(clippy::redundant_closure, reason = "in wasm a function for instructions of its own is no `Fn`")]
pub(in super::super) fn of_fours(x: &[f32], weight: Packed<'_>, eighth_bit: EighthBit) -> Vec<f32> {
    match eighth_bit {
        EighthBit::Sign => {
            let tile = |left: &[_], right: &[_]| signed_sums(left, right);
            super::product(x, weight, bytemuck::cast, bytemuck::cast, tile)
        }
        EighthBit::Value => {
            let tile = |left: &[_], right: &[_]| moved_sums(left, right);
            super::product(x, weight, moved_up, with_start, tile)
        }
        EighthBit::Unknown => {
            let tile = |left: &[_], right: &[_]| magnitude_sums(left, right);
            super::product(x, weight, magnitudes_and_signs, bytemuck::cast, tile)
        }
    }
}

#[cfg(any(feature = "relaxed-simd", test))]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "relaxed-simd"))]
fn signed_sums(left: &[Activations<FOURS, ROWS>], right: &[Weights<FOURS, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    sums(
        left,
        right,
        #[inline(always)]
        |rows, words| {
            add_words(
                nothing(),
                rows,
                words,
                #[inline(always)]
                |count, weights, row, word| {
                    vectors::add_signed_fours(count, weights, vectors::word(row[word]))
                },
            )
        },
    )
}

#[cfg(any(feature = "relaxed-simd", test))]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "relaxed-simd"))]
fn moved_sums(
    left: &[Activations<FOURS, ROWS>],
    right: &[Weights<AND_START, COLUMNS>],
) -> Sums<ROWS, COLUMNS> {
    sums(
        left,
        right,
        #[inline(always)]
        |rows, [start, words @ ..]| {
            add_words(
                [of_columns(start); ROWS],
                rows,
                words,
                #[inline(always)]
                |count, weights, row, word| {
                    vectors::add_unsigned_fours(count, weights, vectors::word(row[word]))
                },
            )
        },
    )
}

/// The magnitudes, then for each number a byte that is 255 where it is below zero, and the sum of the magnitudes there.
#[cfg(any(feature = "relaxed-simd", test))]
#[inline(always)]
fn magnitudes_and_signs(numbers: Numbers) -> [u32; SIGNS_APART] {
    let mut bytes = [[0; BLOCK]; 2];
    let mut below = 0;
    for (i, &q) in numbers.iter().enumerate() {
        // Numbers of a block that is not finite are any.
        let magnitude = q.unsigned_abs().min(127);
        let sign = (q >> 7).cast_unsigned();
        (bytes[0][i], bytes[1][i]) = (magnitude, sign);
        below += u32::from(magnitude & sign);
    }
    let mut words = [below; SIGNS_APART];
    words[..2 * FOURS].copy_from_slice(&bytemuck::cast::<_, [u32; 2 * FOURS]>(bytes));
    words
}

#[cfg(any(feature = "relaxed-simd", test))]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "relaxed-simd"))]
fn magnitude_sums(
    left: &[Activations<SIGNS_APART, ROWS>],
    right: &[Weights<FOURS, COLUMNS>],
) -> Sums<ROWS, COLUMNS> {
    sums(
        left,
        right,
        #[inline(always)]
        |rows, words| {
            let starts = std::array::from_fn(|r| [vectors::word(rows[r][2 * FOURS]); VECTORS]);
            add_words(
                starts,
                rows,
                words,
                #[inline(always)]
                |count, weights, row, word| {
                    let [magnitudes, signs] = [word, FOURS + word].map(|word| vectors::word(row[word]));
                    vectors::add_fours(count, vectors::xor(weights, signs), magnitudes)
                },
            )
        },
    )
}

/// The sums of a tile: `counts` gives those of the integers of a block.
#[inline(always)]
fn sums<const A: usize, const W: usize>(
    left: &[Activations<A, ROWS>],
    right: &[Weights<W, COLUMNS>],
    counts: impl Fn(&[[u32; A]; ROWS], &[[u32; COLUMNS]; W]) -> Counts,
) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vectors::numbers([0.0; 4]); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let counts = counts(&left.words, &right.words);
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

/// Adds to the counts of each row what `add` makes of each word of the weights and the same word of the row.
#[inline(always)]
fn add_words<const A: usize>(
    mut counts: Counts,
    rows: &[[u32; A]; ROWS],
    words: &[[u32; COLUMNS]],
    add: impl Fn(Vector, Vector, &[u32; A], usize) -> Vector,
) -> Counts {
    // A compiler that knows how many words there are makes no loop: it finishes one sum before it begins the next, and keeps
    // all weights of the block. They do not fit into the registers, and the product takes half as long again.
    for (word, weights) in words.iter().take(std::hint::black_box(words.len())).enumerate() {
        let weights = of_columns(weights);
        for (counts, row) in counts.iter_mut().zip(rows) {
            for (count, &weights) in counts.iter_mut().zip(&weights) {
                *count = add(*count, weights, row, word);
            }
        }
    }
    counts
}

#[inline(always)]
fn nothing() -> Counts {
    [[vectors::word(0); VECTORS]; ROWS]
}

#[inline(always)]
fn of_columns(words: &[u32; COLUMNS]) -> [Vector; VECTORS] {
    std::array::from_fn(|v| vectors::words(four(words, v)))
}
