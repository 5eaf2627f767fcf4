//! The oracle's fixtures.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

use pair2score_model::{Backbone, LlamaConfig};
use pair2score_scorer::{TensorFile, TextEncoder, WeightDType, load_backbone};
use serde_json::Value;

pub type B = burn::backend::Flex;

pub fn device() -> burn::backend::flex::FlexDevice {
    Default::default()
}

pub struct Oracle {
    pub texts: Vec<String>,
    /// Of the whole texts.
    pub ids: Vec<Vec<u32>>,
    pub max_length: usize,
    pub expected: Value,
    tensors: TensorFile,
}

impl Oracle {
    pub fn load() -> Self {
        let root = root();
        let expected: Value =
            serde_json::from_slice(&std::fs::read(root.join("oracle/expected.json")).unwrap()).unwrap();
        Self {
            texts: serde_json::from_value(expected["texts"].clone()).unwrap(),
            ids: serde_json::from_value(expected["tokenizer_ids"].clone()).unwrap(),
            tensors: TensorFile::open(&root.join("oracle/expected.safetensors")).unwrap(),
            max_length: expected["max_length"].as_u64().unwrap() as usize,
            expected,
        }
    }

    pub fn fixture(&self, name: &str) -> PathBuf {
        root().join(name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        root().join("oracle").join(name)
    }

    pub fn encoder(&self, max_length: usize) -> TextEncoder {
        TextEncoder::load(&self.path("backbone"), max_length).unwrap()
    }

    pub fn backbone(&self) -> (LlamaConfig, Backbone<B>) {
        load_backbone::<B>(&self.path("backbone"), WeightDType::F32, &device()).unwrap()
    }

    /// Token ids cut to the oracle's length: its `input_ids` without the padding.
    pub fn rows(&self) -> Vec<&[u32]> {
        self.ids.iter().map(|ids| &ids[..ids.len().min(self.max_length)]).collect()
    }

    /// Values and shape of a tensor in `expected.safetensors`.
    pub fn tensor(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let data = self.tensors.read(name, WeightDType::F32).unwrap();
        let shape = data.shape.to_vec();
        (data.into_vec().unwrap(), shape)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance, "{what}: element {index} is {a}, expected {e}");
    }
}
