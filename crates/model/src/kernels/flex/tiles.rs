//! Products of operands that were put into the order in which a tile of the output reads them.
//!
//! A tile is [`ROWS`] rows by [`COLUMNS`] columns, whose sums stay in registers while both operands stream by. What a
//! step of the stream holds, and how it is summed, is the caller's: numbers of 8 or 16 bits, several of them in a word.

use super::{filled, tasks};

/// Rows of a tile: with two vectors a row, sums of two kinds fill 24 of the 32 registers of AVX-512.
pub(super) const ROWS: usize = 6;
/// Columns of a tile: two vectors of AVX-512.
pub(super) const COLUMNS: usize = 32;
/// Rows of the output that are computed as one task.
const TASK_ROWS: usize = 16 * ROWS;

/// The sums of a tile.
pub(super) type Sums = [[f32; COLUMNS]; ROWS];

/// The product as `[rows, columns]`. `left` gives the stream of the tile that begins at a row and `right` of that which
/// begins at a column, each with anything finite beyond the edge.
pub(super) fn product<L: Send + Sync, R: Send + Sync>(
    [rows, columns]: [usize; 2],
    left: impl Fn(usize) -> Vec<L> + Send + Sync,
    right: impl Fn(usize) -> Vec<R> + Send + Sync,
    tile: impl Fn(&[L], &[R]) -> Sums + Send + Sync,
) -> Vec<f32> {
    let panels = tasks(columns.div_ceil(COLUMNS), |panel| right(panel * COLUMNS));
    let ([output], _) = filled(rows, [columns], TASK_ROWS, |first, [output]| {
        let starts = (0..output.len() / columns).step_by(ROWS);
        let tiles: Vec<Vec<L>> = starts.map(|start| left(first + start)).collect();
        for (panel, right) in panels.iter().enumerate() {
            let place = panel * COLUMNS..columns.min((panel + 1) * COLUMNS);
            for (left, rows) in tiles.iter().zip(output.chunks_mut(ROWS * columns)) {
                let sums = tile(left, right);
                for (sums, row) in sums.iter().zip(rows.chunks_exact_mut(columns)) {
                    row[place.clone()].copy_from_slice(&sums[..place.len()]);
                }
            }
        }
    });
    output
}
