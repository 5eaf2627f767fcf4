//! Documents of a CSV, JSONL or Parquet file, from some row on.

use std::path::Path;

use anyhow::Result;
use pair2score_data::{Columns, Document, count_texts, stream_texts};

use super::is_parquet;
use super::parquet_texts::ParquetTexts;

/// Documents, or why there are no more.
pub(crate) type Documents = Box<dyn Iterator<Item = Result<Document>>>;

/// The documents after the first `skip`.
///
/// # Errors
/// When the file cannot be opened or lacks a column.
pub(crate) fn open(path: &Path, columns: &Columns, skip: u64) -> Result<Documents> {
    if is_parquet(path) {
        return ParquetTexts::open(path, columns)?.stream(skip);
    }
    let mut documents = stream_texts(path, columns)?;
    for _ in 0..skip {
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
pub(crate) fn count(path: &Path, columns: &Columns) -> Result<u64> {
    match is_parquet(path) {
        true => Ok(ParquetTexts::open(path, columns)?.len()),
        false => Ok(count_texts(path, columns)?),
    }
}
