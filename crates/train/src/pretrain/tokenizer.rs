//! The tokenizer of the backbone: trained for a new one, copied for one that is continued.

use std::collections::BTreeMap;
use std::path::Path;

use pair2score_data::files::{read_bytes, write_atomic};
use pair2score_scorer::TextEncoder;
use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::TrainError;

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
/// What a reader of the folder may look at; the first is always there.
pub(super) const FILES: [&str; 3] = [TOKENIZER, CONFIG, "special_tokens_map.json"];

/// Token 0 of a new tokenizer.
const BOS: &str = "<|begin_of_text|>";
/// Token 1 of a new tokenizer.
const EOS: &str = "<|end_of_text|>";

/// A merge of tokens that occur together only once saves one token and teaches nothing.
const MIN_FREQUENCY: u64 = 2;

/// The files of a tokenizer by name.
#[derive(Debug, PartialEq)]
pub(super) struct TokenizerFiles(BTreeMap<&'static str, Vec<u8>>);

impl TokenizerFiles {
    /// Trains byte-pair encoding on bytes (Sennrich et al. 2016, arXiv:1508.07909), split as GPT-2 splits text.
    /// Every text can be encoded and decoded without loss, and the same texts give the same bytes.
    pub fn train(texts: &[String], vocab_size: usize, max_length: usize) -> Result<Self, String> {
        let trained = train(texts, vocab_size).map_err(|error| format!("no tokenizer came out: {error}"))?;
        let config = json!({
            "bos_token": BOS,
            "eos_token": EOS,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_length,
            "clean_up_tokenization_spaces": false,
        });
        let config = serde_json::to_string_pretty(&config).expect("a JSON value serialises") + "\n";
        Ok(Self(BTreeMap::from([(TOKENIZER, trained.into_bytes()), (CONFIG, config.into_bytes())])))
    }

    /// The files of a folder, byte for byte.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let there = FILES.into_iter().filter(|name| folder.join(name).is_file());
        let read = |name| Ok((name, read_bytes(folder.join(name))?));
        Ok(Self(there.map(read).collect::<Result<_, TrainError>>()?))
    }

    /// Encodes texts of any length; `folder` is for messages.
    pub fn encoder(&self, folder: &Path) -> Result<TextEncoder, TrainError> {
        let config = match self.0.get(CONFIG) {
            None => Value::Null,
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| TrainError::Mismatch {
                path: folder.join(CONFIG),
                problem: format!("not JSON: {error}"),
            })?,
        };
        let tokenizer = self.0.get(TOKENIZER).map_or(&[][..], Vec::as_slice);
        Ok(TextEncoder::from_bytes(tokenizer, &config, folder.join(TOKENIZER), usize::MAX)?)
    }

    /// Writes the files.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        for (name, bytes) in &self.0 {
            write_atomic(folder.join(name), bytes)?;
        }
        Ok(())
    }
}

fn train(texts: &[String], vocab_size: usize) -> tokenizers::Result<String> {
    let special = |content: &str| AddedToken::from(content.to_owned(), true);
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .min_frequency(MIN_FREQUENCY)
        .special_tokens(vec![special(BOS), special(EOS)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let bytes = ByteLevel::new(false, true, true);
    let template = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))?
        .try_pair(format!("{BOS} $A {BOS}:1 $B:1"))?
        .special_tokens(vec![(BOS, 0)])
        .build()?;
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer
        .with_pre_tokenizer(Some(bytes))
        .with_decoder(Some(bytes))
        .train(&mut TrainerWrapper::from(trainer), texts.iter())?
        .with_post_processor(Some(template));
    tokenizer.to_string(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        (0..40).map(|i| format!("The {i} cats sat on the {} mats; naïve — 猫.\n", i * 7)).collect()
    }

    #[test]
    fn same_texts_give_the_same_bytes() {
        assert_eq!(TokenizerFiles::train(&texts(), 320, 64), TokenizerFiles::train(&texts(), 320, 64));
    }

    #[test]
    fn special_tokens_are_0_and_1_and_the_first_leads() {
        let encoder = TokenizerFiles::train(&texts(), 300, 64).unwrap().encoder(Path::new("new")).unwrap();
        assert_eq!((encoder.bos_id, encoder.eos_id, encoder.vocab_size()), (Some(0), Some(1), 300));
        let ids = encoder.encode("The cats").unwrap().ids;
        assert!(ids[0] == 0 && ids[1..].iter().all(|&id| id > 1), "{ids:?}");
    }

    #[test]
    fn merges_shorten_and_decoding_restores() {
        let files = TokenizerFiles::train(&texts(), 400, 64).unwrap();
        let tokenizer = Tokenizer::from_bytes(&files.0[TOKENIZER]).unwrap();
        for text in [" The cats sat", "unseen Ωbytes\t\u{0}  end "] {
            let encoding = tokenizer.encode(text, true).unwrap();
            assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), text);
        }
        assert!(tokenizer.encode("The cats sat on the", false).unwrap().len() < 8);
    }
}
