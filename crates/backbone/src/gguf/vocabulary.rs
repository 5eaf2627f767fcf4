//! What a GGUF file says about the tokens of its tokenizer, and what each kind of tokenizer adds.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::gguf::value::Keys;
use crate::tokenizer_files::Special;

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
    pub(crate) fn read(keys: Keys<'a>) -> Result<Self, String> {
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
    pub(crate) fn added(&self) -> Value {
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
    pub(crate) fn special(&self, id: Option<usize>, key: &str) -> Result<Option<(usize, &'a str)>, String> {
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
