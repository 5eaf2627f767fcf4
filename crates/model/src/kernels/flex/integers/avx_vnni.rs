//! With AVX-VNNI: the instruction of AVX512-VNNI on vectors of half the length, which processors for laptops and desktops
//! have without AVX-512.

use std::arch::x86_64::{
    __m256, __m256i, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
};

use pulp::bytemuck;

use super::fours::{AND_START, FOURS, moved_up, with_start};
use super::{Activations, Weights};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile: with two vectors a row, the sums of a block take 12 of the 16 registers.
const ROWS: usize = 6;
/// Columns of a tile: two vectors.
const COLUMNS: usize = 16;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("avxvnni")
}

/// `x Wᵀ`, `[rows, outputs]`.
///
/// # Panics
/// Without the instructions.
pub(in super::super) fn projection(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
    assert!(are_fast());
    super::product(x, weight, moved_up, with_start, |left, right| {
        // SAFETY: the chip has the instructions (asserted above).
        #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
        unsafe {
            sums(left, right)
        }
    })
}

/// The sums of a tile.
#[target_feature(enable = "avx2,fma,avxvnni")]
fn sums(left: &[Activations<FOURS, ROWS>], right: &[Weights<AND_START, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let [start, words @ ..] = &right.words;
        let mut counts: [[__m256i; 2]; ROWS] = [bytemuck::cast(*start); ROWS];
        for (word, weights) in words.iter().enumerate() {
            let weights: [__m256i; 2] = bytemuck::cast(*weights);
            for (counts, row) in counts.iter_mut().zip(&left.words) {
                let x = _mm256_set1_epi32(row[word].cast_signed());
                for (count, weights) in counts.iter_mut().zip(weights) {
                    *count = _mm256_dpbusd_avx_epi32(*count, x, weights);
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
