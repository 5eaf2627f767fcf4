//! Safetensors: one file, or an index and after separators the shards `a`, `b`, `c`.

use std::collections::BTreeMap;
use std::path::Path;

use pair2score_scorer::{TensorFile, WeightDType, write_tensors};

use super::{empty_folder, file, parts};

pub(super) fn check(input: &[u8], folder: &Path) {
    let model = empty_folder(folder, "model");
    match parts(input).as_slice() {
        [single] => _ = file(&model, "model.safetensors", single),
        [index, shards @ ..] => {
            file(&model, "model.safetensors.index.json", index);
            for (name, shard) in ["a", "b", "c"].into_iter().zip(shards) {
                file(&model, name, shard);
            }
        }
        [] => unreachable!("an input has a first part"),
    }
    let Ok(tensors) = TensorFile::open_folder(&model) else { return };

    let mut copies = BTreeMap::new();
    for name in tensors.names() {
        let shape = tensors.shape(name).expect("it is one of the names");
        for dtype in [WeightDType::F32, WeightDType::F16, WeightDType::Bf16, WeightDType::Auto] {
            if let Ok(data) = tensors.read(name, dtype) {
                assert_eq!(data.shape.to_vec(), shape, "{name}");
            }
        }
        if let Ok(tensor) = tensors.stored(name) {
            copies.insert(name.to_owned(), tensor);
        }
    }
    let path = folder.join("copies.safetensors");
    write_tensors(&path, &copies, &[]).expect("what was read can be written");
    let again = TensorFile::open(&path).expect("what we wrote can be read");
    assert!(again.names().eq(copies.keys()));
    for (name, copy) in &copies {
        let read = again.stored(name).expect("what we wrote can be read");
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!((&read.shape, bits(&read.values)), (&copy.shape, bits(&copy.values)), "{name}");
    }
}
