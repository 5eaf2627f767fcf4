//! The merged backbone as a folder that `transformers.AutoModel` and `AutoTokenizer` load: `config.json`, weights,
//! tokenizer.
//!
//! A scorer that reads hidden states before the final norm finds them in `hidden_states[n]` after n layers, which the
//! configuration asks for.
//!
//! There is no language-model head, so the folder is that of a bare `LlamaModel`. The tokenizer's configuration is
//! written anew with the few keys that decide what ids a text gets: a class such as `LlamaTokenizer` would put a
//! post-processor of its own in the place of the one in `tokenizer.json`, and the ids would differ from ours.

use std::collections::BTreeMap;
use std::path::Path;

use pair2score_data::files::{read_bytes, write_atomic};
use pair2score_model::Kernels;
use pair2score_scorer::names::Weight;
use pair2score_scorer::{Scorer, TensorWriter, TextEncoder, config_json};
use serde_json::{Value, json};

use crate::merged::{Merged, rounding};
use crate::{ExportError, Precision, Source};

/// Larger files are not accepted everywhere, so weights beyond this many bytes are split.
const SHARD: usize = 2_000_000_000;

/// Writes all of it and gives the largest change that the rounding made to a weight. `compute` is the dtype that
/// transformers shall load the weights in.
pub(crate) fn write<B: Kernels>(
    source: &Source<B>,
    merged: &Merged<B>,
    precision: Precision,
    compute: Precision,
    folder: &Path,
) -> Result<f64, ExportError> {
    write_config(merged, &source.scorer.text_encoder, compute, folder)?;
    write_tokenizer(&source.scorer, folder)?;
    write_weights(merged, precision, SHARD, folder)
}

fn write_config<B: Kernels>(
    merged: &Merged<B>,
    text_encoder: &TextEncoder,
    compute: Precision,
    folder: &Path,
) -> Result<(), ExportError> {
    let text = config_json(&merged.config(), text_encoder.bos_id, text_encoder.eos_id);
    let mut config: Value = serde_json::from_str(&text).expect("the config was written as JSON");
    config["architectures"] = json!(["LlamaModel"]);
    config["pad_token_id"] = text_encoder.pad_id.into();
    if merged.has_further_layer() {
        config["output_hidden_states"] = true.into();
    }
    // The older and the newer spelling.
    for key in ["torch_dtype", "dtype"] {
        config[key] = torch_name(compute).into();
    }
    write_json(&folder.join("config.json"), &config)
}

fn torch_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "float32",
        Precision::F16 => "float16",
        Precision::Bf16 => "bfloat16",
    }
}

/// Writes `tokenizer.json`, which cuts where the scorer cuts, and `tokenizer_config.json`, which keeps how prompts are
/// read: libraries carry keys that they do not know.
pub(crate) fn write_tokenizer<B: Kernels>(scorer: &Scorer<B>, folder: &Path) -> Result<(), ExportError> {
    let text_encoder = &scorer.text_encoder;
    let mut tokenizer: Value =
        serde_json::from_str(&text_encoder.to_json()?).expect("a tokenizer is written as JSON");
    let max_length = text_encoder.max_length();
    tokenizer["truncation"] =
        json!({ "direction": "Right", "max_length": max_length, "strategy": "LongestFirst", "stride": 0 });
    tokenizer["padding"] = Value::Null;
    write_json(&folder.join("tokenizer.json"), &tokenizer)?;

    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "truncation_side": "right",
        "padding_side": "right",
        "clean_up_tokenization_spaces": false,
    });
    let tokens = [
        ("bos_token", text_encoder.bos_id),
        ("eos_token", text_encoder.eos_id),
        ("pad_token", Some(text_encoder.pad_id)),
    ];
    for (key, id) in tokens {
        if let Some(token) = id.and_then(|id| text_encoder.token(id)) {
            config[key] = token.into();
        }
    }
    if let Some(template) = &scorer.settings.prompt_template {
        config["prompt_template"] = template.to_string().into();
    }
    write_json(&folder.join("tokenizer_config.json"), &config)
}

/// Writes `model.safetensors`, or shards of at most `limit` bytes (one tensor may exceed it) with their index.
fn write_weights<B: Kernels>(
    merged: &Merged<B>,
    precision: Precision,
    limit: usize,
    folder: &Path,
) -> Result<f64, ExportError> {
    let config = &merged.config();
    let bytes = |weight: &Weight| {
        weight.shape(config).iter().product::<usize>()
            * pair2score_scorer::WeightDType::from(precision).size()
    };
    let mut shards: Vec<(usize, Vec<Weight>)> = Vec::new();
    for weight in Weight::all(config) {
        let size = bytes(&weight);
        match shards.last_mut() {
            Some((sum, weights)) if *sum + size <= limit => {
                *sum += size;
                weights.push(weight);
            }
            _ => shards.push((size, vec![weight])),
        }
    }

    let mut largest = 0.0_f64;
    let mut map = BTreeMap::new();
    for (index, (_, weights)) in shards.iter().enumerate() {
        let file = match shards.len() {
            1 => "model.safetensors".to_owned(),
            n => format!("model-{:05}-of-{n:05}.safetensors", index + 1),
        };
        let tensors: Vec<_> = weights.iter().map(|weight| (weight.name(), weight.shape(config))).collect();
        let mut writer = TensorWriter::create(&folder.join(&file), &tensors, precision.into())?;
        for &weight in weights {
            let values = merged.values(weight);
            largest = largest.max(rounding(&weight.name(), &values, precision)?);
            writer.write(&weight.name(), &values)?;
            map.insert(weight.name(), file.clone());
        }
        writer.finish()?;
    }
    if shards.len() > 1 {
        let total: usize = shards.iter().map(|(size, _)| size).sum();
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        write_json(&folder.join("model.safetensors.index.json"), &index)?;
    }
    Ok(largest)
}

/// Writes a JSON file for people to read too.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<(), ExportError> {
    let text = serde_json::to_string_pretty(value).expect("a JSON value serialises") + "\n";
    Ok(write_atomic(path, text.as_bytes())?)
}

/// Reads a JSON file of an export.
pub(crate) fn read_json(path: &Path) -> Result<Value, ExportError> {
    serde_json::from_slice(&read_bytes(path)?)
        .map_err(|error| ExportError::read_back(path, format!("not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use pair2score_scorer::{TensorFile, WeightDType};

    use super::*;
    use crate::test_scorers::{B, Folder, Transfer};

    #[test]
    fn shards_hold_what_one_file_would() {
        let folder = Folder::new();
        let scorer = folder.scorer(Transfer::Scratch);
        let source = Source::<B>::load(scorer.as_path(), &Default::default()).unwrap();
        let merged = Merged::new(&source.scorer);
        let written = |name: &str, limit| {
            let path = folder.path(name);
            std::fs::create_dir(&path).unwrap();
            write_weights(&merged, Precision::Bf16, limit, &path).unwrap();
            TensorFile::open_folder(&path).unwrap()
        };
        // The embedding table alone, 384 rows of 64, is larger than the limit.
        let (whole, shards) = (written("whole", SHARD), written("shards", 40_000));
        assert_eq!(folder.names("whole"), ["model.safetensors"]);
        let n = folder.names("shards").len() - 1;
        assert!(n > 3, "{:?}", folder.names("shards"));
        for file in folder.names("shards").iter().filter(|name| name.ends_with(".safetensors")) {
            assert!(file.ends_with(&format!("-of-{n:05}.safetensors")), "{file}");
            assert!(std::fs::metadata(folder.path("shards").join(file)).unwrap().len() < 55_000, "{file}");
        }
        assert_eq!(whole.names().collect::<Vec<_>>(), shards.names().collect::<Vec<_>>());
        for name in whole.names() {
            let [a, b] = [&whole, &shards].map(|file| file.read(name, WeightDType::Auto).unwrap());
            assert_eq!(a, b, "{name}");
        }
    }
}
