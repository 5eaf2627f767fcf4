//! The fused kernels against the composed ones: outputs and gradients.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Distribution, Tensor, TensorData, backend::Backend};

use super::{AttentionPlan, Kernels, SavedAttention, composed};
use crate::{PadSide, RotaryTable, TokenBatch};

type Input = Tensor<Flex, 3>;

fn plan(heads: usize, kv: usize, d: usize, lengths: &[usize], side: PadSide) -> AttentionPlan<Flex> {
    let device = Default::default();
    let rows: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![1; n]).collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let batch = TokenBatch::<Flex>::new(&rows, 0, side, 0, &device);
    let frequencies: Vec<f32> = (0..d / 2).map(|i| 0.7_f32.powi(i as i32)).collect();
    AttentionPlan {
        spans: batch.spans.clone(),
        n_heads: heads,
        n_kv_heads: kv,
        head_dim: d,
        rotary: RotaryTable::new(&frequencies, batch.seq_len, &device),
        mask: Some(batch.attention_mask()),
    }
}

fn random(shape: [usize; 3]) -> Input {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

/// Zero on padding, where outputs are unspecified and gradients do not matter.
fn real(x: Input, plan: &AttentionPlan<Flex>) -> Vec<f32> {
    let [rows, len, width] = x.dims();
    let keep =
        plan.spans.iter().flat_map(|span| (0..len).map(move |j| if span.contains(&j) { 1.0 } else { 0.0 }));
    let keep: Vec<f32> = keep.collect();
    let keep = Tensor::<Flex, 3>::from_data(TensorData::new(keep, [rows, len, 1]), &Default::default());
    (x * keep.expand([rows, len, width])).into_data().into_vec().unwrap()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        // Sums of up to 200 products of order 1 in another order.
        assert!((a - e).abs() <= 2e-5 * (1.0 + e.abs()), "{what}: element {i} is {a}, expected {e}");
    }
}

#[test]
fn attention_and_its_gradients_equal_the_composed_ones() {
    for (heads, kv, d, lengths, side) in [
        (4, 2, 16, vec![5, 150, 64], PadSide::Right),
        (4, 4, 8, vec![1, 65, 130], PadSide::Left),
        (6, 1, 2, vec![70], PadSide::Right),
    ] {
        let plan = plan(heads, kv, d, &lengths, side);
        let (rows, len) = (plan.spans.len(), plan.rotary.cos.dims()[0]);
        let [q, k, v] = [heads, kv, kv].map(|n| random([rows, len, n * d]));
        let unwrap = composed::unwrap::<Flex, 3>;
        let wrap = composed::wrap::<Flex, 3>;
        let (output, log_sum) =
            Flex::rotary_attention(unwrap(q.clone()), unwrap(k.clone()), unwrap(v.clone()), &plan);
        let (expected, expected_sum) =
            composed::attention::<Flex>(unwrap(q.clone()), unwrap(k.clone()), unwrap(v.clone()), &plan);
        assert_close(&real(wrap(output.clone()), &plan), &real(wrap(expected), &plan), "output");
        let by_token = |sum| wrap(sum).swap_dims(1, 2);
        assert_close(
            &real(by_token(log_sum.clone()), &plan),
            &real(by_token(expected_sum), &plan),
            "log-sum",
        );

        // A gradient on padding must not leak into real tokens: the loss never depends on padding.
        let grad = random([rows, len, heads * d]);
        let grad: Vec<f32> = real(grad, &plan);
        let grad = Tensor::from_data(TensorData::new(grad, [rows, len, heads * d]), &Default::default());
        let saved = SavedAttention::<Flex> {
            queries: unwrap(q),
            keys: unwrap(k),
            values: unwrap(v),
            output,
            log_sum,
            plan: plan.clone(),
        };
        let actual = Flex::rotary_attention_backward(saved.clone(), unwrap(grad.clone()));
        let expected = composed::attention_backward::<Flex>(saved, unwrap(grad));
        for ((actual, expected), what) in actual.into_iter().zip(expected).zip(["dq", "dk", "dv"]) {
            assert_close(&real(wrap(actual), &plan), &real(wrap(expected), &plan), what);
        }
    }
}

#[test]
fn gated_silu_and_its_gradients_equal_burns_own() {
    type AD = Autodiff<Flex>;
    let device = Default::default();
    let [gate, up, grad] = [(); 3].map(|()| random([1, 37, 1000]).reshape([37, 1000]));
    let run = |fused: bool| {
        let leaf = |x: &Tensor<Flex, 2>| Tensor::<AD, 2>::from_inner(x.clone()).require_grad();
        let (gate, up) = (leaf(&gate), leaf(&up));
        let output = if fused {
            super::gated_silu(gate.clone(), up.clone())
        } else {
            burn::tensor::activation::silu(gate.clone()) * up.clone()
        };
        let gradients = (output.clone() * Tensor::from_inner(grad.clone())).sum().backward();
        let vec = |x: Tensor<Flex, 2>| x.into_data().into_vec::<f32>().unwrap();
        [vec(output.inner()), vec(gate.grad(&gradients).unwrap()), vec(up.grad(&gradients).unwrap())]
    };
    for ((fused, plain), what) in run(true).iter().zip(run(false)).zip(["output", "dgate", "dup"]) {
        assert_close(fused, &plain, what);
    }
    Flex::seed(&device, 0);
}
