//! SentencePiece (`llama`): BPE over characters, with bytes for what the vocabulary lacks.
//!
//! The file has a score per token in place of merges. The pair whose token has the best score is merged first, so
//! merges are the pairs of tokens that make a token, the best first: how transformers converts such tokenizers.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::gguf::value::Keys;
use crate::gguf::vocabulary::{Parts, Vocabulary};
use crate::tokenizer_files::Special;

/// What stands for a space.
const SPACE: &str = "\u{2581}";

pub(crate) fn parts(keys: Keys<'_>, vocabulary: &Vocabulary<'_>) -> Result<Parts, String> {
    let normalises = keys.counts("tokenizer.ggml.precompiled_charsmap")?.is_some_and(|map| !map.is_empty());
    if normalises || keys.flag("tokenizer.ggml.remove_extra_whitespaces")? == Some(true) {
        return Err("has a tokenizer that normalises texts (precompiled_charsmap, remove_extra_whitespaces), which is \
                    not read"
            .into());
    }
    let scores = keys.floats("tokenizer.ggml.scores")?.ok_or("lacks the key \"tokenizer.ggml.scores\"")?;
    if scores.len() != vocabulary.len() {
        return Err(format!(
            "has {} tokens and {} in \"tokenizer.ggml.scores\"",
            vocabulary.len(),
            scores.len()
        ));
    }
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(format!("has a score that is no number, of token {id}"));
    }
    let default_ids = Special { bos: Some(1), eos: Some(2), unk: Some(0), pad: None };
    let unk = keys.count("tokenizer.ggml.unknown_token_id")?.or(default_ids.unk);
    let unk = vocabulary.iter().find(|&(id, _)| Some(id) == unk).map(|(_, token)| token);
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let prefix = keys.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let mut normalizers = vec![spaces];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(Parts {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unk,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocabulary.json(),
            "merges": merges(vocabulary, &scores),
        }),
        default_ids,
        adds_bos: true,
    })
}

/// One way to make a token.
struct Merge<'a> {
    score: f32,
    /// Characters of both parts.
    lengths: (usize, usize),
    ids: (usize, usize),
    parts: (&'a str, &'a str),
}

/// Pairs of tokens that make a token: by score, then by the lengths of the parts, the higher first; those of one token
/// by the ids of the parts.
fn merges<'a>(vocabulary: &Vocabulary<'a>, scores: &[f32]) -> Vec<[&'a str; 2]> {
    let mut merges = Vec::new();
    for (id, token) in vocabulary.iter() {
        let n_chars = token.chars().count();
        let cuts = token.char_indices().skip(1).enumerate();
        let ways = cuts.filter_map(|(index, (cut, _))| {
            let parts = token.split_at(cut);
            let ids = (vocabulary.id(parts.0)?, vocabulary.id(parts.1)?);
            Some(Merge { score: scores[id], lengths: (index + 1, n_chars - index - 1), ids, parts })
        });
        let first = merges.len();
        merges.extend(ways);
        merges[first..].sort_by_key(|merge| merge.ids);
    }
    // Stable, so that what is equal stays in the order of the vocabulary.
    merges.sort_by(|a, b| {
        let by_score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
        by_score.then(b.lengths.cmp(&a.lengths))
    });
    merges.into_iter().map(|merge| [merge.parts.0, merge.parts.1]).collect()
}
