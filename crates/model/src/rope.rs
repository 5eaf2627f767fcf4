//! Rotary position embedding, the "rotate half" form of Hugging Face checkpoints.
//!
//! For a head of width `D`, element `i` and `i + D/2` form a plane turned by `position · inv_freq[i]`
//! (Su et al. 2021, arXiv:2104.09864). burn's own `RotaryEncoding` turns adjacent elements instead, which
//! is another layout of the same weights, so it cannot serve these checkpoints.

use std::f64::consts::PI;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::config::{LlamaConfig, RopeScaling};

/// Frequencies of each plane in radians per token, `head_dim / 2` of them.
pub fn inverse_frequencies(config: &LlamaConfig) -> Vec<f32> {
    let half = config.head_dim / 2;
    (0..half)
        .map(|i| {
            let plain = config.rope.theta.powf(-((2 * i) as f64) / config.head_dim as f64);
            scaled(plain, &config.rope.scaling) as f32
        })
        .collect()
}

fn scaled(frequency: f64, scaling: &RopeScaling) -> f64 {
    match *scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
            let original = original_max_positions as f64;
            let wavelength = 2.0 * PI / frequency;
            // 0 at the longest kept wavelength, 1 at the shortest divided one.
            let kept = ((original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor))
                .clamp(0.0, 1.0);
            (1.0 - kept) * frequency / factor + kept * frequency
        }
    }
}

/// Cosines and sines for positions `0..len`.
#[derive(Debug, Clone)]
pub struct RotaryTable<B: Backend> {
    /// `[len, head_dim / 2]`, f32.
    pub cos: Tensor<B, 2>,
    /// `[len, head_dim / 2]`, f32.
    pub sin: Tensor<B, 2>,
}

impl<B: Backend> RotaryTable<B> {
    /// Builds the table on the host in f32, as transformers does, and moves it to the device.
    pub fn new(inverse_frequencies: &[f32], len: usize, device: &B::Device) -> Self {
        let angles = || (0..len).flat_map(|p| inverse_frequencies.iter().map(move |f| p as f32 * f));
        let shape = [len, inverse_frequencies.len()];
        let table = |values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, shape), (device, burn::tensor::DType::F32))
        };
        Self { cos: table(angles().map(f32::cos).collect()), sin: table(angles().map(f32::sin).collect()) }
    }

    /// Turns every head.
    ///
    /// # Shapes
    /// - x: `[batch, heads, len, head_dim]`
    /// - output: the same
    pub fn rotate(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.turn(x, self.sin.clone())
    }

    /// Undoes [`rotate`](Self::rotate); as rotations are orthogonal this is also its gradient.
    pub fn rotate_back(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.turn(x, self.sin.clone().neg())
    }

    fn turn(&self, x: Tensor<B, 4>, sin: Tensor<B, 2>) -> Tensor<B, 4> {
        let [_, _, _, head_dim] = x.dims();
        let half = head_dim / 2;
        let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let cos: Tensor<B, 4> = self.cos.clone().unsqueeze();
        let sin: Tensor<B, 4> = sin.unsqueeze();
        Tensor::cat(
            vec![first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin],
            3,
        )
    }
}
