//! The oracle's fixtures.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod bundles;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::ScoreScale;
use pair2score_model::{Backbone, LlamaConfig, Pooling, ScoreLink, hidden_width};
use pair2score_scorer::{
    Encoded, HeadFile, RelativeFiles, ScoreFiles, Scorer, ScorerSettings, StoredTensor, TensorFile,
    TextEncoder, TraitSettings, WeightDType, load_backbone, write_scorer_settings, write_tensors,
};
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

    /// The texts as they are embedded.
    pub fn documents(&self) -> Vec<Encoded> {
        let encoder = self.encoder(self.max_length);
        self.texts.iter().map(|text| encoder.encode(text).unwrap()).collect()
    }

    /// Values and shape of a tensor in `expected.safetensors`.
    pub fn tensor(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let data = self.tensors.read(name, WeightDType::F32).unwrap();
        let shape = data.shape.to_vec();
        (data.into_vec().unwrap(), shape)
    }

    /// Means of hidden states, each changed first, over the real tokens, which lie at the end of a row.
    pub fn mean_hidden(&self, layer: usize, change: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
        let (values, shape) = self.tensor(&format!("hidden.{layer}"));
        let [_, len, width]: [usize; 3] = shape.try_into().unwrap();
        let mean = |(row, ids): (&[f32], &&[u32])| {
            let mut sum = vec![0.0; width];
            for token in row[(len - ids.len()) * width..].chunks_exact(width) {
                sum.iter_mut().zip(change(token)).for_each(|(sum, x)| *sum += x);
            }
            sum.into_iter().map(|sum| sum / ids.len() as f32).collect::<Vec<f32>>()
        };
        values.chunks_exact(len * width).zip(&self.rows()).flat_map(mean).collect()
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

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A scorer with both stages on the oracle's backbone, whose heads were never trained. Stage 1 has the oracle's adapter.
pub struct ToyScorer(tempfile::TempDir);

impl ToyScorer {
    /// `adapters` are stage 2's, folders beside `scorer.json`.
    pub fn new(adapters: &[&str]) -> Self {
        let (folder, oracle) = (tempfile::tempdir().unwrap(), Oracle::load());
        let settings = ScorerSettings {
            traits: vec![TraitSettings::new("grammar", ScoreScale::default())],
            pooling: Pooling::Mean,
            max_length: 48,
            prompt_template: None,
            letters: None,
            anchors: None,
            dtype: WeightDType::F32,
            backbone: oracle.path("backbone"),
            backbone_fingerprint: None,
            layers: None,
            final_norm: true,
            relative: Some(RelativeFiles {
                adapter: Some(oracle.path("adapter")),
                heads: vec!["utility".into()],
            }),
            score: Some(ScoreFiles {
                adapters: adapters.iter().map(PathBuf::from).collect(),
                fusion: false,
                heads: vec![HeadFile { path: "head".into(), link: ScoreLink::Identity }],
            }),
        };
        let [utility, head] = head(1, 7);
        write_tensors(&folder.path().join("utility"), &utility, &[]).unwrap();
        write_tensors(&folder.path().join("head"), &head, &[]).unwrap();
        write_scorer_settings(folder.path(), &settings).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Changes `scorer.json`.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path("scorer.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path, json.to_string()).unwrap();
    }

    pub fn load(&self) -> Scorer<B> {
        Scorer::load(self.0.path(), &device()).unwrap()
    }
}

/// The heads of both stages that were never trained: of utilities, and with so many outputs. Other steps give other
/// heads.
pub fn head(outputs: usize, step: usize) -> [BTreeMap<String, StoredTensor>; 2] {
    let d = Oracle::load().backbone().0.d_model;
    let h = hidden_width(d);
    let utility = vec![("weight", vec![1, d])];
    let head = vec![
        ("0.weight", vec![h, d]),
        ("0.bias", vec![h]),
        ("2.weight", vec![outputs, h]),
        ("2.bias", vec![outputs]),
    ];
    [utility, head].map(|tensors| {
        tensors.into_iter().map(|(name, shape)| (name.to_owned(), ramp(&shape, step))).collect()
    })
}

/// Small values that differ.
fn ramp(shape: &[usize], step: usize) -> StoredTensor {
    let n: usize = shape.iter().product();
    let values = (0..n).map(|i| ((i * step % 101) as f32 / 101.0 - 0.5) * 0.2).collect();
    StoredTensor { shape: shape.to_vec(), values, dtype: WeightDType::F32 }
}
