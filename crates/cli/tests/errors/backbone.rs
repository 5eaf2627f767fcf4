//! Imports of backbones that are refused. (What else a GGUF file or the Hub can lack is tested in the backbone crate.)

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{Folder, Row};

const GGUF: &str = "backbone import model.gguf --output out";
const FOLDER: &str = "backbone import backbone --output out";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";

/// A small GGUF file with some bytes in the place of as many others.
fn gguf(folder: &Folder, from: &str, to: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures");
    let mut bytes = fs::read(fixtures.join("gpt-2.gguf")).unwrap();
    let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
    folder.write("model.gguf", bytes);
}

pub(super) const ROWS: &[Row] = &[
    Row(
        "import of nothing",
        |_| "backbone import nowhere.gguf --output out",
        &[
            "nowhere.gguf: is not there; give a .gguf file, a folder, or a repository of the Hub as organisation/name",
        ],
    ),
    Row(
        "import of a GGUF file that is cut short",
        |f| {
            gguf(f, "GGUF", "GGUF");
            let bytes = f.bytes("model.gguf");
            f.write("model.gguf", &bytes[..bytes.len() - 1]);
            GGUF
        },
        &[
            "model.gguf: is cut short: the end of tensor \"output_norm.weight\" lies beyond its",
            "fetch it again",
        ],
    ),
    Row(
        "import of another architecture",
        |f| {
            gguf(f, "\x05\0\0\0\0\0\0\0llama", "\x05\0\0\0\0\0\0\0qwen2");
            GGUF
        },
        &["model.gguf: holds a model of architecture \"qwen2\", only \"llama\" is read"],
    ),
    Row(
        "import of an unknown pre-tokenizer",
        |f| {
            gguf(f, "\x05\0\0\0\0\0\0\0gpt-2", "\x05\0\0\0\0\0\0\0qwen2");
            GGUF
        },
        &["model.gguf: has the pre-tokenizer \"qwen2\", only default, gpt-2, smollm and llama-bpe are read"],
    ),
    Row(
        "import of a pointer",
        |f| {
            f.write("model.gguf", POINTER);
            GGUF
        },
        &["model.gguf: is a pointer of Git LFS, not the file; run `git lfs pull` where it comes from"],
    ),
    Row(
        "import of one file of a checkpoint",
        |_| "backbone import backbone/model.safetensors --output out",
        &["backbone/model.safetensors: is one file of a checkpoint; give the folder that it lies in"],
    ),
    Row(
        "import of a pickled checkpoint",
        |f| {
            f.write("pytorch_model.bin", "x");
            "backbone import pytorch_model.bin --output out"
        },
        &["pytorch_model.bin: is a pickled checkpoint, which is not read; save it as safetensors"],
    ),
    Row(
        "import over a folder of other files",
        |f| {
            f.write("out/notes.txt", "mine");
            FOLDER
        },
        &["out is a folder with other files in it; name a folder that is new, empty or an earlier import"],
    ),
    Row(
        "import of weights that are a pointer",
        |f| {
            f.write("backbone/model.safetensors", POINTER);
            FOLDER
        },
        &["backbone/model.safetensors: is a pointer of Git LFS"],
    ),
    Row(
        "import of a tokenizer that is a pointer",
        |f| {
            f.write("backbone/tokenizer.json", POINTER);
            FOLDER
        },
        &["backbone/tokenizer.json: is a pointer of Git LFS"],
    ),
    Row(
        "import of a quantised checkpoint",
        |f| {
            f.set_json("backbone/config.json", "quantization_config", json!({ "quant_method": "gptq" }));
            FOLDER
        },
        &["backbone/config.json: quantised by gptq (quantization_config); take the original"],
    ),
    Row(
        "import with tokenizer.model alone",
        |f| {
            f.remove("backbone/tokenizer.json");
            f.write("backbone/tokenizer.model", "pieces");
            FOLDER
        },
        &["backbone: has no tokenizer.json", "tokenizer.model alone is not read"],
    ),
    Row(
        "import beyond f16",
        |f| {
            f.edit_tensors("backbone/model.safetensors", |tensors| {
                tensors.get_mut("model.layers.1.mlp.up_proj.weight").unwrap().values[5] = 70_000.0;
            });
            "backbone import backbone --output out --dtype f16"
        },
        &["backbone: the weight layers.1.mlp.up_proj.weight has the value 70000, which is beyond float16"],
    ),
];
