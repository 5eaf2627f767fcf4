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
pub(super) type Wgpu = burn::backend::Wgpu<f32, i32, u32>;

/// An adapter that computes; a missing one panics inside burn. Says so where there is none.
pub(super) fn device() -> Option<WgpuDevice> {
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

/// Query heads, key heads, width of a head, lengths of documents, and the side of padding between them.
type Case = (usize, usize, usize, &'static [usize], Option<PadSide>);

/// Documents of one token, that fill cubes and strips or end just before or after, and with padding between them. Heads of
/// widths that a cube divides in different ways; few of them, as a software adapter compiles a kernel for many seconds.
const CASES: [Case; 11] = [
    (4, 2, 16, &[5, 150, 64], None),
    (4, 2, 16, &[5, 150, 64], Some(PadSide::Right)),
    (3, 1, 64, &[1], None),
    (3, 1, 64, &[63], None),
    (3, 1, 64, &[64], None),
    (3, 1, 64, &[65, 1, 40], None),
    (3, 1, 64, &[1, 65, 130], Some(PadSide::Left)),
    (2, 1, 128, &[70], None),
    (2, 2, 80, &[33, 9], Some(PadSide::Right)),
    (1, 1, 22, &[50], None),
    (6, 1, 2, &[200], None),
];

/// A case on one device: what attention reads and what it gave.
struct Attended<B: Kernels> {
    saved: SavedAttention<B>,
    grad: FloatTensor<B>,
}

impl<B: Kernels> Attended<B> {
    fn new([queries, keys, values, grad]: [Tensor<B, 2>; 4], plan: AttentionPlan<B>) -> Self {
        let [queries, keys, values, grad] = [queries, keys, values, grad].map(unwrap);
        let (output, log_sum) = B::rotary_attention(queries.clone(), keys.clone(), values.clone(), &plan);
        Self { saved: SavedAttention { queries, keys, values, output, log_sum, plan }, grad }
    }

    fn gradients(&self) -> [Vec<f32>; 3] {
        B::rotary_attention_backward(self.saved.clone(), self.grad.clone()).map(values::<B>)
    }
}

fn attended(case: Case, device: &WgpuDevice) -> (Attended<Wgpu>, Attended<Flex>) {
    let (heads, kv, d, lengths, padding) = case;
    let rows: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![1; n]).collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let (slots, here) = plan::<Flex>(&rows, padding, [heads, kv, d], &Default::default());
    let (_, there) = plan::<Wgpu>(&rows, padding, [heads, kv, d], device);
    let inputs = [heads, kv, kv, heads].map(|n| Both::random([slots, n * d], device));
    let inputs_there = inputs.each_ref().map(|x| x.there.clone());
    (Attended::new(inputs_there, there), Attended::new(inputs.map(|x| x.here), here))
}

#[test]
fn cards_attend_as_the_processor_does() {
    let Some(device) = device() else { return };
    for case in CASES {
        let (heads, _, d, ..) = case;
        let (there, here) = attended(case, &device);
        let spans = here.saved.plan.spans;
        for (there, here, width) in [
            (there.saved.output, here.saved.output, heads * d),
            (there.saved.log_sum, here.saved.log_sum, heads),
        ] {
            let (there, here) = (values::<Wgpu>(there), values::<Flex>(here));
            assert!(there.iter().all(|v| v.is_finite()), "{case:?}");
            // Between the documents outputs are unspecified.
            for span in spans.iter().map(|span| span.start * width..span.end * width) {
                assert_close(&there[span.clone()], &here[span], &format!("{case:?}"));
            }
        }
    }
}

#[test]
fn gradients_of_attention_on_cards_are_those_of_the_processor() {
    let Some(device) = device() else { return };
    for case in CASES {
        let (there, here) = attended(case, &device);
        let actual = there.gradients();
        // Padding too, where they are zero.
        for ((actual, expected), what) in actual.iter().zip(here.gradients()).zip(["dq", "dk", "dv"]) {
            assert_close(actual, &expected, &format!("{what} of {case:?}"));
        }
        assert!(actual == there.gradients(), "{case:?} again, to the last bit");
    }
}

/// Processor seconds and peaks of memory of both ways, for docs/performance.md: a software adapter has the processor's.
#[test]
#[ignore = "a measurement, to run alone"]
#[allow(clippy::print_stderr, reason = "it says what it measured")]
fn gradients_of_attention_without_and_with_matrices() {
    const RUNS: usize = 3;
    const LENGTHS: [&[usize]; 2] = [&[512], &[1024]];
    type Form = fn(SavedAttention<Wgpu>, FloatTensor<Wgpu>) -> [FloatTensor<Wgpu>; 3];
    let forms: [(&str, Form); 2] =
        [("kernels", Wgpu::rotary_attention_backward), ("composed", composed::attention_backward::<Wgpu>)];
    let Some(device) = device() else { return };
    for lengths in LENGTHS {
        let (mut there, _) = attended((9, 3, 64, lengths, None), &device);
        let plan = &mut there.saved.plan;
        plan.padded = Some(PaddedLayout::new(&plan.spans, lengths[0], &device));
        for (name, backward) in forms {
            let run = || backward(there.saved.clone(), there.grad.clone()).map(values::<Wgpu>);
            // From here on the peak is that of what follows.
            std::fs::write("/proc/self/clear_refs", "5").unwrap();
            let before = mebibytes("VmRSS");
            // The first run compiles and reserves memory.
            run();
            let seconds = processor_seconds();
            (0..RUNS).for_each(|_| drop(run()));
            let seconds = (processor_seconds() - seconds) / RUNS as f64;
            let more = mebibytes("VmHWM") - before;
            eprintln!("{lengths:?} {name}: {seconds:.2} s of the processor, {more} MiB more at most");
        }
    }
}

/// What this process has used, user and system, in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// A size of the process's status on Linux.
fn mebibytes(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

/// Slots and plan of a batch.
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
    let spans = batch.spans.clone();
    (slots, AttentionPlan { spans, n_heads, n_kv_heads, head_dim, rotary, padded: None })
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
