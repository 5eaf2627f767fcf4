//! A checkpoint in Hugging Face layout: flat or in `model/` and `tokenizer/`, in one file or in shards.

use std::path::{Path, PathBuf};

use pair2score_data::files::read_text;
use pair2score_model::LlamaConfig;
use pair2score_scorer::names::{self, Weight};
use pair2score_scorer::{BackboneFolder, TensorFile, TextEncoder, WeightDType, open_backbone};
use serde_json::Value;

use crate::tokenizer_files::{Special, TokenizerFiles};
use crate::{BackboneError, Checkpoint};

/// A folder whose configuration, tensors and tokenizer were found to be there.
#[derive(Debug)]
pub struct FolderModel {
    path: PathBuf,
    config: LlamaConfig,
    tensors: TensorFile,
    /// What the file puts before the name of every tensor of the backbone.
    prefix: &'static str,
    tokenizer: TokenizerFiles,
}

impl FolderModel {
    /// Reads everything but the weights.
    ///
    /// # Errors
    /// When the folder is no whole LLaMA.
    pub fn open(path: &Path) -> Result<Self, BackboneError> {
        let folder = BackboneFolder::find(path)?;
        let (config, tensors, prefix) = open_backbone(&folder.model)?;
        // Names the file where it is damaged; what is written in the end is checked once more.
        TextEncoder::load(&folder.tokenizer, config.max_positions)?.check(&config)?;
        let tokenizer = tokenizer(&folder.tokenizer, config.max_positions)?;
        Ok(Self { path: path.into(), config, tensors, prefix, tokenizer })
    }

    fn dtypes(&self) -> Vec<WeightDType> {
        let backbone = names::backbone(&self.config).into_iter();
        let mut dtypes: Vec<_> =
            backbone.filter_map(|(name, _)| self.tensors.dtype(&format!("{}{name}", self.prefix))).collect();
        dtypes.sort_by_key(|dtype| dtype.name());
        dtypes.dedup();
        dtypes
    }
}

impl Checkpoint for FolderModel {
    fn path(&self) -> &Path {
        &self.path
    }

    fn config(&self) -> &LlamaConfig {
        &self.config
    }

    fn values(&self, weight: Weight) -> Result<Vec<f32>, BackboneError> {
        Ok(self.tensors.stored(&format!("{}{}", self.prefix, weight.name()))?.values)
    }

    fn tokenizer(&self) -> &TokenizerFiles {
        &self.tokenizer
    }

    fn dtype(&self) -> WeightDType {
        match self.dtypes()[..] {
            [dtype] => dtype,
            _ => WeightDType::F32,
        }
    }

    fn stored_as(&self) -> Vec<String> {
        self.dtypes().into_iter().map(|dtype| dtype.name().to_uppercase()).collect()
    }

    fn left_aside(&self) -> Vec<String> {
        let head = |name: &str| {
            let what = match name {
                names::LM_HEAD => "the language-model head",
                name if names::is_classifier(name) => "the head of the reward model or classifier",
                _ => return None,
            };
            Some(format!("{what} ({name})"))
        };
        self.tensors.names().filter_map(head).collect()
    }
}

/// The tokenizer as it is, and the tokens that its configuration names.
fn tokenizer(folder: &Path, max_positions: usize) -> Result<TokenizerFiles, BackboneError> {
    let path = folder.join("tokenizer_config.json");
    let config: Value = if path.is_file() {
        serde_json::from_str(&read_text(&path)?)
            .map_err(|error| BackboneError::invalid(&path, format!("not JSON: {error}")))?
    } else {
        Value::Null
    };
    let token = |key: &str| {
        let entry = &config[key];
        entry.as_str().or_else(|| entry["content"].as_str())
    };
    let special = Special { bos: "bos_token", eos: "eos_token", unk: "unk_token", pad: "pad_token" };
    let tokenizer = read_text(folder.join("tokenizer.json"))?;
    Ok(TokenizerFiles::new(tokenizer, special.map(token), max_positions))
}
