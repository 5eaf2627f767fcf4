//! Products of operands that were put into the order in which a tile of the output reads them.
//!
//! A tile is some rows by some columns, whose sums stay in registers while both operands stream by. Its size, what a
//! step of the stream holds, and how it is summed, is the caller's: numbers of 8 or 16 bits, several of them in a word.

use super::{filled, tasks};

/// Tiles below each other that are computed as one task.
const TASK_TILES: usize = 16;

/// The sums of a tile.
pub(super) type Sums<const ROWS: usize, const COLUMNS: usize> = [[f32; COLUMNS]; ROWS];

/// The product as `[rows, columns]`. `left` gives the stream of the tile that begins at a row and `right` of that which
/// begins at a column, each with anything finite beyond the edge.
pub(super) fn product<L: Send + Sync, R: Send + Sync, const ROWS: usize, const COLUMNS: usize>(
    [rows, columns]: [usize; 2],
    left: impl Fn(usize) -> Vec<L> + Send + Sync,
    right: impl Fn(usize) -> Vec<R> + Send + Sync,
    tile: impl Fn(&[L], &[R]) -> Sums<ROWS, COLUMNS> + Send + Sync,
) -> Vec<f32> {
    let panels = tasks(columns.div_ceil(COLUMNS), |panel| right(panel * COLUMNS));
    let ([output], _) = filled(rows, [columns], TASK_TILES * ROWS, |first, [output]| {
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
