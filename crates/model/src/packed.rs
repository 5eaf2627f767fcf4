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

/// As [`pack`], for a weight `[out, in]` whose inputs have these means: roundings are chosen so that those of a row
/// together leave the mean of its output where it was. Inputs of a LLaMA have a few channels with large means, so that
/// what is rounded there moves every document's output by the same amount, layer after layer.
///
/// No weight moves by more than a scale. Those move further than half a scale that are nearest to the middle between two
/// values, for the effect that they have.
///
/// # Panics
/// When the weights are not rows of whole blocks.
pub fn pack_balanced(weights: &[f32], means: &[f32]) -> Vec<u8> {
    let n = means.len();
    assert!(
        is_packable(&[weights.len() / n.max(1), n]) && weights.len().is_multiple_of(n),
        "rows of {n} weights"
    );
    let mut bytes = pack(weights);
    let scales: Vec<f32> = scales(&bytes).collect();
    let rows = weights.chunks_exact(n).zip(bytes.chunks_exact_mut(n)).zip(scales.chunks_exact(n / BLOCK));
    for ((weights, packed), scales) in rows {
        balance(weights, packed, scales, means);
    }
    bytes
}

/// Moves values of one row to the other neighbour of their weights, as long as its mean output comes nearer to what it was.
fn balance(weights: &[f32], packed: &mut [u8], scales: &[f32], means: &[f32]) {
    let scale = |place: usize| f64::from(scales[place / BLOCK]);
    let error = |place: usize, q: u8| scale(place) * f64::from(q as i8) - f64::from(weights[place]);
    let errors: Vec<f64> = packed.iter().enumerate().map(|(place, &q)| error(place, q)).collect();
    let mut shift: f64 = errors.iter().zip(means).map(|(error, &mean)| error * f64::from(mean)).sum();
    let mut steps: Vec<(f64, usize, i8, f64)> = Vec::new();
    for (place, &error) in errors.iter().enumerate() {
        let step = if error > 0.0 { -1 } else { 1 };
        let change = f64::from(step) * scale(place) * f64::from(means[place]);
        let stays_a_value = (packed[place] as i8).checked_add(step).is_some_and(|q| q >= -127);
        if error != 0.0 && change * shift < 0.0 && stays_a_value {
            // What the square of the error grows by, for what the step does.
            let cost = scale(place) * (scale(place) - 2.0 * error.abs());
            steps.push((cost / change.abs(), place, step, change));
        }
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, place, step, change) in steps {
        if (shift + change).abs() < shift.abs() {
            packed[place] = (packed[place] as i8 + step) as u8;
            shift += change;
        }
    }
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
    fn balanced_rows_leave_the_mean_of_their_output() {
        let wave = |i: usize, step: f64| (i as f64 * step).sin() as f32;
        let n = 8 * BLOCK;
        let weights: Vec<f32> = (0..3 * n).map(|i| wave(i, 1.7) * 0.1).collect();
        // Two channels are outliers, as in a LLaMA.
        let mut means: Vec<f32> = (0..n).map(|i| wave(i, 0.9)).collect();
        (means[5], means[100]) = (40.0, -15.0);
        let shifts = |bytes: &[u8]| -> Vec<f64> {
            let mut unpacked = Vec::new();
            unpack(bytes, &mut unpacked);
            let errors: Vec<f64> =
                unpacked.iter().zip(&weights).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
            assert!(
                errors.iter().all(|error| error.abs() <= 0.1 / 127.0 * 1.000_01),
                "moved by more than a scale"
            );
            let row =
                |row: &[f64]| row.iter().zip(&means).map(|(error, &mean)| error * f64::from(mean)).sum();
            errors.chunks(n).map(row).collect()
        };
        let (plain, balanced) = (shifts(&pack(&weights)), shifts(&pack_balanced(&weights, &means)));
        for (plain, balanced) in plain.into_iter().zip(balanced) {
            assert!(plain.abs() > 1e-3 && balanced.abs() < plain.abs() / 20.0, "{plain} became {balanced}");
        }
        // Where inputs have no mean, nothing has to be balanced.
        assert_eq!(pack_balanced(&weights, &vec![0.0; n]), pack(&weights));
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert!(
            is_packable(&[3, 64]) && !is_packable(&[64, 172]) && !is_packable(&[64]) && !is_packable(&[4, 0])
        );
    }
}
