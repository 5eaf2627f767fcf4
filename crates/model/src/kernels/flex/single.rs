//! Matrix products in f32 on strided views, with the vectors of wasm.
//!
//! The kernels of `gemm` have tiles of 12 vectors there. With their operands those are more than the 16 registers of the
//! usual processor, so that the browser keeps some in memory, and half of the speed is lost. Relaxed SIMD multiplies and
//! adds in one operation, which is a fifth faster; its sums differ between browsers in their last bits, so products with
//! weights in f32 alone have it.

use pulp::bytemuck;

use super::matrix::{Matrix, Target};
use super::tiles::{self, Sums};
use super::vectors::{self, Vector, four};

/// Rows of a tile.
const ROWS: usize = 4;
/// Vectors in a row of a tile.
const VECTORS: usize = 2;
/// Columns of a tile.
const COLUMNS: usize = 4 * VECTORS;

/// `target = left · right` (or `+=`), with the same bits in every browser: what packed weights meet depends on them.
pub(super) fn product(left: Matrix<'_>, right: Matrix<'_>, target: &mut Target<'_>) {
    assert_eq!((left.rows, right.columns), (target.rows, target.columns));
    let product = tiled(left, right, sums);
    for (sums, row) in product.chunks_exact(target.columns).zip(target.values.chunks_mut(target.stride)) {
        let row = &mut row[..target.columns];
        match target.add {
            true => row.iter_mut().zip(sums).for_each(|(x, sum)| *x += sum),
            false => row.copy_from_slice(sums),
        }
    }
}

/// `left · right` as `[left.rows, right.columns]`, as fast as the browser can.
pub(super) fn large_product(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
    #[allow(clippy::redundant_closure, reason = "in wasm a function for instructions of its own is no `Fn`")]
    tiled(left, right, |left, right| fused_sums(left, right))
}

fn tiled(
    left: Matrix<'_>,
    right: Matrix<'_>,
    tile: impl Fn(&[[f32; ROWS]], &[[f32; COLUMNS]]) -> Sums<ROWS, COLUMNS> + Send + Sync,
) -> Vec<f32> {
    assert_eq!(left.columns, right.rows);
    tiles::product(
        [left.rows, right.columns],
        |row| stream::<ROWS>(left.transposed(), row),
        |column| stream::<COLUMNS>(right, column),
        tile,
    )
}

/// So many columns of a matrix from one on, row by row; zero beyond its edge.
fn stream<const N: usize>(matrix: Matrix<'_>, first: usize) -> Vec<[f32; N]> {
    let mut stream = vec![[0.0; N]; matrix.rows];
    let column = |column: usize| &matrix.values[(first + column) * matrix.column_stride..];
    let width = N.min(matrix.columns - first);
    // Columns whose numbers lie side by side, four columns at a time.
    let fours = if matrix.row_stride == 1 { width / 4 } else { 0 };
    for four in 0..fours {
        interleave(std::array::from_fn(|i| &column(4 * four + i)[..matrix.rows]), &mut stream, 4 * four);
    }
    for place in 4 * fours..width {
        for (step, &x) in stream.iter_mut().zip(column(place).iter().step_by(matrix.row_stride)) {
            step[place] = x;
        }
    }
    stream
}

/// Puts columns into four places of every step of a stream, from one on.
fn interleave<const N: usize>(columns: [&[f32]; 4], stream: &mut [[f32; N]], first: usize) {
    let parts = columns.map(|column| column.as_chunks::<4>());
    let (steps, last_steps) = stream.as_chunks_mut::<4>();
    for (i, steps) in steps.iter_mut().enumerate() {
        let turned = vectors::transposed(parts.map(|(fours, _)| vectors::numbers(fours[i])));
        for (step, numbers) in steps.iter_mut().zip(turned) {
            step[first..first + 4].copy_from_slice(&vectors::lanes(numbers));
        }
    }
    for (i, step) in last_steps.iter_mut().enumerate() {
        step[first..first + 4].copy_from_slice(&parts.map(|(_, rest)| rest[i]));
    }
}

/// The sums of a tile, with a product and a sum for each step.
fn sums(left: &[[f32; ROWS]], right: &[[f32; COLUMNS]]) -> Sums<ROWS, COLUMNS> {
    sums_by(
        left,
        right,
        #[inline(always)]
        |sum, x, y| vectors::add(sum, vectors::mul(x, y)),
    )
}

/// The same with one operation for both, where the browser has relaxed SIMD.
#[allow(clippy::redundant_closure, reason = "as in `large_product`")]
#[cfg_attr(all(target_arch = "wasm32", feature = "relaxed-simd"), target_feature(enable = "relaxed-simd"))]
fn fused_sums(left: &[[f32; ROWS]], right: &[[f32; COLUMNS]]) -> Sums<ROWS, COLUMNS> {
    sums_by(
        left,
        right,
        #[inline(always)]
        |sum, x, y| vectors::add_product(sum, x, y),
    )
}

#[inline(always)]
fn sums_by(
    left: &[[f32; ROWS]],
    right: &[[f32; COLUMNS]],
    add_product: impl Fn(Vector, Vector, Vector) -> Vector,
) -> Sums<ROWS, COLUMNS> {
    let mut sums = [[vectors::numbers([0.0; 4]); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        let right: [_; VECTORS] = std::array::from_fn(|v| vectors::numbers(four(right, v)));
        for (sums, &x) in sums.iter_mut().zip(left) {
            let x = vectors::numbers([x; 4]);
            for (sum, &right) in sums.iter_mut().zip(&right) {
                *sum = add_product(*sum, x, right);
            }
        }
    }
    sums.map(|row| bytemuck::cast(row.map(vectors::lanes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_other_kernels() {
        let wave = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
        for [rows, depth, columns] in [[1, 1, 1], [4, 8, 8], [7, 37, 19], [70, 64, 45]] {
            // Rows of both lie further apart than they are long.
            let (x, y) =
                (wave(rows * (depth + 3), 0.37), wave(columns.max(depth) * (depth.max(columns) + 2), 0.91));
            let left = Matrix::rows(&x, rows, depth, depth + 3);
            for right in [
                Matrix::rows(&y, depth, columns, columns + 2),
                Matrix::rows(&y, columns, depth, depth + 2).transposed(),
            ] {
                let large = [large_product, super::super::product::large_product].map(|p| p(left, right));
                for (ours, theirs) in large[0].iter().zip(&large[1]) {
                    assert!((ours - theirs).abs() <= 1e-5, "{rows} {depth} {columns}: {ours} {theirs}");
                }
                for add in [false, true] {
                    let mut results = [product, super::super::product::product].map(|product| {
                        let mut values = vec![0.5; rows * (columns + 1)];
                        product(
                            left,
                            right,
                            &mut Target { values: &mut values, rows, columns, stride: columns + 1, add },
                        );
                        values
                    });
                    let [ours, theirs] = results.each_mut();
                    for (ours, theirs) in ours.iter().zip(theirs) {
                        assert!((*ours - *theirs).abs() <= 1e-5, "{rows} {depth} {columns}: {ours} {theirs}");
                    }
                }
            }
        }
    }
}
