//! Hugging Face folders: in other dtypes, in shards, and with heads.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Scratch, oracle};
use pair2score_scorer::{StoredTensor, TensorFile, WeightDType, write_tensors};
use serde_json::{Value, json};

fn tensors(folder: &std::path::Path) -> BTreeMap<String, StoredTensor> {
    let file = TensorFile::open_folder(folder).unwrap();
    file.names().map(|name| (name.to_owned(), file.stored(name).unwrap())).collect()
}

/// Every weight of the oracle's backbone, with the import's names, rounded.
fn expected(dtype: WeightDType) -> Vec<(String, Vec<u8>)> {
    let backbone = tensors(&oracle()).into_iter();
    let backbone =
        backbone.filter_map(|(name, tensor)| Some((name.strip_prefix("model.")?.to_owned(), tensor)));
    backbone.map(|(name, tensor)| (name, dtype.encode(&tensor.values))).collect()
}

fn imported(scratch: &Scratch, dtype: WeightDType) -> Vec<(String, Vec<u8>)> {
    let tensors = tensors(&scratch.path("out")).into_iter();
    tensors.map(|(name, tensor)| (name, dtype.encode(&tensor.values))).collect()
}

#[test]
fn weights_are_kept_or_rounded_and_the_head_is_left_aside() {
    for (asked, written) in [
        (WeightDType::Auto, WeightDType::F32),
        (WeightDType::Bf16, WeightDType::Bf16),
        (WeightDType::F16, WeightDType::F16),
    ] {
        let scratch = Scratch::new();
        let report = scratch.import(&oracle(), asked).unwrap();
        assert_eq!(report.dtype, written);
        assert!(imported(&scratch, written) == expected(written), "{asked:?}");
    }
}

#[test]
fn shards_become_one_file_in_the_dtype_that_they_have() {
    let scratch = Scratch::new();
    let folder = scratch.oracle("sharded");
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    let mut halves = [BTreeMap::new(), BTreeMap::new()];
    let mut map = serde_json::Map::new();
    for (index, (name, mut tensor)) in tensors(&oracle()).into_iter().enumerate() {
        tensor.dtype = WeightDType::Bf16;
        map.insert(name.clone(), format!("part-{}.safetensors", index % 2).into());
        halves[index % 2].insert(name, tensor);
    }
    for (index, half) in halves.iter().enumerate() {
        write_tensors(&folder.join(format!("part-{index}.safetensors")), half, &[]).unwrap();
    }
    let index = json!({ "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    let report = scratch.import(&folder, WeightDType::Auto).unwrap();
    assert_eq!((report.dtype, report.stored_as), (WeightDType::Bf16, vec!["BF16".to_owned()]));
    assert!(imported(&scratch, WeightDType::Bf16) == expected(WeightDType::Bf16));
    assert!(scratch.path("out/model.safetensors").is_file());
}

#[test]
fn a_reward_model_gives_its_trunk() {
    let scratch = Scratch::new();
    let folder = scratch.oracle("reward");
    let mut config: Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    config["architectures"] = json!(["LlamaForSequenceClassification"]);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut all = tensors(&oracle());
    all.remove("lm_head.weight");
    let head = StoredTensor { shape: vec![1, 64], values: vec![0.5; 64], dtype: WeightDType::F32 };
    all.insert("score.weight".into(), head);
    write_tensors(&folder.join("model.safetensors"), &all, &[]).unwrap();
    let report = scratch.import(&folder, WeightDType::Auto).unwrap();
    assert_eq!(report.left_aside, ["the head of the reward model or classifier (score.weight)"]);
    assert!(imported(&scratch, WeightDType::F32) == expected(WeightDType::F32));
    let marker: Value =
        serde_json::from_slice(&fs::read(scratch.path("out/pair2score_import.json")).unwrap()).unwrap();
    assert_eq!(marker["left_aside"][0], "the head of the reward model or classifier (score.weight)");
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let scratch = Scratch::new();
    let message = scratch.refused(&scratch.path("nowhere.gguf"));
    assert!(message.contains("nowhere.gguf"), "{message}");
}
