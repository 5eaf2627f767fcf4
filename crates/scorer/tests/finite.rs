//! Numbers that are none: refused where they are read and written, and never scored.

mod common;

use std::path::Path;

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use common::{B, Oracle, ToyScorer, device};
use pair2score_scorer::{
    BundleDType, Matrices, Scorer, ScorerError, StoredTensor, TensorFile, TensorWriter, WeightDType,
    load_adapter, load_backbone, load_score_head, load_utility_head, write_bundle, write_tensors,
};

/// The file with one value of one tensor changed, written as this dtype.
fn spoil(path: &Path, tensor: &str, index: usize, value: f32, dtype: WeightDType) {
    let file = TensorFile::open(path).unwrap();
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let mut tensors: Vec<(String, StoredTensor)> =
        names.into_iter().map(|name| (name.clone(), file.stored(&name).unwrap())).collect();
    tensors.iter_mut().find(|(name, _)| name == tensor).unwrap().1.values[index] = value;
    // By hand: what writes for us refuses such a value.
    let views = tensors.iter().map(|(name, tensor)| (name, &tensor.shape, dtype.encode(&tensor.values)));
    let views: Vec<_> = views.collect();
    let kind = if dtype == WeightDType::F16 { safetensors::Dtype::F16 } else { safetensors::Dtype::F32 };
    let views = views.iter().map(|(name, shape, bytes)| {
        (*name, safetensors::tensor::TensorView::new(kind, (*shape).clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_backbone_with_a_number_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Oracle::load().path("backbone"), folder.path());
    let weights = folder.path().join("model.safetensors");
    for (tensor, index, value, dtype, place) in [
        ("model.layers.0.mlp.up_proj.weight", 70, f32::NAN, WeightDType::F32, "is NaN at [1, 6]"),
        ("model.norm.weight", 5, f32::INFINITY, WeightDType::F32, "is inf at [5]"),
        ("model.embed_tokens.weight", 0, f32::NEG_INFINITY, WeightDType::F16, "is -inf at [0, 0]"),
    ] {
        spoil(&weights, tensor, index, value, dtype);
        for read_as in [WeightDType::F32, WeightDType::F16, WeightDType::Auto] {
            let error = load_backbone::<B>(folder.path(), read_as, &device()).unwrap_err().to_string();
            assert!(error.contains(&format!("model.safetensors: tensor {tensor} {place}")), "{error}");
        }
        copy(&Oracle::load().path("backbone"), folder.path());
    }
}

#[test]
fn a_weight_beyond_f16_is_refused_where_f16_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Oracle::load().path("backbone"), folder.path());
    let weights = folder.path().join("model.safetensors");
    spoil(&weights, "model.layers.1.self_attn.q_proj.weight", 64, 70_000.0, WeightDType::F32);
    let load = |dtype| load_backbone::<B>(folder.path(), dtype, &device()).map(|_| ());
    let error = load(WeightDType::F16).unwrap_err().to_string();
    assert!(error.contains("q_proj.weight is 70000 at [1, 0], which f16 cannot hold"), "{error}");
    for dtype in [WeightDType::F32, WeightDType::Bf16, WeightDType::Auto] {
        load(dtype).unwrap();
    }
}

#[test]
fn adapters_and_heads_are_held_to_the_same() {
    let (folder, oracle) = (tempfile::tempdir().unwrap(), Oracle::load());
    let (config, _) = oracle.backbone();
    copy(&oracle.path("adapter"), folder.path());
    let file = folder.path().join("adapter_model.safetensors");
    let name = TensorFile::open(&file).unwrap().names().next().unwrap().to_owned();
    spoil(&file, &name, 1, f32::NAN, WeightDType::F32);
    let error = load_adapter::<B>(folder.path(), &config, &device()).unwrap_err().to_string();
    assert!(error.contains(&format!("tensor {name} is NaN at [0, 1]")), "{error}");

    let scorer = ToyScorer::new(&[]);
    let d = config.d_model;
    spoil(&scorer.path("utility"), "weight", 2, f32::NAN, WeightDType::F32);
    let error = load_utility_head::<B>(&scorer.path("utility"), d, &device()).unwrap_err().to_string();
    assert!(error.contains("utility: tensor weight is NaN at [0, 2]"), "{error}");
    spoil(&scorer.path("head"), "2.bias", 0, f32::INFINITY, WeightDType::F32);
    let error = load_score_head::<B>(&scorer.path("head"), d, 1, &device()).unwrap_err().to_string();
    assert!(error.contains("head: tensor 2.bias is inf at [0]"), "{error}");
}

/// Products can overflow though all weights are finite, and ReLU hides that from the score. The row of one token stands
/// for such a product.
#[test]
fn a_document_whose_embedding_is_not_finite_has_no_score() {
    let mut scorer = ToyScorer::new(&[]).load();
    let documents = scorer.encode(&["a", "zzzz"]).unwrap();
    let spoilt = documents[1].ids[1];
    assert!(!documents[0].ids.contains(&spoilt));
    let table = scorer.encoder.backbone.embed_tokens.val();
    let (spoilt, width) = (spoilt as usize, scorer.encoder.config.d_model);
    let row = Tensor::<B, 2>::full([1, width], f32::NAN, &device());
    let table = table.slice_assign([spoilt..spoilt + 1, 0..width], row);
    scorer.encoder.backbone.embed_tokens = Param::initialized(ParamId::new(), table);

    assert!(scorer.score(&documents[..1], |_| ()).unwrap().is_some());
    let name = |place: usize| ["first", "second"][place].to_owned();
    for error in [
        scorer.score(&documents, |_| ()).unwrap_err(),
        scorer.utilities(&documents, |_| ()).unwrap_err(),
        scorer.compare(&[documents[0].clone(), documents[1].clone()]).unwrap_err(),
    ] {
        assert!(matches!(error, ScorerError::NotFinite { place: 1, .. }), "{error}");
        let error = error.of_document(name).to_string();
        assert!(error.starts_with("document \"second\": its embedding or score is "), "{error}");
    }
}

#[test]
fn nothing_that_is_not_finite_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for (value, dtype, problem) in [
        (f32::NAN, WeightDType::F32, "tensor a is NaN at [1, 0]"),
        (1e5, WeightDType::F16, "tensor a is 100000 at [1, 0], which f16 cannot hold"),
    ] {
        let tensor = StoredTensor { shape: vec![2, 2], values: vec![0.0, 1.0, value, 2.0], dtype };
        let error = write_tensors(&path, &[("a".to_owned(), tensor.clone())].into(), &[]).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        let mut writer = TensorWriter::create(&path, &[("a".into(), vec![2, 2])], dtype).unwrap();
        let error = writer.write("a", &tensor.values).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn a_bundle_is_held_to_the_same() {
    let (scorer, folder) = (ToyScorer::new(&[]).load(), tempfile::tempdir().unwrap());
    let write = |scorer: &Scorer<B>, dtype| {
        let matrices = Matrices { dtype, pack: false };
        write_bundle(folder.path(), scorer, matrices, 1 << 20, Vec::new())
    };
    write(&scorer, BundleDType::F32).unwrap();
    // A weight in the first shard, whose hash is made to fit.
    let shard = folder.path().join("weights-000.bin");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[400..404].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&shard, &bytes).unwrap();
    let manifest = folder.path().join("manifest.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    json["shards"][0]["sha256"] = common::sha256(&bytes).into();
    std::fs::write(&manifest, json.to_string()).unwrap();
    let error = Scorer::<B>::load(folder.path(), &device()).unwrap_err().to_string();
    assert!(
        error.contains("weights-000.bin: tensor backbone/embed_tokens.weight is NaN at [1, 36]"),
        "{error}"
    );

    let mut large = ToyScorer::new(&[]).load();
    let table = large.encoder.backbone.embed_tokens.val().add_scalar(1e5);
    large.encoder.backbone.embed_tokens = Param::initialized(ParamId::new(), table);
    let error = write(&large, BundleDType::F16).unwrap_err().to_string();
    assert!(error.contains("tensor embed_tokens.weight is inf at [0, 0]"), "{error}");
}
