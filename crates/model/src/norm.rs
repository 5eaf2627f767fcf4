//! Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467).
//!
//! burn's `RmsNorm` divides in the input's dtype; Hugging Face normalises in f32 whatever the weights are,
//! so this one does too.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};

use crate::dtype::as_f32;
use crate::kernels::{self, Kernels};

/// `x / sqrt(mean(x²) + eps) · weight`, per token.
#[derive(Module, Debug)]
pub struct RmsNorm<B: Backend> {
    /// `[d_model]`
    pub weight: Param<Tensor<B, 1>>,
    /// Added to the mean square.
    pub eps: f64,
}

impl<B: Kernels> RmsNorm<B> {
    /// # Shapes
    /// - x: `[slots, d_model]`, f32
    /// - output: the same
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        kernels::rms_norm(x, as_f32(self.weight.val()), self.eps)
    }
}
