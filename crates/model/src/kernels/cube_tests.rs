//! The kernels of graphics cards against the fused ones of the CPU, on any adapter there is, a software one included.

use std::panic::catch_unwind;

use burn::backend::Flex;
use burn::backend::wgpu::WgpuDevice;
use burn::tensor::{Distribution, Tensor, TensorData, backend::Backend, ops::QTensorOps};

use super::composed::{unwrap, wrap};
use super::{Dropout, Kernels, LowRankInput, SavedNorm};
use crate::packed;

/// With every parameter, as calls through an alias with defaults leave them open.
type Wgpu = burn::backend::Wgpu<f32, i32, u32>;

/// An adapter that computes; a missing one panics inside burn.
fn device() -> Option<WgpuDevice> {
    let works = |device: &WgpuDevice| {
        let device = device.clone();
        catch_unwind(move || Tensor::<Wgpu, 1>::ones([2], &device).sum().into_scalar() == 2.0)
            .unwrap_or(false)
    };
    [WgpuDevice::DefaultDevice, WgpuDevice::Cpu].into_iter().find(works)
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
fn cards_multiply_packed_weights_as_the_processor_does() {
    let Some(device) = device() else {
        #[allow(clippy::print_stderr, reason = "a test says what it skipped")]
        {
            eprintln!("skipped: no adapter for wgpu here");
        }
        return;
    };
    // Tiles that are whole, that end early on either side, and a single row.
    for (rows, inputs, outputs) in [(64, 64, 64), (70, 96, 130), (1, 32, 7), (130, 576, 192)] {
        let x = Both::random([rows, inputs], &device);
        let weight = Both::random([outputs, inputs], &device).here.into_data().into_vec::<f32>().unwrap();
        let data = packed::data(packed::pack(&weight), vec![outputs, inputs]);
        let there = Wgpu::packed_projection(unwrap(x.there), Wgpu::q_from_data(data.clone(), &device));
        let here = Flex::packed_projection(unwrap(x.here), Flex::q_from_data(data, &Default::default()));
        let what = format!("{rows} x {inputs} x {outputs}");
        assert_close(&values::<Wgpu>(there), &values::<Flex>(here), &what);
    }
}

#[test]
fn cards_give_the_numbers_of_the_processor() {
    let Some(device) = device() else {
        #[allow(clippy::print_stderr, reason = "a test says what it skipped")]
        {
            eprintln!("skipped: no adapter for wgpu here");
        }
        return;
    };
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
