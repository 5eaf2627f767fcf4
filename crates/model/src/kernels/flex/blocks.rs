//! A packed weight as products read it: blocks of 8-bit integers, each with its scale.

use crate::packed::BLOCK;

/// A packed weight `[outputs, inputs]`.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    /// Row by row.
    pub(super) values: &'a [[i8; BLOCK]],
    /// Scale of each block.
    pub(super) scales: &'a [f32],
    /// Blocks of a row.
    pub(super) blocks: usize,
}

impl Packed<'_> {
    pub(super) fn outputs(&self) -> usize {
        self.scales.len() / self.blocks
    }
}
