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
    /// - hidden: `[slots, d_model]`
    /// - output: `[batch, d_model]`
    pub fn pool<B: Backend>(self, hidden: Tensor<B, 2>, batch: &TokenBatch<B>) -> Tensor<B, 2> {
        let device = hidden.device();
        match self {
            Self::Mean => {
                let [slots, _] = hidden.dims();
                let mut weights = vec![0.0; batch.len() * slots];
                for (row, span) in weights.chunks_exact_mut(slots).zip(batch.spans.iter()) {
                    row[span.clone()].fill(1.0 / span.len() as f32);
                }
                let weights = TensorData::new(weights, [batch.len(), slots]);
                Tensor::<B, 2>::from_data(weights, (&device, DType::F32)).matmul(hidden)
            }
            Self::Last => {
                let last: Vec<i32> = batch.spans.iter().map(|span| span.end as i32 - 1).collect();
                let last = TensorData::new(last, [batch.len()]);
                hidden.select(0, Tensor::<B, 1, Int>::from_data(last, &device))
            }
        }
    }
}
