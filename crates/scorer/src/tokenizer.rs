//! Text to token ids, as transformers' fast tokenizers do it.

use std::path::{Path, PathBuf};

use pair2score_data::{Passage, PromptTemplate, caught};
use pair2score_model::LlamaConfig;
use serde_json::Value;
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use crate::error::{ScorerError, read_bytes, read_to_string};

/// Token ids of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// At most `max_length`, at least one.
    pub ids: Vec<u32>,
    /// Tokens of the whole text; more than `ids` when the text was cut. Of a text of more than 64 KiB that holds many
    /// times `max_length` tokens, only as many as were counted.
    pub full_length: usize,
}

impl Encoded {
    /// Whether the text was cut.
    pub fn truncated(&self) -> bool {
        self.full_length > self.ids.len()
    }
}

/// Bytes of a longer text that are tokenised first.
const PREFIX: usize = 64 << 10;

/// Bytes before the end of a prefix of which no token is used.
const MARGIN: usize = 4 << 10;

/// A tokenizer with a length limit.
///
/// A long text is not tokenised as a whole: a tokenizer needs 300 times the memory of the text, and more than linear
/// time for one without spaces. A prefix is, which ends behind a word where there is one, and which grows until more
/// tokens than can be read end at least 4 KiB before its end. The assumption is that a token depends on no text further
/// away than that: true of byte-pair encoding within words, however they are split off, and of every tokenizer of a LLaMA
/// that we know. Tests compare the ids with those of the whole text.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    whole: Tokenizer,
    cut: Tokenizer,
    path: PathBuf,
    max_length: usize,
    /// The pad token, else the end-of-text token, else 0; stands for a text without tokens.
    pub pad_id: u32,
    /// Beginning-of-text token, where the tokenizer's config names one.
    pub bos_id: Option<u32>,
    /// End-of-text token, where the tokenizer's config names one.
    pub eos_id: Option<u32>,
}

impl TextEncoder {
    /// Reads `tokenizer.json` (and `tokenizer_config.json` where there is one) of a folder.
    ///
    /// # Errors
    /// When the tokenizer is missing or damaged, or `max_length` leaves no room for a token of text.
    pub fn load(folder: &Path, max_length: usize) -> Result<Self, ScorerError> {
        let path = folder.join("tokenizer.json");
        let bytes = read_bytes(&path)?;
        let config_path = folder.join("tokenizer_config.json");
        let config = if config_path.is_file() {
            serde_json::from_str(&read_to_string(&config_path)?)
                .map_err(|error| ScorerError::invalid(&config_path, format!("not JSON: {error}")))?
        } else {
            Value::Null
        };
        Self::from_bytes(&bytes, &config, path, max_length)
    }

    /// As [`load`](Self::load), from bytes; `path` is for messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(
        tokenizer: &[u8],
        config: &Value,
        path: PathBuf,
        max_length: usize,
    ) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(&path, problem);
        let no_tokenizer = |error: &dyn std::fmt::Display| invalid(format!("not a tokenizer: {error}"));
        // tokenizers panics where its decoder is not JSON.
        let json: Value = serde_json::from_slice(tokenizer).map_err(|error| no_tokenizer(&error))?;
        check_parts(&json).map_err(invalid)?;
        let mut whole = Tokenizer::from_bytes(tokenizer).map_err(|error| no_tokenizer(&error))?;
        whole.with_padding(None);
        whole.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let special = whole.get_post_processor().map_or(0, |p| {
            use tokenizers::PostProcessor;
            p.added_tokens(false)
        });
        if max_length <= special {
            return Err(invalid(format!(
                "adds {special} special tokens, so max_length {max_length} leaves no room for text"
            )));
        }
        let mut cut = whole.clone();
        cut.with_truncation(Some(TruncationParams { max_length, ..Default::default() }))
            .map_err(|error| invalid(error.to_string()))?;
        let token = |key: &str| {
            let entry = config.get(key)?;
            let content = entry.as_str().or_else(|| entry.get("content")?.as_str())?;
            whole.token_to_id(content)
        };
        let (bos_id, eos_id) = (token("bos_token"), token("eos_token"));
        let pad_id = token("pad_token").or(eos_id).unwrap_or(0);
        Ok(Self { whole, cut, path, max_length, pad_id, bos_id, eos_id })
    }

    /// Longest sequence this encoder gives, in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The tokenizer as `tokenizer.json`, without a length limit.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub fn to_json(&self) -> Result<String, ScorerError> {
        self.whole
            .to_string(false)
            .map_err(|error| ScorerError::invalid(&self.path, format!("cannot be written: {error}")))
    }

    /// What a token is written as, if there is one of this id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.whole.id_to_token(id)
    }

    /// Size of the vocabulary with added tokens.
    pub fn vocab_size(&self) -> usize {
        self.whole.get_vocab_size(true)
    }

    /// Checks that every token has a row in the backbone's embedding table.
    ///
    /// # Errors
    /// When the highest id is beyond the table.
    pub fn check(&self, config: &LlamaConfig) -> Result<(), ScorerError> {
        // The number of tokens would not do: ids may have gaps. Those that are put around a text need not be in the
        // vocabulary at all.
        let around = self.guarded(|| self.whole.encode("", true))?;
        let ids = self.whole.get_vocab(true).into_values().chain(around.get_ids().iter().copied());
        let highest = ids.chain([self.pad_id]).max().unwrap_or(0);
        let rows = config.vocab_size;
        if (highest as usize) < rows {
            return Ok(());
        }
        Err(ScorerError::invalid(
            &self.path,
            format!(
                "has token ids up to {highest}, the backbone's embedding table only {rows} rows; use the tokenizer \
                 the backbone was trained with"
            ),
        ))
    }

    /// Ids with the tokenizer's special tokens. An empty text gives at least one token (the end-of-text token
    /// where the tokenizer adds none), so that every document has an embedding.
    ///
    /// # Errors
    /// When the tokenizer cannot encode the text.
    pub fn encode(&self, text: &str) -> Result<Encoded, ScorerError> {
        let (text, tokens) = self.enough(text)?;
        self.encoded(text, &tokens)
    }

    /// What is read of a text whose tokens without a length limit are known.
    fn encoded(&self, text: &str, tokens: &Encoding) -> Result<Encoded, ScorerError> {
        let full_length = tokens.len();
        let ids = if full_length <= self.max_length {
            tokens.get_ids().to_vec()
        } else {
            self.guarded(|| self.cut.encode(text, true))?.get_ids().to_vec()
        };
        if ids.is_empty() {
            return Ok(Encoded { ids: vec![self.pad_id], full_length: 1 });
        }
        Ok(Encoded { ids, full_length })
    }

    /// As [`encode`](Self::encode), of a text with its prompt, as `template` says; without a template of the text alone.
    /// What is too long loses the end of its prompt first, and the whole prompt before any of the text.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn passage(
        &self,
        passage: &impl Passage,
        template: Option<&PromptTemplate>,
    ) -> Result<Encoded, ScorerError> {
        let text = passage.text();
        let Some(template) = template else { return self.encode(text) };
        let mut prompt = prefix(passage.prompt(), self.prefix_size());
        let mut full_length = None;
        loop {
            let whole = template.fill(prompt, text);
            let (read, tokens) = self.enough(&whole)?;
            // A text without tokens is read as one.
            let full_length = *full_length.get_or_insert(tokens.len().max(1));
            if tokens.len() <= self.max_length || prompt.is_empty() {
                return Ok(Encoded { full_length, ..self.encoded(read, &tokens)? });
            }
            prompt = self.shortened(prompt, template.prompt_start(text), &tokens);
        }
    }

    /// A prompt without as many of its last tokens as those of the whole, in which it begins at `start`, are too many.
    fn shortened<'p>(&self, prompt: &'p str, start: usize, tokens: &Encoding) -> &'p str {
        let end = start + prompt.len();
        let of_prompt =
            tokens.get_offsets().iter().filter(|(from, to)| from < to && *from >= start && *to <= end);
        let starts: Vec<usize> = of_prompt.map(|&(from, _)| from - start).collect();
        let kept = starts.len().saturating_sub(tokens.len() - self.max_length);
        let length = starts.get(kept).copied().unwrap_or(0).min(prompt.len().saturating_sub(1));
        prompt[..prompt.floor_char_boundary(length)].trim_end()
    }

    /// Bytes of a long text that are tokenised first: words have less than 16 bytes a token; where that is wrong, the
    /// prefix grows.
    fn prefix_size(&self) -> usize {
        PREFIX.max(self.max_length.saturating_mul(16))
    }

    /// The text, or a prefix of it that has all that is read of it, and its tokens without a length limit.
    fn enough<'t>(&self, text: &'t str) -> Result<(&'t str, Encoding), ScorerError> {
        let mut size = self.prefix_size();
        loop {
            let prefix = prefix(text, size);
            let tokens = self.guarded(|| self.whole.encode(prefix, true))?;
            let settled = |(_, end): &&(usize, usize)| end + MARGIN <= prefix.len();
            if prefix.len() == text.len()
                || tokens.get_offsets().iter().filter(settled).count() > self.max_length
            {
                return Ok((prefix, tokens));
            }
            size = size.saturating_mul(4);
        }
    }

    /// What the library gives. It panics on some tokenizers that it reads, which is then the file's fault.
    fn guarded<T>(&self, encode: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, ScorerError> {
        let problem = match caught(encode) {
            Some(Ok(encoded)) => return Ok(encoded),
            Some(Err(error)) => format!("cannot encode a text: {error}"),
            None => "cannot encode a text; use the tokenizer the backbone was trained with".into(),
        };
        Err(ScorerError::invalid(&self.path, problem))
    }
}

/// The beginning of a text, at least `size` bytes and at most twice as many: up to the end of a word that white space
/// follows, where there is one.
fn prefix(text: &str, size: usize) -> &str {
    let most = size.saturating_mul(2);
    if text.len() <= most {
        return text;
    }
    let (start, end) = (text.floor_char_boundary(size), text.floor_char_boundary(most));
    let mut in_word = false;
    for (place, char) in text[start..end].char_indices() {
        if in_word && matches!(char, ' ' | '\n') {
            return &text[..start + place];
        }
        in_word = char.is_alphanumeric();
    }
    &text[..end]
}

/// Refuses what tokenizers takes on trust and panics on when it encodes: a page cannot catch that, and the file says it.
fn check_parts(tokenizer: &Value) -> Result<(), String> {
    let mut problems = Vec::new();
    for_each_part(&tokenizer["normalizer"], "normalizers", &mut |part| {
        if part["type"] == "Precompiled" {
            problems
                .push("has a Precompiled normalizer, as T5's tokenizers do and LLaMA's do not".to_owned());
        }
    });
    for_each_part(&tokenizer["post_processor"], "processors", &mut |part| {
        for piece in part["single"].as_array().into_iter().flatten() {
            let token = piece["SpecialToken"]["id"].as_str();
            if let Some(token) = token.filter(|token| part["special_tokens"].get(token).is_none()) {
                problems
                    .push(format!("has a template with the token {token:?} that its special_tokens lack"));
            }
            if piece["Sequence"]["id"] == "B" {
                problems.push("has a template that wants a second text where there is one".to_owned());
            }
        }
    });
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(format!("{problem}; use the tokenizer the backbone was trained with")),
    }
}

/// A part of a tokenizer, or every part of a sequence of parts.
fn for_each_part(part: &Value, parts: &str, visit: &mut dyn FnMut(&Value)) {
    visit(part);
    for part in part[parts].as_array().into_iter().flatten() {
        for_each_part(part, parts, visit);
    }
}
