//! The Hugging Face folder: written, then read back.
//!
//! There is no language-model head in it, so it is the folder of a bare `LlamaModel`, as exports write it.

use std::path::Path;

use pair2score_data::files::write_atomic;
use pair2score_scorer::names::{self, Weight};
use pair2score_scorer::{TensorFile, TensorWriter, TextEncoder, WeightDType, config_json, read_config};
use serde_json::{Value, json};

use crate::{BackboneError, Checkpoint, IMPORT, Progress, Report, TokenizerFiles};

const WEIGHTS: &str = "model.safetensors";

/// Writes everything.
pub(crate) fn folder(
    checkpoint: &dyn Checkpoint,
    source: &str,
    report: &Report,
    folder: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), BackboneError> {
    // Before the weights, which take the time: a tokenizer that does not load says so at once.
    let text_encoder = text_encoder(checkpoint)?;
    let files = checkpoint.tokenizer();
    write_atomic(folder.join("tokenizer.json"), files.tokenizer.as_bytes())?;
    write_atomic(folder.join("tokenizer_config.json"), files.config.as_bytes())?;
    write_json(&folder.join("config.json"), &config(report, &text_encoder))?;
    weights(checkpoint, report.dtype, &folder.join(WEIGHTS), progress)?;
    let marker = json!({
        "program": concat!("pair2score ", env!("CARGO_PKG_VERSION")),
        "source": source,
        "commit": report.commit,
        "stored_as": report.stored_as,
        "dtype": dtype_name(report.dtype),
        "left_aside": report.left_aside,
    });
    write_json(&folder.join(IMPORT.marker), &marker)
}

/// What transformers calls a dtype.
fn dtype_name(dtype: WeightDType) -> &'static str {
    match dtype {
        WeightDType::F32 | WeightDType::Auto => "float32",
        WeightDType::F16 => "float16",
        WeightDType::Bf16 => "bfloat16",
    }
}

fn config(report: &Report, text_encoder: &TextEncoder) -> Value {
    let text = config_json(&report.config, text_encoder.bos_id, text_encoder.eos_id);
    let mut config: Value = serde_json::from_str(&text).expect("the config was written as JSON");
    config["architectures"] = json!(["LlamaModel"]);
    config["pad_token_id"] = text_encoder.pad_id.into();
    // The older and the newer spelling.
    for key in ["torch_dtype", "dtype"] {
        config[key] = dtype_name(report.dtype).into();
    }
    config
}

fn weights(
    checkpoint: &dyn Checkpoint,
    dtype: WeightDType,
    path: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), BackboneError> {
    let config = checkpoint.config();
    let weights = Weight::all(config);
    let mut writer = TensorWriter::create(path, &names::backbone(config), dtype)?;
    for (index, &weight) in weights.iter().enumerate() {
        let values = checkpoint.values(weight)?;
        check_finite(checkpoint, &weight.name(), &values, dtype)?;
        writer.write(&weight.name(), &values)?;
        progress("tensors", index as u64 + 1, weights.len() as u64);
    }
    Ok(writer.finish()?)
}

/// Refuses weights that are no numbers, or none in the dtype.
fn check_finite(
    checkpoint: &dyn Checkpoint,
    name: &str,
    values: &[f32],
    dtype: WeightDType,
) -> Result<(), BackboneError> {
    let wrong = values.iter().find(|&&value| !dtype.rounded(value).is_finite());
    let Some(value) = wrong else { return Ok(()) };
    let problem = if value.is_finite() {
        let dtype = dtype_name(dtype);
        format!("the weight {name} has the value {value}, which is beyond {dtype}; use --dtype f32")
    } else {
        format!("the weight {name} has the value {value}; fetch the file again, or take another conversion")
    };
    Err(BackboneError::invalid(checkpoint.path(), problem))
}

/// Reads the folder back with the readers that loading uses, all but the values of the weights.
pub(crate) fn check(folder: &Path, report: &Report) -> Result<(), BackboneError> {
    let config = read_config(&folder.join("config.json"))?;
    if config != report.config {
        let problem = format!("read back as {config:?}, written as {:?}; please report it", report.config);
        return Err(BackboneError::invalid(&folder.join("config.json"), problem));
    }
    TensorFile::open_folder(folder)?.expect(&names::backbone(&config), |_| false)?;
    TextEncoder::load(folder, config.max_positions)?.check(&config)?;
    Ok(())
}

/// The tokenizer, if every token has a row in the embedding table and a text can be encoded.
fn text_encoder(checkpoint: &dyn Checkpoint) -> Result<TextEncoder, BackboneError> {
    let TokenizerFiles { tokenizer, config } = checkpoint.tokenizer();
    let config = serde_json::from_str(config).expect("the configuration was written as JSON");
    let (path, max_length) = (checkpoint.path().into(), checkpoint.config().max_positions);
    let text_encoder = TextEncoder::from_bytes(tokenizer.as_bytes(), &config, path, max_length)?;
    text_encoder.check(checkpoint.config())?;
    text_encoder.encode("The first text, and 1 more.")?;
    Ok(text_encoder)
}

/// Writes a JSON file for people to read too.
fn write_json(path: &Path, value: &Value) -> Result<(), BackboneError> {
    let text = serde_json::to_string_pretty(value).expect("a JSON value serialises") + "\n";
    Ok(write_atomic(path, text.as_bytes())?)
}
