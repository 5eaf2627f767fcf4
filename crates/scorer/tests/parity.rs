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
    let batch = TokenBatch::<B>::padded(&rows, 1, PadSide::Left, 0, &device());
    for (layer, state) in backbone.hidden_states(&config, &batch, &[]).into_iter().enumerate() {
        let (expected, shape) = oracle.tensor(&format!("hidden.{layer}"));
        let [rows, len, width]: [usize; 3] = shape.try_into().unwrap();
        assert_eq!(state.dims(), [rows * len, width]);
        let state: Vec<f32> = state.into_data().into_vec().unwrap();
        for (row, span) in batch.spans.iter().enumerate() {
            let real = span.start * width..span.end * width;
            assert_close(
                &state[real.clone()],
                &expected[real],
                TOLERANCE,
                &format!("layer {layer} row {row}"),
            );
        }
    }
}

/// Pooled embeddings; `padding` is its side and the least length, `None` packs the documents.
fn pooled(padding: Option<(PadSide, usize)>, adapters: &[&Adapter<B>], merge: bool) -> Vec<f32> {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let batch = match padding {
        Some((side, min_len)) => TokenBatch::<B>::padded(&oracle.rows(), 1, side, min_len, &device()),
        None => TokenBatch::packed(&oracle.rows(), &device()),
    };
    let hidden = if merge {
        merge_adapters(backbone, adapters).forward(&config, &batch, &[], None)
    } else {
        backbone.forward(&config, &batch, adapters, None)
    };
    Pooling::Mean.pool(hidden, &batch).into_data().into_vec().unwrap()
}

#[test]
fn pooled_embeddings_with_and_without_adapter_and_merged() {
    let oracle = Oracle::load();
    let (config, _) = oracle.backbone();
    let adapter = load_adapter::<B>(&oracle.path("adapter"), &config, &device()).unwrap().adapter;
    let close = |actual: Vec<f32>, name: &str| assert_close(&actual, &oracle.tensor(name).0, TOLERANCE, name);
    close(pooled(None, &[], false), "pooled");
    close(pooled(None, &[&adapter], false), "pooled.adapter");
    close(pooled(None, &[&adapter], true), "pooled.merged");
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
    let reference = pooled(None, &[], false);
    for padding in [(PadSide::Left, 0), (PadSide::Right, 0), (PadSide::Right, 70), (PadSide::Left, 70)] {
        // Other shapes take other paths through the matrix products, hence the rounding.
        assert_close(&pooled(Some(padding), &[], false), &reference, 1e-5, &format!("{padding:?}"));
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
        let batch = TokenBatch::<B>::packed(&oracle.rows(), &device());
        let pooled: Tensor<B, 2> = Pooling::Mean.pool(backbone.forward(&config, &batch, &[], None), &batch);
        let pooled: Vec<f32> = pooled.into_data().into_vec().unwrap();
        assert_close(&pooled, &expected, tolerance, &format!("{dtype:?}"));
    }
}
