//! The fused kernels against the composed ones: outputs and gradients.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Distribution, FloatDType, Tensor, TensorData, ops::QTensorOps};

use super::{
    AttentionPlan, Dropout, Kernels, LowRankInput, PaddedLayout, SavedAttention, SavedNorm, composed,
};
use crate::{PadSide, RotaryTable, TokenBatch, packed};

type Matrix = Tensor<Flex, 2>;

fn plan(heads: usize, kv: usize, d: usize, batch: &TokenBatch<Flex>) -> AttentionPlan<Flex> {
    let device = Default::default();
    let frequencies: Vec<f32> = (0..d / 2).map(|i| 0.7_f32.powi(i as i32)).collect();
    AttentionPlan {
        spans: batch.spans.clone(),
        n_heads: heads,
        n_kv_heads: kv,
        head_dim: d,
        rotary: RotaryTable::new(&frequencies, batch.longest(), &device),
        padded: Some(PaddedLayout::new(&batch.spans, batch.ids.dims()[0], &device)),
    }
}

fn batch(lengths: &[usize], padding: Option<PadSide>) -> TokenBatch<Flex> {
    let rows: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![1; n]).collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    match padding {
        Some(side) => TokenBatch::padded(&rows, 0, side, 0, &Default::default()),
        None => TokenBatch::packed(&rows, &Default::default()),
    }
}

fn random(shape: [usize; 2]) -> Matrix {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

fn values(x: Matrix) -> Vec<f32> {
    x.into_data().into_vec().unwrap()
}

/// Zero on padding, where outputs are unspecified.
fn real(x: Matrix, plan: &AttentionPlan<Flex>) -> Vec<f32> {
    let [slots, width] = x.dims();
    let keep = (0..slots).map(|slot| f32::from(plan.spans.iter().any(|span| span.contains(&slot))));
    let keep = TensorData::new(keep.collect::<Vec<f32>>(), [slots, 1]);
    values(x * Tensor::<Flex, 2>::from_data(keep, &Default::default()).expand([slots, width]))
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        // Sums of up to 300 products of order 1 in another order.
        assert!((a - e).abs() <= 4e-5 * (1.0 + e.abs()), "{what}: element {i} is {a}, expected {e}");
    }
}

#[test]
fn attention_and_its_gradients_equal_the_composed_ones() {
    for (heads, kv, d, lengths, padding) in [
        (4, 2, 16, vec![5, 150, 64], None),
        (4, 2, 16, vec![5, 150, 64], Some(PadSide::Right)),
        (4, 4, 8, vec![1, 65, 130], Some(PadSide::Left)),
        (6, 1, 2, vec![70], None),
    ] {
        let batch = batch(&lengths, padding);
        let plan = plan(heads, kv, d, &batch);
        let [slots] = batch.ids.dims();
        let [q, k, v] = [heads, kv, kv].map(|n| random([slots, n * d]));
        let unwrap = composed::unwrap::<Flex, 2>;
        let wrap = composed::wrap::<Flex, 2>;
        let (output, log_sum) =
            Flex::rotary_attention(unwrap(q.clone()), unwrap(k.clone()), unwrap(v.clone()), &plan);
        let (expected, expected_sum) =
            composed::attention::<Flex>(unwrap(q.clone()), unwrap(k.clone()), unwrap(v.clone()), &plan);
        assert_close(&real(wrap(output.clone()), &plan), &real(wrap(expected), &plan), "output");
        assert_close(&real(wrap(log_sum.clone()), &plan), &real(wrap(expected_sum), &plan), "log-sum");

        // The loss never depends on padding, so its gradient there is zero, and so must what comes of it be.
        let grad = TensorData::new(real(random([slots, heads * d]), &plan), [slots, heads * d]);
        let grad = Tensor::from_data(grad, &Default::default());
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
            assert_close(&values(wrap(actual)), &values(wrap(expected)), what);
        }
    }
}

#[test]
fn attention_of_the_end_of_a_document_equals_the_composed_one() {
    for earlier in [1, 64, 100, 149] {
        let batch = batch(&[150], None);
        let plan = plan(4, 2, 16, &batch);
        let [q, k, v] = [4, 2, 2].map(|n| random([150, n * 16]));
        let q = q.narrow(0, earlier, 150 - earlier);
        let run = |attention: fn(_, _, _, &_) -> _| {
            let unwrap = composed::unwrap::<Flex, 2>;
            values(composed::wrap(attention(unwrap(q.clone()), unwrap(k.clone()), unwrap(v.clone()), &plan)))
        };
        let (actual, expected) = (run(Flex::attention_of_end), run(composed::attention_of_end::<Flex>));
        assert_eq!(actual.len(), expected.len());
        assert_close(&actual, &expected, "output");
    }
}

#[test]
fn projections_and_their_gradients_equal_burns_own() {
    type AD = Autodiff<Flex>;
    let (x, weight, grad) = (random([70, 37]), random([21, 37]), random([70, 21]));
    let run = |fused: bool| {
        let leaf = |x: &Matrix| Tensor::<AD, 2>::from_inner(x.clone()).require_grad();
        let (x, weight) = (leaf(&x), leaf(&weight));
        let output = match fused {
            true => super::projection(x.clone(), weight.clone()),
            false => x.clone().matmul(weight.clone().transpose()),
        };
        let gradients = (output.clone() * Tensor::from_inner(grad.clone())).sum().backward();
        [output.inner(), x.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap()].map(values)
    };
    for ((fused, plain), what) in run(true).iter().zip(run(false)).zip(["output", "dx", "dweight"]) {
        assert_close(fused, &plain, what);
    }
}

#[test]
fn the_norm_and_its_gradient_equal_the_composed_ones() {
    let (x, grad) = (random([150, 37]), random([150, 37]));
    let weight = random([1, 37]).reshape([37]);
    let (x, weight) = (composed::unwrap(x), composed::unwrap::<Flex, 1>(weight));
    let (output, scale) = Flex::rms_norm(x.clone(), weight.clone(), 1e-5);
    let (expected, expected_scale) = composed::rms_norm::<Flex>(x.clone(), weight.clone(), 1e-5);
    let plain = |x| values(composed::wrap::<Flex, 2>(x));
    assert_close(&plain(output), &plain(expected), "output");
    assert_close(&plain(scale.clone()), &plain(expected_scale), "scale");
    let saved = SavedNorm::<Flex> { x, weight, scale };
    let grad = composed::unwrap(grad);
    let actual = Flex::rms_norm_backward(saved.clone(), grad.clone());
    assert_close(&plain(actual), &plain(composed::rms_norm_backward::<Flex>(saved, grad)), "dx");
}

#[test]
fn gradients_of_the_norm_equal_those_of_plain_operations() {
    type AD = Autodiff<Flex>;
    let (x, grad, weight) = (random([20, 37]), random([20, 37]), random([1, 37]).reshape([37]));
    let run = |fused: bool| {
        let x = Tensor::<AD, 2>::from_inner(x.clone()).require_grad();
        let weight = Tensor::<AD, 1>::from_inner(weight.clone()).require_grad();
        let output = if fused {
            super::rms_norm(x.clone(), weight.clone(), 1e-5)
        } else {
            let mean_square = (x.clone() * x.clone()).mean_dim(1);
            x.clone() / mean_square.add_scalar(1e-5).sqrt() * weight.clone().unsqueeze()
        };
        let gradients = (output * Tensor::from_inner(grad.clone())).sum().backward();
        let weight: Tensor<Flex, 1> = weight.grad(&gradients).unwrap();
        [values(x.grad(&gradients).unwrap()), values(weight.reshape([1, 37]))]
    };
    for ((fused, plain), what) in run(true).iter().zip(run(false)).zip(["dx", "dweight"]) {
        assert_close(fused, &plain, what);
    }
}

/// An update of rank 3 on 300 rows: more than two blocks.
fn low_rank_input(dropout: Option<Dropout>) -> LowRankInput<Flex> {
    let [x, a, b] = [random([300, 37]), random([3, 37]), random([21, 3])].map(composed::unwrap);
    LowRankInput { x, a, b, scale: 0.5, dropout }
}

#[test]
fn the_low_rank_update_and_its_gradients_equal_the_composed_ones() {
    for dropout in [None, Some(Dropout { keep: 0.7, seed: 5 })] {
        low_rank_equals_the_composed_one(dropout);
    }
}

fn low_rank_equals_the_composed_one(dropout: Option<Dropout>) {
    let (base, grad) = (composed::unwrap(random([300, 21])), composed::unwrap(random([300, 21])));
    let input = low_rank_input(dropout);
    let plain = |x| values(composed::wrap::<Flex, 2>(x));
    // The base is shared here, so it must be copied.
    let (output, low) = Flex::low_rank(base.clone(), &input);
    let (expected, expected_low) = composed::low_rank::<Flex>(base.clone(), &input);
    assert_close(&plain(output), &plain(expected.clone()), "output");
    assert_close(&plain(low.clone()), &plain(expected_low), "low");
    let (output, _) = Flex::low_rank(base, &input);
    assert_close(&plain(output), &plain(expected), "output in place");
    let actual = Flex::low_rank_backward(input.clone(), low.clone(), grad.clone());
    let expected = composed::low_rank_backward::<Flex>(input, low, grad);
    for ((actual, expected), what) in actual.into_iter().zip(expected).zip(["dx", "da", "db"]) {
        assert_close(&plain(actual), &plain(expected), what);
    }
}

#[test]
fn both_passes_drop_the_same_elements() {
    let plain = |x| values(composed::wrap::<Flex, 2>(x));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let input = low_rank_input(Some(Dropout { keep: 0.7, seed: 5 }));
    let zero = || composed::unwrap(Tensor::<Flex, 2>::zeros([300, 21], &Default::default()));
    for (who, forward, backward) in [
        (
            "fused",
            Flex::low_rank as fn(_, &LowRankInput<Flex>) -> _,
            Flex::low_rank_backward as fn(LowRankInput<Flex>, _, _) -> _,
        ),
        ("composed", composed::low_rank::<Flex>, composed::low_rank_backward::<Flex>),
    ] {
        let (output, low) = forward(zero(), &input);
        let grad = composed::unwrap(random([300, 21]));
        let [grad_x, grad_a, grad_b] = backward(input.clone(), low, grad.clone());
        // The update is linear in each factor, so <grad, update> is <gradient of the factor, factor>.
        let expected = dot(&plain(grad), &plain(output));
        for (what, gradient, factor) in
            [("x", grad_x, &input.x), ("a", grad_a, &input.a), ("b", grad_b, &input.b)]
        {
            let actual = dot(&plain(gradient), &plain(factor.clone()));
            assert!(
                (actual - expected).abs() < 1e-2 * expected.abs().max(1.0),
                "{who} {what}: {actual} {expected}"
            );
        }
    }
}

#[test]
fn gated_silu_and_its_gradients_equal_burns_own() {
    type AD = Autodiff<Flex>;
    let [gate, up, grad] = [(); 3].map(|()| random([37, 1000]));
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
}

#[test]
fn products_with_packed_weights_read_what_was_packed() {
    // More outputs than a panel holds, and not a multiple of it.
    let (rows, inputs, outputs) = (9, 96, 300);
    // Activations that blocks of 8 bits hold exactly, whether the body rounds them or not.
    let x = random([rows, inputs]).mul_scalar(20.0).round().clamp(-126.0, 126.0);
    let mut x = values(x);
    x.chunks_exact_mut(packed::BLOCK).for_each(|block| block[0] = 127.0);
    let x: Matrix = Tensor::from_data(TensorData::new(x, [rows, inputs]), &Default::default());
    let bytes = packed::pack(&values(random([outputs, inputs])));
    let mut unpacked = Vec::new();
    packed::unpack(&bytes, &mut unpacked);
    let weight: Matrix = Tensor::from_data(TensorData::new(unpacked, [outputs, inputs]), &Default::default());
    let expected = x.clone().matmul(weight.transpose());
    let assert_close = |actual, what| {
        for (a, e) in values(actual).into_iter().zip(values(expected.clone())) {
            // Sums of 96 products of up to 500.
            assert!((a - e).abs() <= 1e-2, "{what}: {a}, expected {e}");
        }
    };
    let weight =
        || Flex::q_from_data(packed::data(bytes.clone(), vec![outputs, inputs]), &Default::default());
    assert_close(
        composed::wrap::<Flex, 2>(Flex::packed_projection(composed::unwrap(x.clone()), weight())),
        "fused",
    );
    let plain = composed::packed_projection::<Flex>(composed::unwrap(x), weight());
    assert_close(composed::wrap::<Flex, 2>(plain), "composed");
}

#[test]
fn projections_in_bf16_and_their_gradients_equal_the_composed_ones() {
    let [x, weight, grad] =
        [random([70, 37]), random([21, 37]), random([70, 21])].map(composed::unwrap::<Flex, 2>);
    let weight = composed::unwrap::<Flex, 2>(composed::wrap::<Flex, 2>(weight).cast(FloatDType::BF16));
    let (forward, backward) = (
        Flex::projection(x.clone(), weight.clone()),
        Flex::projection_backward(weight.clone(), grad.clone()),
    );
    let composed_ones = |[x, weight, grad]: [_; 3]| {
        let backward = composed::projection_backward::<Flex>(Clone::clone(&weight), grad);
        [composed::projection::<Flex>(x, weight), backward]
    };
    let all = [x, weight, grad];
    let sizes = composed_ones(all.clone().map(|x| composed::unwrap(composed::wrap::<Flex, 2>(x).abs())));
    let expected = composed_ones(all).into_iter().zip(sizes);
    for ((actual, (expected, sizes)), what) in
        [forward, backward].into_iter().zip(expected).zip(["output", "dx"])
    {
        let [actual, expected, sizes] =
            [actual, expected, sizes].map(|x| values(composed::wrap::<Flex, 2>(x)));
        for ((a, e), size) in actual.iter().zip(&expected).zip(&sizes) {
            // The composed product rounds sums of some of its terms to bf16, 8 bits, and these lie below the sum of sizes.
            assert!((a - e).abs() <= size / 256.0, "{what}: {a}, expected {e}");
        }
    }
}
