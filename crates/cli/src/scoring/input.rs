//! Documents of a CSV, JSONL or Parquet file, from some row on.

use std::path::Path;

use anyhow::Result;
use pair2score_data::{Document, Layout, TextStream, count_texts, stream_texts};

use super::is_parquet;
use super::parquet_texts::ParquetTexts;

/// Documents, or why there are no more.
pub(super) type Documents = Box<dyn Iterator<Item = Result<Document>>>;

/// The documents after the first `skip`.
///
/// # Errors
/// When the file cannot be opened, lacks a column, or is damaged before the first document that is asked for.
pub(super) fn open(path: &Path, layout: &Layout, skip: u64) -> Result<Documents> {
    let (mut documents, left) = match is_parquet(path) {
        true => {
            let mut texts = ParquetTexts::open(path, &layout.columns)?;
            let left = texts.skip_groups(skip)?;
            (TextStream::new(path, texts), left)
        }
        false => (stream_texts(path, layout)?, skip),
    };
    // Not by `skip` of the iterator, which would take an error for a row.
    for _ in 0..left {
        match documents.next() {
            Some(document) => document?,
            None => break,
        };
    }
    Ok(Box::new(documents.map(|document| Ok(document?))))
}

/// How many documents there are.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn count(path: &Path, layout: &Layout) -> Result<u64> {
    match is_parquet(path) {
        true => Ok(ParquetTexts::open(path, &layout.columns)?.len()),
        false => Ok(count_texts(path, layout)?),
    }
}
