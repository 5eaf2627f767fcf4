//! Exports that are refused. (What needs a fusion scorer is tested in the export crate.)

use super::Row;

const ONNX: &str = "export --scorer scorer --format onnx --output out";
const HF: &str = "export --scorer scorer --format hf --output out";

pub(super) const ROWS: &[Row] = &[
    Row(
        "export in an unknown format",
        |_| "export --scorer scorer --format tflite --output out",
        &["invalid value 'tflite' for '--format <FORMAT>': expected hf, sentence-transformers, onnx"],
    ),
    Row(
        "export in an unknown dtype",
        |_| "export --scorer scorer --format hf --output out --dtype f64",
        &["invalid value 'f64' for '--dtype <DTYPE>': expected f32, f16, bf16"],
    ),
    Row("export of what is no scorer", |_| HF, &["scorer: is not a scorer: no scorer.json in it"]),
    Row(
        "export of stage 1 as ONNX",
        |f| {
            f.scorer(false);
            ONNX
        },
        &["scorer: holds stage 1 only, which ranks and does not score; use --format hf"],
    ),
    Row(
        "export of stage 1 for sentence-transformers",
        |f| {
            f.scorer(false);
            "export --scorer scorer --format sentence-transformers --output out"
        },
        &["scorer: holds stage 1 only", "use --format hf"],
    ),
    Row(
        "export to ONNX in bf16",
        |f| {
            f.scorer(true);
            "export --scorer scorer --format onnx --output out --dtype bf16"
        },
        &["bf16, which ONNX runtimes do not multiply in; use --dtype f16 or f32"],
    ),
    Row(
        "export over a folder of other files",
        |f| {
            f.scorer(true);
            f.write("out/notes.txt", "mine");
            HF
        },
        &["out is a folder with other files in it; name a folder that is new, empty or an earlier export"],
    ),
    Row(
        "export over a file",
        |f| {
            f.scorer(true);
            f.write("out", "mine");
            HF
        },
        &["out is a file; name a folder"],
    ),
    Row(
        "export below a file",
        |f| {
            f.scorer(true);
            "export --scorer scorer --format hf --output essays.csv/out"
        },
        &["cannot create essays.csv/out; check the free space and that writing is allowed there"],
    ),
    Row(
        "site without a page, found before the scorer is loaded",
        |f| {
            f.scorer(true);
            f.remove("backbone/model.safetensors");
            "export --scorer scorer --format web --output out --page nowhere"
        },
        &["nowhere: has no built page (index.html); build it with scripts/web.sh"],
    ),
    Row(
        "export beyond f16",
        |f| {
            f.scorer(true);
            f.edit_tensors("backbone/model.safetensors", |tensors| {
                tensors.get_mut("model.layers.1.mlp.up_proj.weight").unwrap().values[5] = 70_000.0;
            });
            "export --scorer scorer --format hf --output out --dtype f16"
        },
        &[
            "the weight layers.1.mlp.up_proj.weight has the value 70000, which is beyond f16; use --dtype bf16 or f32",
        ],
    ),
];
