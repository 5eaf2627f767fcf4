//! `judgements export`: what was collected, for the programs that read logs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pair2score_data::pairs::Pair;

use super::lock::beside;
use super::records::Flag;
use super::store::Store;
use crate::Answer;
use crate::destination::Destination;
use crate::spreadsheet::no_formula;

/// Writes the judgements of a collection as a log, and the notes of judges as a table where it is asked for.
pub(crate) fn export(path: &Path, output: &Path, flags: Option<&Path>) -> Result<Answer> {
    // The database and the files that belong to it.
    let beside = ["-wal", "-shm", "-journal", "-lock"].map(|ending| beside(path, ending));
    let inputs: Vec<&Path> = beside.iter().map(PathBuf::as_path).chain([path]).collect();
    let is_table = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let output = Destination::new(output, &inputs)?;
    let flags = flags.map(|file| Destination::new(file, &inputs)).transpose()?;
    if flags.as_ref().is_some_and(|flags| flags.is_at(&output)) {
        bail!("{output}: cannot be both the log and the notes; give --flags another file");
    }
    let store = Store::open(path, false)?;
    let place = || path.display().to_string();
    let (pairs, skipped) = store.export().with_context(place)?;
    output.write(&if is_table { log_table(&pairs)? } else { log_lines(&pairs)? })?;
    let judges: BTreeSet<_> = pairs.iter().filter_map(|pair| pair.judge.as_deref()).collect();
    output.report(format_args!(
        "wrote {output}: {} judgements by {} judges; {skipped} skipped pairs left out",
        pairs.len(),
        judges.len()
    ));
    let notes = store.flags().with_context(place)?;
    match flags {
        Some(file) => {
            file.write(&flag_table(&notes)?)?;
            file.report(format_args!("wrote {file}: {} notes about documents", notes.len()));
        }
        None if notes.is_empty() => {}
        None => output
            .report(format_args!("{} notes about documents left out; --flags FILE writes them", notes.len())),
    }
    Ok(Answer::Yes)
}

/// A log, a line for each judgement.
pub(super) fn log_lines(pairs: &[Pair]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for pair in pairs {
        serde_json::to_writer(&mut lines, pair)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The same as a table, which is a log too.
pub(super) fn log_table(pairs: &[Pair]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["trait", "judge", "left", "right", "winner", "ms", "at"])?;
    for pair in pairs {
        // A collection's pairs have the left document first.
        let winner = match pair.y {
            1.0 => "left",
            0.0 => "right",
            _ => "tie",
        };
        let [judge, at] = [&pair.judge, &pair.at].map(|cell| cell.as_deref().unwrap_or_default());
        let ms = pair.ms.map(|ms| ms.to_string()).unwrap_or_default();
        let row = [&pair.target, judge, &pair.a, &pair.b, winner, &ms, at];
        // As they are: ids and names are the lead's own, and a log is read again.
        writer.write_record(row)?;
    }
    Ok(writer.into_inner()?)
}

/// Notes of judges as a table, for people: what a spreadsheet would take for a formula has an apostrophe before it.
pub(super) fn flag_table(flags: &[Flag]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "note", "judge", "at"])?;
    for Flag { document, note, judge, at } in flags {
        writer.write_record([document, note, judge, at].map(|cell| no_formula(cell).into_owned()))?;
    }
    Ok(writer.into_inner()?)
}
