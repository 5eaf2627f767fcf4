//! The two operations that decide the speed of training, as operations of a backend.
//!
//! Written as plain tensor operations, attention keeps several `seq × seq` matrices per layer for the backward
//! pass and the gated activation makes five passes over its input. As operations of their own they keep only
//! their inputs (and one number per query), and a backend may give them a fused body. The bodies here compose
//! tensor operations and serve every backend; the module `flex` replaces them on the CPU.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor, TensorPrimitive, activation, backend::Backend, ops::FloatTensor};

use crate::{RotaryTable, TokenBatch, config::LlamaConfig};

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(all(test, feature = "flex"))]
mod tests;

/// What attention needs beside queries, keys and values; made once per batch.
#[derive(Debug, Clone)]
pub struct AttentionPlan<B: Backend> {
    /// Columns of the real tokens of each row.
    pub spans: Arc<[Range<usize>]>,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head, even.
    pub head_dim: usize,
    /// Rotations of queries and keys.
    pub rotary: RotaryTable<B>,
    /// `[batch, seq, seq]`, true = masked; absent where the backend masks by the spans.
    pub mask: Option<Tensor<B, 3, Bool>>,
}

impl<B: Kernels> AttentionPlan<B> {
    /// The plan of a batch.
    pub fn new(config: &LlamaConfig, inverse_frequencies: &[f32], batch: &TokenBatch<B>) -> Self {
        Self {
            spans: batch.spans.clone(),
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            rotary: RotaryTable::new(inverse_frequencies, batch.seq_len, &batch.ids.device()),
            mask: B::NEEDS_MASK.then(|| batch.attention_mask()),
        }
    }
}

impl<B: Backend> AttentionPlan<B> {
    fn scale(&self) -> f64 {
        (self.head_dim as f64).powf(-0.5)
    }
}

/// A backend with the model's kernels.
///
/// # Shapes
/// - queries: `[batch, seq, n_heads · head_dim]`, keys and values: `[batch, seq, n_kv_heads · head_dim]`,
///   not yet rotated
/// - attention output: `[batch, seq, n_heads · head_dim]`; rows of padding are unspecified but finite
/// - log_sum: `[batch, n_heads, seq]`, logarithm of the softmax's denominator
pub trait Kernels: Backend {
    /// Whether [`AttentionPlan::mask`] must be there.
    const NEEDS_MASK: bool = true;

    /// Causal grouped-query attention with rotary embedding: the output and `log_sum`.
    fn rotary_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        plan: &AttentionPlan<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::attention::<Self>(queries, keys, values, plan)
    }

    /// Gradients with respect to queries, keys and values.
    fn rotary_attention_backward(
        saved: SavedAttention<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        composed::attention_backward::<Self>(saved, grad)
    }

    /// `silu(gate) · up`, element by element (Shazeer 2020, arXiv:2002.05202).
    fn gated_silu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gate, up) = (composed::wrap::<Self, 2>(gate), composed::wrap::<Self, 2>(up));
        composed::unwrap(activation::silu(gate) * up)
    }

    /// Gradients with respect to gate and up.
    fn gated_silu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        composed::gated_silu_backward::<Self>(gate, up, grad)
    }
}

/// What the backward pass of attention needs from the forward pass.
#[derive(Debug, Clone)]
pub struct SavedAttention<B: Backend> {
    /// `[batch, seq, n_heads · head_dim]`, not rotated.
    pub queries: FloatTensor<B>,
    /// `[batch, seq, n_kv_heads · head_dim]`, not rotated.
    pub keys: FloatTensor<B>,
    /// `[batch, seq, n_kv_heads · head_dim]`
    pub values: FloatTensor<B>,
    /// `[batch, seq, n_heads · head_dim]`
    pub output: FloatTensor<B>,
    /// `[batch, n_heads, seq]`
    pub log_sum: FloatTensor<B>,
    /// The plan of the forward pass.
    pub plan: AttentionPlan<B>,
}

/// Attention on tensors; see [`Kernels`] for the shapes.
pub(crate) fn attention<B: Kernels>(
    queries: Tensor<B, 3>,
    keys: Tensor<B, 3>,
    values: Tensor<B, 3>,
    plan: &AttentionPlan<B>,
) -> Tensor<B, 3> {
    use composed::{unwrap, wrap};
    let (output, _) = B::rotary_attention(unwrap(queries), unwrap(keys), unwrap(values), plan);
    wrap::<B, 3>(output)
}

/// `silu(gate) · up` on tensors of shape `[tokens, d_ff]`.
pub(crate) fn gated_silu<B: Kernels>(gate: Tensor<B, 2>, up: Tensor<B, 2>) -> Tensor<B, 2> {
    composed::wrap::<B, 2>(B::gated_silu(composed::unwrap(gate), composed::unwrap(up)))
}

/// Bodies made of tensor operations; the reference the fused ones are tested against.
pub(crate) mod composed {
    use super::*;

    pub(crate) fn wrap<B: Backend, const D: usize>(x: FloatTensor<B>) -> Tensor<B, D> {
        Tensor::from_primitive(TensorPrimitive::Float(x))
    }

    pub(crate) fn unwrap<B: Backend, const D: usize>(x: Tensor<B, D>) -> FloatTensor<B> {
        x.into_primitive().tensor()
    }

    /// Masked scores; low enough to vanish in the softmax, finite so that a padding row has no NaN.
    const MASKED: f64 = -1e9;

    pub(crate) fn attention<B: Backend>(
        queries: FloatTensor<B>,
        keys: FloatTensor<B>,
        values: FloatTensor<B>,
        plan: &AttentionPlan<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let (q, k, v) = heads::<B>(queries, keys, values, plan);
        let scores = scores(q, k, plan);
        let top = scores.clone().max_dim(3);
        let weights = (scores - top.clone()).exp();
        let sum = weights.clone().sum_dim(3);
        let output = (weights / sum.clone()).matmul(v);
        let log_sum: Tensor<B, 3> = (top + sum.log()).squeeze_dim(3);
        (unwrap(join(output)), unwrap(log_sum))
    }

    pub(crate) fn attention_backward<B: Backend>(
        saved: SavedAttention<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 3] {
        let SavedAttention { queries, keys, values, output, log_sum, plan } = saved;
        let (q, k, v) = heads::<B>(queries, keys, values, &plan);
        let weights = (scores(q.clone(), k.clone(), &plan) - wrap::<B, 3>(log_sum).unsqueeze_dim(3)).exp();
        let output = split(wrap(output), plan.n_heads);
        let grad = split(wrap::<B, 3>(grad), plan.n_heads);

        let grad_v = weights.clone().transpose().matmul(grad.clone());
        let mean = (grad.clone() * output).sum_dim(3);
        let grad_scores = weights * (grad.matmul(v.transpose()) - mean);
        let grad_scores = grad_scores.mul_scalar(plan.scale());
        let grad_q = plan.rotary.rotate_back(grad_scores.clone().matmul(k));
        let grad_k = plan.rotary.rotate_back(sum_groups(grad_scores.transpose().matmul(q), &plan));
        [unwrap(join(grad_q)), unwrap(join(grad_k)), unwrap(join(sum_groups(grad_v, &plan)))]
    }

    pub(crate) fn gated_silu_backward<B: Backend>(
        gate: FloatTensor<B>,
        up: FloatTensor<B>,
        grad: FloatTensor<B>,
    ) -> [FloatTensor<B>; 2] {
        let (gate, up, grad) = (wrap::<B, 2>(gate), wrap::<B, 2>(up), wrap::<B, 2>(grad));
        let sigmoid = activation::sigmoid(gate.clone());
        let silu = gate.clone() * sigmoid.clone();
        // d silu(g) / dg = σ(g) · (1 + g · (1 − σ(g))) = σ(g) + silu(g) · (1 − σ(g))
        let slope = sigmoid.clone() + silu.clone() * sigmoid.neg().add_scalar(1.0);
        [unwrap(grad.clone() * up * slope), unwrap(grad * silu)]
    }

    type Heads<B> = (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>);

    /// Rotated queries and keys, and values, each `[batch, n_heads, seq, head_dim]`.
    fn heads<B: Backend>(
        queries: FloatTensor<B>,
        keys: FloatTensor<B>,
        values: FloatTensor<B>,
        plan: &AttentionPlan<B>,
    ) -> Heads<B> {
        let q = plan.rotary.rotate(split(wrap::<B, 3>(queries), plan.n_heads));
        let k = plan.rotary.rotate(split(wrap::<B, 3>(keys), plan.n_kv_heads));
        let v = split(wrap::<B, 3>(values), plan.n_kv_heads);
        (q, repeat_groups(k, plan), repeat_groups(v, plan))
    }

    fn scores<B: Backend>(q: Tensor<B, 4>, k: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
        let mask = plan.mask.clone().expect("a backend with composed attention asks for the mask");
        let [batch, heads, len, _] = q.dims();
        let mask = mask.unsqueeze_dim::<4>(1).expand([batch, heads, len, len]);
        q.matmul(k.transpose()).mul_scalar(plan.scale()).mask_fill(mask, MASKED)
    }

    /// `[batch, seq, heads · d]` to `[batch, heads, seq, d]`.
    fn split<B: Backend>(x: Tensor<B, 3>, heads: usize) -> Tensor<B, 4> {
        let [batch, len, width] = x.dims();
        x.reshape([batch, len, heads, width / heads]).swap_dims(1, 2)
    }

    /// `[batch, heads, seq, d]` to `[batch, seq, heads · d]`.
    fn join<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 3> {
        let [batch, heads, len, d] = x.dims();
        x.swap_dims(1, 2).reshape([batch, len, heads * d])
    }

    /// Each key-value head once per query head of its group.
    fn repeat_groups<B: Backend>(x: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
        let [batch, kv, len, d] = x.dims();
        let group = plan.n_heads / plan.n_kv_heads;
        if group == 1 {
            return x;
        }
        x.unsqueeze_dim::<5>(2).expand([batch, kv, group, len, d]).reshape([batch, kv * group, len, d])
    }

    /// The gradient of [`repeat_groups`].
    fn sum_groups<B: Backend>(x: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
        let [batch, heads, len, d] = x.dims();
        let group = plan.n_heads / plan.n_kv_heads;
        if group == 1 {
            return x;
        }
        x.reshape([batch, heads / group, group, len, d]).sum_dim(2).squeeze_dim(2)
    }
}
