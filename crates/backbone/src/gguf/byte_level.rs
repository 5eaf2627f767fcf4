//! Byte-level BPE (`gpt2`): what cuts texts before the merges, by the name that the file gives it.

use serde_json::{Value, json};

use crate::gguf::value::Keys;
use crate::gguf::vocabulary::{Parts, Vocabulary};
use crate::tokenizer_files::Special;

/// How Llama 3 cuts texts.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A way to cut texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Words, numbers and punctuation, as GPT-2 does.
    Gpt2,
    /// As GPT-2 splits, with each digit on its own.
    Smollm,
    /// Numbers in threes, and whole words of the vocabulary before any merge.
    Llama3,
}

impl Cut {
    fn read(keys: Keys<'_>) -> Result<Self, String> {
        match keys.text("tokenizer.ggml.pre")? {
            Some("default" | "gpt-2") => Ok(Self::Gpt2),
            Some("smollm") => Ok(Self::Smollm),
            Some("llama-bpe" | "llama-v3" | "llama3") => Ok(Self::Llama3),
            Some(other) => Err(format!(
                "has the pre-tokenizer {other:?}, only default, gpt-2, smollm and llama-bpe are read"
            )),
            None => Err("does not say how texts are cut (no key \"tokenizer.ggml.pre\"); convert the model with a newer \
                         llama.cpp"
                .into()),
        }
    }

    fn pre_tokenizer(self) -> Value {
        let bytes = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
        let sequence =
            |first: Value, then: Value| json!({ "type": "Sequence", "pretokenizers": [first, then] });
        match self {
            Self::Gpt2 => bytes(true),
            Self::Smollm => sequence(json!({ "type": "Digits", "individual_digits": true }), bytes(true)),
            Self::Llama3 => {
                let split = json!({
                    "type": "Split",
                    "pattern": { "Regex": LLAMA_3 },
                    "behavior": "Isolated",
                    "invert": false,
                });
                sequence(split, bytes(false))
            }
        }
    }
}

pub(crate) fn parts(keys: Keys<'_>, vocabulary: &Vocabulary<'_>) -> Result<Parts, String> {
    let cut = Cut::read(keys)?;
    let merges = keys.texts("tokenizer.ggml.merges")?.ok_or("lacks the key \"tokenizer.ggml.merges\"")?;
    let merges = merges
        .iter()
        .enumerate()
        .map(|(index, merge)| {
            let parts = merge.split_once(' ').filter(|(left, right)| {
                [*left, *right, &format!("{left}{right}")].iter().all(|part| vocabulary.id(part).is_some())
            });
            parts.map(|(left, right)| json!([left, right])).ok_or_else(|| {
                format!("has the merge {merge:?} (number {index}), which is not of two tokens into a third")
            })
        })
        .collect::<Result<Value, String>>()?;
    Ok(Parts {
        normalizer: Value::Null,
        pre_tokenizer: cut.pre_tokenizer(),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": cut == Cut::Llama3,
            "vocab": vocabulary.json(),
            "merges": merges,
        }),
        default_ids: Special::default(),
        adds_bos: cut == Cut::Llama3,
    })
}
