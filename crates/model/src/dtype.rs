//! Precision of tensors.

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};

/// The tensor in f32; the same tensor when it already is.
pub(crate) fn as_f32<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) }
}
