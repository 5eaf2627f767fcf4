//! Scorers that read their backbone below its top: every format computes what they do, or says that it cannot.

mod common;

use std::fs;

use common::{Folder, Transfer};
use pair2score_export::{Format, Precision};
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

#[test]
fn a_scorer_without_the_final_norm_leaves_where_that_can_be_said() {
    let folder = Folder::new();
    folder.scorer(Transfer::Fusion);
    edit(&folder, "scorer/scorer.json", |json| {
        json["layers"] = 2.into();
        json["final_norm"] = false.into();
    });
    folder.export(Format::Onnx, Precision::F32).unwrap();
    fs::remove_dir_all(folder.path("out")).unwrap();
    for format in [Format::HuggingFace, Format::SentenceTransformers] {
        let error = folder.export(format, Precision::F32).unwrap_err().to_string();
        assert!(error.contains("reads hidden states without the final norm"), "{error}");
    }
}
