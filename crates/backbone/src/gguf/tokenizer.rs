//! The tokenizer of a GGUF file as `tokenizer.json` and `tokenizer_config.json`.
//!
//! A GGUF file holds a vocabulary and the name of what cuts texts before it; the rest is what llama.cpp does for that
//! name, and what the published `tokenizer.json` of such models says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::gguf::value::Keys;
use crate::gguf::{byte_level, sentencepiece};
use crate::tokenizer_files::{Special, TokenizerFiles};

/// What differs between kinds of tokenizers.
pub(crate) struct Parts {
    pub(crate) normalizer: Value,
    pub(crate) pre_tokenizer: Value,
    pub(crate) decoder: Value,
    pub(crate) model: Value,
    /// Special tokens where the file names none.
    pub(crate) default_ids: Special<Option<usize>>,
    /// Whether the beginning-of-text token is added where the file does not say.
    pub(crate) adds_bos: bool,
}

/// What a token of the vocabulary is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Text, or a byte.
    Text,
    /// Never the text itself: matched whole, and left out where text is decoded.
    Control,
    /// Text that is matched whole.
    UserDefined,
    /// A row of the embedding table that no text leads to.
    Unused,
}

/// Tokens by id.
pub(crate) struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    roles: Vec<Role>,
    ids: BTreeMap<&'a str, usize>,
}

impl<'a> Vocabulary<'a> {
    fn read(keys: Keys<'a>) -> Result<Self, String> {
        let tokens = keys.texts("tokenizer.ggml.tokens")?.filter(|tokens| !tokens.is_empty());
        let tokens = tokens.ok_or("lacks the key \"tokenizer.ggml.tokens\"")?;
        let roles = match keys.counts("tokenizer.ggml.token_type")? {
            None => vec![Role::Text; tokens.len()],
            Some(types) if types.len() != tokens.len() => {
                return Err(format!(
                    "has {} tokens and {} in \"tokenizer.ggml.token_type\"",
                    tokens.len(),
                    types.len()
                ));
            }
            Some(types) => types.into_iter().map(role).collect::<Result<_, _>>()?,
        };
        let mut ids = BTreeMap::new();
        for (id, (&token, &role)) in tokens.iter().zip(&roles).enumerate() {
            if role == Role::Unused {
                continue;
            }
            if let Some(first) = ids.insert(token, id) {
                return Err(format!("has the token {token:?} twice, as {first} and {id}"));
            }
        }
        Ok(Self { tokens, roles, ids })
    }

    /// Number of tokens, unused ones included.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The id of a token that a text can lead to.
    pub(crate) fn id(&self, token: &str) -> Option<usize> {
        self.ids.get(token).copied()
    }

    /// Such tokens in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let used = self.tokens.iter().zip(&self.roles).enumerate();
        used.filter(|(_, (_, role))| **role != Role::Unused).map(|(id, (token, _))| (id, *token))
    }

    /// The `vocab` of a model. Special tokens are in it too, as ids of their own are only kept for tokens in it.
    pub(crate) fn json(&self) -> Value {
        self.iter().map(|(id, token)| (token.to_owned(), json!(id))).collect::<Map<_, _>>().into()
    }

    /// The tokens that are matched whole.
    fn added(&self) -> Value {
        let added = self.iter().filter(|&(id, _)| self.roles[id] != Role::Text);
        added
            .map(|(id, content)| {
                json!({
                    "id": id,
                    "content": content,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": self.roles[id] == Role::Control,
                })
            })
            .collect()
    }

    /// The token of an id that has a role.
    fn special(&self, id: Option<usize>, key: &str) -> Result<Option<(usize, &'a str)>, String> {
        let Some(id) = id else { return Ok(None) };
        let token = self.tokens.get(id).filter(|_| self.roles[id] != Role::Unused);
        token.map(|token| Some((id, *token))).ok_or_else(|| format!("has no token {id}, which {key:?} names"))
    }
}

fn role(kind: usize) -> Result<Role, String> {
    match kind {
        1 | 6 => Ok(Role::Text),
        2 | 3 => Ok(Role::Control),
        4 => Ok(Role::UserDefined),
        5 => Ok(Role::Unused),
        other => Err(format!("has a token of the unknown type {other}")),
    }
}

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
