//! Fused bodies for graphics cards, in CubeCL: one source for CUDA, Vulkan, Metal and a page's WebGPU.
//!
//! Norms, gated activations and dropout only move memory, so each is one pass over it. Attention and its gradients make no
//! `len × len` matrix. Products are burn's, except those with packed weights and those that are to be measured ([`product`]). Everything here is in f32, as the residual
//! stream is; rows are contiguous.

mod attention;
mod attention_gradient;
mod packed;
mod product;
mod strips;

use burn::tensor::ops::{FloatTensor, QuantizedTensor};
use burn::tensor::{DType, Int, Shape, Tensor, backend::Backend};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

pub use product::{choose_product, product_names};

use super::dropout::DropoutHash;
use super::{AttentionPlan, Dropout, Kernels, SavedAttention, SavedNorm, composed};
use strips::Tiling;

/// Units that share a row of a norm.
const UNITS: usize = 256;
/// Rows along the first axis of a grid: WebGPU allows 65,535.
const GRID: u32 = 32_768;

impl<R: CubeRuntime, F: FloatElement, I: IntElement, T: BoolElement> Kernels for CubeBackend<R, F, I, T>
where
    Self: Backend<
            FloatTensorPrimitive = CubeTensor<R>,
            IntTensorPrimitive = CubeTensor<R>,
            QuantizedTensorPrimitive = CubeTensor<R>,
        >,
{
    const NEEDS_PADDING: bool = false;
    const BACKWARD_NEEDS_PADDING: bool = false;

    fn rotary_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        plan: &AttentionPlan<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [queries, keys, values] = [queries, keys, values].map(into_contiguous);
        let AttentionPlan { n_heads, n_kv_heads, head_dim, .. } = *plan;
        let [output, log_sum] = outputs(&queries, plan, [n_heads * head_dim, n_heads]);
        attention::forward(
            [queries, keys, values],
            rotary(plan),
            cubes(plan, attention::UNITS),
            [output.clone(), log_sum.clone()],
            [n_heads, n_kv_heads],
            head_dim,
        );
        (output, log_sum)
    }

    fn rotary_attention_backward(
        saved: SavedAttention<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let SavedAttention { queries, keys, values, output, log_sum, plan } = saved;
        let [queries, keys, values] = [queries, keys, values].map(into_contiguous);
        let [output, log_sum, grad] = [output, log_sum, grad].map(into_contiguous);
        let AttentionPlan { n_heads, n_kv_heads, head_dim, .. } = plan;
        let tiling = Tiling::new([n_heads, n_kv_heads], head_dim);
        let gradients = outputs(&queries, &plan, [n_heads, n_kv_heads, n_kv_heads].map(|n| n * head_dim));
        let [cos, sin] = rotary(&plan);
        let cubes = cubes(&plan, tiling.rows);
        let inputs =
            attention_gradient::Inputs { queries, keys, values, output, log_sum, grad, cos, sin, cubes };
        attention_gradient::backward(inputs, gradients.clone(), tiling);
        gradients
    }

    fn gated_silu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let [gate, up] = [gate, up].map(into_contiguous);
        let output = empty_like(&gate);
        let n = gate.meta.num_elements();
        let units = CubeDim::new(&gate.client, n);
        gated_silu::launch::<R>(
            &output.client.clone(),
            calculate_cube_count_elemwise(&gate.client, n, units),
            units,
            gate.into_array_arg(),
            up.into_array_arg(),
            output.clone().into_array_arg(),
        );
        output
    }

    fn gated_silu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let [gate, up, grad] = [gate, up, grad].map(into_contiguous);
        let outputs = [empty_like(&gate), empty_like(&gate)];
        let n = gate.meta.num_elements();
        let units = CubeDim::new(&gate.client, n);
        let [grad_gate, grad_up] = outputs.clone();
        gated_silu_backward::launch::<R>(
            &gate.client.clone(),
            calculate_cube_count_elemwise(&gate.client, n, units),
            units,
            gate.into_array_arg(),
            up.into_array_arg(),
            grad.into_array_arg(),
            grad_gate.into_array_arg(),
            grad_up.into_array_arg(),
        );
        outputs
    }

    fn projection(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::projection_by::<Self>(x, weight, product::product)
    }

    fn projection_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::projection_backward_by::<Self>(weight, grad, product::product)
    }

    fn packed_projection(x: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        packed::projection(x, &weight)
    }

    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [x, weight] = [x, weight].map(into_contiguous);
        let width = weight.meta.num_elements();
        let rows = x.meta.num_elements() / width;
        let (output, scale) = (empty_like(&x), empty(&x, [rows, 1]));
        rms_norm_rows::launch::<R>(
            &x.client.clone(),
            grid(rows),
            CubeDim::new_1d(UNITS as u32),
            x.into_array_arg(),
            weight.into_array_arg(),
            output.clone().into_array_arg(),
            scale.clone().into_array_arg(),
            eps as f32,
            width,
        );
        (output, scale)
    }

    fn rms_norm_backward(saved: SavedNorm<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let [x, weight, scale, grad] = [saved.x, saved.weight, saved.scale, grad].map(into_contiguous);
        let width = weight.meta.num_elements();
        let output = empty_like(&x);
        rms_norm_rows_backward::launch::<R>(
            &x.client.clone(),
            grid(x.meta.num_elements() / width),
            CubeDim::new_1d(UNITS as u32),
            x.into_array_arg(),
            weight.into_array_arg(),
            scale.into_array_arg(),
            grad.into_array_arg(),
            output.clone().into_array_arg(),
            width,
        );
        output
    }

    fn dropped(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let output = empty_like(&x);
        let n = x.meta.num_elements();
        let width = x.meta.shape()[1];
        let units = CubeDim::new(&x.client, n);
        let hash = DropoutHash::from(dropout);
        dropped::launch::<R>(
            &x.client.clone(),
            calculate_cube_count_elemwise(&x.client, n, units),
            units,
            x.into_array_arg(),
            output.clone().into_array_arg(),
            hash.seed[0],
            hash.seed[1],
            hash.threshold,
            hash.factor,
            width,
        );
        output
    }
}

/// The rotations of a plan, cosines and sines.
fn rotary<B: Backend<FloatTensorPrimitive = CubeTensor<R>>, R: CubeRuntime>(
    plan: &AttentionPlan<B>,
) -> [CubeTensor<R>; 2] {
    [&plan.rotary.cos, &plan.rotary.sin].map(|table| into_contiguous(composed::unwrap(table.clone())))
}

/// [`attention::cubes`] on the device.
fn cubes<B: Backend<IntTensorPrimitive = CubeTensor<R>>, R: CubeRuntime>(
    plan: &AttentionPlan<B>,
    rows: usize,
) -> CubeTensor<R> {
    let device = plan.rotary.cos.device();
    let cubes = attention::cubes(&plan.spans, rows);
    Tensor::<B, 1, Int>::from_data(cubes, (&device, DType::I32)).into_primitive()
}

/// Tensors of these widths with a row for each slot of `queries`, for a kernel that writes to the slots of documents only:
/// slots of padding are zero.
fn outputs<B: Backend<FloatTensorPrimitive = CubeTensor<R>>, R: CubeRuntime, const N: usize>(
    queries: &CubeTensor<R>,
    plan: &AttentionPlan<B>,
    widths: [usize; N],
) -> [CubeTensor<R>; N] {
    let slots = queries.meta.num_elements() / (plan.n_heads * plan.head_dim);
    let real: usize = plan.spans.iter().map(ExactSizeIterator::len).sum();
    let device = plan.rotary.cos.device();
    widths.map(|width| match real < slots {
        // Made as one row: CUDA would put gaps between several.
        true => {
            let zeros = Tensor::<B, 1>::zeros([slots * width], (&device, DType::F32));
            composed::unwrap(zeros.reshape([slots, width]))
        }
        false => empty(queries, [slots, width]),
    })
}

fn empty<R: CubeRuntime>(like: &CubeTensor<R>, shape: impl Into<Shape>) -> CubeTensor<R> {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), DType::F32)
}

fn empty_like<R: CubeRuntime>(x: &CubeTensor<R>) -> CubeTensor<R> {
    empty(x, x.meta.shape().clone())
}

/// A cube for each row, and perhaps some more: those do the work of the last row again.
fn grid(rows: usize) -> CubeCount {
    let rows = rows as u32;
    CubeCount::Static(rows.min(GRID), rows.div_ceil(GRID), 1)
}

#[cube(launch)]
fn gated_silu(gate: &Array<f32>, up: &Array<f32>, output: &mut Array<f32>) {
    if ABSOLUTE_POS < output.len() {
        let g = gate[ABSOLUTE_POS];
        output[ABSOLUTE_POS] = g * sigmoid(g) * up[ABSOLUTE_POS];
    }
}

#[cube(launch)]
fn gated_silu_backward(
    gate: &Array<f32>,
    up: &Array<f32>,
    grad: &Array<f32>,
    grad_gate: &mut Array<f32>,
    grad_up: &mut Array<f32>,
) {
    if ABSOLUTE_POS < grad_gate.len() {
        let g = gate[ABSOLUTE_POS];
        let s = sigmoid(g);
        let d = grad[ABSOLUTE_POS];
        grad_gate[ABSOLUTE_POS] = d * up[ABSOLUTE_POS] * (s + g * s * (1.0 - s));
        grad_up[ABSOLUTE_POS] = d * g * s;
    }
}

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + f32::exp(-x))
}

#[cube(launch)]
fn rms_norm_rows(
    x: &Array<f32>,
    weight: &Array<f32>,
    output: &mut Array<f32>,
    scale: &mut Array<f32>,
    eps: f32,
    #[comptime] width: usize,
) {
    let row = min(CUBE_POS, scale.len() - 1);
    let first = UNIT_POS as usize;
    let mut sum = 0.0_f32;
    for column in range_stepped(first, width, comptime!(UNITS)) {
        let value = x[row * width + column];
        sum += value * value;
    }
    let r = f32::inverse_sqrt(row_sum(sum) / (width as f32) + eps);
    for column in range_stepped(first, width, comptime!(UNITS)) {
        output[row * width + column] = x[row * width + column] * r * weight[column];
    }
    if UNIT_POS == 0 {
        scale[row] = r;
    }
}

#[cube(launch)]
fn rms_norm_rows_backward(
    x: &Array<f32>,
    weight: &Array<f32>,
    scale: &Array<f32>,
    grad: &Array<f32>,
    output: &mut Array<f32>,
    #[comptime] width: usize,
) {
    let row = min(CUBE_POS, scale.len() - 1);
    let first = UNIT_POS as usize;
    let mut sum = 0.0_f32;
    for column in range_stepped(first, width, comptime!(UNITS)) {
        let place = row * width + column;
        sum += grad[place] * weight[column] * x[place];
    }
    let r = scale[row];
    let mean = row_sum(sum) / (width as f32) * r * r;
    for column in range_stepped(first, width, comptime!(UNITS)) {
        let place = row * width + column;
        output[place] = (grad[place] * weight[column] - x[place] * mean) * r;
    }
}

/// The sum of the values of all units of a cube, always in the same order.
#[cube]
fn row_sum(value: f32) -> f32 {
    let mut values = SharedMemory::<f32>::new(comptime!(UNITS));
    let unit = UNIT_POS as usize;
    values[unit] = value;
    sync_cube();
    let mut half = comptime!(UNITS / 2).runtime();
    while half > 0 {
        if unit < half {
            values[unit] = values[unit] + values[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    values[0]
}

/// See [`DropoutHash`].
#[cube(launch)]
fn dropped(
    x: &Array<f32>,
    output: &mut Array<f32>,
    seed_low: u32,
    seed_high: u32,
    threshold: u32,
    factor: f32,
    #[comptime] width: usize,
) {
    if ABSOLUTE_POS < output.len() {
        let row = (ABSOLUTE_POS / width) as u32;
        let column = (ABSOLUTE_POS % width) as u32;
        let key = mix(mix(row ^ seed_low) ^ seed_high);
        let hash = mix((column * 0x9e37_79b1_u32) ^ key);
        output[ABSOLUTE_POS] = select(hash < threshold, 0.0, x[ABSOLUTE_POS] * factor);
    }
}

#[cube]
fn mix(value: u32) -> u32 {
    let mut h = value;
    h = (h ^ (h >> 16)) * 0x7feb_352d_u32;
    h = (h ^ (h >> 15)) * 0x846c_a68b_u32;
    h = (h ^ (h >> 16)) * 0x9e37_79b1_u32;
    h ^ (h >> 15)
}
