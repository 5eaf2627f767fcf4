//! Blocks as words of four numbers, for instructions of which one side has no sign: there a number is moved up by 128, and
//! what that adds to a sum, 128 times the other side's numbers, is taken away where the sum begins.

use pulp::bytemuck;

use super::{FOURS, Numbers};
use crate::packed::BLOCK;

/// Words of a block of weights: where its sum begins, then its numbers.
pub(super) const AND_START: usize = 1 + FOURS;

/// The numbers, each moved up by 128.
#[inline(always)]
pub(super) fn moved_up(numbers: Numbers) -> [u32; FOURS] {
    // What a flipped sign bit adds in each byte is 128.
    bytemuck::cast::<_, [u32; FOURS]>(numbers).map(|word| word ^ 0x8080_8080)
}

/// −128 times the sum of the numbers, then the numbers.
#[inline(always)]
pub(super) fn with_start(numbers: Numbers) -> [u32; AND_START] {
    // The bytes of moved numbers are added up two at a time, each of the two sums in 16 bits: eight words give at most
    // 8 · 510. Byte by byte the sum would take as long as all else.
    let two_sums: u32 =
        moved_up(numbers).map(|word| (word & 0x00ff_00ff) + (word >> 8 & 0x00ff_00ff)).iter().sum();
    let moved = (two_sums & 0xffff) + (two_sums >> 16);
    let sum = moved.cast_signed() - 128 * BLOCK as i32;
    let mut words = [(-128 * sum).cast_unsigned(); AND_START];
    words[1..].copy_from_slice(&bytemuck::cast::<_, [u32; FOURS]>(numbers));
    words
}
