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
/// Numbers that are rounded at a time.
const CHUNK: usize = 32;

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
fn put_row(row: &[f32], r: usize, stream: &mut [[u32; ROWS]]) {
    let put = |chunk: [f32; CHUNK], places: &mut [[u32; ROWS]]| {
        let [first, second]: [__m512; 2] = bytemuck::cast(chunk);
        let words: [u32; CHUNK / 2] = bytemuck::cast(_mm512_cvtne2ps_pbh(second, first));
        for (place, word) in places.iter_mut().zip(words) {
            place[r] = word;
        }
    };
    let (chunks, rest) = row.as_chunks();
    for (chunk, places) in chunks.iter().zip(stream.chunks_mut(CHUNK / 2)) {
        put(*chunk, places);
    }
    let mut last = [0.0; CHUNK];
    last[..rest.len()].copy_from_slice(rest);
    put(last, &mut stream[chunks.len() * CHUNK / 2..]);
}

/// The sums of a tile.
#[target_feature(enable = "avx512f,avx512bf16")]
fn sums(left: &[[u32; ROWS]], right: &[[u32; COLUMNS]]) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let weights: [__m512bh; 2] = bytemuck::cast(*right);
        for r in 0..ROWS {
            let x: __m512bh = bytemuck::cast(_mm512_set1_epi32(left[r].cast_signed()));
            for half in 0..2 {
                sums[r][half] = _mm512_dpbf16_ps(sums[r][half], weights[half], x);
            }
        }
    }
    bytemuck::cast(sums)
}
