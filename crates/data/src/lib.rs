//! Documents, folds, splits, pairs and judgements: everything that happens to the data before a model sees it.
//!
//! The one key decision: input is read strictly and as a whole. A file is either understood down to its last
//! row or refused with an error that names the file, the row and the remedy; nothing is skipped or guessed.
//! The cost is that a file is held in memory, which at essay scale (megabytes) is no cost at all; texts to score, of
//! which there may be millions, also come as a [`TextStream`], which stops at the first row it does not understand.
//!
//! - [`Table`]: rows of CSV files, workbooks and Parquet files; [`TableOptions`]: how they are written
//! - [`documents`]: tables and JSON files into a [`DocumentSet`]
//! - [`folds`]: adds a fold column to a CSV file; [`splits`]: folds into train, val and test
//! - [`judgements`]: logs of people's answers, their fit, their quality, and which pair to show next
//! - [`pairs`]: the pair caches of stage 1, generated, read, written and summarised
//! - [`Letters`]: how letters follow each other in texts, by which another language is known
//! - [`PromptTemplate`]: how the prompt of a text is read with it
//! - [`scale`]: what a label or a score can be
//! - [`rng`]: random numbers keyed by seed and purpose, the same on every platform
//! - [`files`]: whole-file reads and atomic writes; [`staging`]: folders that appear when they are whole; [`lock`]: files
//!   that one process at a time holds
//!
//! Deliberately absent: threads, clocks, global random state and the model. The crate builds for wasm32.

mod columns;
mod correlation;
mod document;
mod ending;
mod error;
mod json;
mod letters;
mod panics;
mod prompt;
mod table;

pub mod documents;
pub mod files;
pub mod folds;
pub mod judgements;
pub mod lock;
pub mod pairs;
pub mod rng;
pub mod scale;
pub mod splits;
pub mod staging;

#[cfg(test)]
mod testing;

pub use columns::Columns;
pub use correlation::pearson;
pub use document::{Document, DocumentSet, Layout};
pub use documents::{
    NO_LABEL, TextStream, count_texts, read_labelled, read_scored, read_texts, stream_texts,
};
pub use error::{DataError, JsonReason, Result};
pub use letters::Letters;
pub use panics::caught;
pub use prompt::{Passage, PromptMismatch, PromptTemplate};
pub use scale::{Grades, Interval, ScoreScale};
pub use splits::{Splits, split_absolute};
pub use table::{Encoding, Mark, Record, Table, TableOptions};
