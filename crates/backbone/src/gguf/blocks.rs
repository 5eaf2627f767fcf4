//! The tensor types of GGUF and what their bytes mean, as f32.
//!
//! A tensor is a row of blocks; a block holds a few values that share a scale and perhaps a minimum. Layouts are those
//! of llama.cpp (`ggml-common.h`); the arithmetic, in f32 and in this order, is that of the Python package `gguf`, so
//! that every bit agrees.

use half::{bf16, f16};

/// How the values of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

/// Types that are not read, by their number, so that messages can name them.
const UNREAD: [(u32, &str); 24] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (36, "IQ4_NL_4_4"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

impl TensorType {
    /// All that are read.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// The type of this number in a file, or what the number is called.
    pub(crate) fn from_id(id: u32) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.id() == id);
        known.ok_or_else(|| {
            let name = UNREAD.iter().find(|(unread, _)| *unread == id).map(|(_, name)| (*name).to_owned());
            name.unwrap_or_else(|| format!("number {id}"))
        })
    }

    fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
            Self::BF16 => 30,
        }
    }

    /// What the format calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Values of a block; a tensor's rows are whole blocks.
    pub(crate) fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 2 + 2 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 2 + 2 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4K => 2 + 2 + 12 + 128,
            Self::Q5K => 2 + 2 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
        }
    }

    /// The values of whole blocks.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let decode_block = match self {
            Self::F32 => f32_value,
            Self::F16 => f16_value,
            Self::BF16 => bf16_value,
            Self::Q4_0 => q4_0,
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q8_0 => q8_0,
            Self::Q4K => q4_k,
            Self::Q5K => q5_k,
            Self::Q6K => q6_k,
        };
        let mut values = Vec::with_capacity(bytes.len() / self.block_bytes() * self.block_len());
        for block in bytes.chunks_exact(self.block_bytes()) {
            decode_block(block, &mut values);
        }
        values
    }
}

fn f32_value(block: &[u8], values: &mut Vec<f32>) {
    values.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]]));
}

fn f16_value(block: &[u8], values: &mut Vec<f32>) {
    values.push(half_at(block, 0));
}

fn bf16_value(block: &[u8], values: &mut Vec<f32>) {
    values.push(bf16::from_le_bytes([block[0], block[1]]).to_f32());
}

/// The f16 at an offset.
fn half_at(block: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([block[offset], block[offset + 1]]).to_f32()
}

/// Sixteen bytes as 32 numbers of four bits: the low halves first, then the high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

/// Scale, values less 8.
fn q4_0(block: &[u8], values: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    values.extend(nibbles(&block[2..]).map(|q| scale * (f32::from(q) - 8.0)));
}

/// Scale, minimum, values.
fn q4_1(block: &[u8], values: &mut Vec<f32>) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    values.extend(nibbles(&block[4..]).map(|q| scale * f32::from(q) + minimum));
}

/// Fifth bits as one number, and the four low bits of each value.
fn fives(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let fifth = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    nibbles(&bytes[4..]).enumerate().map(move |(i, low)| {
        let high = (fifth >> i & 1) as u8;
        f32::from(low | high << 4)
    })
}

/// Scale, values less 16.
fn q5_0(block: &[u8], values: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    values.extend(fives(&block[2..]).map(|q| scale * (q - 16.0)));
}

/// Scale, minimum, values.
fn q5_1(block: &[u8], values: &mut Vec<f32>) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    values.extend(fives(&block[4..]).map(|q| scale * q + minimum));
}

/// Scale, values.
fn q8_0(block: &[u8], values: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    values.extend(block[2..].iter().map(|&q| f32::from(q.cast_signed()) * scale));
}

/// Six-bit scale and minimum of each of the eight groups of 32 values in a block of 256.
///
/// Bytes 0 to 3 hold the scales of the first four groups, 4 to 7 their minima, with two bits of those of the last four
/// on top; 8 to 11 hold the other four bits of both.
fn group_scales(packed: &[u8]) -> [(f32, f32); 8] {
    std::array::from_fn(|group| {
        let (scale, minimum) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let low = packed[group + 4];
            (low & 15 | packed[group - 4] >> 2 & 48, low >> 4 | packed[group] >> 2 & 48)
        };
        (f32::from(scale), f32::from(minimum))
    })
}

/// Scale of the scales, scale of the minima, both per group, values.
fn q4_k(block: &[u8], values: &mut Vec<f32>) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    for (group, (s, m)) in group_scales(&block[4..16]).into_iter().enumerate() {
        let (scale, minimum) = (scale * s, minimum * m);
        let low = &block[16 + group / 2 * 32..][..32];
        values.extend(low.iter().map(|q| scale * f32::from(q >> (group % 2 * 4) & 15) - minimum));
    }
}

/// As [`q4_k`], with a fifth bit per value.
fn q5_k(block: &[u8], values: &mut Vec<f32>) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let fifth = &block[16..48];
    for (group, (s, m)) in group_scales(&block[4..16]).into_iter().enumerate() {
        let (scale, minimum) = (scale * s, minimum * m);
        let low = &block[48 + group / 2 * 32..][..32];
        values.extend(low.iter().zip(fifth).map(|(low, fifth)| {
            let q = low >> (group % 2 * 4) & 15 | (fifth >> group & 1) << 4;
            scale * f32::from(q) - minimum
        }));
    }
}

/// Four low bits and two high bits per value, a signed scale per 16 values, scale of the scales; values less 32.
fn q6_k(block: &[u8], values: &mut Vec<f32>) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half_at(block, 208);
    for group in 0..8 {
        let (half, part) = (group / 4, group % 4);
        let low = &low[half * 64 + part % 2 * 32..][..32];
        let high = &high[half * 32..][..32];
        values.extend(low.iter().zip(high).enumerate().map(|(i, (low, high))| {
            let q = low >> (part / 2 * 4) & 15 | (high >> (part * 2) & 3) << 4;
            let scale = scale * f32::from(scales[group * 2 + i / 16].cast_signed());
            scale * (f32::from(q) - 32.0)
        }));
    }
}
