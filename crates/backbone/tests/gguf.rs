//! GGUF files against the Python packages `gguf`, `transformers` and `sentencepiece`, through the numbers that
//! `scripts/peers/gguf_check.py` wrote beside the fixtures.

mod common;

use std::fs;

use common::{Scratch, fixture};
use pair2score_model::RopeScaling;
use pair2score_scorer::{TensorFile, TextEncoder, WeightDType, read_config};
use serde_json::Value;
use sha2::{Digest, Sha256};

const FIXTURES: [&str; 4] = ["gpt-2", "llama-bpe", "sentencepiece", "smollm"];

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].clone()
}

#[test]
fn weights_are_those_of_the_python_package_bit_for_bit() {
    for name in FIXTURES {
        let scratch = Scratch::new();
        scratch.import(&fixture(&format!("{name}.gguf")), WeightDType::F32).unwrap();
        let file = TensorFile::open_folder(&scratch.path("out")).unwrap();
        let expected = expected(name);
        let expected = expected["sha256"].as_object().unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (tensor, hash) in expected {
            let values = file.stored(tensor).unwrap().values;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, *hash.as_str().unwrap(), "{tensor} of {name}");
        }
    }
}

#[test]
fn token_ids_are_those_of_transformers_and_sentencepiece() {
    for name in FIXTURES {
        let scratch = Scratch::new();
        scratch.import(&fixture(&format!("{name}.gguf")), WeightDType::Auto).unwrap();
        let text_encoder = TextEncoder::load(&scratch.path("out"), 256).unwrap();
        for (text, ids) in expected(name)["ids"].as_object().unwrap() {
            let mut ids: Vec<u32> =
                ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            if ids.is_empty() {
                // What a scorer puts in the place of nothing.
                ids.push(text_encoder.pad_id);
            }
            assert_eq!(text_encoder.encode(text).unwrap().ids, ids, "{text:?} with {name}");
        }
    }
}

#[test]
fn the_configuration_says_what_the_keys_and_tensors_say() {
    let scratch = Scratch::new();
    let report = scratch.import(&fixture("llama-bpe.gguf"), WeightDType::Auto).unwrap();
    let config = read_config(&scratch.path("out/config.json")).unwrap();
    assert_eq!(report.config, config);
    assert_eq!((config.vocab_size, config.d_model, config.d_ff, config.n_layers), (400, 32, 64, 1));
    assert_eq!((config.n_heads, config.n_kv_heads, config.head_dim, config.max_positions), (4, 2, 8, 256));
    assert_eq!((config.rms_norm_eps, config.rope.theta, config.tie_embeddings), (1e-5, 500_000.0, false));
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192,
    };
    assert_eq!(config.rope.scaling, scaling);
    assert_eq!(report.left_aside, ["the language-model head (output.weight)"]);
    assert_eq!(report.stored_as, ["F32", "Q8_0"]);
    assert_eq!(report.dtype, WeightDType::F32);

    let report = scratch.import(&fixture("sentencepiece.gguf"), WeightDType::Bf16).unwrap();
    assert_eq!(report.config.rope.scaling, RopeScaling::Linear { factor: 4.0 });
    assert!(report.config.tie_embeddings && report.left_aside.is_empty());
}

#[test]
fn an_earlier_import_is_replaced_and_nothing_else_is() {
    let scratch = Scratch::new();
    for (dtype, name) in [(WeightDType::F32, "float32"), (WeightDType::F16, "float16")] {
        scratch.import(&fixture("gpt-2.gguf"), dtype).unwrap();
        let config: Value =
            serde_json::from_slice(&fs::read(scratch.path("out/config.json")).unwrap()).unwrap();
        assert_eq!(config["dtype"], name);
    }
    fs::remove_file(scratch.path("out/pair2score_import.json")).unwrap();
    let message = scratch.refused(&fixture("gpt-2.gguf"));
    assert!(message.contains("name a folder that is new, empty or an earlier import"), "{message}");
}

/// Copies a fixture with one run of bytes in the place of another of the same length.
fn edited(scratch: &Scratch, name: &str, from: &[u8], to: &[u8]) -> std::path::PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(fixture(name)).unwrap();
    let place =
        bytes.windows(from.len()).position(|window| window == from).expect("the fixture has these bytes");
    bytes[place..place + from.len()].copy_from_slice(to);
    scratch.write("edited.gguf", bytes)
}

/// A tensor's type in a fixture: name, number of axes, axes, type.
fn type_of(name: &str, axes: &[u64], kind: u32) -> Vec<u8> {
    let axes = axes.iter().flat_map(|axis| axis.to_le_bytes());
    name.bytes().chain(2_u32.to_le_bytes()).chain(axes).chain(kind.to_le_bytes()).collect()
}

#[test]
fn what_is_not_known_is_named() {
    let q = |kind| type_of("blk.0.attn_q.weight", &[32, 32], kind);
    let cases: [(&str, &[u8], &[u8], &str); 13] = [
        ("gpt-2.gguf", b"GGUF\x03\0\0\0", b"version ", "is a pointer of Git LFS"),
        ("gpt-2.gguf", b"GGUF", b"GGML", "is not a GGUF file"),
        ("gpt-2.gguf", b"GGUF\x03", b"GGUF\x01", "is a GGUF file of version 1, only 2 and 3 are read"),
        ("gpt-2.gguf", b"GGUF\x03\0\0\0", b"GGUF\0\0\0\x03", "is a big-endian GGUF file"),
        ("gpt-2.gguf", b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gemma", "of architecture \"gemma\""),
        (
            "gpt-2.gguf",
            &q(8),
            &q(10),
            "tensor \"blk.0.attn_q.weight\" is of the type Q2_K, which is not read",
        ),
        ("gpt-2.gguf", &q(8), &q(99), "is of the type number 99, which is not read"),
        (
            "gpt-2.gguf",
            b"\x05\0\0\0\0\0\0\0gpt-2",
            b"\x05\0\0\0\0\0\0\0qwen2",
            "has the pre-tokenizer \"qwen2\"",
        ),
        (
            "gpt-2.gguf",
            b"\x04\0\0\0\0\0\0\0gpt2",
            b"\x04\0\0\0\0\0\0\0bert",
            "has a tokenizer of the kind \"bert\"",
        ),
        ("sentencepiece.gguf", b"linear", b"yarn\0\0", "has rotary scaling of type"),
        ("gpt-2.gguf", b"llama.block_count", b"llama.block_c\xc3\xb8nt", "has keys that are not known"),
        (
            "gpt-2.gguf",
            b"blk.0.attn_q.weight",
            b"blk.0.attn_q.bias\0\0",
            "missing tensors: blk.0.attn_q.weight",
        ),
        (
            "gpt-2.gguf",
            b"tokenizer.ggml.tokens",
            b"tokenizer.ggml.tikens",
            "lacks the key \"tokenizer.ggml.tokens\"",
        ),
    ];
    for (name, from, to, fragment) in cases {
        let scratch = Scratch::new();
        let message = scratch.refused(&edited(&scratch, name, from, to));
        assert!(message.contains("edited.gguf: ") && message.contains(fragment), "{message}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_refused_wherever_it_ends() {
    let scratch = Scratch::new();
    let bytes = fs::read(fixture("gpt-2.gguf")).unwrap();
    for length in (4..bytes.len()).step_by(97) {
        let message = scratch.refused(&scratch.write("short.gguf", &bytes[..length]));
        assert!(
            message.contains("short.gguf: is cut short") && message.contains("fetch it again"),
            "{message}"
        );
    }
}

#[test]
fn a_weight_that_the_dtype_cannot_say_is_refused() {
    let scratch = Scratch::new();
    let mut bytes = fs::read(fixture("gpt-2.gguf")).unwrap();
    // The final norm is the last tensor.
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&70_000_f32.to_le_bytes());
    let path = scratch.write("large.gguf", &bytes);
    let message = scratch.refused_in(&path, WeightDType::F16);
    assert!(
        message.contains("the weight norm.weight has the value 70000, which is beyond float16"),
        "{message}"
    );
    scratch.import(&path, WeightDType::Bf16).unwrap();
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let message = scratch.refused(&scratch.write("nan.gguf", &bytes));
    assert!(message.contains("the weight norm.weight has the value NaN"), "{message}");
}
