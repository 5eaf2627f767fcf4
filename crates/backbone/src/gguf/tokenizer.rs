//! The tokenizer of a GGUF file as `tokenizer.json` and `tokenizer_config.json`.
//!
//! A GGUF file holds a vocabulary and the name of what cuts texts before it; the rest is what llama.cpp does for that
//! name, and what the published `tokenizer.json` of such models says.

use serde_json::{Map, Value, json};

use crate::gguf::value::Keys;
use crate::gguf::vocabulary::Vocabulary;
use crate::gguf::{byte_level, sentencepiece};
use crate::tokenizer_files::{Special, TokenizerFiles};

/// Both files.
pub(crate) fn files(keys: Keys<'_>, max_positions: usize) -> Result<TokenizerFiles, String> {
    let vocabulary = Vocabulary::read(keys)?;
    let parts = match keys.text("tokenizer.ggml.model")? {
        Some("gpt2") => byte_level::parts(keys, &vocabulary),
        Some("llama") => sentencepiece::parts(keys, &vocabulary),
        Some(other) => Err(format!(
            "has a tokenizer of the kind {other:?}, only gpt2 (byte-level BPE) and llama (SentencePiece) are read"
        )),
        None => Err("lacks the key \"tokenizer.ggml.model\"".into()),
    }?;
    let special = special(keys, &vocabulary, parts.default_ids)?;
    let adds = |key: &str, default: bool| Ok::<_, String>(keys.flag(key)?.unwrap_or(default));
    let first = adds("tokenizer.ggml.add_bos_token", parts.adds_bos)?;
    let last = adds("tokenizer.ggml.add_eos_token", false)?;
    let first = added_token(first, special.bos, "beginning")?;
    let last = added_token(last, special.eos, "end")?;
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": template(first, last),
        "decoder": parts.decoder,
        "model": parts.model,
    });
    let names = special.map(|token| token.map(|(_, content)| content));
    Ok(TokenizerFiles::new(tokenizer.to_string(), names, max_positions))
}

fn special<'a>(
    keys: Keys<'a>,
    vocabulary: &Vocabulary<'a>,
    default_ids: Special<Option<usize>>,
) -> Result<Special<Option<(usize, &'a str)>>, String> {
    let token = |name: &str, default: Option<usize>| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        vocabulary.special(keys.count(&key)?.or(default), &key)
    };
    Ok(Special {
        bos: token("bos", default_ids.bos)?,
        eos: token("eos", default_ids.eos)?,
        unk: token("unknown", default_ids.unk)?,
        pad: token("padding", default_ids.pad)?,
    })
}

/// A token that is added to every text, if one is.
fn added_token<'a>(
    adds: bool,
    token: Option<(usize, &'a str)>,
    end: &str,
) -> Result<Option<(usize, &'a str)>, String> {
    if adds && token.is_none() {
        return Err(format!("wants a token at the {end} of every text and does not say which"));
    }
    Ok(token.filter(|_| adds))
}

/// A post-processor that adds tokens at the ends of a text.
fn template(first: Option<(usize, &str)>, last: Option<(usize, &str)>) -> Value {
    if first.is_none() && last.is_none() {
        return Value::Null;
    }
    let piece = |sequence: &str, kind: usize| {
        let special = |token: Option<(usize, &str)>| {
            token.map(|(_, token)| json!({ "SpecialToken": { "id": token, "type_id": kind } }))
        };
        let text = json!({ "Sequence": { "id": sequence, "type_id": kind } });
        [special(first), Some(text), special(last)].into_iter().flatten().collect::<Vec<_>>()
    };
    let tokens = [first, last].into_iter().flatten();
    let tokens: Map<_, _> = tokens
        .map(|(id, token)| (token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] })))
        .collect();
    let pair = [piece("A", 0), piece("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": piece("A", 0),
        "pair": pair,
        "special_tokens": tokens,
    })
}
