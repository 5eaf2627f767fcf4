//! Texts of any length: the ids of what is read are those of the whole text, and a long one costs what is read of it.

mod common;

use std::time::{Duration, Instant};

use common::Oracle;
use pair2score_data::PromptTemplate;
use pair2score_model::LlamaConfig;
use pair2score_scorer::TextEncoder;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The oracle's tokenizer (as Llama 3's), GPT-2's way of splitting words, and one that merges a whole text at once, as
/// SentencePiece does.
fn tokenizers() -> [(&'static str, Value); 3] {
    let path = Oracle::load().path("backbone/tokenizer.json");
    let llama3: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut gpt2 = llama3.clone();
    gpt2["pre_tokenizer"] =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let mut sentence_piece = llama3.clone();
    sentence_piece["pre_tokenizer"] = Value::Null;
    sentence_piece["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]});
    sentence_piece["model"] = merging_all_at_once();
    [("llama3", llama3), ("gpt2", gpt2), ("sentencepiece", sentence_piece)]
}

/// Bytes, letters, and a few merges, the space before a word and runs of spaces among them.
fn merging_all_at_once() -> Value {
    let mut tokens: Vec<String> = ["<|begin_of_text|>", "<|end_of_text|>", "<unk>"].map(str::to_owned).into();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend("▁abcdefghijklmnopqrstuvwxyzABC.,'0123456789".chars().map(String::from));
    let merges = [
        ("▁", "t"),
        ("▁", "a"),
        ("h", "e"),
        ("▁t", "he"),
        ("i", "n"),
        ("e", "r"),
        ("▁", "▁"),
        ("▁▁", "▁▁"),
        ("a", "b"),
        ("b", "a"),
        ("ab", "a"),
        ("o", "n"),
        ("r", "e"),
        ("e", "d"),
        ("s", "."),
        ("1", "2"),
        ("a", "a"),
        ("aa", "aa"),
    ];
    let merges = merges.map(|(left, right)| [left.to_owned(), right.to_owned()]);
    tokens.extend(merges.iter().map(|pair| pair.concat()));
    let vocab: serde_json::Map<String, Value> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    json!({
        "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
        "merges": merges,
    })
}

fn encoder(tokenizer: &Value, max_length: usize) -> TextEncoder {
    TextEncoder::from_bytes(
        tokenizer.to_string().as_bytes(),
        &Value::Null,
        "tokenizer.json".into(),
        max_length,
    )
    .unwrap()
}

/// A text of this many bytes of pieces drawn at random.
fn text(pieces: &[&str], bytes: usize, rng: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(pieces.choose(rng).unwrap());
    }
    text
}

#[test]
fn a_prefix_gives_the_ids_of_the_whole_text() {
    let kinds: [&[&str]; 9] = [
        &["the ", "other ", "rain ", "ab ", "bread, ", "and. ", "it's ", "\n\n", "12 "],
        &["的", "一", "文", "。", "学", "，"],
        &["a"],
        &["ab", "ba", "a", "b"],
        &[" ", "  ", "\n", "\t", " \n \n", "x"],
        &["1", "234", "5", ",", "."],
        &["🙂", "👩‍👩‍👧", "e\u{301}", " ", "é"],
        &["<|end_of_text|>", "the ", "<|end", "_of_text|>"],
        &["don't ", "'s", "(", "\"", ").", "...", "--", " "],
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, tokenizer) in tokenizers() {
        let whole: tokenizers::Tokenizer = tokenizer.to_string().parse().unwrap();
        for pieces in kinds {
            let bytes = rng.random_range(135_000..150_000);
            let text = text(pieces, bytes, &mut rng);
            let expected = whole.encode(text.as_str(), true).unwrap();
            for max_length in [8, 512] {
                let encoded = encoder(&tokenizer, max_length).encode(&text).unwrap();
                let read = expected.len().min(max_length);
                assert_eq!(encoded.ids, expected.get_ids()[..read], "{name} {pieces:?} {max_length}");
                assert_eq!(encoded.truncated(), expected.len() > max_length, "{name} {pieces:?}");
            }
        }
    }
}

#[test]
fn a_long_text_costs_what_is_read_of_it() {
    let (words, letters) = ("many words ".repeat(4_000_000), "a".repeat(40_000_000));
    for (name, tokenizer) in tokenizers() {
        let encoder = encoder(&tokenizer, 512);
        for text in [&words, &letters] {
            let begun = Instant::now();
            let encoded = encoder.encode(text).unwrap();
            assert!(encoded.truncated() && encoded.ids.len() == 512);
            // Milliseconds; the whole takes minutes and gigabytes.
            assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?}", begun.elapsed());
        }
    }
}

#[test]
fn ids_beyond_the_table_are_refused_wherever_they_come_from() {
    let [(_, mut tokenizer), ..] = tokenizers();
    let config: LlamaConfig = Oracle::load().backbone().0;
    encoder(&tokenizer, 48).check(&config).unwrap();
    tokenizer["post_processor"]["special_tokens"]["<|begin_of_text|>"]["ids"] = json!([4000]);
    let error = encoder(&tokenizer, 48).check(&config).unwrap_err().to_string();
    assert!(error.contains("token ids up to 4000") && error.contains("only 384 rows"), "{error}");
}

#[test]
fn what_is_too_long_loses_the_end_of_its_prompt_first() {
    let pieces: &[&str] = &["the ", "other ", "rain ", "bread, ", "it's ", "学", "🙂", "\n\n", "12 "];
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let templates: [PromptTemplate; 2] = ["{prompt}\n\n{text}", "Answer: {text} Question: {prompt}!"]
        .map(|template| template.parse().unwrap());
    for (name, tokenizer) in tokenizers() {
        let encoder = encoder(&tokenizer, 64);
        let all = self::encoder(&tokenizer, 1 << 20);
        for (prompt_bytes, text_bytes) in
            [(20, 40), (400, 40), (4000, 20), (400, 2000), (300_000, 30), (0, 90)]
        {
            let prompt = text(pieces, prompt_bytes, &mut rng);
            let text = text(pieces, text_bytes, &mut rng);
            for template in &templates {
                let read = encoder.passage(&(&prompt, &text), Some(template)).unwrap();
                assert!(read.ids.len() <= 64, "{name}");
                // All places where a prompt can end, the longest that fits first.
                let ends = prompt.char_indices().map(|(place, _)| place).chain([prompt.len()]);
                let ends: Vec<usize> = ends.filter(|end| *end <= 2000).collect();
                let ids = |end: usize| all.encode(&template.fill(&prompt[..end], &text)).unwrap().ids;
                let longest = ends.iter().rev().copied().find(|end| ids(*end).len() <= 64);
                match longest {
                    // A text that fills all by itself is cut as one without a prompt.
                    None => assert_eq!(read.ids, encoder.encode(&text).unwrap().ids, "{name}"),
                    Some(longest) => {
                        let used = ends.iter().copied().find(|end| ids(*end) == read.ids);
                        let used = used.unwrap_or_else(|| panic!("{name}: not a beginning of the prompt"));
                        assert!(used <= longest, "{name}: {used} of {longest} bytes");
                    }
                }
                assert_eq!(read.truncated(), longest.is_none_or(|end| end < prompt.len()), "{name}");
            }
        }
    }
}
