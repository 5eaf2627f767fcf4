//! Agreement with transformers and PEFT on the oracle's tiny LLaMA (`fixtures/oracle`, see its README).

mod common;

use burn::module::Module;
use burn::tensor::Tensor;
use common::{B, Oracle, assert_close, device};
use pair2score_model::{Adapter, Depth, PadSide, Pooling, TokenBatch, inverse_frequencies};
use pair2score_scorer::{
    Encoded, Encoder, WeightDType, load_adapter, load_backbone, load_backbone_at, read_config,
};

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

/// What a text becomes after each number of layers, with the final norm or without it: from one pass of the whole
/// backbone, and from a backbone of which no more than that is loaded.
#[test]
fn every_depth_gives_the_means_of_its_hidden_states() {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let (last, eps) = (config.n_layers, config.rms_norm_eps as f32);
    let weight = backbone.decoder.norm.as_ref().unwrap().weight.val().into_data().into_vec::<f32>().unwrap();
    let normed = |token: &[f32]| {
        let scale = (token.iter().map(|x| x * x).sum::<f32>() / token.len() as f32 + eps).sqrt().recip();
        token.iter().zip(&weight).map(|(x, w)| x * scale * w).collect::<Vec<f32>>()
    };
    // Its last hidden states are those after the final norm.
    let mut expected = vec![(last, true, oracle.mean_hidden(last, <[f32]>::to_vec))];
    for layer in 1..last {
        expected.push((layer, false, oracle.mean_hidden(layer, <[f32]>::to_vec)));
        expected.push((layer, true, oracle.mean_hidden(layer, normed)));
    }

    let depth =
        |&(layers, final_norm, _): &(usize, bool, Vec<f32>)| Depth { layers: Some(layers), final_norm };
    let depths: Vec<Depth> = expected.iter().map(depth).collect();
    let rows = oracle.rows();
    let documents = oracle.documents();
    let documents: Vec<&Encoded> = documents.iter().collect();
    let encoder = Encoder::new(config, backbone, Pooling::Mean);
    let embed =
        |depths: &[Depth]| encoder.embed_documents(&documents, &[], depths, &mut [], &device(), |_| true);
    for ((at_once, depth), (_, _, expected)) in embed(&depths).unwrap().into_iter().zip(depths).zip(&expected)
    {
        assert_close(&at_once, expected, TOLERANCE, &format!("{depth:?}"));

        let folder = oracle.path("backbone");
        let (config, backbone) = load_backbone_at::<B>(&folder, depth, WeightDType::F32, &device()).unwrap();
        assert_eq!(backbone.num_params(), config.n_parameters());
        let alone = Encoder::new(config, backbone, Pooling::Mean).embed(&rows, &[], &device());
        // The same operations on the same numbers.
        assert_eq!(alone.into_data().into_vec::<f32>().unwrap(), at_once, "{depth:?}");
    }
}

#[test]
fn a_depth_that_is_not_there_is_refused() {
    let oracle = Oracle::load();
    let folder = oracle.path("backbone");
    let deep = Depth { layers: Some(9), final_norm: true };
    let error = load_backbone_at::<B>(&folder, deep, WeightDType::F32, &device()).unwrap_err().to_string();
    assert!(error.contains("config.json: 9 decoder layers are to be read"), "{error}");

    let bare = Depth { layers: Some(1), final_norm: false };
    let (config, backbone) = load_backbone_at::<B>(&folder, bare, WeightDType::F32, &device()).unwrap();
    let encoder = Encoder::new(config, backbone, Pooling::Mean);
    for (layers, final_norm, problem) in [(2, false, "has 1"), (1, true, "the final norm was not loaded")] {
        let depth = Depth { layers: Some(layers), final_norm };
        let error = encoder.embed_documents(&[], &[], &[depth], &mut [], &device(), |_| true).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(problem), "{error}");
    }
}

/// Pooled embeddings; `padding` is its side and the least length, `None` packs the documents.
fn pooled(padding: Option<(PadSide, usize)>, adapters: &[&Adapter<B>]) -> Vec<f32> {
    let oracle = Oracle::load();
    let (config, backbone) = oracle.backbone();
    let batch = match padding {
        Some((side, min_len)) => TokenBatch::<B>::padded(&oracle.rows(), 1, side, min_len, &device()),
        None => TokenBatch::packed(&oracle.rows(), &device()),
    };
    let hidden = backbone.forward(&config, &batch, adapters, None);
    Pooling::Mean.pool(hidden, &batch).into_data().into_vec().unwrap()
}

#[test]
fn pooled_embeddings_with_and_without_adapter() {
    let oracle = Oracle::load();
    let (config, _) = oracle.backbone();
    let adapter = load_adapter::<B>(&oracle.path("adapter"), &config, &device()).unwrap().adapter;
    let close = |actual: Vec<f32>, name: &str| assert_close(&actual, &oracle.tensor(name).0, TOLERANCE, name);
    close(pooled(None, &[]), "pooled");
    close(pooled(None, &[&adapter]), "pooled.adapter");
}

#[test]
fn padding_side_and_amount_change_nothing() {
    let reference = pooled(None, &[]);
    for padding in [(PadSide::Left, 0), (PadSide::Right, 0), (PadSide::Right, 70), (PadSide::Left, 70)] {
        // Other shapes take other paths through the matrix products, hence the rounding.
        assert_close(&pooled(Some(padding), &[]), &reference, 1e-5, &format!("{padding:?}"));
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
