//! Products with weights in bf16, forwards and backwards: what meets the weights is rounded to bf16, sums are in f32.
//!
//! With AVX512-BF16 and with Arm's bf16 an instruction adds two products a lane; elsewhere both operands are widened to
//! f32, where products of two such numbers are exact, and what differs is the order of the sums. A body says how a row is
//! rounded into words of two neighbours, and how those of a tile are summed.

#[cfg(target_arch = "aarch64")]
pub(super) mod arm;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;

use burn::tensor::bf16;

use super::matrix::Matrix;
use super::product::large_product;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::tiles::{self, Sums};

/// A weight as a product reads it.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    /// Row by row.
    pub(super) values: &'a [bf16],
    pub(super) rows: usize,
    /// Whether the product is with its transpose.
    pub(super) transposed: bool,
}

/// `x W`, `[rows, columns of W]`, for x in f32, or `x Wᵀ` where the weight is transposed.
pub(super) fn product(x: &[f32], weight: Weight<'_>) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if avx512::are_fast() {
        return avx512::product(x, weight);
    }
    #[cfg(target_arch = "aarch64")]
    if arm::are_fast() {
        return arm::product(x, weight);
    }
    widened(x, weight)
}

/// The product in f32 of the same numbers.
pub(super) fn widened(x: &[f32], weight: Weight<'_>) -> Vec<f32> {
    let Weight { values, rows, transposed } = weight;
    let x: Vec<f32> = x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    let values: Vec<f32> = values.iter().map(|w| w.to_f32()).collect();
    let columns = values.len() / rows;
    let weight = Matrix::rows(&values, rows, columns, columns);
    let weight = if transposed { weight.transposed() } else { weight };
    large_product(Matrix::rows(&x, x.len() / weight.rows, weight.rows, weight.rows), weight)
}

/// As [`product`]. A word holds two neighbours along the summed axis, and a step of a stream so many words of each row or
/// column. `put_row` rounds a row of a tile, which has this number there, into its stream.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn of_pairs<const WORDS: usize, const ROWS: usize, const COLUMNS: usize>(
    x: &[f32],
    weight: Weight<'_>,
    put_row: impl Fn(&[f32], usize, &mut [[[u32; WORDS]; ROWS]]) + Send + Sync,
    tile: impl Fn(&[[[u32; WORDS]; ROWS]], &[[[u32; COLUMNS]; WORDS]]) -> Sums<ROWS, COLUMNS> + Send + Sync,
) -> Vec<f32> {
    let Weight { values, rows, transposed } = weight;
    let width = values.len() / rows;
    let (depth, columns) = if transposed { (width, rows) } else { (rows, width) };
    let steps = depth.div_ceil(2 * WORDS);
    tiles::product(
        [x.len() / depth, columns],
        |row| {
            let mut stream = vec![[[0; WORDS]; ROWS]; steps];
            for (r, row) in x[row * depth..].chunks_exact(depth).take(ROWS).enumerate() {
                put_row(row, r, &mut stream);
            }
            stream
        },
        |column| {
            let mut stream = vec![[[0; COLUMNS]; WORDS]; steps];
            match transposed {
                true => put_rows(&values[column * depth..], depth, stream.as_flattened_mut()),
                false => put_columns(values, width, column, stream.as_flattened_mut()),
            }
            stream
        },
        tile,
    )
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn word(first: bf16, second: bf16) -> u32 {
    u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16
}

/// The words of a tile of a matrix of so many columns, from its first column on.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn put_columns<const COLUMNS: usize>(
    weight: &[bf16],
    columns: usize,
    first: usize,
    stream: &mut [[u32; COLUMNS]],
) {
    let width = COLUMNS.min(columns - first);
    let zeros = [bf16::ZERO; COLUMNS];
    for (words, pair) in stream.iter_mut().zip(weight.chunks(2 * columns)) {
        let mut rows = pair.chunks_exact(columns).map(|row| &row[first..][..width]);
        let above = rows.next().expect("a pair has a row");
        let below = rows.next().unwrap_or(&zeros[..width]);
        for (word, (&above, &below)) in words.iter_mut().zip(above.iter().zip(below)) {
            *word = self::word(above, below);
        }
    }
}

/// The words of a tile of the transpose of a matrix of so many columns, from its first row on.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn put_rows<const COLUMNS: usize>(rows: &[bf16], columns: usize, stream: &mut [[u32; COLUMNS]]) {
    for (c, row) in rows.chunks_exact(columns).take(COLUMNS).enumerate() {
        for (words, pair) in stream.iter_mut().zip(row.chunks(2)) {
            words[c] = word(pair[0], pair.get(1).copied().unwrap_or(bf16::ZERO));
        }
    }
}
