//! Judgement logs as commands name them.

use std::path::PathBuf;

use anyhow::Result;
use pair2score_data::judgements::{JudgementLog, LogDefaults};

use crate::args::LogArgs;

/// The judgements of one trait.
pub(super) fn log(args: &LogArgs) -> Result<JudgementLog> {
    merged(&args.files, args.target.clone(), args.judge.clone())
}

/// Says how many copies were left out, for commands that do not account for judgements.
pub(super) fn say_copies(duplicates: usize) {
    if duplicates > 0 {
        errln!("{duplicates} copies of judgements are left out");
    }
}

/// The judgements of one trait; `target` and `judge` also stand in where files do not name them.
pub(super) fn merged(
    files: &[PathBuf],
    target: Option<String>,
    judge: Option<String>,
) -> Result<JudgementLog> {
    let defaults = LogDefaults { target, judge };
    let log = JudgementLog::read(files, &defaults)?.of_trait(defaults.target.as_deref())?;
    if log.unanswered > 0 {
        errln!("{} annotations without an answer are left out", log.unanswered);
    }
    Ok(log)
}
