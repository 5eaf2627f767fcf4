//! Blocks as words of four numbers.

use pulp::bytemuck;

use super::Numbers;
use crate::packed::BLOCK;

/// Words of a block.
pub(super) const FOURS: usize = BLOCK / 4;
/// Words of a block of weights: where its sum begins, then its numbers.
pub(super) const AND_START: usize = 1 + FOURS;

/// Numbers moved up by 128, for an instruction that takes them without a sign.
#[inline(always)]
pub(super) fn moved_up(numbers: Numbers) -> [u32; FOURS] {
    // What a flipped sign bit adds in each byte is 128.
    bytemuck::cast::<_, [u32; FOURS]>(numbers).map(|word| word ^ 0x8080_8080)
}

/// What to begin with, so that what [`moved_up`] adds is taken away, then the numbers.
#[inline(always)]
pub(super) fn with_start(numbers: Numbers) -> [u32; AND_START] {
    // Of words of four numbers without a sign, pairs are added up at once; one by one they would take as long as all else.
    let halves: u32 =
        moved_up(numbers).map(|word| (word & 0x00ff_00ff) + (word >> 8 & 0x00ff_00ff)).iter().sum();
    let moved = (halves & 0xffff) + (halves >> 16);
    let sum = moved.cast_signed() - 128 * BLOCK as i32;
    let mut words = [(-128 * sum).cast_unsigned(); AND_START];
    words[1..].copy_from_slice(&bytemuck::cast::<_, [u32; FOURS]>(numbers));
    words
}
