//! Judgements as programs write them: lines of JSON, tables of comparison tools, and the tasks of Label Studio.
//!
//! | Written as | By |
//! |---|---|
//! | `a`, `b`, `y` (1, 0, 0.5) or `winner` | ours, JSONL or a table; only these three are needed |
//! | `left`, `right`, `winner` or `label` (an id, `left`, `right` or `tie`) | crowd-kit and others |
//! | `model_a`, `model_b`, `winner` (`model_a`, `model_b` or `tie`) | arenas of language models |
//! | `chosen`, `not chosen`; `chosen`, `rejected`; `winner`, `loser`, maybe `tie` | tools of comparative judgement |
//! | tasks with `data` and `annotations` | Label Studio, pairwise |
//!
//! Of names of columns and keys only letters and digits are compared, without regard to case.

use std::path::Path;

use serde_json::Value;

use super::answers::{Said, resolve};
use super::fields::{Entry, LogDefaults};
use super::studio::{self, Task};
use crate::error::Result;
use crate::json::{Expected, Object};
use crate::pairs::{Pair, SplitName};
use crate::table::Table;

pub(super) const JUDGEMENT: Expected = Expected {
    name: "a judgement",
    remedy: "write a, b and y, the judge as judge, and the time as at, on each line",
};

/// Together they say when, unless one is called `at`.
const TIMES: [&str; 6] = ["date", "time", "datetime", "timestamp", "tstamp", "createdat"];
/// All in milliseconds.
const DURATIONS: [&str; 2] = ["ms", "timetaken"];

/// The judgements of a file with their lines.
#[derive(Default)]
pub(super) struct Entries {
    pub pairs: Vec<(Pair, usize)>,
    /// Annotations without an answer.
    pub unanswered: usize,
}

/// The judgements of a table.
///
/// # Errors
/// With its row, what is no judgement.
pub(super) fn of_table(table: &Table, defaults: &LogDefaults) -> Result<Entries> {
    let objects = table.records.iter().map(|record| {
        let fields = table.header.iter().zip(&record.fields);
        let fields = fields.map(|(name, field)| (name.trim().to_owned(), Value::from(field.trim())));
        Object { line: record.row, fields: fields.collect() }
    });
    of_objects(&table.path, &objects.collect::<Vec<_>>(), defaults)
}

/// The judgements of objects: of each one, or those of a task of Label Studio.
///
/// # Errors
/// With its line, what is no judgement.
pub(super) fn of_objects(path: &Path, objects: &[Object], defaults: &LogDefaults) -> Result<Entries> {
    let entries: Vec<Entry<'_>> = objects.iter().map(|object| Entry::new(path, object, defaults)).collect();
    let (mut tasks, mut said) = (Vec::new(), Vec::new());
    for entry in &entries {
        match Task::of(entry)? {
            Some(task) => tasks.push(task),
            None => said.push((entry, Said::of(entry)?)),
        }
    }
    let answers = resolve(&said.iter().map(|(entry, said)| (*entry, said)).collect::<Vec<_>>())?;
    let mut found = Entries::default();
    for ((entry, said), y) in said.into_iter().zip(answers) {
        let pair = pair(entry, said, y, found.pairs.len())?;
        found.pairs.push((pair, entry.line()));
    }
    found.unanswered = studio::answers(&tasks, &mut found.pairs)?;
    Ok(found)
}

fn pair(entry: &Entry<'_>, said: Said<'_>, y: f64, place: usize) -> Result<Pair> {
    let Said { documents: [a, b], left, .. } = said;
    let number = |name: &str| entry.field(name)?.map(|field| entry.number(field)).transpose();
    let run = whole(entry, "run")?.unwrap_or(0);
    let run = u32::try_from(run).map_err(|_| entry.error(format!("run {run}"), "write a smaller number"))?;
    let split = match entry.field("split")?.map(|field| entry.text(field)).transpose()? {
        None => SplitName::Train,
        Some(name) => SplitName::ALL.into_iter().find(|split| split.as_str() == name).ok_or_else(|| {
            entry.error(format!("split \"{name}\""), "write train, val or test, or leave it out")
        })?,
    };
    let ms = entry.first(&DURATIONS)?.map(|field| entry.number(field)).transpose()?;
    if ms.is_some_and(|ms| ms < 0.0) {
        return Err(entry.error("the time taken is below 0", "write milliseconds, or leave it out"));
    }
    Ok(Pair {
        run,
        target: entry.target()?,
        split,
        index: whole(entry, "index")?.map_or(place, |index| index as usize),
        a,
        b,
        y,
        da: number("da")?,
        db: number("db")?,
        d: number("d")?,
        judge: Some(entry.named_judge(entry.judge()?)?),
        shown_left: left,
        ms: ms.map(|ms| ms.round() as u64),
        // Without times the order is the time, which tells repeats from copies.
        at: Some(time(entry)?.unwrap_or_else(|| (place + 1).to_string())),
        weight: number("weight")?,
    })
}

/// A whole number from 0 on.
fn whole(entry: &Entry<'_>, name: &str) -> Result<Option<u64>> {
    let Some(field) = entry.field(name)? else { return Ok(None) };
    let number = entry.number(field)?;
    match number >= 0.0 && number.fract() == 0.0 && number < 2_f64.powi(53) {
        true => Ok(Some(number as u64)),
        false => {
            let what = format!("\"{}\" is {number}", field.key);
            Err(entry.error(what, "write a whole number, 0 or above"))
        }
    }
}

/// When it was judged: a date may lack the time of day, which another field has.
fn time(entry: &Entry<'_>) -> Result<Option<String>> {
    let fields = match entry.field("at")? {
        Some(field) => vec![field],
        None => entry.all(&TIMES)?,
    };
    let times = fields.into_iter().map(|field| entry.text_or_number(field)).collect::<Result<Vec<_>>>()?;
    Ok((!times.is_empty()).then(|| times.join(" ")))
}
