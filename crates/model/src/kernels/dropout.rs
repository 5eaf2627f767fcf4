//! Which elements dropout takes away: a hash of seed, row and column.
//!
//! It needs 32-bit integers only, which a page's WebGPU has too, so the same seed drops the same elements everywhere.

use super::Dropout;

/// The choice for a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct DropoutHash {
    /// Halves of the seed.
    pub(super) seed: [u32; 2],
    /// Hashes below it are dropped.
    pub(super) threshold: u32,
    /// What the others are multiplied by.
    pub(super) factor: f32,
}

impl From<Dropout> for DropoutHash {
    fn from(Dropout { keep, seed }: Dropout) -> Self {
        Self {
            seed: [seed as u32, (seed >> 32) as u32],
            threshold: ((1.0 - keep) * 2_f64.powi(32)) as u32,
            factor: (1.0 / keep) as f32,
        }
    }
}

impl DropoutHash {
    /// What the elements of a row share.
    pub(super) fn row_key(self, row: u32) -> u32 {
        mix(mix(row ^ self.seed[0]) ^ self.seed[1])
    }

    /// The factor of an element: 0 or 1 / keep.
    #[inline(always)]
    pub(super) fn factor(self, row_key: u32, column: u32) -> f32 {
        if mix(column.wrapping_mul(0x9e37_79b1) ^ row_key) < self.threshold { 0.0 } else { self.factor }
    }
}

/// Mixes 32 bits by shifts and odd multipliers.
#[inline(always)]
fn mix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h = (h ^ (h >> 16)).wrapping_mul(0x9e37_79b1);
    h ^ (h >> 15)
}
