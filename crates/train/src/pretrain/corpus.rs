//! Documents to sequences of tokens.

use std::path::Path;

use pair2score_data::rng::{shuffle, stream};
use pair2score_data::{files, read_texts};
use pair2score_scorer::TextEncoder;

use crate::TrainError;
use crate::config::PretrainSettings;
use crate::config::pretrain::PretrainTraining;
use crate::report::Progress;

/// Texts in random order, none blank.
#[derive(Debug)]
pub(super) struct Corpus {
    /// At least one.
    pub train: Vec<String>,
    /// At least one; no tokenizer and no weight has seen them.
    pub val: Vec<String>,
}

impl Corpus {
    /// Reads the files and holds some documents out.
    pub fn read(settings: &PretrainSettings, progress: &mut dyn Progress) -> Result<Self, TrainError> {
        let mut texts = Vec::new();
        for path in &settings.documents {
            if is_text(path) {
                texts.push(files::read_text(path)?);
            } else {
                let set = read_texts(path, &settings.layout)?;
                texts.extend(set.documents.into_iter().map(|document| document.text));
            }
        }
        let read = texts.len();
        texts.retain(|text| !text.trim().is_empty());
        if texts.len() < read {
            progress.message(&format!("{} of {read} documents are empty and left out", read - texts.len()));
        }
        // Validation takes whole documents, so that no sequence continues a text that was trained on.
        if texts.len() < 2 {
            return Err(TrainError::Mismatch {
                path: settings.documents.first().cloned().unwrap_or_default(),
                problem: format!(
                    "pretrain.documents hold {} documents that are not empty, at least 2 are needed: one to train \
                     on and one to validate",
                    texts.len()
                ),
            });
        }
        Ok(Self::split(texts, settings.training.val_ratio, settings.training.seed))
    }

    fn split(mut texts: Vec<String>, val_ratio: f64, seed: u64) -> Self {
        shuffle(&mut stream(seed, &["pretrain", "documents"]), &mut texts);
        let n_val = (texts.len() as f64 * val_ratio).round() as usize;
        let train = texts.split_off(n_val.clamp(1, texts.len() - 1));
        Self { train, val: texts }
    }
}

/// Whether a file is one document as a whole.
fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
}

/// Joined documents, cut into sequences of one length; only the last may be shorter.
#[derive(Debug)]
pub(super) struct Sequences {
    ids: Vec<u32>,
    length: usize,
}

impl Sequences {
    /// Tokenises the texts, each between its special tokens, and joins them.
    pub fn encode(
        stage: &str,
        texts: &[String],
        encoder: &TextEncoder,
        training: &PretrainTraining,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        progress.begin(stage, texts.len());
        let mut joined = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            let ids = encoder.encode(text)?.ids;
            // A tokenizer may add the special tokens itself; each is wanted once.
            joined.extend(encoder.bos_id.filter(|bos| ids.first() != Some(bos)));
            let eos = encoder.eos_id.filter(|eos| ids.last() != Some(eos));
            joined.extend(ids);
            joined.extend(eos);
            progress.advance(place + 1);
        }
        progress.end();
        Ok(Self::new(joined, training.sequence_length))
    }

    /// `length` is at least 2: the first token of a sequence is not predicted.
    fn new(mut ids: Vec<u32>, length: usize) -> Self {
        if ids.len() % length == 1 {
            ids.pop();
        }
        Self { ids, length }
    }

    pub fn len(&self) -> usize {
        self.ids.len().div_ceil(self.length)
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    /// At least two tokens.
    pub fn get(&self, sequence: usize) -> &[u32] {
        let start = sequence * self.length;
        &self.ids[start..self.ids.len().min(start + self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_cover_every_token_but_a_lone_last_one() {
        for (n, lengths) in [(8, vec![4, 4]), (10, vec![4, 4, 2]), (9, vec![4, 4]), (3, vec![3]), (1, vec![])]
        {
            let sequences = Sequences::new((0..n).collect(), 4);
            let cut: Vec<&[u32]> = (0..sequences.len()).map(|i| sequences.get(i)).collect();
            assert_eq!(cut.iter().map(|ids| ids.len()).collect::<Vec<_>>(), lengths);
            assert_eq!(cut.concat(), (0..lengths.iter().sum::<usize>() as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_document_is_on_one_side_and_neither_side_is_empty() {
        for (n, ratio, n_val) in [(10, 0.3, 3), (10, 0.01, 1), (2, 0.99, 1)] {
            let texts: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            let Corpus { train, val } = Corpus::split(texts.clone(), ratio, 7);
            assert_eq!((train.len(), val.len()), (n - n_val, n_val));
            let mut all = [train, val].concat();
            all.sort_unstable_by_key(|text| text.parse::<usize>().unwrap());
            assert_eq!(all, texts);
        }
    }
}
