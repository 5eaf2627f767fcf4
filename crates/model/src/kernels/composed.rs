//! Bodies made of tensor operations; the reference the fused ones are tested against.

use burn::tensor::{
    DType, FloatDType, Tensor, TensorData, TensorPrimitive, activation,
    backend::Backend,
    ops::{FloatTensor, QuantizedTensor},
};

use crate::dtype::as_f32;

use super::dropout::DropoutHash;
use super::{AttentionPlan, Dropout, Kernels, LowRankInput, PaddedLayout, SavedAttention, SavedNorm};

pub(crate) fn wrap<B: Backend, const D: usize>(x: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(x))
}

pub(crate) fn unwrap<B: Backend, const D: usize>(x: Tensor<B, D>) -> FloatTensor<B> {
    x.into_primitive().tensor()
}

/// Masked scores; low enough to vanish in the softmax, finite so that a padding row has no NaN.
const MASKED: f64 = -1e9;

pub(super) fn attention<B: Backend>(
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
    (unwrap(join(output, plan)), unwrap(join(top + sum.log(), plan)))
}

/// Queries of zero stand for those that are computed elsewhere.
pub(super) fn attention_of_end<B: Kernels>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    plan: &AttentionPlan<B>,
) -> FloatTensor<B> {
    let (queries, all) = (wrap::<B, 2>(queries), wrap::<B, 2>(keys.clone()).dims()[0]);
    let [rows, width] = queries.dims();
    let earlier = Tensor::zeros([all - rows, width], (&queries.device(), DType::F32));
    let queries = Tensor::cat(vec![earlier, queries], 0);
    let (output, _) = B::rotary_attention(unwrap(queries), keys, values, plan);
    unwrap(wrap::<B, 2>(output).narrow(0, all - rows, rows))
}

pub(super) fn attention_backward<B: Backend>(
    saved: SavedAttention<B>,
    grad: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let SavedAttention { queries, keys, values, output, log_sum, plan } = saved;
    let (q, k, v) = heads::<B>(queries, keys, values, &plan);
    let log_sum = split(wrap::<B, 2>(log_sum), plan.n_heads, &plan);
    let weights = (scores(q.clone(), k.clone(), &plan) - log_sum).exp();
    let output = split(wrap(output), plan.n_heads, &plan);
    // Cells of padding repeat a slot; their gradient must not count.
    let grad = real(split(wrap::<B, 2>(grad), plan.n_heads, &plan), &plan);

    let grad_v = weights.clone().transpose().matmul(grad.clone());
    let mean = (grad.clone() * output).sum_dim(3);
    let grad_scores = weights * (grad.matmul(v.transpose()) - mean);
    let grad_scores = grad_scores.mul_scalar(plan.scale());
    let grad_q = plan.rotary.rotate_back(grad_scores.clone().matmul(k));
    let grad_k = plan.rotary.rotate_back(sum_groups(grad_scores.transpose().matmul(q), &plan));
    [grad_q, grad_k, sum_groups(grad_v, &plan)].map(|grad| {
        let grad = join(grad, &plan);
        // Slots between the documents hold the gradient of an arbitrary cell: set them to zero.
        let real = layout(&plan).real.clone();
        unwrap(real.map_or(grad.clone(), |real| grad * real))
    })
}

pub(super) fn projection<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    projection_by::<B>(x, weight, Tensor::matmul)
}

/// With what multiplies two matrices of one dtype.
pub(super) fn projection_by<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    product: impl FnOnce(Tensor<B, 2>, Tensor<B, 2>) -> Tensor<B, 2>,
) -> FloatTensor<B> {
    let weight = wrap::<B, 2>(weight);
    let x = wrap::<B, 2>(x).cast(FloatDType::from(weight.dtype()));
    unwrap(as_f32(product(x, weight.transpose())))
}

pub(super) fn packed_projection<B: Kernels>(x: FloatTensor<B>, weight: QuantizedTensor<B>) -> FloatTensor<B> {
    B::projection(x, B::dequantize(weight, FloatDType::F32))
}

pub(super) fn projection_backward<B: Backend>(
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    projection_backward_by::<B>(weight, grad, Tensor::matmul)
}

/// As [`projection_by`].
pub(super) fn projection_backward_by<B: Backend>(
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    product: impl FnOnce(Tensor<B, 2>, Tensor<B, 2>) -> Tensor<B, 2>,
) -> FloatTensor<B> {
    let weight = wrap::<B, 2>(weight);
    let grad = wrap::<B, 2>(grad).cast(FloatDType::from(weight.dtype()));
    unwrap(as_f32(product(grad, weight)))
}

/// Gradient of a projection with respect to its weight: `gradᵀ x`.
#[cfg(feature = "autodiff")]
pub(super) fn projection_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    unwrap(wrap::<B, 2>(grad).transpose().matmul(wrap::<B, 2>(x)))
}

pub(super) fn gated_silu<B: Backend>(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
    unwrap(activation::silu(wrap::<B, 2>(gate)) * wrap::<B, 2>(up))
}

pub(super) fn gated_silu_backward<B: Backend>(
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

pub(super) fn rms_norm<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (x, weight) = (wrap::<B, 2>(x), wrap::<B, 1>(weight));
    let scale = (x.clone() * x.clone()).mean_dim(1).add_scalar(eps).sqrt().recip();
    (unwrap(x * scale.clone() * weight.unsqueeze()), unwrap(scale))
}

/// With `h = grad · weight`: `r (h − x r² mean(h x))`.
pub(super) fn rms_norm_backward<B: Backend>(saved: SavedNorm<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let (x, scale) = (wrap::<B, 2>(saved.x), wrap::<B, 2>(saved.scale));
    let weighted = wrap::<B, 2>(grad) * wrap::<B, 1>(saved.weight).unsqueeze();
    let mean = (weighted.clone() * x.clone()).mean_dim(1);
    unwrap((weighted - x * (mean * scale.clone() * scale.clone())) * scale)
}

/// Gradient of the norm with respect to its weight: `Σ grad · x · r` over the rows.
#[cfg(feature = "autodiff")]
pub(super) fn rms_norm_weight_gradient<B: Backend>(
    saved: &SavedNorm<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let (x, scale) = (wrap::<B, 2>(saved.x.clone()), wrap::<B, 2>(saved.scale.clone()));
    unwrap((wrap::<B, 2>(grad) * x * scale).sum_dim(0).squeeze_dim::<1>(0))
}

pub(super) fn low_rank<B: Kernels>(
    base: FloatTensor<B>,
    input: &LowRankInput<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let x = kept::<B>(input.x.clone(), input.dropout);
    let low = x.matmul(wrap::<B, 2>(input.a.clone()).transpose());
    // The narrow factor is scaled, not the wide update.
    let update = low.clone().mul_scalar(input.scale).matmul(wrap::<B, 2>(input.b.clone()).transpose());
    (unwrap(wrap::<B, 2>(base) + update), unwrap(low))
}

pub(super) fn low_rank_backward<B: Kernels>(
    input: LowRankInput<B>,
    low: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let LowRankInput { x, a, b, scale, dropout } = input;
    let (a, b, grad) = (wrap::<B, 2>(a), wrap::<B, 2>(b), wrap::<B, 2>(grad));
    let grad_low = grad.clone().matmul(b).mul_scalar(scale);
    let grad_b = grad.transpose().matmul(wrap::<B, 2>(low)).mul_scalar(scale);
    let grad_a = grad_low.clone().transpose().matmul(kept::<B>(x, dropout));
    let grad_x = kept::<B>(unwrap(grad_low.matmul(a)), dropout);
    [unwrap(grad_x), unwrap(grad_a), unwrap(grad_b)]
}

/// Dropout is linear, so the same call serves both passes; nothing has to be kept between them.
fn kept<B: Kernels>(x: FloatTensor<B>, dropout: Option<Dropout>) -> Tensor<B, 2> {
    wrap(match dropout {
        Some(dropout) => B::dropped(x, dropout),
        None => x,
    })
}

/// The factors are made on the host, where the hash is; backends that train have bodies of their own.
pub(super) fn dropped<B: Backend>(x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    let x = wrap::<B, 2>(x);
    let [rows, width] = x.dims();
    let hash = DropoutHash::from(dropout);
    let factors = (0..rows as u32).flat_map(|row| {
        let key = hash.row_key(row);
        (0..width as u32).map(move |column| hash.factor(key, column))
    });
    let factors = TensorData::new(factors.collect::<Vec<_>>(), [rows, width]);
    unwrap(Tensor::from_data(factors, (&x.device(), DType::F32)) * x)
}

type Heads<B> = (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>);

/// Rotated queries and keys, and values, each `[batch, n_heads, len, head_dim]`.
fn heads<B: Backend>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    plan: &AttentionPlan<B>,
) -> Heads<B> {
    let q = plan.rotary.rotate(split(wrap::<B, 2>(queries), plan.n_heads, plan));
    let k = plan.rotary.rotate(split(wrap::<B, 2>(keys), plan.n_kv_heads, plan));
    let v = split(wrap::<B, 2>(values), plan.n_kv_heads, plan);
    (q, repeat_groups(k, plan), repeat_groups(v, plan))
}

fn layout<B: Backend>(plan: &AttentionPlan<B>) -> &PaddedLayout<B> {
    plan.padded.as_ref().expect("a backend with composed attention asks for the padded layout")
}

fn scores<B: Backend>(q: Tensor<B, 4>, k: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
    let [batch, heads, len, _] = q.dims();
    let mask = layout(plan).mask.clone().unsqueeze_dim::<4>(1).expand([batch, heads, len, len]);
    q.matmul(k.transpose()).mul_scalar(plan.scale()).mask_fill(mask, MASKED)
}

/// Zero in the cells of padding: those whose own key is masked.
fn real<B: Backend>(x: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
    let [batch, heads, len, d] = x.dims();
    let last_row = layout(plan).mask.clone().narrow(1, len - 1, 1).reshape([batch, 1, len, 1]);
    x.mask_fill(last_row.expand([batch, heads, len, d]), 0.0)
}

/// `[slots, heads · d]` to `[batch, heads, len, d]`.
fn split<B: Backend>(x: Tensor<B, 2>, heads: usize, plan: &AttentionPlan<B>) -> Tensor<B, 4> {
    let layout = layout(plan);
    let [_, width] = x.dims();
    let [batch, len, _] = layout.mask.dims();
    x.select(0, layout.slots.clone()).reshape([batch, len, heads, width / heads]).swap_dims(1, 2)
}

/// `[batch, heads, len, d]` to `[slots, heads · d]`.
fn join<B: Backend>(x: Tensor<B, 4>, plan: &AttentionPlan<B>) -> Tensor<B, 2> {
    let [batch, heads, len, d] = x.dims();
    x.swap_dims(1, 2).reshape([batch * len, heads * d]).select(0, layout(plan).cells.clone())
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
