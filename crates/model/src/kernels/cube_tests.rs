//! The kernels of graphics cards against the fused ones of the CPU, on any adapter there is, a software one included.

use std::panic::catch_unwind;

use burn::backend::Flex;
use burn::backend::wgpu::WgpuDevice;
use burn::tensor::ops::{FloatTensor, QTensorOps};
use burn::tensor::{Distribution, Tensor, TensorData, backend::Backend};

use super::composed::{self, unwrap, wrap};
use super::{AttentionPlan, Dropout, Kernels, LowRankInput, PaddedLayout, SavedAttention, SavedNorm};
use crate::{PadSide, RotaryTable, TokenBatch, packed};

/// With every parameter, as calls through an alias with defaults leave them open.
type Wgpu = burn::backend::Wgpu<f32, i32, u32>;

/// An adapter that computes; a missing one panics inside burn. Says so where there is none.
fn device() -> Option<WgpuDevice> {
    let works = |device: &WgpuDevice| {
        let device = device.clone();
        catch_unwind(move || Tensor::<Wgpu, 1>::ones([2], &device).sum().into_scalar() == 2.0)
            .unwrap_or(false)
    };
    let device = [WgpuDevice::DefaultDevice, WgpuDevice::Cpu].into_iter().find(works);
    if device.is_none() {
        #[allow(clippy::print_stderr, reason = "a test says what it skipped")]
        {
            eprintln!("skipped: no adapter for wgpu here");
        }
    }
    device
}

/// The same matrix on both devices.
struct Both {
    here: Tensor<Flex, 2>,
    there: Tensor<Wgpu, 2>,
}

impl Both {
    fn new(data: TensorData, device: &WgpuDevice) -> Self {
        Self {
            here: Tensor::from_data(data.clone(), &Default::default()),
            there: Tensor::from_data(data, device),
        }
    }

    fn random(shape: [usize; 2], device: &WgpuDevice) -> Self {
        let x = Tensor::<Flex, 2>::random(shape, Distribution::Normal(0.0, 1.0), &Default::default());
        Self::new(x.into_data(), device)
    }

    fn row(self) -> (Tensor<Flex, 1>, Tensor<Wgpu, 1>) {
        (self.here.flatten(0, 1), self.there.flatten(0, 1))
    }
}

fn values<B: Backend>(x: burn::tensor::ops::FloatTensor<B>) -> Vec<f32> {
    wrap::<B, 2>(x).into_data().into_vec().unwrap()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        // Sums of some hundred products of order 1 in another order, and another exponential.
        assert!((a - e).abs() <= 1e-4 * (1.0 + e.abs()), "{what}: element {i} is {a}, expected {e}");
    }
}

#[test]
fn cards_attend_as_the_processor_does() {
    let Some(device) = device() else { return };
    // Heads of every width that models have; documents of one token, of several cubes, and with padding between them.
    for (heads, kv, d, lengths, padding) in [
        (4, 2, 16, vec![5, 150, 64], None),
        (4, 2, 16, vec![5, 150, 64], Some(PadSide::Right)),
        (3, 3, 64, vec![1, 65, 130], Some(PadSide::Left)),
        (2, 1, 128, vec![70], None),
        (6, 1, 2, vec![200], None),
    ] {
        let what = format!("{heads} heads of {d}, {padding:?}");
        let rows: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![1; n]).collect();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let (slots, plan_here) = plan::<Flex>(&rows, padding, [heads, kv, d], &Default::default());
        let (_, plan_there) = plan::<Wgpu>(&rows, padding, [heads, kv, d], &device);
        let spans = plan_here.spans.clone();
        let compare = |there: FloatTensor<Wgpu>, here: FloatTensor<Flex>, width: usize| {
            let (there, here) = (values::<Wgpu>(there), values::<Flex>(here));
            assert!(there.iter().all(|v| v.is_finite()), "{what}");
            for span in spans.iter().map(|span| span.start * width..span.end * width) {
                assert_close(&there[span.clone()], &here[span], &what);
            }
        };
        let [q, k, v] = [heads, kv, kv].map(|n| Both::random([slots, n * d], &device));
        let [q_there, k_there, v_there] = [&q, &k, &v].map(|x| unwrap(x.there.clone()));
        let [q_here, k_here, v_here] = [q, k, v].map(|x| unwrap(x.here));
        let there = Wgpu::rotary_attention(q_there.clone(), k_there.clone(), v_there.clone(), &plan_there);
        let here = Flex::rotary_attention(q_here.clone(), k_here.clone(), v_here.clone(), &plan_here);
        compare(there.0.clone(), here.0.clone(), heads * d);
        compare(there.1.clone(), here.1.clone(), heads);

        if padding.is_some() {
            continue;
        }
        // The gradients are composed, from what the kernel gave.
        let grad = Both::random([slots, heads * d], &device);
        let saved = SavedAttention {
            queries: q_there,
            keys: k_there,
            values: v_there,
            output: there.0,
            log_sum: there.1,
            plan: plan_there,
        };
        let actual = Wgpu::rotary_attention_backward(saved, unwrap(grad.there));
        let saved = SavedAttention {
            queries: q_here,
            keys: k_here,
            values: v_here,
            output: here.0,
            log_sum: here.1,
            plan: plan_here,
        };
        let expected = Flex::rotary_attention_backward(saved, unwrap(grad.here));
        for ((actual, expected), n) in actual.into_iter().zip(expected).zip([heads, kv, kv]) {
            compare(actual, expected, n * d);
        }
    }
}

/// Slots and plan of a batch, with the layout that composed gradients need.
fn plan<B: Kernels>(
    rows: &[&[u32]],
    padding: Option<PadSide>,
    [n_heads, n_kv_heads, head_dim]: [usize; 3],
    device: &B::Device,
) -> (usize, AttentionPlan<B>) {
    let batch = match padding {
        Some(side) => TokenBatch::<B>::padded(rows, 0, side, 0, device),
        None => TokenBatch::packed(rows, device),
    };
    let [slots] = batch.ids.dims();
    let frequencies: Vec<f32> = (0..head_dim / 2).map(|i| 0.7_f32.powi(i as i32)).collect();
    let rotary = RotaryTable::new(&frequencies, batch.longest(), device);
    let padded = Some(PaddedLayout::new(&batch.spans, slots, device));
    (slots, AttentionPlan { spans: batch.spans.clone(), n_heads, n_kv_heads, head_dim, rotary, padded })
}

#[test]
fn cards_multiply_packed_weights_in_full() {
    let Some(device) = device() else { return };
    // Tiles that are whole, that end early on either side, and a single row.
    for (rows, inputs, outputs) in [(64, 64, 64), (70, 96, 130), (1, 32, 7), (130, 576, 192)] {
        let x = Both::random([rows, inputs], &device);
        let weight = Both::random([outputs, inputs], &device).here.into_data().into_vec::<f32>().unwrap();
        let data = packed::data(packed::pack(&weight), vec![outputs, inputs]);
        let there = Wgpu::packed_projection(unwrap(x.there), Wgpu::q_from_data(data.clone(), &device));
        // The processor's own kernel may round inputs to 8 bits; cards do not.
        let here = Flex::q_from_data(data, &Default::default());
        let here = composed::packed_projection::<Flex>(unwrap(x.here), here);
        let what = format!("{rows} x {inputs} x {outputs}");
        assert_close(&values::<Wgpu>(there), &values::<Flex>(here), &what);
    }
}

#[test]
fn cards_give_the_numbers_of_the_processor() {
    let Some(device) = device() else { return };
    // Wider than a cube, and not a multiple of it; more rows than fit one axis of a grid would take too long.
    let [x, up, grad] = [(); 3].map(|()| Both::random([37, 700], &device));

    let output = values::<Wgpu>(Wgpu::gated_silu(unwrap(x.there.clone()), unwrap(up.there.clone())));
    let expected = values::<Flex>(Flex::gated_silu(unwrap(x.here.clone()), unwrap(up.here.clone())));
    assert_close(&output, &expected, "gated silu");
    let there = [&x, &up, &grad].map(|m| unwrap(m.there.clone()));
    let here = [&x, &up, &grad].map(|m| unwrap(m.here.clone()));
    let [gate, up_, grad_] = there;
    let actual = Wgpu::gated_silu_backward(gate, up_, grad_);
    let [gate, up_, grad_] = here;
    let expected = Flex::gated_silu_backward(gate, up_, grad_);
    for ((actual, expected), what) in actual.into_iter().zip(expected).zip(["d gate", "d up"]) {
        assert_close(&values::<Wgpu>(actual), &values::<Flex>(expected), what);
    }

    let (weight_here, weight_there) = Both::random([1, 700], &device).row();
    let (output, scale) = Wgpu::rms_norm(unwrap(x.there.clone()), unwrap(weight_there.clone()), 1e-5);
    let (expected, expected_scale) =
        Flex::rms_norm(unwrap(x.here.clone()), unwrap(weight_here.clone()), 1e-5);
    assert_close(&values::<Wgpu>(output), &values::<Flex>(expected), "norm");
    assert_close(
        &values::<Wgpu>(scale.clone()),
        &values::<Flex>(expected_scale.clone()),
        "scale of the norm",
    );
    let saved = SavedNorm { x: unwrap(x.there.clone()), weight: unwrap(weight_there), scale };
    let actual = Wgpu::rms_norm_backward(saved, unwrap(grad.there.clone()));
    let saved = SavedNorm { x: unwrap(x.here.clone()), weight: unwrap(weight_here), scale: expected_scale };
    let expected = Flex::rms_norm_backward(saved, unwrap(grad.here.clone()));
    assert_close(&values::<Wgpu>(actual), &values::<Flex>(expected), "d norm");

    // With dropout: both must drop the same elements.
    let dropout = Some(Dropout { keep: 0.7, seed: 0x1234_5678_9abc_def0 });
    let [a, b, base] = [[8, 700], [50, 8], [37, 50]].map(|shape| Both::random(shape, &device));
    let input = LowRankInput::<Wgpu> {
        x: unwrap(x.there.clone()),
        a: unwrap(a.there.clone()),
        b: unwrap(b.there.clone()),
        scale: 0.1,
        dropout,
    };
    let (output, low) = Wgpu::low_rank(unwrap(base.there.clone()), &input);
    let input_here =
        LowRankInput::<Flex> { x: unwrap(x.here), a: unwrap(a.here), b: unwrap(b.here), scale: 0.1, dropout };
    let (expected, expected_low) = Flex::low_rank(unwrap(base.here.clone()), &input_here);
    assert_close(&values::<Wgpu>(output), &values::<Flex>(expected), "low rank");
    let actual = Wgpu::low_rank_backward(input, low, unwrap(base.there));
    let expected = Flex::low_rank_backward(input_here, expected_low, unwrap(base.here));
    for ((actual, expected), what) in actual.into_iter().zip(expected).zip(["d x", "d a", "d b"]) {
        assert_close(&values::<Wgpu>(actual), &values::<Flex>(expected), what);
    }
}
