//! What is tried with an input: no target may panic, and what a reader accepts must survive being written and read.
//!
//! An input that stands for several files has them one after the other, with a line of [`SEPARATOR`] between them.

mod adapter;
mod backbone;
mod config;
mod documents;
mod gguf;
mod pairs;
mod scorer;
mod tensors;
mod tokenizer;

use std::fs;
use std::path::{Path, PathBuf};

/// Tries one input; the folder is for files and may hold those of an earlier input.
pub type Target = fn(&[u8], &Path);

/// All targets, by the names of their programs and their folders in `corpus/`.
pub const TARGETS: [(&str, Target); 9] = [
    ("adapter", adapter::check),
    ("backbone", backbone::check),
    ("config", config::check),
    ("documents", documents::check),
    ("gguf", gguf::check),
    ("pairs", pairs::check),
    ("scorer", scorer::check),
    ("tensors", tensors::check),
    ("tokenizer", tokenizer::check),
];

/// The line between the files of an input, with its line breaks.
const SEPARATOR: &str = "\n====\n";

/// The files of an input; at least one, which may be empty.
fn parts(input: &[u8]) -> Vec<&[u8]> {
    let separator = SEPARATOR.as_bytes();
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(end) = rest.windows(separator.len()).position(|window| window == separator) {
        parts.push(&rest[..end]);
        rest = &rest[end + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// A file with that content.
fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).expect("the scratch folder can be written to");
    path
}

/// A folder with nothing in it.
fn empty_folder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).expect("the scratch folder can be written to");
    path
}
