//! Scorers of every kind, with weights that are no more than different, and their bundles.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use pair2score_data::ScoreScale;
use pair2score_model::{Pooling, ScoreLink, hidden_width};
use pair2score_scorer::{
    BundleDType, BundleLoader, Calibration, CalibrationMethod, Embedder, HeadFile, Intervals, Matrices,
    RelativeFiles, ScoreFiles, Scorer, ScorerSettings, StoredTensor, TraitSettings, WeightDType,
    write_scorer_settings, write_tensors,
};
use serde_json::{Value, json};

use super::{B, Oracle, device};

pub const D: usize = 64;
pub const F32: Matrices = Matrices { dtype: BundleDType::F32, pack: false };

/// Small values that differ.
pub fn ramp(shape: &[usize], step: usize) -> StoredTensor {
    let n: usize = shape.iter().product();
    let values = (0..n).map(|i| ((i * step % 101) as f32 / 101.0 - 0.5) * 0.2).collect();
    StoredTensor { shape: shape.to_vec(), values, dtype: WeightDType::F32 }
}

/// Stretches what lies between 2 and 4.
pub fn calibration() -> Calibration {
    Calibration {
        method: CalibrationMethod::Linear,
        documents: 100,
        knots: vec![[2.0, 1.0], [4.0, 5.0]],
        thresholds: (0..8).map(|grade| 2.125 + 0.25 * f64::from(grade)).collect(),
    }
}

/// Wider from 3 on.
pub fn intervals() -> Intervals {
    Intervals { level: 0.9, documents: 100, thresholds: vec![3.0], half_widths: vec![0.75, 1.25] }
}

pub fn settings(relative: bool, adapters: Option<&[&str]>, fusion: bool, link: ScoreLink) -> ScorerSettings {
    ScorerSettings {
        traits: vec![TraitSettings {
            target: "grammar".into(),
            scale: ScoreScale::default(),
            label_counts: Some((0..9).collect()),
            calibration: Some(calibration()),
            intervals: Some(intervals()),
            raters: None,
        }],
        pooling: Pooling::Mean,
        max_length: 48,
        prompt_template: None,
        letters: None,
        anchors: None,
        dtype: WeightDType::F32,
        backbone: Oracle::load().path("backbone"),
        backbone_fingerprint: None,
        layers: None,
        final_norm: true,
        relative: relative
            .then(|| RelativeFiles { adapter: Some("stage1".into()), heads: vec!["utility".into()] }),
        score: adapters.map(|adapters| ScoreFiles {
            adapters: adapters.iter().map(PathBuf::from).collect(),
            fusion,
            heads: vec![HeadFile { path: "head".into(), link }],
        }),
    }
}

/// A scorer's folder; the second adapter has a projection with a rank of its own and one with a scale of its own.
pub fn scorer(folder: &Path, settings: &ScorerSettings) -> Scorer<B> {
    let oracle = Oracle::load();
    for (from, to) in [("stage1_adapter", "stage1"), ("adapter", "stage2")] {
        fs::create_dir_all(folder.join(to)).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(oracle.path(from).join(file), folder.join(to).join(file)).unwrap();
        }
    }
    let config = folder.join("stage2/adapter_config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["alpha_pattern"] = json!({ "layers.1.self_attn.v_proj": 20 });
    fs::write(config, json.to_string()).unwrap();
    write_tensors(&folder.join("utility"), &[("weight".to_owned(), ramp(&[1, D], 37))].into(), &[]).unwrap();
    let score = settings.score.as_ref();
    let width = if score.is_some_and(|files| files.fusion) { 2 * D } else { D };
    let outputs = score.map_or(1, |files| files.heads[0].link.n_outputs());
    let h = hidden_width(width);
    let head = [
        ("0.weight".to_owned(), ramp(&[h, width], 53)),
        ("0.bias".to_owned(), ramp(&[h], 29)),
        ("2.weight".to_owned(), ramp(&[outputs, h], 71)),
        ("2.bias".to_owned(), ramp(&[outputs], 13)),
    ];
    write_tensors(&folder.join("head"), &head.into(), &[]).unwrap();
    write_scorer_settings(folder, settings).unwrap();
    Scorer::load(folder, &device()).unwrap()
}

pub fn fusion() -> ScorerSettings {
    settings(true, Some(&["stage2"]), true, ScoreLink::Identity)
}

/// Scores and utilities of the oracle's texts.
pub fn numbers<E: Embedder<B>>(scorer: &Scorer<B, E>) -> (Option<Vec<f64>>, Option<Vec<f64>>) {
    let documents = scorer.encode(&Oracle::load().texts).unwrap();
    let (scores, utilities) = (scorer.score(&documents, |_| ()), scorer.utilities(&documents, |_| ()));
    (
        scores.unwrap().map(|scores| scores.iter().flatten().map(|s| s.score).collect()),
        utilities.unwrap().map(|utilities| utilities.concat()),
    )
}

/// A loader for the bundle in a folder, and its shards.
pub fn loader(folder: &Path) -> (BundleLoader<B>, Vec<Vec<u8>>, Vec<u8>) {
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let loader = BundleLoader::<B>::new(&manifest, false, &device()).unwrap();
    let files = loader.manifest().shards.iter().map(|shard| fs::read(folder.join(&shard.file)).unwrap());
    let shards = files.collect();
    (loader, shards, fs::read(folder.join("tokenizer.json")).unwrap())
}
