//! Heads: from a pooled embedding to a utility (stage 1) or a score (stage 2).
//!
//! Pair2Score (arXiv:2605.02069): stage 1 has `logit(a, b) = u(a) - u(b)` with `u(x) = w · x`. A bias would
//! cancel in the difference, so there is none. Stage 2 has `Linear → ReLU → Linear`.

use burn::{
    module::{Module, Param},
    tensor::{DType, Tensor, TensorData, activation, backend::Backend},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::init::uniform;

/// Bias-free linear map; one scalar per document.
#[derive(Module, Debug)]
pub struct UtilityHead<B: Backend> {
    /// `[1, d_model]`
    pub weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> UtilityHead<B> {
    /// Uniform in `±1/√d_model`, as PyTorch's `Linear`.
    pub fn init(d_model: usize, rng: &mut impl Rng, device: &B::Device) -> Self {
        Self { weight: uniform([1, d_model], d_model, rng, device) }
    }

    /// The head with these weights, `[d_model]`.
    pub fn linear(weights: Vec<f32>, device: &B::Device) -> Self {
        let shape = [1, weights.len()];
        let weights = Tensor::from_data(TensorData::new(weights, shape), (device, DType::F32));
        Self { weight: Param::from_tensor(weights) }
    }

    /// # Shapes
    /// - pooled: `[batch, d_model]`
    /// - output: `[batch]`, utility (unitless)
    pub fn forward(&self, pooled: Tensor<B, 2>) -> Tensor<B, 1> {
        (pooled * self.weight.val()).sum_dim(1).squeeze_dim(1)
    }
}

/// How the outputs of a [`ScoreHead`] become a score in rubric units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ScoreLink {
    /// One output, which is the score.
    Identity,
    /// Output `k` is the logit of "the grade is above grade `k`": `min + step · Σ sigmoid`.
    Cumulative {
        /// Lowest grade.
        min: f64,
        /// Distance between grades.
        step: f64,
        /// Number of grades, at least 2.
        grades: usize,
    },
    /// Output `k` is the unnormalised log-probability of grade `k`: the expected grade.
    Expected {
        /// Lowest grade.
        min: f64,
        /// Distance between grades.
        step: f64,
        /// Number of grades, at least 2.
        grades: usize,
    },
}

impl ScoreLink {
    /// Outputs the head must have.
    pub fn n_outputs(&self) -> usize {
        match *self {
            Self::Identity => 1,
            Self::Cumulative { grades, .. } => grades - 1,
            Self::Expected { grades, .. } => grades,
        }
    }

    /// # Shapes
    /// - outputs: `[batch, n_outputs]`
    /// - output: `[batch]`, score in rubric units
    pub fn score<B: Backend>(&self, outputs: Tensor<B, 2>) -> Tensor<B, 1> {
        match *self {
            Self::Identity => outputs.squeeze_dim(1),
            Self::Cumulative { min, step, .. } => {
                let above = activation::sigmoid(outputs).sum_dim(1);
                above.mul_scalar(step).add_scalar(min).squeeze_dim(1)
            }
            Self::Expected { min, step, grades } => {
                let device = outputs.device();
                let index: Vec<f32> = (0..grades).map(|k| k as f32).collect();
                let index =
                    Tensor::<B, 2>::from_data(TensorData::new(index, [1, grades]), (&device, DType::F32));
                let expected = (activation::softmax(outputs, 1) * index).sum_dim(1);
                expected.mul_scalar(step).add_scalar(min).squeeze_dim(1)
            }
        }
    }
}

/// `Linear(d, h) → ReLU → Linear(h, outputs)`.
#[derive(Module, Debug)]
pub struct ScoreHead<B: Backend> {
    /// `[h, d]`
    pub hidden_weight: Param<Tensor<B, 2>>,
    /// `[h]`
    pub hidden_bias: Param<Tensor<B, 1>>,
    /// `[outputs, h]`
    pub output_weight: Param<Tensor<B, 2>>,
    /// `[outputs]`
    pub output_bias: Param<Tensor<B, 1>>,
}

/// Width of the hidden layer of a [`ScoreHead`] for an input width `d`: half of it above 256, else `d` (published
/// rule).
pub fn hidden_width(d: usize) -> usize {
    if d > 256 { d / 2 } else { d }
}

impl<B: Backend> ScoreHead<B> {
    /// PyTorch's default initialisation: weights and biases uniform in `±1/√fan_in`.
    pub fn init(d: usize, outputs: usize, rng: &mut impl Rng, device: &B::Device) -> Self {
        let h = hidden_width(d);
        Self {
            hidden_weight: uniform([h, d], d, rng, device),
            hidden_bias: uniform([h], d, rng, device),
            output_weight: uniform([outputs, h], h, rng, device),
            output_bias: uniform([outputs], h, rng, device),
        }
    }

    /// The head whose one output is `weights · pooled + bias`, in the form of the others: ReLU(z) − ReLU(−z) is z, and
    /// what else the hidden layer has is 0.
    ///
    /// # Panics
    /// With fewer than two weights.
    pub fn linear(weights: &[f32], bias: f32, device: &B::Device) -> Self {
        let (d, h) = (weights.len(), hidden_width(weights.len()));
        assert!(h >= 2, "two hidden units carry the value and its negative");
        let padded = |mut values: Vec<f32>, n: usize| {
            values.resize(n, 0.0);
            values
        };
        let hidden = weights.iter().copied().chain(weights.iter().map(|weight| -weight)).collect();
        let matrix = |values: Vec<f32>, shape: [usize; 2]| {
            Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
        };
        let vector = |values: Vec<f32>| {
            let n = values.len();
            Param::from_tensor(Tensor::from_data(TensorData::new(values, [n]), (device, DType::F32)))
        };
        Self {
            hidden_weight: matrix(padded(hidden, h * d), [h, d]),
            hidden_bias: vector(padded(vec![bias, -bias], h)),
            output_weight: matrix(padded(vec![1.0, -1.0], h), [1, h]),
            output_bias: vector(vec![0.0]),
        }
    }

    /// This head, begun at the linear map of [`linear`](Self::linear): its first two hidden units carry the map, and the
    /// others stay as they were drawn, with output weights of 0. So the start is the map, and every unit learns: zeros
    /// below the ReLU, as in `linear`, would have no gradient.
    ///
    /// # Panics
    /// When this head has several outputs, or reads another number of values.
    pub fn begun_at_linear(&self, weights: &[f32], bias: f32) -> Self {
        let (device, d) = (self.output_bias.val().device(), weights.len());
        let map = Self::linear(weights, bias, &device);
        assert_eq!(self.output_weight.dims(), map.output_weight.dims(), "one output of as many hidden units");
        Self {
            hidden_weight: begun(map.hidden_weight.val(), self.hidden_weight.val(), 2 * d, &device),
            hidden_bias: begun(map.hidden_bias.val(), self.hidden_bias.val(), 2, &device),
            output_weight: map.output_weight,
            output_bias: map.output_bias,
        }
    }

    /// The head whose one output is `factor` times that of this one plus `weights · pooled + bias`: two more hidden
    /// units carry the sum, as those of [`linear`](Self::linear) do.
    ///
    /// # Panics
    /// When this head has several outputs, or reads another number of values.
    pub fn plus_linear(&self, factor: f32, weights: &[f32], bias: f32) -> Self {
        let device = self.output_bias.val().device();
        let sum = Self::linear(weights, bias, &device);
        let both = |own: Tensor<B, 2>, more: Tensor<B, 2>, axis| {
            Param::from_tensor(Tensor::cat(vec![own, more], axis))
        };
        let hidden_bias = vec![self.hidden_bias.val(), sum.hidden_bias.val().narrow(0, 0, 2)];
        Self {
            hidden_weight: both(self.hidden_weight.val(), sum.hidden_weight.val().narrow(0, 0, 2), 0),
            hidden_bias: Param::from_tensor(Tensor::cat(hidden_bias, 0)),
            output_weight: both(
                self.output_weight.val() * factor,
                sum.output_weight.val().narrow(1, 0, 2),
                1,
            ),
            output_bias: Param::from_tensor(self.output_bias.val() * factor),
        }
    }

    /// # Shapes
    /// - pooled: `[batch, d]`
    /// - output: `[batch, outputs]`
    pub fn forward(&self, pooled: Tensor<B, 2>) -> Tensor<B, 2> {
        let hidden = pooled.matmul(self.hidden_weight.val().transpose()) + self.hidden_bias.val().unsqueeze();
        activation::relu(hidden).matmul(self.output_weight.val().transpose())
            + self.output_bias.val().unsqueeze()
    }
}

/// The first `n` values of one tensor and the others of another of its shape.
fn begun<B: Backend, const D: usize>(
    first: Tensor<B, D>,
    others: Tensor<B, D>,
    n: usize,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let shape = first.dims();
    let host = |tensor: Tensor<B, D>| -> Vec<f32> {
        tensor.into_data().convert::<f32>().into_vec().expect("converted to f32")
    };
    let (first, mut values) = (host(first), host(others));
    values[..n].copy_from_slice(&first[..n]);
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}
