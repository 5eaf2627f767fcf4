//! Backbones: safetensors, `config.json` and tokenizer.

use serde_json::json;

use super::{EMBED, RUN, Row, SCORE};
use crate::common::{Folder, ramp};

const MODEL: &str = "backbone/model.safetensors";
const INDEX: &str = "backbone/model.safetensors.index.json";
const CONFIG: &str = "backbone/config.json";
const TOKENIZER: &str = "backbone/tokenizer.json";

/// Splits the weights off into one shard that an index names.
fn shard(folder: &Folder) {
    std::fs::rename(folder.path(MODEL), folder.path("backbone/one.safetensors")).unwrap();
    let file = pair2score_scorer::TensorFile::open(&folder.path("backbone/one.safetensors")).unwrap();
    let map: serde_json::Map<_, _> = file.names().map(|n| (n.to_owned(), json!("one.safetensors"))).collect();
    folder.write(INDEX, json!({ "weight_map": map }).to_string());
}

pub(super) const ROWS: &[Row] = &[
    Row(
        "missing backbone",
        |_| "run config.yaml --set model.base_model=nowhere",
        &[
            "nowhere: is not a folder; a backbone is a folder with config.json, model.safetensors and tokenizer.json",
        ],
    ),
    Row(
        "weights cut short",
        |f| {
            let bytes = f.bytes(MODEL);
            f.write(MODEL, &bytes[..bytes.len() - 100]);
            EMBED
        },
        &["backbone/model.safetensors: is cut short: tensor ", "ends past the file; fetch it again"],
    ),
    Row(
        "weight that is no number",
        |f| {
            f.scorer(true);
            let mut bytes = f.bytes(MODEL);
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
            f.write(MODEL, bytes);
            SCORE
        },
        &["backbone/model.safetensors: tensor model.", " is NaN at [", "; take weights that are finite"],
    ),
    Row(
        "weights that Git LFS has left out",
        |f| {
            f.write(MODEL, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2022664\n");
            EMBED
        },
        &["backbone/model.safetensors: is a pointer of Git LFS, not the file; run `git lfs pull`"],
    ),
    Row(
        "weights cut within the header",
        |f| {
            let bytes = f.bytes(MODEL);
            f.write(MODEL, &bytes[..100]);
            EMBED
        },
        &[
            "backbone/model.safetensors: is not a safetensors file, or is cut short",
            "the file has 100; fetch it",
        ],
    ),
    Row(
        "empty weights",
        |f| {
            f.write(MODEL, "");
            EMBED
        },
        &["backbone/model.safetensors: is not a safetensors file: shorter than 8 bytes"],
    ),
    Row(
        "absurd length of the header",
        |f| {
            let mut bytes = f.bytes(MODEL);
            bytes[..8].fill(0xff);
            f.write(MODEL, bytes);
            EMBED
        },
        &[
            "backbone/model.safetensors: is not a safetensors file",
            "its header claims 18446744073709551615 bytes",
        ],
    ),
    Row(
        "damaged header",
        |f| {
            let mut bytes = f.bytes(MODEL);
            bytes[8] = b'!';
            f.write(MODEL, bytes);
            EMBED
        },
        &["backbone/model.safetensors: has a damaged safetensors header: expected"],
    ),
    Row(
        "tensors that do not fit",
        |f| {
            f.edit_tensors(MODEL, |tensors| {
                tensors.remove("model.norm.weight");
                tensors.remove("model.layers.1.mlp.up_proj.weight");
                tensors.insert("model.layers.3.input_layernorm.weight".into(), ramp(&[64]));
                tensors.insert("model.layers.0.self_attn.q_proj.weight".into(), ramp(&[64, 32]));
            });
            RUN
        },
        &[
            "backbone/model.safetensors: ",
            "missing tensors: model.layers.1.mlp.up_proj.weight, model.norm.weight",
            "unexpected tensors: model.layers.3.input_layernorm.weight",
            "wrong tensors: model.layers.0.self_attn.q_proj.weight has shape [64, 32], expected [64, 64]",
        ],
    ),
    Row(
        "whole numbers for weights",
        |f| {
            let mut bytes = f.bytes(MODEL);
            let start = bytes.windows(13).position(|window| window == b"\"dtype\":\"F32\"").unwrap();
            bytes[start..start + 13].copy_from_slice(b"\"dtype\":\"I32\"");
            f.write(MODEL, bytes);
            EMBED
        },
        &["backbone/model.safetensors: wrong tensors: ", "is I32, expected F32, F16 or BF16"],
    ),
    Row(
        "no weights",
        |f| {
            f.remove(MODEL);
            f.write("backbone/pytorch_model.bin", "");
            EMBED
        },
        &[
            "backbone: has neither model.safetensors nor model.safetensors.index.json; pytorch_model.bin is not \
             read: convert it to safetensors",
        ],
    ),
    Row(
        "missing shard",
        |f| {
            shard(f);
            f.edit(INDEX, "one.safetensors", "two.safetensors");
            EMBED
        },
        &["cannot read or write backbone/two.safetensors; check that it exists"],
    ),
    Row(
        "index that names too much",
        |f| {
            shard(f);
            f.edit(INDEX, "{\"weight_map\":{", "{\"weight_map\":{\"model.extra\":\"one.safetensors\",");
            EMBED
        },
        &[
            "backbone/model.safetensors.index.json: names tensors that their shards do not hold: model.extra (in \
             one.safetensors)",
        ],
    ),
    Row(
        "shard outside the folder",
        |f| {
            shard(f);
            f.edit(INDEX, "one.safetensors", "../one.safetensors");
            EMBED
        },
        &[
            "backbone/model.safetensors.index.json: names the shard \"../one.safetensors\", shards must lie beside \
             the index",
        ],
    ),
    Row(
        "damaged index",
        |f| {
            f.remove(MODEL);
            f.write(INDEX, "{\"weight_map\": [");
            EMBED
        },
        &["backbone/model.safetensors.index.json: not a shard index: "],
    ),
    Row(
        "another architecture",
        |f| {
            f.write(CONFIG, json!({"model_type": "bert", "architectures": ["BertModel"]}).to_string());
            RUN
        },
        &["backbone/config.json: model_type is \"bert\", only \"llama\" backbones are supported"],
    ),
    Row(
        "unsupported features",
        |f| {
            f.edit(CONFIG, "\"attention_bias\": false", "\"attention_bias\": true");
            f.edit(CONFIG, "\"silu\"", "\"gelu\"");
            f.edit(CONFIG, "\"llama3\"", "\"yarn\"");
            f.set_json(CONFIG, "is_causal", false);
            RUN
        },
        &[
            "backbone/config.json: hidden_act \"gelu\" is not supported, only \"silu\"",
            "attention_bias is true, projections with a bias are not supported",
            "rope type \"yarn\" is not supported, only default, linear and llama3",
            "is_causal is false: attention to later tokens is not supported",
        ],
    ),
    Row(
        "impossible sizes",
        |f| {
            f.set_json(CONFIG, "num_key_value_heads", 3);
            f.set_json(CONFIG, "head_dim", 15);
            RUN
        },
        &[
            "backbone/config.json: num_key_value_heads 3 does not divide num_attention_heads 4",
            "head_dim 15 is odd",
        ],
    ),
    Row(
        "more layers than memory",
        |f| {
            f.set_json(CONFIG, "num_hidden_layers", 1 << 28);
            EMBED
        },
        &["backbone/config.json: num_hidden_layers is 268435456, it must be at most 4096"],
    ),
    Row(
        "sizes whose product overflows",
        |f| {
            for key in ["hidden_size", "intermediate_size", "vocab_size"] {
                f.set_json(CONFIG, key, 1 << 28);
            }
            RUN
        },
        &["backbone/config.json: the sizes make more than 281474976710656 parameters"],
    ),
    Row(
        "offsets whose sum overflows",
        |f| {
            let large = u64::MAX / 8;
            let tensor =
                |i| json!({"dtype": "U8", "shape": [large], "data_offsets": [i * large, (i + 1) * large]});
            let mut header: serde_json::Map<_, _> = (0..8).map(|i| (format!("t{i}"), tensor(i))).collect();
            header.insert(
                "last".into(),
                json!({"dtype": "U8", "shape": [7], "data_offsets": [8 * large, u64::MAX]}),
            );
            let header = json!(header).to_string().into_bytes();
            f.write(MODEL, [&(header.len() as u64).to_le_bytes()[..], &header].concat());
            EMBED
        },
        &["backbone/model.safetensors: is cut short: tensor ", "ends past the file; fetch it again"],
    ),
    Row(
        "size that is missing",
        |f| {
            f.edit(CONFIG, "\"hidden_size\"", "\"width\"");
            RUN
        },
        &["backbone/config.json: not a LLaMA config: missing field `hidden_size`"],
    ),
    Row(
        "missing tokenizer",
        |f| {
            f.remove(TOKENIZER);
            RUN
        },
        &["backbone: has no tokenizer.json, neither flat nor under tokenizer/"],
    ),
    Row(
        "damaged tokenizer",
        |f| {
            let bytes = f.bytes(TOKENIZER);
            f.write(TOKENIZER, &bytes[..1000]);
            RUN
        },
        &["backbone/tokenizer.json: not a tokenizer: "],
    ),
    Row(
        "tokenizer with a damaged decoder",
        |f| {
            f.edit(TOKENIZER, "\"decoder\": {", "\"decoder\": {\"type\": \"ByteLevel\", x");
            RUN
        },
        &["backbone/tokenizer.json: not a tokenizer: key must be a string at line "],
    ),
    Row(
        "tokenizer with a table that its library trusts",
        |f| {
            f.set_json(
                TOKENIZER,
                "normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAD///8="}),
            );
            RUN
        },
        &[
            "backbone/tokenizer.json: has a Precompiled normalizer",
            "use the tokenizer the backbone was trained with",
        ],
    ),
    Row(
        "tokenizer with a template of tokens that are not there",
        |f| {
            let single = json!([{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
            let template =
                json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}});
            f.set_json(TOKENIZER, "post_processor", json!({"type": "Sequence", "processors": [template]}));
            RUN
        },
        &["backbone/tokenizer.json: has a template with the token \"<x>\" that its special_tokens lack"],
    ),
    Row(
        "tokenizer with a template for two texts",
        |f| {
            let single = json!([{"Sequence": {"id": "B", "type_id": 0}}]);
            let template =
                json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}});
            f.set_json(TOKENIZER, "post_processor", template);
            RUN
        },
        &["backbone/tokenizer.json: has a template that wants a second text where there is one"],
    ),
    Row(
        "damaged settings of the tokenizer",
        |f| {
            f.write("backbone/tokenizer_config.json", "{");
            RUN
        },
        &["backbone/tokenizer_config.json: not JSON: "],
    ),
    Row(
        "more tokens than embeddings",
        |f| {
            f.set_json(CONFIG, "vocab_size", 300);
            RUN
        },
        &[
            "backbone/tokenizer.json: has token ids up to 383, the backbone's embedding table only 300 rows; use the \
             tokenizer the backbone was trained with",
        ],
    ),
    Row(
        "token beyond the embeddings",
        |f| {
            f.edit(TOKENIZER, ": 383", ": 5000");
            EMBED
        },
        &[
            "backbone/tokenizer.json: has token ids up to 5000, the backbone's embedding table only 384 rows; use",
        ],
    ),
    Row(
        "no room for text",
        |_| "embed --backbone backbone --input essays.csv --output out.safetensors --max-length 1",
        &["backbone/tokenizer.json: adds 1 special tokens, so max_length 1 leaves no room for text"],
    ),
];
