//! Fused bodies for burn's CPU backend.
//!
//! Attention walks over blocks of queries: a block's scores against all earlier keys fit the cache, nothing above
//! the block's diagonal and no padding is computed, and no `len × len` matrix is kept. Documents and key heads are
//! independent tasks. The other kernels walk over blocks of rows. The split into tasks depends on the shapes only, so
//! results do not depend on the number of threads.

mod attention;
mod bf16;
mod blocks;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32", test))]
mod integers;
mod low_rank;
mod matrix;
#[cfg(test)]
mod narrow_tests;
mod packed;
#[cfg(not(target_arch = "wasm32"))]
mod product;
#[cfg(all(test, target_arch = "x86_64"))]
mod rates;
mod simd;
#[cfg(any(target_arch = "wasm32", test))]
mod single;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32", test))]
mod tiles;
#[cfg(any(target_arch = "wasm32", test))]
mod vectors;

use std::mem::MaybeUninit;

use bf16::Weight;
use burn::tensor::{Bytes, DType, Element, Shape};
use burn_flex::{Flex, FlexQTensor, FlexTensor, Layout};
use low_rank::LowRank;
use matrix::Matrix;
use product::large_product;
use pulp::Arch;
use pulp::bytemuck::Pod;
#[cfg(target_arch = "wasm32")]
use single as product;

use super::{AttentionPlan, Kernels, LowRankInput, SavedAttention, SavedNorm, composed};

/// Elements per task of an elementwise kernel: enough that starting a task costs nothing beside it.
const CHUNK: usize = 1 << 14;
/// Rows per task of a norm.
const NORM_ROWS: usize = 64;

impl Kernels for Flex {
    const NEEDS_PADDING: bool = false;
    const BACKWARD_NEEDS_PADDING: bool = false;
    const IN_PARTS: bool = cfg!(feature = "rayon");

    fn rotary_attention(
        queries: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        plan: &AttentionPlan<Self>,
    ) -> (FlexTensor, FlexTensor) {
        let inputs = [queries, keys, values].map(Dense::new);
        let (output, log_sum) = attention::forward(inputs.each_ref().map(Dense::values), plan);
        let width = plan.n_heads * plan.head_dim;
        let slots = output.len() / width;
        (tensor(output, [slots, width]), tensor(log_sum, [slots, plan.n_heads]))
    }

    fn attention_of_end(
        queries: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        plan: &AttentionPlan<Self>,
    ) -> FlexTensor {
        Self::rotary_attention(queries, keys, values, plan).0
    }

    fn rotary_attention_backward(saved: SavedAttention<Self>, grad: FlexTensor) -> [FlexTensor; 3] {
        let SavedAttention { queries, keys, values, output, log_sum, plan } = saved;
        let inputs = [queries, keys, values, output, log_sum, grad].map(Dense::new);
        let gradients = attention::backward(inputs.each_ref().map(Dense::values), &plan);
        let (q, kv) = (plan.n_heads * plan.head_dim, plan.n_kv_heads * plan.head_dim);
        let [grad_q, grad_k, grad_v] = gradients;
        let slots = grad_q.len() / q;
        [tensor(grad_q, [slots, q]), tensor(grad_k, [slots, kv]), tensor(grad_v, [slots, kv])]
    }

    fn gated_silu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        let shape = gate.layout().shape().clone();
        let (gate, up) = (Dense::new(gate), Dense::new(up));
        let (gate, up, arch) = (gate.values(), up.values(), Arch::new());
        let ([output], _) = filled(gate.len(), [1], CHUNK, |first, [output]| {
            let part = first..first + output.len();
            simd::gated_silu(arch, &gate[part.clone()], &up[part], output);
        });
        tensor(output, shape)
    }

    fn gated_silu_backward(gate: FlexTensor, up: FlexTensor, grad: FlexTensor) -> [FlexTensor; 2] {
        let shape = gate.layout().shape().clone();
        let inputs = [gate, up, grad].map(Dense::new);
        let (inputs, arch) = (inputs.each_ref().map(Dense::values), Arch::new());
        let (gradients, _) = filled(inputs[0].len(), [1, 1], CHUNK, |first, outputs| {
            let part = first..first + outputs[0].len();
            simd::gated_silu_backward(arch, inputs.map(|x| &x[part.clone()]), outputs);
        });
        gradients.map(|values| tensor(values, shape.clone()))
    }

    fn projection(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let [outputs, inputs] = weight.layout().shape().dims();
        let dtype = weight.dtype();
        if !matches!(dtype, DType::F32 | DType::BF16) {
            return composed::projection::<Self>(x, weight);
        }
        let (x, weight) = (Dense::new(x), Dense::new(weight));
        let rows = x.values().len() / inputs;
        let output = if dtype == DType::F32 {
            let x = Matrix::rows(x.values(), rows, inputs, inputs);
            large_product(x, Matrix::rows(weight.values(), outputs, inputs, inputs).transposed())
        } else {
            bf16::product(x.values(), Weight { values: weight.elements(), rows: outputs, transposed: true })
        };
        tensor(output, [rows, outputs])
    }

    fn projection_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let [outputs, inputs] = weight.layout().shape().dims();
        let dtype = weight.dtype();
        if !matches!(dtype, DType::F32 | DType::BF16) {
            return composed::projection_backward::<Self>(weight, grad);
        }
        let (weight, grad) = (Dense::new(weight), Dense::new(grad));
        let rows = grad.values().len() / outputs;
        let output = if dtype == DType::F32 {
            let grad = Matrix::rows(grad.values(), rows, outputs, outputs);
            large_product(grad, Matrix::rows(weight.values(), outputs, inputs, inputs))
        } else {
            bf16::product(
                grad.values(),
                Weight { values: weight.elements(), rows: outputs, transposed: false },
            )
        };
        tensor(output, [rows, inputs])
    }

    fn packed_projection(x: FlexTensor, weight: FlexQTensor) -> FlexTensor {
        let [outputs, inputs] = weight.tensor().layout().shape().dims();
        let x = Dense::new(x);
        let rows = x.values().len() / inputs;
        tensor(packed::projection(x.values(), &weight, inputs), [rows, outputs])
    }

    fn rms_norm(x: FlexTensor, weight: FlexTensor, eps: f64) -> (FlexTensor, FlexTensor) {
        let shape = x.layout().shape().clone();
        let (x, weight) = (Dense::new(x), Dense::new(weight));
        let (x, weight, arch) = (x.values(), weight.values(), Arch::new());
        let width = weight.len();
        let rows = x.len() / width;
        let ([output, scale], _) = filled(rows, [width, 1], NORM_ROWS, |first, [output, scale]| {
            let rows = x[first * width..].chunks_exact(width).zip(output.chunks_exact_mut(width));
            for (scale, (x, output)) in scale.iter_mut().zip(rows) {
                *scale = simd::rms_norm_row(arch, x, weight, eps as f32, output);
            }
        });
        (tensor(output, shape), tensor(scale, [rows, 1]))
    }

    fn rms_norm_backward(saved: SavedNorm<Self>, grad: FlexTensor) -> FlexTensor {
        let shape = grad.layout().shape().clone();
        let inputs = [saved.x, saved.weight, saved.scale, grad].map(Dense::new);
        let [x, weight, scale, grad] = inputs.each_ref().map(Dense::values);
        let (width, arch) = (weight.len(), Arch::new());
        let ([output], _) = filled(x.len() / width, [width], NORM_ROWS, |first, [output]| {
            for (row, output) in (first..).zip(output.chunks_exact_mut(width)) {
                let place = row * width..(row + 1) * width;
                let inputs = [&x[place.clone()], weight, &grad[place]];
                simd::rms_norm_row_backward(arch, inputs, scale[row], output);
            }
        });
        tensor(output, shape)
    }

    fn low_rank(base: FlexTensor, input: &LowRankInput<Self>) -> (FlexTensor, FlexTensor) {
        let mut base = if base.is_contiguous() { base } else { base.to_contiguous() };
        let shape = base.layout().shape().clone();
        let call = Call::new(input.clone());
        let sizes = call.low_rank();
        let (outputs, rank) = (sizes.outputs, sizes.rank);
        let whole =
            base.layout().start_offset() == 0 && base.bytes().len() == 4 * base.layout().num_elements();
        // The base is a product that nothing else needs, so it is usually ours to change.
        if let Some(values) = base.try_storage_mut::<f32>().filter(|_| whole) {
            let low = sizes.add_to(values);
            let rows = values.len() / outputs;
            return (base, tensor(low, [rows, rank]));
        }
        let mut values = Dense::new(base).values().to_vec();
        let low = sizes.add_to(&mut values);
        let rows = values.len() / outputs;
        (tensor(values, shape), tensor(low, [rows, rank]))
    }

    fn low_rank_backward(input: LowRankInput<Self>, low: FlexTensor, grad: FlexTensor) -> [FlexTensor; 3] {
        let call = Call::new(input);
        let sizes = call.low_rank();
        let (low, grad) = (Dense::new(low), Dense::new(grad));
        let [grad_x, grad_a, grad_b] = sizes.backward(low.values(), grad.values());
        let LowRank { inputs, rank, outputs, .. } = sizes;
        let rows = grad_x.len() / inputs;
        [tensor(grad_x, [rows, inputs]), tensor(grad_a, [rank, inputs]), tensor(grad_b, [outputs, rank])]
    }
}

/// The contiguous operands of a low-rank update.
struct Call {
    operands: [Dense; 3],
    rank: usize,
    scale: f64,
    dropout: Option<super::Dropout>,
}

impl Call {
    fn new(input: LowRankInput<Flex>) -> Self {
        let rank = input.a.layout().shape()[0];
        let operands = [input.x, input.a, input.b].map(Dense::new);
        Self { operands, rank, scale: input.scale, dropout: input.dropout }
    }

    fn low_rank(&self) -> LowRank<'_> {
        let [x, a, b] = self.operands.each_ref().map(Dense::values);
        LowRank {
            x,
            a,
            b,
            inputs: a.len() / self.rank,
            rank: self.rank,
            outputs: b.len() / self.rank,
            scale: self.scale as f32,
            dropout: self.dropout,
        }
    }
}

/// A contiguous tensor.
struct Dense(FlexTensor);

impl Dense {
    fn new(x: FlexTensor) -> Self {
        Self(if x.is_contiguous() { x } else { x.to_contiguous() })
    }

    fn values(&self) -> &[f32] {
        self.elements()
    }

    fn elements<E: Element + Pod>(&self) -> &[E] {
        let layout = self.0.layout();
        &self.0.storage::<E>()[layout.start_offset()..][..layout.num_elements()]
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

/// Matrices of these widths and of equally many rows through `task`, a block of rows at a time, on all threads where
/// there are threads. A task gets the number of its first row and its rows of each matrix; results are in order.
fn blocks<const N: usize, E: Send, T: Send>(
    matrices: [&mut [E]; N],
    widths: [usize; N],
    rows: usize,
    task: impl Fn(usize, [&mut [E]; N]) -> T + Send + Sync,
) -> Vec<T> {
    let n = matrices[0].len().div_ceil(rows * widths[0]);
    let mut chunks = matrices.into_iter().zip(widths).map(|(matrix, width)| matrix.chunks_mut(rows * width));
    let mut chunks: [_; N] = std::array::from_fn(|_| chunks.next().expect("one per matrix"));
    let work = (0..n).map(|block| {
        let block_rows = std::array::from_fn(|i| chunks[i].next().expect("matrices of equally many rows"));
        (block * rows, block_rows)
    });
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let work: Vec<(usize, [&mut [E]; N])> = work.collect();
        work.into_par_iter().map(|(first, block)| task(first, block)).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        work.map(|(first, block)| task(first, block)).collect()
    }
}

/// New matrices of these widths and of `rows` rows from `task`, as [`blocks`]; they are zero at first.
///
/// The task's own thread clears them, and they are in its cache then: on one thread beforehand that took a twentieth of
/// a step.
fn filled<const N: usize, T: Send>(
    rows: usize,
    widths: [usize; N],
    block: usize,
    task: impl Fn(usize, [&mut [f32]; N]) -> T + Send + Sync,
) -> ([Vec<f32>; N], Vec<T>) {
    let mut matrices = widths.map(|width| Vec::with_capacity(rows * width));
    let results = blocks(
        reserve_rows(&mut matrices, widths.map(|width| rows * width)),
        widths,
        block,
        |first, block: [&mut [MaybeUninit<f32>]; N]| task(first, block.map(cleared)),
    );
    for (matrix, width) in matrices.iter_mut().zip(widths) {
        // SAFETY: the blocks cover `rows * width` elements, which is the capacity, and each was cleared.
        #[expect(unsafe_code, reason = "the elements are written through `MaybeUninit`")]
        unsafe {
            matrix.set_len(rows * width);
        }
    }
    (matrices, results)
}

/// The elements that each matrix has reserved behind its end, so many of them.
fn reserve_rows<const N: usize>(
    matrices: &mut [Vec<f32>; N],
    lengths: [usize; N],
) -> [&mut [MaybeUninit<f32>]; N] {
    let mut lengths = lengths.into_iter();
    matrices
        .each_mut()
        .map(|matrix| &mut matrix.spare_capacity_mut()[..lengths.next().expect("one per matrix")])
}

fn cleared(values: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    values.fill(MaybeUninit::new(0.0));
    // SAFETY: every element was written, and `MaybeUninit<f32>` has the layout of `f32`.
    #[expect(unsafe_code, reason = "`assume_init_mut` of slices is younger than our oldest compiler")]
    unsafe {
        &mut *(std::ptr::from_mut(values) as *mut [f32])
    }
}

/// Sums of what the blocks gave, element by element, in their order.
fn sums<const N: usize>(of_blocks: Vec<[Vec<f32>; N]>) -> [Vec<f32>; N] {
    let mut of_blocks = of_blocks.into_iter();
    let mut total = of_blocks.next().expect("a batch has rows");
    for block in of_blocks {
        for (total, block) in total.iter_mut().zip(block) {
            total.iter_mut().zip(block).for_each(|(total, x)| *total += x);
        }
    }
    total
}
