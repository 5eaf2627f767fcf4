//! `judgements export`: what was collected, for the programs that read logs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::judgement::Flag;
use super::lock::beside;
use super::store::Store;
use crate::Answer;
use crate::destination::Destination;
use crate::spreadsheet::no_formula;

/// Writes the judgements of a collection as a log, and the notes of judges as a table where it is asked for.
pub(crate) fn export(path: &Path, output: &Path, flags: Option<&Path>) -> Result<Answer> {
    if flags == Some(output) {
        bail!("{}: cannot be both the log and the notes; give --flags another file", output.display());
    }
    // The database and the files that belong to it.
    let beside = ["-wal", "-shm", "-journal", "-lock"].map(|ending| beside(path, ending));
    let inputs: Vec<&Path> = beside.iter().map(PathBuf::as_path).chain([path]).collect();
    let output = Destination::new(output, &inputs)?;
    let flags = flags.map(|file| Destination::new(file, &inputs)).transpose()?;
    let store = Store::open(path, false)?;
    let place = || path.display().to_string();
    let (pairs, skipped) = store.export().with_context(place)?;
    let mut lines = Vec::new();
    for pair in &pairs {
        serde_json::to_writer(&mut lines, pair)?;
        lines.push(b'\n');
    }
    output.write(&lines)?;
    let judges: BTreeSet<_> = pairs.iter().filter_map(|pair| pair.judge.as_deref()).collect();
    output.report(format_args!(
        "wrote {output}: {} judgements by {} judges; {skipped} skipped pairs left out",
        pairs.len(),
        judges.len()
    ));
    let notes = store.flags().with_context(place)?;
    match flags {
        Some(file) => {
            file.write(&table(&notes)?)?;
            file.report(format_args!("wrote {file}: {} notes about documents", notes.len()));
        }
        None if notes.is_empty() => {}
        None => output
            .report(format_args!("{} notes about documents left out; --flags FILE writes them", notes.len())),
    }
    Ok(Answer::Yes)
}

fn table(flags: &[Flag]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "note", "judge", "at"])?;
    for Flag { document, note, judge, at } in flags {
        writer.write_record([document, note, judge, at].map(|cell| no_formula(cell).into_owned()))?;
    }
    Ok(writer.into_inner()?)
}
