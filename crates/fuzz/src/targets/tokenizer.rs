//! `tokenizer.json` and after a separator `tokenizer_config.json`.

use std::path::Path;

use pair2score_scorer::TextEncoder;

use super::{empty_folder, file, parts};

const MAX_LENGTH: usize = 8;
const TEXTS: [&str; 4] = ["", "A first essay.", "  é\u{301}\0 \r\n🙂", "the the the the the the the the the"];

pub(super) fn check(input: &[u8], folder: &Path) {
    let parts = parts(input);
    let folder = empty_folder(folder, "tokenizer");
    file(&folder, "tokenizer.json", parts[0]);
    if let Some(config) = parts.get(1) {
        file(&folder, "tokenizer_config.json", config);
    }
    let Ok(encoder) = TextEncoder::load(&folder, MAX_LENGTH) else { return };
    for text in TEXTS {
        let Ok(encoded) = encoder.encode(text) else { continue };
        assert!((1..=MAX_LENGTH).contains(&encoded.ids.len()), "{text:?}: {encoded:?}");
        assert!(encoded.full_length >= encoded.ids.len(), "{text:?}: {encoded:?}");
    }
}
