//! Weights in 8 bits: 32 neighbours along the input axis share a scale.
//!
//! The block format of llama.cpp's `Q8_0` with a scale in f32: `w ≈ scale · q`, `q` from -127 to 127 and `scale` the
//! largest magnitude of the block divided by 127, so that no weight moves by more than half a scale. Packed weights
//! are for inference; products read them packed ([`Kernels::packed_projection`](crate::Kernels::packed_projection)).

use burn::tensor::quantization::{BlockSize, QuantLevel, QuantScheme, QuantValue};
use burn::tensor::{DType, TensorData};

/// Weights that share a scale.
pub const BLOCK: usize = 32;

/// The format as burn describes it.
fn scheme() -> QuantScheme {
    QuantScheme::default()
        .with_value(QuantValue::Q8S)
        .with_level(QuantLevel::Block(BlockSize::new([BLOCK as u8])))
}

/// Whether a weight `[out, in]` is made of whole blocks.
pub fn is_packable(shape: &[usize]) -> bool {
    matches!(shape, [_, inputs] if inputs.is_multiple_of(BLOCK) && *inputs > 0)
}

/// Bytes of this many packed weights; `None` where that is beyond 64 bits.
///
/// # Panics
/// When they are not whole blocks.
pub fn size(n: u64) -> Option<u64> {
    assert!(n.is_multiple_of(BLOCK as u64), "{n} weights are not whole blocks");
    n.checked_add(n / BLOCK as u64 * 4)
}

/// Packs weights: all `q` first, one byte each, then all scales, little-endian.
///
/// # Panics
/// When they are not whole blocks.
pub fn pack(weights: &[f32]) -> Vec<u8> {
    let (blocks, rest) = weights.as_chunks::<BLOCK>();
    assert!(rest.is_empty(), "{} weights are not whole blocks", weights.len());
    let mut bytes = Vec::with_capacity(weights.len() + blocks.len() * 4);
    let mut scales = Vec::with_capacity(blocks.len() * 4);
    for block in blocks {
        let largest = block.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
        // A block of zeros has any scale; 1 divides well.
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        bytes.extend(block.map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8 as u8));
        scales.extend(scale.to_le_bytes());
    }
    bytes.append(&mut scales);
    bytes
}

/// Appends the weights of [`pack`]ed bytes.
pub fn unpack(bytes: &[u8], weights: &mut Vec<f32>) {
    let n = bytes.len() / (BLOCK + 4) * BLOCK;
    let (values, scales) = bytes.split_at(n);
    let (blocks, (scales, _)) = (values.as_chunks::<BLOCK>().0, scales.as_chunks::<4>());
    for (block, &scale) in blocks.iter().zip(scales) {
        let scale = f32::from_le_bytes(scale);
        weights.extend(block.map(|q| scale * f32::from(q as i8)));
    }
}

/// The scales of [`pack`]ed bytes, one for each block.
pub fn scales(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let blocks = bytes.len() / (BLOCK + 4);
    bytes[blocks * BLOCK..].as_chunks::<4>().0.iter().map(|&scale| f32::from_le_bytes(scale))
}

/// [`pack`]ed bytes as burn takes them, for a weight of this shape.
pub fn data(bytes: Vec<u8>, shape: Vec<usize>) -> TensorData {
    TensorData::from_bytes_vec(bytes, shape, DType::QFloat(scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut weights = [0.0; 2 * BLOCK];
        weights[..4].copy_from_slice(&[-12.7, 0.06, 0.04, 6.35]);
        let bytes = pack(&weights);
        assert_eq!(bytes.len() as u64, size(64).unwrap());
        // The scale is 0.1: -127, round(0.6), round(0.4), round(63.5) away from zero.
        assert_eq!(bytes[..5].iter().map(|&q| q as i8).collect::<Vec<_>>(), [-127, 1, 0, 64, 0]);
        assert_eq!(bytes[64..68], (12.7_f32 / 127.0).to_le_bytes());
        assert_eq!(bytes[68..72], 1.0_f32.to_le_bytes());
    }

    #[test]
    fn no_weight_moves_by_more_than_half_a_scale() {
        let weights: Vec<f32> =
            (0..320).map(|i| ((i * 37 % 101) as f32 - 50.0) * (1.5_f32).powi(i % 13)).collect();
        let mut unpacked = Vec::new();
        unpack(&pack(&weights), &mut unpacked);
        assert_eq!(unpacked.len(), weights.len());
        for (before, after) in weights.chunks(BLOCK).zip(unpacked.chunks(BLOCK)) {
            let largest = before.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
            for (b, a) in before.iter().zip(after) {
                assert!((b - a).abs() <= largest / 254.0 * 1.000_01, "{b} became {a}");
            }
        }
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert!(
            is_packable(&[3, 64]) && !is_packable(&[64, 172]) && !is_packable(&[64]) && !is_packable(&[4, 0])
        );
    }
}
