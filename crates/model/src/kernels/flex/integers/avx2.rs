//! With AVX2, whose instruction multiplies pairs of numbers in 16 bits and adds the two products: twice as many of them as
//! it multiplies in f32, less the sums.

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_madd_epi16, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
};

use pulp::bytemuck;

use super::{Activations, Numbers, Weights};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;
use crate::packed::BLOCK;

/// Words of two numbers in a block.
const WORDS: usize = BLOCK / 2;
/// Rows of a tile: with two vectors a row, the sums of a block take 10 of the 16 registers. Of the sizes that were tried, 5
/// by 16 is the fastest on Zen 3.
const ROWS: usize = 5;
/// Columns of a tile: two vectors.
const COLUMNS: usize = 16;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// `x Wᵀ`, `[rows, outputs]`.
///
/// # Panics
/// Without the instructions.
pub(in super::super) fn projection(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    assert!(are_fast());
    super::product(x, weight, pairs, pairs, |left, right| {
        // SAFETY: the chip has the instructions (asserted above).
        #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
        unsafe {
            sums(left, right)
        }
    })
}

#[inline(always)]
fn pairs(numbers: Numbers) -> [u32; WORDS] {
    bytemuck::cast(numbers.map(i16::from))
}

/// The sums of a tile.
#[target_feature(enable = "avx2,fma")]
fn sums(left: &[Activations<WORDS, ROWS>], right: &[Weights<WORDS, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let mut counts = [[_mm256_setzero_si256(); 2]; ROWS];
        for (word, weights) in right.words.iter().enumerate() {
            let weights: [__m256i; 2] = bytemuck::cast(*weights);
            for (counts, row) in counts.iter_mut().zip(&left.words) {
                let x = _mm256_set1_epi32(row[word].cast_signed());
                for (count, weights) in counts.iter_mut().zip(weights) {
                    *count = _mm256_add_epi32(*count, _mm256_madd_epi16(weights, x));
                }
            }
        }
        let scales: [__m256; 2] = bytemuck::cast(right.scales);
        for r in 0..ROWS {
            let scale = _mm256_set1_ps(left.scales[r]);
            for half in 0..2 {
                let counts = _mm256_cvtepi32_ps(counts[r][half]);
                sums[r][half] = _mm256_fmadd_ps(counts, _mm256_mul_ps(scale, scales[half]), sums[r][half]);
            }
        }
    }
    bytemuck::cast(sums)
}
