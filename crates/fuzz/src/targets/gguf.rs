//! A GGUF file: the container, and the LLaMA in it.

use std::path::Path;

use pair2score_backbone::gguf::Gguf;
use pair2score_backbone::{Checkpoint, GgufModel};
use pair2score_scorer::TextEncoder;
use pair2score_scorer::names::Weight;

use super::file;

pub(super) fn check(input: &[u8], folder: &Path) {
    let path = file(folder, "model.gguf", input);
    let Ok(gguf) = Gguf::open(&path) else { return };
    for (name, info) in gguf.tensors() {
        let values = gguf.values(name).expect("its place was checked").expect("it was listed");
        assert_eq!(values.len(), info.shape.iter().product::<usize>(), "{name}");
    }
    let Ok(model) = GgufModel::open(&path) else { return };
    let config = model.config();
    for weight in Weight::all(config) {
        let values = model.values(weight).expect("its place was checked");
        assert_eq!(values.len(), weight.shape(config).iter().product::<usize>(), "{}", weight.name());
    }
    let tokenizer_config = serde_json::from_str(&model.tokenizer().config).expect("it was written as JSON");
    let json = model.tokenizer().tokenizer.as_bytes();
    let Ok(text_encoder) = TextEncoder::from_bytes(json, &tokenizer_config, path, 64) else { return };
    // What the library refuses is an error; a panic of its own is caught and is one, too.
    let _ = text_encoder.encode("A first text: 12 é\u{301} 🙂.");
}
