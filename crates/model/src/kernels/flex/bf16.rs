//! Products with weights in bf16, forwards and backwards: what meets the weights is rounded to bf16, sums are in f32.
//!
//! With AVX512-BF16 an instruction adds two products a lane; elsewhere both operands are widened to f32, where products of
//! two such numbers are exact, and what differs is the order of the sums.

use burn::tensor::bf16;

use super::matrix::Matrix;
use super::product::large_product;

/// `x W`, `[rows, columns of W]`, for x in f32 and a weight of so many rows, or `x Wᵀ` where `transposed`.
pub(super) fn product(x: &[f32], weight: &[bf16], weight_rows: usize, transposed: bool) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if pairs::are_fast() {
        return pairs::product(x, weight, weight_rows, transposed);
    }
    widened(x, weight, weight_rows, transposed)
}

/// The product in f32 of the same numbers.
pub(super) fn widened(x: &[f32], weight: &[bf16], weight_rows: usize, transposed: bool) -> Vec<f32> {
    let x: Vec<f32> = x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    let weight: Vec<f32> = weight.iter().map(|w| w.to_f32()).collect();
    let columns = weight.len() / weight_rows;
    let weight = Matrix::rows(&weight, weight_rows, columns, columns);
    let weight = if transposed { weight.transposed() } else { weight };
    large_product(Matrix::rows(&x, x.len() / weight.rows, weight.rows, weight.rows), weight)
}

/// With AVX512-BF16: a word holds two neighbours along the summed axis.
#[cfg(target_arch = "x86_64")]
pub(super) mod pairs {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    };

    use burn::tensor::bf16;
    use pulp::bytemuck;

    use crate::kernels::flex::tiles::{self, Sums};

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
    pub(in super::super) fn product(
        x: &[f32],
        weight: &[bf16],
        weight_rows: usize,
        transposed: bool,
    ) -> Vec<f32> {
        assert!(are_fast());
        let weight_columns = weight.len() / weight_rows;
        let (depth, columns) =
            if transposed { (weight_columns, weight_rows) } else { (weight_rows, weight_columns) };
        tiles::product(
            [x.len() / depth, columns],
            |row| {
                let mut stream = vec![[0; ROWS]; depth.div_ceil(2)];
                for (r, row) in x[row * depth..].chunks_exact(depth).take(ROWS).enumerate() {
                    // SAFETY: the chip has the instructions (asserted above).
                    #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
                    unsafe {
                        put_row(row, r, &mut stream);
                    }
                }
                stream
            },
            |column| match transposed {
                true => transposed_words(&weight[column * depth..], depth),
                false => words(weight, weight_columns, column),
            },
            |left: &[[u32; ROWS]], right: &[[u32; COLUMNS]]| {
                // SAFETY: as above.
                #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
                unsafe {
                    sums(left, right)
                }
            },
        )
    }

    fn word(first: bf16, second: bf16) -> u32 {
        u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16
    }

    /// The stream of a tile of a matrix of so many columns, from its first column on.
    fn words(weight: &[bf16], columns: usize, first: usize) -> Vec<[u32; COLUMNS]> {
        let width = COLUMNS.min(columns - first);
        let zeros = [bf16::ZERO; COLUMNS];
        let pairs = weight.chunks(2 * columns).map(|pair| {
            let mut rows = pair.chunks_exact(columns).map(|row| &row[first..][..width]);
            let above = rows.next().expect("a pair has a row");
            let below = rows.next().unwrap_or(&zeros[..width]);
            let mut words = [0; COLUMNS];
            for (word, (&above, &below)) in words.iter_mut().zip(above.iter().zip(below)) {
                *word = self::word(above, below);
            }
            words
        });
        pairs.collect()
    }

    /// The stream of a tile of the transpose of a matrix of so many columns, from its first row on.
    fn transposed_words(rows: &[bf16], columns: usize) -> Vec<[u32; COLUMNS]> {
        let mut stream = vec![[0; COLUMNS]; columns.div_ceil(2)];
        for (c, row) in rows.chunks_exact(columns).take(COLUMNS).enumerate() {
            for (words, pair) in stream.iter_mut().zip(row.chunks(2)) {
                words[c] = word(pair[0], pair.get(1).copied().unwrap_or(bf16::ZERO));
            }
        }
        stream
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
}
