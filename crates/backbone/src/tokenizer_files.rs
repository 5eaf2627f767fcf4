//! A tokenizer as Hugging Face's programs read it.

use serde_json::json;

/// One value for each token with a role.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Special<T> {
    pub(crate) bos: T,
    pub(crate) eos: T,
    pub(crate) unk: T,
    pub(crate) pad: T,
}

impl<T> Special<T> {
    pub(crate) fn map<U>(self, mut convert: impl FnMut(T) -> U) -> Special<U> {
        let Self { bos, eos, unk, pad } = self;
        Special { bos: convert(bos), eos: convert(eos), unk: convert(unk), pad: convert(pad) }
    }
}

/// A tokenizer in two files of Hugging Face's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`
    pub tokenizer: String,
    /// `tokenizer_config.json`
    pub config: String,
}

impl TokenizerFiles {
    /// With a configuration of the few keys that decide what ids a text gets. It names no class of a model's own: such
    /// a class would put parts of its own in the place of those in `tokenizer.json`.
    pub(crate) fn new(tokenizer: String, special: Special<Option<&str>>, max_positions: usize) -> Self {
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_positions,
            "model_input_names": ["input_ids", "attention_mask"],
            "clean_up_tokenization_spaces": false,
        });
        let Special { bos, eos, unk, pad } = special;
        for (key, token) in [("bos_token", bos), ("eos_token", eos), ("unk_token", unk), ("pad_token", pad)] {
            if let Some(token) = token {
                config[key] = token.into();
            }
        }
        let config = serde_json::to_string_pretty(&config).expect("a JSON value serialises") + "\n";
        Self { tokenizer, config }
    }
}
