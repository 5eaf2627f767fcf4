//! With AVX512-BF16.

use std::arch::x86_64::{
    __m512, __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};

use pulp::bytemuck;

use super::Weight;
use crate::kernels::flex::tiles::Sums;

/// Rows of a tile, with two vectors a row.
const ROWS: usize = 6;
/// Columns of a tile.
const COLUMNS: usize = 32;
/// Words of a row in a step of its stream: those of a vector.
const WORDS: usize = 16;

/// Whether the chip has the instructions.
pub(in super::super) fn are_fast() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// As [`product`](super::product).
///
/// # Panics
/// Without the instructions.
pub(in super::super) fn product(x: &[f32], weight: Weight<'_>) -> Vec<f32> {
    assert!(are_fast());
    super::of_pairs(
        x,
        weight,
        |row, r, stream| {
            // SAFETY: the chip has the instructions (asserted above).
            #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
            unsafe {
                put_row(row, r, stream);
            }
        },
        |left, right| {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
            unsafe {
                sums(left, right)
            }
        },
    )
}

/// Rounds a row of a tile into its stream.
#[target_feature(enable = "avx512f,avx512bf16")]
fn put_row(row: &[f32], r: usize, stream: &mut [[[u32; WORDS]; ROWS]]) {
    let words = |numbers: [f32; 2 * WORDS]| -> [u32; WORDS] {
        let [first, second]: [__m512; 2] = bytemuck::cast(numbers);
        bytemuck::cast(_mm512_cvtne2ps_pbh(second, first))
    };
    let (whole, rest) = row.as_chunks();
    for (step, numbers) in stream.iter_mut().zip(whole) {
        step[r] = words(*numbers);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 2 * WORDS];
        last[..rest.len()].copy_from_slice(rest);
        stream[whole.len()][r] = words(last);
    }
}

/// The sums of a tile.
#[target_feature(enable = "avx512f,avx512bf16")]
fn sums(left: &[[[u32; WORDS]; ROWS]], right: &[[[u32; COLUMNS]; WORDS]]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        for (word, weights) in right.iter().enumerate() {
            let weights: [__m512bh; 2] = bytemuck::cast(*weights);
            for (sums, row) in sums.iter_mut().zip(left) {
                let x: __m512bh = bytemuck::cast(_mm512_set1_epi32(row[word].cast_signed()));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbf16_ps(*sum, weights, x);
                }
            }
        }
    }
    bytemuck::cast(sums)
}
