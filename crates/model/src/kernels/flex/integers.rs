//! Products of 8-bit integers.
//!
//! Activations are rounded as weights are packed: 32 neighbours share a scale, so that a large number costs its own block
//! precision and no other. The sum over a block is exact, whatever instruction makes it, so all bodies get the same
//! integers; the sums of blocks are added up in f32. A body says how the numbers of a block become words of its
//! instruction, and how those of a tile are summed.

#[cfg(target_arch = "aarch64")]
pub(super) mod arm;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(any(target_arch = "x86_64", feature = "relaxed-simd", test))]
mod fours;
#[cfg(any(target_arch = "wasm32", test))]
pub(super) mod simd128;
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni;

use pulp::Arch;

use super::blocks::Packed;
use super::simd::vectorized;
use super::tiles::{self, Sums};
use crate::packed::BLOCK;

/// Words of a block that hold four numbers each.
#[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
const FOURS: usize = BLOCK / 4;

/// The numbers of a block.
pub(super) type Numbers = [i8; BLOCK];

/// A block of inputs of the activations of a tile, as so many words of each row.
#[derive(Clone, Copy)]
pub(super) struct Activations<const WORDS: usize, const ROWS: usize> {
    pub(super) words: [[u32; WORDS]; ROWS],
    pub(super) scales: [f32; ROWS],
}

/// A block of inputs of the weights of a tile, as so many words of each column. A word of all columns fills whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Weights<const WORDS: usize, const COLUMNS: usize> {
    pub(super) words: [[u32; COLUMNS]; WORDS],
    pub(super) scales: [f32; COLUMNS],
}

/// `x Wᵀ`, `[rows, outputs]`: `of_activations` gives the words of a block, `of_weights` those of the weight's. What does not
/// inline into the loops is slow.
pub(super) fn product<const A: usize, const W: usize, const ROWS: usize, const COLUMNS: usize>(
    x: &[f32],
    weight: Packed<'_>,
    of_activations: impl Fn(Numbers) -> [u32; A] + Send + Sync,
    of_weights: impl Fn(Numbers) -> [u32; W] + Send + Sync,
    tile: impl Fn(&[Activations<A, ROWS>], &[Weights<W, COLUMNS>]) -> Sums<ROWS, COLUMNS> + Send + Sync,
) -> Vec<f32> {
    let arch = Arch::new();
    let inputs = weight.blocks * BLOCK;
    tiles::product(
        [x.len() / inputs, weight.outputs()],
        |row| activations(arch, &x[row * inputs..], weight.blocks, &of_activations),
        |column| weights(weight, column, &of_weights),
        tile,
    )
}

/// The stream of a tile from its first row on.
fn activations<const A: usize, const ROWS: usize>(
    arch: Arch,
    x: &[f32],
    blocks: usize,
    words: impl Fn(Numbers) -> [u32; A],
) -> Vec<Activations<A, ROWS>> {
    let none = Activations { words: [[0; A]; ROWS], scales: [0.0; ROWS] };
    let mut stream = vec![none; blocks];
    vectorized(
        arch,
        #[inline(always)]
        || {
            for (r, row) in x.chunks_exact(blocks * BLOCK).take(ROWS).enumerate() {
                for (step, block) in stream.iter_mut().zip(row.as_chunks().0) {
                    let (numbers, scale) = rounded(block);
                    step.words[r] = words(numbers);
                    step.scales[r] = scale;
                }
            }
        },
    );
    stream
}

/// Numbers from −127 to 127 and their scale, which is not finite where one of the block is not.
#[inline(always)]
fn rounded(block: &[f32; BLOCK]) -> (Numbers, f32) {
    // Adding 1.5 · 2²³ rounds to the nearest integer, which the sum has in its last bits.
    const ROUND: f32 = 12_582_912.0;
    // Without their sign, larger numbers have larger bits, and infinity and NaN the largest.
    let mut largest = 0;
    for x in block {
        largest = largest.max(x.to_bits() & (u32::MAX >> 1));
    }
    let largest = f32::from_bits(largest);
    // Below, the factor would overflow, and nothing is lost.
    let factor = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
    let mut numbers = [0; BLOCK];
    for (q, x) in numbers.iter_mut().zip(block) {
        *q = (x * factor + ROUND).to_bits() as i8;
    }
    (numbers, largest / 127.0)
}

/// The stream of a tile from its first column on.
fn weights<const W: usize, const COLUMNS: usize>(
    weight: Packed<'_>,
    first: usize,
    words: impl Fn(Numbers) -> [u32; W],
) -> Vec<Weights<W, COLUMNS>> {
    // What has no weight has a scale of zero.
    let mut stream = vec![Weights { words: [[0; COLUMNS]; W], scales: [0.0; COLUMNS] }; weight.blocks];
    let blocks = first * weight.blocks..;
    let rows = weight.values[blocks.clone()].chunks_exact(weight.blocks);
    let rows = rows.zip(weight.scales[blocks].chunks_exact(weight.blocks));
    for (c, (values, scales)) in rows.take(COLUMNS).enumerate() {
        for (step, (block, &scale)) in stream.iter_mut().zip(values.iter().zip(scales)) {
            for (place, word) in step.words.iter_mut().zip(words(*block)) {
                place[c] = word;
            }
            step.scales[c] = scale;
        }
    }
    stream
}
