//! With AVX512-VNNI, whose instruction multiplies numbers without a sign by numbers with one: activations are moved up
//! ([`fours`](super::fours)).

use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
};

use pulp::bytemuck;

use super::fours::{AND_START, FOURS, moved_up, with_start};
use super::{Activations, Weights};
use crate::kernels::flex::blocks::Packed;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile: with two vectors a row, sums of two kinds fill 24 of the 32 registers.
const ROWS: usize = 6;
/// Columns of a tile: two vectors.
const COLUMNS: usize = 32;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
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
#[target_feature(enable = "avx512f,avx512vnni")]
fn sums(left: &[Activations<FOURS, ROWS>], right: &[Weights<AND_START, COLUMNS>]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let [start, words @ ..] = &right.words;
        let mut counts: [[__m512i; 2]; ROWS] = [bytemuck::cast(*start); ROWS];
        for (word, weights) in words.iter().enumerate() {
            let weights: [__m512i; 2] = bytemuck::cast(*weights);
            for (counts, row) in counts.iter_mut().zip(&left.words) {
                let x = _mm512_set1_epi32(row[word].cast_signed());
                for (count, weights) in counts.iter_mut().zip(weights) {
                    *count = _mm512_dpbusd_epi32(*count, x, weights);
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
