//! Products of 8-bit integers with AVX512-VNNI.
//!
//! Activations are rounded as weights are packed: 32 neighbours share a scale, so that a large number costs its own block
//! precision and no other. The sum over a block is exact; the sums of blocks are added up in f32. The instruction
//! multiplies numbers without a sign by numbers with one, so weights are moved up by 128, and the activations' sum times
//! 128 is where a block's sum begins, below zero.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
};

use pulp::Arch;
use pulp::bytemuck;

use super::blocks::Packed;
use super::simd::vectorized;
use super::tiles::{self, COLUMNS, ROWS, Sums};
use crate::packed::BLOCK;

/// Words of 4 numbers in a block.
const WORDS: usize = BLOCK / 4;

/// A block of inputs of the activations of a tile.
#[derive(Clone, Copy)]
struct Activations {
    words: [[u32; ROWS]; WORDS],
    /// −128 times the sum of the numbers.
    start: [i32; ROWS],
    scales: [f32; ROWS],
}

/// A block of inputs of the weights of a tile, moved up by 128.
#[derive(Clone, Copy)]
struct Weights {
    words: [[u32; COLUMNS]; WORDS],
    scales: [f32; COLUMNS],
}

/// Whether the chip has the instructions.
pub(super) fn are_fast() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// `x Wᵀ`, `[rows, outputs]`.
///
/// # Panics
/// Without the instructions.
pub(super) fn projection(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    assert!(are_fast());
    let arch = Arch::new();
    let inputs = weight.blocks * BLOCK;
    let tile = |left: &[Activations], right: &[Weights]| {
        // SAFETY: the chip has the instructions (asserted above).
        #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
        unsafe {
            sums(left, right)
        }
    };
    tiles::product(
        [x.len() / inputs, weight.outputs()],
        |row| activations(arch, &x[row * inputs..], weight.blocks),
        |column| weights(weight, column),
        tile,
    )
}

/// The stream of a tile from its first row on.
fn activations(arch: Arch, x: &[f32], blocks: usize) -> Vec<Activations> {
    let none = Activations { words: [[0; ROWS]; WORDS], start: [0; ROWS], scales: [0.0; ROWS] };
    let mut stream = vec![none; blocks];
    vectorized(
        arch,
        #[inline(always)]
        || {
            for (r, row) in x.chunks_exact(blocks * BLOCK).take(ROWS).enumerate() {
                for (step, block) in stream.iter_mut().zip(row.as_chunks().0) {
                    let (numbers, scale) = rounded(block);
                    let mut sum = 0;
                    for &q in &numbers {
                        sum += i32::from(q);
                    }
                    let words: [u32; WORDS] = bytemuck::cast(numbers);
                    for (place, &word) in step.words.iter_mut().zip(&words) {
                        place[r] = word;
                    }
                    step.start[r] = -128 * sum;
                    step.scales[r] = scale;
                }
            }
        },
    );
    stream
}

/// Numbers from −127 to 127 and their scale, which is not finite where one of the block is not.
#[inline(always)]
fn rounded(block: &[f32; BLOCK]) -> ([i8; BLOCK], f32) {
    // Adding 1.5 · 2²³ rounds to the nearest integer, which the sum has in its last bits.
    const ROUND: f32 = 12_582_912.0;
    // Without their sign, larger numbers have larger bits, and infinity and NaN the largest.
    let mut largest = 0;
    for x in block {
        largest = largest.max(x.to_bits() & (u32::MAX >> 1));
    }
    let largest = f32::from_bits(largest);
    // Below, the factor would overflow, and nothing is lost.
    let factor = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
    let mut numbers = [0; BLOCK];
    for (q, x) in numbers.iter_mut().zip(block) {
        *q = (x * factor + ROUND).to_bits() as i8;
    }
    (numbers, largest / 127.0)
}

/// The stream of a tile from its first column on.
fn weights(weight: Packed<'_>, first: usize) -> Vec<Weights> {
    // What has no weight has a scale of zero.
    let mut stream = vec![Weights { words: [[0; COLUMNS]; WORDS], scales: [0.0; COLUMNS] }; weight.blocks];
    let blocks = first * weight.blocks..;
    let rows = weight.values[blocks.clone()].chunks_exact(weight.blocks);
    let rows = rows.zip(weight.scales[blocks].chunks_exact(weight.blocks));
    for (c, (values, scales)) in rows.take(COLUMNS).enumerate() {
        for (step, (block, &scale)) in stream.iter_mut().zip(values.iter().zip(scales)) {
            let words: [u32; WORDS] = bytemuck::cast(*block);
            for (place, word) in step.words.iter_mut().zip(words) {
                // What a flipped sign bit adds in each byte is 128.
                place[c] = word ^ 0x8080_8080;
            }
            step.scales[c] = scale;
        }
    }
    stream
}

/// The sums of a tile.
#[target_feature(enable = "avx512f,avx512vnni")]
fn sums(left: &[Activations], right: &[Weights]) -> Sums {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let mut counts = [[_mm512_setzero_si512(); 2]; ROWS];
        for (counts, &start) in counts.iter_mut().zip(&left.start) {
            *counts = [_mm512_set1_epi32(start); 2];
        }
        for (left, right) in left.words.iter().zip(&right.words) {
            let weights: [__m512i; 2] = bytemuck::cast(*right);
            for r in 0..ROWS {
                let x = _mm512_set1_epi32(left[r].cast_signed());
                for half in 0..2 {
                    counts[r][half] = _mm512_dpbusd_epi32(counts[r][half], weights[half], x);
                }
            }
        }
        let scales: [__m512; 2] = bytemuck::cast(right.scales);
        for r in 0..ROWS {
            let scale = _mm512_set1_ps(left.scales[r]);
            for half in 0..2 {
                let counts = _mm512_cvtepi32_ps(counts[r][half]);
                sums[r][half] = _mm512_fmadd_ps(counts, _mm512_mul_ps(scale, scales[half]), sums[r][half]);
            }
        }
    }
    bytemuck::cast(sums)
}
