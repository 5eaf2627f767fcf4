//! Agreement with transformers and PEFT on the oracle's tiny LLaMA (`fixtures/oracle`, see its README).

mod common;

use burn::tensor::Tensor;
use common::{B, Oracle, assert_close, device};
use pair2score_model::{Adapter, PadSide, Pooling, TokenBatch, inverse_frequencies};
use pair2score_scorer::{WeightDType, load_adapter, load_backbone, merge_adapters, read_config};

/// The oracle promises 1e-4 in f32.
const TOLERANCE: f32 = 1e-4;

#[test]
fn token_ids_are_equal() {
    let oracle = Oracle::load();
    let (whole, cut) = (oracle.encoder(4096), oracle.encoder(oracle.max_length));
    for ((text, ids), row) in oracle.texts.iter().zip(&oracle.ids).zip(oracle.rows()) {
        assert_eq!(&whole.encode(text).unwrap().ids, ids, "{text:?}");
        let encoded = cut.encode(text).unwrap();
        assert_eq!(encoded.ids, row, "{text:?}");
        assert_eq!(encoded.truncated(), ids.len() > oracle.max_length, "{text:?}");
    }
}

#[test]
fn hidden_states_of_every_layer() {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let rows = oracle.rows();
    let batch = TokenBatch::<B>::new(&rows, 1, PadSide::Left, 0, &device());
    for (layer, state) in backbone.hidden_states(&config, &batch, &[]).into_iter().enumerate() {
        let (expected, shape) = oracle.tensor(&format!("hidden.{layer}"));
        assert_eq!(state.dims().to_vec(), shape);
        let state: Vec<f32> = state.into_data().into_vec().unwrap();
        let [_, len, width]: [usize; 3] = shape.try_into().unwrap();
        for (row, span) in batch.spans.iter().enumerate() {
            let real = (row * len + span.start) * width..(row * len + span.end) * width;
            assert_close(
                &state[real.clone()],
                &expected[real],
                TOLERANCE,
                &format!("layer {layer} row {row}"),
            );
        }
    }
}

fn pooled(side: PadSide, min_len: usize, adapters: &[&Adapter<B>], merge: bool) -> Vec<f32> {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let batch = TokenBatch::<B>::new(&oracle.rows(), 1, side, min_len, &device());
    let hidden = if merge {
        merge_adapters(backbone, adapters).forward(&config, &batch, &[])
    } else {
        backbone.forward(&config, &batch, adapters)
    };
    Pooling::Mean.pool(hidden, &batch).into_data().into_vec().unwrap()
}

#[test]
fn pooled_embeddings_with_and_without_adapter_and_merged() {
    let oracle = Oracle::load();
    let (config, _) = oracle.backbone();
    let adapter = load_adapter::<B>(&oracle.path("adapter"), &config, &device()).unwrap().adapter;
    let close = |actual: Vec<f32>, name: &str| assert_close(&actual, &oracle.tensor(name).0, TOLERANCE, name);
    close(pooled(PadSide::Left, 0, &[], false), "pooled");
    close(pooled(PadSide::Left, 0, &[&adapter], false), "pooled.adapter");
    close(pooled(PadSide::Left, 0, &[&adapter], true), "pooled.merged");
}

#[test]
fn merged_weight() {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let adapter = load_adapter::<B>(&oracle.path("adapter"), &config, &device()).unwrap().adapter;
    let merged = merge_adapters(backbone, &[&adapter]);
    let actual: Vec<f32> = merged.layers[0].q.val().into_data().into_vec().unwrap();
    assert_close(&actual, &oracle.tensor("merged.layers.0.q_proj").0, TOLERANCE, "q_proj");
}

#[test]
fn padding_side_and_amount_change_nothing() {
    let reference = pooled(PadSide::Right, 0, &[], false);
    for (side, min_len) in [(PadSide::Left, 0), (PadSide::Right, 70), (PadSide::Left, 70)] {
        // Left padding shifts the positions; RoPE depends on differences only, up to f32 rounding.
        assert_close(&pooled(side, min_len, &[], false), &reference, 1e-5, &format!("{side:?} {min_len}"));
    }
}

#[test]
fn rope_frequencies() {
    let oracle = Oracle::load();
    let (config, _) = oracle.backbone();
    let expected = oracle.tensor("inv_freq").0;
    assert_close(&inverse_frequencies(&config), &expected, 1e-6, "tiny");
    let config = read_config(&oracle.fixture("llama_3_2_1b.config.json")).unwrap();
    let expected = oracle.tensor("inv_freq.llama_3_2_1b").0;
    assert_close(&inverse_frequencies(&config), &expected, 1e-6, "Llama 3.2 1B");
}

#[test]
fn half_precision_weights_stay_close() {
    let oracle = Oracle::load();
    let expected = oracle.tensor("pooled").0;
    for (dtype, tolerance) in [(WeightDType::F16, 1e-2), (WeightDType::Bf16, 1e-1)] {
        let (config, backbone) = load_backbone::<B>(&oracle.path("backbone"), dtype, &device()).unwrap();
        let batch = TokenBatch::<B>::new(&oracle.rows(), 1, PadSide::Right, 0, &device());
        let pooled: Tensor<B, 2> = Pooling::Mean.pool(backbone.forward(&config, &batch, &[]), &batch);
        let pooled: Vec<f32> = pooled.into_data().into_vec().unwrap();
        assert_close(&pooled, &expected, tolerance, &format!("{dtype:?}"));
    }
}
