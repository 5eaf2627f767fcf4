//! The backends that can train.

use burn::tensor::backend::AutodiffBackend;
use pair2score_model::Kernels;

/// A backend that can train our models.
pub trait TrainBackend: AutodiffBackend<InnerBackend: Kernels> + Kernels {}
impl<B: AutodiffBackend<InnerBackend: Kernels> + Kernels> TrainBackend for B {}
