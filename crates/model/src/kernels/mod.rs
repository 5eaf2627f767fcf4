//! The operations that decide the speed of training, as operations of a backend.
//!
//! Written as plain tensor operations, attention keeps several `len × len` matrices per layer for the backward
//! pass, and norms, gated activations and adapters make many passes over memory. As operations of their own they
//! keep only their inputs (and one number per row), and a backend may give them a fused body. The bodies in
//! [`composed`] are made of tensor operations and serve every backend; the module `flex` replaces them on the CPU, and
//! `cube` most of them on graphics cards.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::ops::{FloatTensor, QuantizedTensor};
use burn::tensor::{Bool, DType, Int, Tensor, TensorData, TensorPrimitive, backend::Backend};

use crate::rope::inverse_frequencies;
use crate::{RotaryTable, TokenBatch, config::LlamaConfig};

#[cfg(feature = "autodiff")]
mod autodiff;
pub(crate) mod composed;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod cube;
#[cfg(all(test, feature = "flex", feature = "wgpu"))]
mod cube_tests;
#[cfg(all(test, feature = "cuda-sources"))]
mod cuda_sources;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use cube::{choose_product, product_names};
mod dropout;
#[cfg(feature = "flex")]
mod flex;
#[cfg(all(test, feature = "flex"))]
mod tests;

/// What attention needs beside queries, keys and values; made once per batch.
#[derive(Debug, Clone)]
pub struct AttentionPlan<B: Backend> {
    /// Slots of each document.
    pub spans: Arc<[Range<usize>]>,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head, even.
    pub head_dim: usize,
    /// Rotations of queries and keys, by the place of a token in its document.
    pub rotary: RotaryTable<B>,
    /// For backends that have no attention of their own.
    pub padded: Option<PaddedLayout<B>>,
}

/// How documents of a flat axis become the rows of a rectangle, and back.
#[derive(Debug, Clone)]
pub struct PaddedLayout<B: Backend> {
    /// `[batch · len]`, the slot of each cell; cells of padding repeat the document's first.
    pub slots: Tensor<B, 1, Int>,
    /// `[slots]`, the cell of each slot; any cell for slots between the documents.
    pub cells: Tensor<B, 1, Int>,
    /// `[batch, len, len]`, true where query `i` must not see key `j`: the future and padding.
    pub mask: Tensor<B, 3, Bool>,
    /// `[slots, 1]`, 0 between the documents and 1 in them; `None` where nothing is between them.
    pub real: Option<Tensor<B, 2>>,
}

impl<B: Kernels> AttentionPlan<B> {
    /// The plan of a batch.
    pub fn new(config: &LlamaConfig, inverse_frequencies: &[f32], batch: &TokenBatch<B>) -> Self {
        let [slots] = batch.ids.dims();
        Self::of_spans(config, inverse_frequencies, batch.spans.clone(), slots, &batch.ids.device())
    }

    /// The plan of one document of so many tokens.
    pub(crate) fn of_document(config: &LlamaConfig, tokens: usize, device: &B::Device) -> Self {
        let spans = std::iter::once(0..tokens).collect();
        Self::of_spans(config, &inverse_frequencies(config), spans, tokens, device)
    }

    fn of_spans(
        config: &LlamaConfig,
        inverse_frequencies: &[f32],
        spans: Arc<[Range<usize>]>,
        slots: usize,
        device: &B::Device,
    ) -> Self {
        let longest = spans.iter().map(Range::len).max().unwrap_or(0);
        Self {
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            rotary: RotaryTable::new(inverse_frequencies, longest, device),
            padded: B::NEEDS_PADDING.then(|| PaddedLayout::new(&spans, slots, device)),
            spans,
        }
    }
}

impl<B: Backend> AttentionPlan<B> {
    fn scale(&self) -> f64 {
        (self.head_dim as f64).powf(-0.5)
    }
}

impl<B: Backend> PaddedLayout<B> {
    /// The layout of these documents on a flat axis.
    pub fn new(spans: &[Range<usize>], n_slots: usize, device: &B::Device) -> Self {
        let len = spans.iter().map(Range::len).max().unwrap_or(0);
        let mut slots = Vec::with_capacity(spans.len() * len);
        let mut cells = vec![0; n_slots];
        let mut masked = Vec::with_capacity(spans.len() * len * len);
        for (row, span) in spans.iter().enumerate() {
            for column in 0..len {
                let real = column < span.len();
                slots.push((if real { span.start + column } else { span.start }) as i32);
                if real {
                    cells[span.start + column] = (row * len + column) as i32;
                }
            }
            masked.extend((0..len).flat_map(|i| (0..len).map(move |j| j > i || j >= span.len())));
        }
        let ints = |values: Vec<i32>| {
            let n = values.len();
            Tensor::from_data(TensorData::new(values, [n]), device)
        };
        let mask = Tensor::from_data(TensorData::new(masked, [spans.len(), len, len]), device);
        let real = (spans.iter().map(Range::len).sum::<usize>() < n_slots).then(|| {
            let mut real = vec![0.0_f32; n_slots];
            spans.iter().for_each(|span| real[span.clone()].fill(1.0));
            Tensor::from_data(TensorData::new(real, [n_slots, 1]), (device, DType::F32))
        });
        Self { slots: ints(slots), cells: ints(cells), mask, real }
    }
}

/// Which elements an adapter's input loses: the same for the same seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share that is kept, above 0 and at most 1; the rest is set to 0 and what stays divided by the share.
    pub keep: f64,
    /// Seed of the choice.
    pub seed: u64,
}

/// A backend with the model's kernels.
///
/// # Shapes
/// - queries: `[slots, n_heads · head_dim]`, keys and values: `[slots, n_kv_heads · head_dim]`, not yet rotated
/// - attention output: `[slots, n_heads · head_dim]`; slots of padding are unspecified but finite
/// - log_sum: `[slots, n_heads]`, logarithm of the softmax's denominator
pub trait Kernels: Backend {
    /// Whether [`AttentionPlan::padded`] must be there.
    const NEEDS_PADDING: bool = true;
    /// Whether it must be there for the gradients of attention.
    const BACKWARD_NEEDS_PADDING: bool = true;
    /// Whether a batch is faster in [`parts`](crate::parts) beside each other than as a whole.
    const IN_PARTS: bool = false;

    /// Causal grouped-query attention with rotary embedding: the output and `log_sum`.
    fn rotary_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        plan: &AttentionPlan<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::attention::<Self>(queries, keys, values, plan)
    }

    /// The output of [`rotary_attention`](Self::rotary_attention) for the last tokens of one document, whose queries are
    /// given: `[rows, n_heads · head_dim]`. Keys and values are those of all its tokens. For inference.
    fn attention_of_end(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        plan: &AttentionPlan<Self>,
    ) -> FloatTensor<Self> {
        composed::attention_of_end::<Self>(queries, keys, values, plan)
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
        composed::gated_silu::<Self>(gate, up)
    }

    /// Gradients with respect to gate and up.
    fn gated_silu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        composed::gated_silu_backward::<Self>(gate, up, grad)
    }

    /// `x Wᵀ` in f32, the product itself in the dtype of `W`; `x` is `[rows, in]` f32, `W` is `[out, in]`.
    fn projection(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::projection::<Self>(x, weight)
    }

    /// Gradient with respect to `x`.
    fn projection_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::projection_backward::<Self>(weight, grad)
    }

    /// `x Wᵀ` in f32 for a weight in [`packed`](crate::packed) blocks, which stays packed in memory; for inference.
    fn packed_projection(x: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        composed::packed_projection::<Self>(x, weight)
    }

    /// `x · r · weight` with `r = 1 / sqrt(mean(x²) + eps)` per row: the output and `r`, `[rows, 1]`.
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::rms_norm::<Self>(x, weight, eps)
    }

    /// Gradient with respect to `x`.
    fn rms_norm_backward(saved: SavedNorm<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::rms_norm_backward::<Self>(saved, grad)
    }

    /// `x` without what dropout takes away; `x` is `[rows, width]`.
    fn dropped(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        composed::dropped::<Self>(x, dropout)
    }

    /// `base + scale · (dropout(x) Aᵀ) Bᵀ` (Hu et al. 2021, arXiv:2106.09685): the output and `dropout(x) Aᵀ`.
    fn low_rank(
        base: FloatTensor<Self>,
        input: &LowRankInput<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::low_rank::<Self>(base, input)
    }

    /// Gradients with respect to `x`, `A` and `B`; that with respect to `base` is `grad` itself. `low` is the second
    /// output of [`low_rank`](Self::low_rank).
    fn low_rank_backward(
        input: LowRankInput<Self>,
        low: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        composed::low_rank_backward::<Self>(input, low, grad)
    }
}

/// What the backward pass of attention needs from the forward pass.
#[derive(Debug, Clone)]
pub struct SavedAttention<B: Backend> {
    /// `[slots, n_heads · head_dim]`, not rotated.
    pub queries: FloatTensor<B>,
    /// `[slots, n_kv_heads · head_dim]`, not rotated.
    pub keys: FloatTensor<B>,
    /// `[slots, n_kv_heads · head_dim]`
    pub values: FloatTensor<B>,
    /// `[slots, n_heads · head_dim]`
    pub output: FloatTensor<B>,
    /// `[slots, n_heads]`
    pub log_sum: FloatTensor<B>,
    /// The plan of the forward pass.
    pub plan: AttentionPlan<B>,
}

/// What the backward pass of the norm needs from the forward pass.
#[derive(Debug, Clone)]
pub struct SavedNorm<B: Backend> {
    /// `[rows, width]`
    pub x: FloatTensor<B>,
    /// `[width]`
    pub weight: FloatTensor<B>,
    /// `[rows, 1]`, the reciprocal root mean square.
    pub scale: FloatTensor<B>,
}

/// What a low-rank update is made of.
#[derive(Debug, Clone)]
pub struct LowRankInput<B: Backend> {
    /// `[rows, in]`
    pub x: FloatTensor<B>,
    /// `[rank, in]`
    pub a: FloatTensor<B>,
    /// `[out, rank]`
    pub b: FloatTensor<B>,
    /// Factor of the update.
    pub scale: f64,
    /// Dropout of `x`; `None` keeps all of it.
    pub dropout: Option<Dropout>,
}

use composed::{unwrap, wrap};

/// Attention on tensors; see [`Kernels`] for the shapes.
pub(crate) fn attention<B: Kernels>(
    queries: Tensor<B, 2>,
    keys: Tensor<B, 2>,
    values: Tensor<B, 2>,
    plan: &AttentionPlan<B>,
) -> Tensor<B, 2> {
    let (output, _) = B::rotary_attention(unwrap(queries), unwrap(keys), unwrap(values), plan);
    wrap::<B, 2>(output)
}

/// Attention of the last tokens of one document; see [`Kernels::attention_of_end`].
pub(crate) fn attention_of_end<B: Kernels>(
    queries: Tensor<B, 2>,
    keys: Tensor<B, 2>,
    values: Tensor<B, 2>,
    plan: &AttentionPlan<B>,
) -> Tensor<B, 2> {
    wrap::<B, 2>(B::attention_of_end(unwrap(queries), unwrap(keys), unwrap(values), plan))
}

/// `x Wᵀ` on tensors of shapes `[slots, in]` and `[out, in]`; the weight may be packed.
pub(crate) fn projection<B: Kernels>(x: Tensor<B, 2>, weight: Tensor<B, 2>) -> Tensor<B, 2> {
    wrap::<B, 2>(match weight.into_primitive() {
        TensorPrimitive::Float(weight) => B::projection(unwrap(x), weight),
        TensorPrimitive::QFloat(weight) => B::packed_projection(unwrap(x), weight),
    })
}

/// `silu(gate) · up` on tensors of shape `[slots, d_ff]`.
pub(crate) fn gated_silu<B: Kernels>(gate: Tensor<B, 2>, up: Tensor<B, 2>) -> Tensor<B, 2> {
    wrap::<B, 2>(B::gated_silu(unwrap(gate), unwrap(up)))
}

/// Root-mean-square normalisation of rows `[slots, width]` with a weight `[width]`.
pub(crate) fn rms_norm<B: Kernels>(x: Tensor<B, 2>, weight: Tensor<B, 1>, eps: f64) -> Tensor<B, 2> {
    wrap::<B, 2>(B::rms_norm(unwrap(x), unwrap(weight), eps).0)
}

/// `base` with the update of an adapter; see [`LowRankInput`] for the shapes.
pub(crate) fn low_rank<B: Kernels>(
    base: Tensor<B, 2>,
    x: Tensor<B, 2>,
    a: Tensor<B, 2>,
    b: Tensor<B, 2>,
    scale: f64,
    dropout: Option<Dropout>,
) -> Tensor<B, 2> {
    let input = LowRankInput { x: unwrap(x), a: unwrap(a), b: unwrap(b), scale, dropout };
    wrap::<B, 2>(B::low_rank(unwrap(base), &input).0)
}
