//! A scorer that reads its backbone below the top, from its folder and from a bundle.

mod common;

use burn::tensor::Tensor;
use common::{B, Oracle, ToyScorer, device};
use pair2score_scorer::{BundleDType, Manifest, Matrices, Scorer, write_bundle};
use serde_json::{Value, json};

/// Utilities of the oracle's texts by a scorer, and by hand from the oracle's hidden states.
#[test]
fn a_scorer_reads_where_its_settings_say_and_so_does_its_bundle() {
    let (oracle, toy) = (Oracle::load(), ToyScorer::new(&[]));
    toy.edit(|json| {
        json["layers"] = 2.into();
        json["final_norm"] = false.into();
        json["max_length"] = oracle.max_length.into();
        json["relative"]["adapter"] = Value::Null;
    });
    let scorer = toy.load();
    assert_eq!(scorer.encoder.backbone.decoder.layers.len(), 2);
    let documents = scorer.encode(&oracle.texts).unwrap();
    let utilities = scorer.utilities(&documents, |_| ()).unwrap().unwrap();

    let weight: Tensor<B, 2> = scorer.stage1().unwrap().heads[0].weight.val();
    let weight: Vec<f32> = weight.into_data().into_vec().unwrap();
    let means = oracle.mean_hidden(2, <[f32]>::to_vec);
    let expected = means
        .chunks_exact(weight.len())
        .map(|mean| mean.iter().zip(&weight).map(|(x, w)| f64::from(x * w)).sum::<f64>());
    for (utility, expected) in utilities.iter().flatten().zip(expected) {
        // The oracle promises 1e-4 for each of 64 numbers, weights are at most 0.1.
        assert!((utility - expected).abs() < 1e-4, "{utility} {expected}");
    }

    let folder = tempfile::tempdir().unwrap();
    let matrices = Matrices { dtype: BundleDType::F32, pack: false };
    write_bundle(folder.path(), &scorer, matrices, 1 << 20, Vec::new()).unwrap();
    let manifest = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    let names: Vec<String> =
        Manifest::parse(&manifest).unwrap().tensors.into_iter().map(|tensor| tensor.name).collect();
    assert!(
        names.iter().all(|name| !name.contains("layers.2") && name != "backbone/norm.weight"),
        "{names:?}"
    );
    let bundled = Scorer::<B>::load(folder.path(), &device()).unwrap();
    assert_eq!(bundled.utilities(&documents, |_| ()).unwrap().unwrap(), utilities);
}

/// The oracle's adapter sits on all layers; those that run have theirs.
#[test]
fn an_adapter_of_the_whole_backbone_serves_its_first_layers() {
    let toy = ToyScorer::new(&[]);
    toy.edit(|json| json["layers"] = 1.into());
    let scorer = toy.load();
    assert_eq!(scorer.stage1().unwrap().adapter.as_ref().unwrap().layers.len(), 1);
    let documents = scorer.encode(&["a text"]).unwrap();
    assert!(scorer.utilities(&documents, |_| ()).unwrap().is_some());
}

#[test]
fn a_depth_that_is_none_is_refused() {
    let toy = ToyScorer::new(&[]);
    for (layers, problem) in
        [(json!(0), "reads 0 decoder layers"), (json!(4), "4 decoder layers are to be read")]
    {
        toy.edit(|json| json["layers"] = layers);
        let error = Scorer::<B>::load(&toy.path(""), &device()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
