//! One vector per document from its tokens' hidden states.

use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::batch::TokenBatch;

/// Which tokens the pooled embedding is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the real tokens (Pair2Score, arXiv:2605.02069).
    #[default]
    Mean,
    /// The last real token, the only one that has read the whole document.
    Last,
}

impl Pooling {
    /// # Shapes
    /// - hidden: `[batch, seq, d_model]`
    /// - output: `[batch, d_model]`
    pub fn pool<B: Backend>(self, hidden: Tensor<B, 3>, batch: &TokenBatch<B>) -> Tensor<B, 2> {
        let [rows, len, width] = hidden.dims();
        let device = hidden.device();
        match self {
            Self::Mean => {
                let weights = batch
                    .spans
                    .iter()
                    .flat_map(|span| {
                        let share = 1.0 / span.len() as f32;
                        (0..len).map(move |j| if span.contains(&j) { share } else { 0.0 })
                    })
                    .collect::<Vec<f32>>();
                let weights = Tensor::<B, 3>::from_data(
                    TensorData::new(weights, [rows, 1, len]),
                    (&device, DType::F32),
                );
                weights.matmul(hidden).reshape([rows, width])
            }
            Self::Last => {
                let last =
                    batch.spans.iter().enumerate().map(|(row, span)| (row * len + span.end - 1) as i32);
                let last: Vec<i32> = last.collect();
                let last = Tensor::<B, 1, Int>::from_data(TensorData::new(last, [rows]), &device);
                hidden.reshape([rows * len, width]).select(0, last)
            }
        }
    }
}
