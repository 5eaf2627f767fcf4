//! Fused bodies for burn's CPU backend.
//!
//! Attention walks over blocks of queries: a block's scores against all earlier keys fit the cache, nothing above
//! the block's diagonal and no padding is computed, and no `seq × seq` matrix is kept. Rows of the batch and key
//! heads are independent tasks.

mod attention;
mod simd;

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{Flex, FlexTensor, Layout};

use super::{AttentionPlan, Kernels, SavedAttention};

impl Kernels for Flex {
    const NEEDS_MASK: bool = false;

    fn rotary_attention(
        queries: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        plan: &AttentionPlan<Self>,
    ) -> (FlexTensor, FlexTensor) {
        let inputs = [queries, keys, values].map(Dense::new);
        let (output, log_sum) = attention::forward(inputs.each_ref().map(Dense::values), plan);
        let (rows, len) = (plan.spans.len(), plan.rotary.cos.dims()[0]);
        (
            tensor(output, [rows, len, plan.n_heads * plan.head_dim]),
            tensor(log_sum, [rows, plan.n_heads, len]),
        )
    }

    fn rotary_attention_backward(saved: SavedAttention<Self>, grad: FlexTensor) -> [FlexTensor; 3] {
        let SavedAttention { queries, keys, values, output, log_sum, plan } = saved;
        let inputs = [queries, keys, values, output, log_sum, grad].map(Dense::new);
        let gradients = attention::backward(inputs.each_ref().map(Dense::values), &plan);
        let (rows, len) = (plan.spans.len(), plan.rotary.cos.dims()[0]);
        let (q, kv) = (plan.n_heads * plan.head_dim, plan.n_kv_heads * plan.head_dim);
        let [grad_q, grad_k, grad_v] = gradients;
        [tensor(grad_q, [rows, len, q]), tensor(grad_k, [rows, len, kv]), tensor(grad_v, [rows, len, kv])]
    }

    fn gated_silu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        let shape = gate.layout().shape().clone();
        let (gate, up) = (Dense::new(gate), Dense::new(up));
        tensor(simd::gated_silu(gate.values(), up.values()), shape)
    }

    fn gated_silu_backward(gate: FlexTensor, up: FlexTensor, grad: FlexTensor) -> [FlexTensor; 2] {
        let shape = gate.layout().shape().clone();
        let inputs = [gate, up, grad].map(Dense::new);
        let [gate, up, grad] = inputs.each_ref().map(Dense::values);
        simd::gated_silu_backward(gate, up, grad).map(|values| tensor(values, shape.clone()))
    }
}

/// A contiguous f32 tensor.
struct Dense(FlexTensor);

impl Dense {
    fn new(x: FlexTensor) -> Self {
        Self(if x.is_contiguous() { x } else { x.to_contiguous() })
    }

    fn values(&self) -> &[f32] {
        let layout = self.0.layout();
        &self.0.storage::<f32>()[layout.start_offset()..][..layout.num_elements()]
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// `0..n` through `task`, on all threads where there are threads.
fn tasks<T: Send>(n: usize, task: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().map(task).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        (0..n).map(task).collect()
    }
}
