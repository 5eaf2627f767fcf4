//! The composed kernels on burn's GPU backends.

#[cfg(feature = "cuda")]
impl super::Kernels for burn::backend::Cuda {}

#[cfg(feature = "wgpu")]
impl super::Kernels for burn::backend::Wgpu {}
