//! Scoring files of any size: documents come and scores go a window at a time, in the order of the file.
//!
//! The key decision: a shard is a range of rows, so that the files of all shards, one after the other, are the file
//! that one run would have written. The cost is that rows before it are read too, but for the row groups of Parquet.

mod job;
mod output;
mod partial;
mod rows;
mod shard;

pub(crate) use job::{Job, Request, SHORT, State};
pub(crate) use output::Output;
pub(crate) use rows::{Columns, Row};
pub(crate) use shard::Shard;

/// Whether a file is Parquet, by its name.
fn is_parquet(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}
