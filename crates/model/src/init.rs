//! Fresh weights, drawn on the host, so that every device begins with the same numbers.

use burn::{
    module::Param,
    tensor::{DType, Tensor, TensorData, backend::Backend},
};
use rand::Rng;

/// Spread of fresh weights, as in GPT-2 and in transformers' `initializer_range`.
pub(crate) const INIT_STD: f64 = 0.02;

/// A trainable f32 tensor, uniform in `±1/√fan_in`: the default of PyTorch's `Linear` and of PEFT's `A`.
pub(crate) fn uniform<B: Backend, const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    rng: &mut impl Rng,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let bound = 1.0 / (fan_in as f32).sqrt();
    let n = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| rng.random_range(-bound..=bound)).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}

/// A trainable f32 tensor, normal around 0 (Box and Muller 1958).
pub(crate) fn normal<B: Backend, const D: usize>(
    shape: [usize; D],
    std: f64,
    rng: &mut impl Rng,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let n: usize = shape.iter().product();
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // A draw can be 0 and never 1, and the logarithm must not see 0.
        let radius = std * (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(n);
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn an_odd_number_of_weights_is_drawn() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(normal::<Flex, 1>([3], 1.0, &mut rng, &Default::default()).val().dims(), [3]);
    }
}
