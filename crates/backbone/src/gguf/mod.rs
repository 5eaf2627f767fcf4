//! GGUF, the one-file format of llama.cpp.
//!
//! [`Gguf`] is the container, `blocks` what the bytes of a tensor mean, [`GgufModel`] a LLaMA in it: names, shapes,
//! the order of rows (`llama`), rotary scaling (`rope`) and the tokenizer (`tokenizer`).

mod blocks;
mod byte_level;
mod llama;
mod reader;
mod rope;
mod sentencepiece;
mod tokenizer;
mod value;
mod vocabulary;

pub use blocks::TensorType;
pub use llama::GgufModel;
pub use reader::{Gguf, TensorInfo};
