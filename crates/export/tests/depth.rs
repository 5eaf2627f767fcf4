//! Scorers that read their backbone below its top: every format computes what they do, or says that it cannot.

mod common;

use std::fs;

use common::{Folder, Transfer};
use pair2score_export::{Format, Precision};
use pair2score_scorer::TensorFile;
use serde_json::Value;

fn edit(folder: &Folder, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.path(file);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

/// An export is checked by what it computes from its own files, by another program in the case of ONNX.
#[test]
fn fewer_layers_in_every_format() {
    for format in [Format::HuggingFace, Format::SentenceTransformers, Format::Onnx] {
        let folder = Folder::new();
        folder.scorer(Transfer::WarmStart);
        edit(&folder, "scorer/scorer.json", |json| json["layers"] = 2.into());
        folder.export(format, Precision::F32).unwrap();
        if format != Format::Onnx {
            edit(&folder, "out/config.json", |json| assert_eq!(json["num_hidden_layers"], 2, "{format:?}"));
        }
    }
}

/// transformers ends with a norm, always: one layer more, which adds nothing, and the hidden states before it.
#[test]
fn the_hidden_states_before_the_final_norm_in_every_format() {
    for format in [Format::HuggingFace, Format::SentenceTransformers, Format::Onnx] {
        let folder = Folder::new();
        folder.scorer(match format {
            Format::SentenceTransformers => Transfer::WarmStart,
            _ => Transfer::Fusion,
        });
        edit(&folder, "scorer/scorer.json", |json| {
            json["layers"] = 2.into();
            json["final_norm"] = false.into();
        });
        folder.export(format, Precision::F32).unwrap();
        if format != Format::Onnx {
            edit(&folder, "out/config.json", |json| {
                assert_eq!(
                    (json["num_hidden_layers"].as_u64(), &json["output_hidden_states"]),
                    (Some(3), &true.into())
                );
            });
            let weights = TensorFile::open_folder(&folder.path("out")).unwrap();
            for name in ["self_attn.o_proj", "mlp.down_proj"] {
                let weight = weights.stored(&format!("layers.2.{name}.weight")).unwrap();
                assert!(weight.values.iter().all(|&value| value == 0.0), "{name}");
            }
        }
    }
}
