//! Judgements as programs write them: lines of JSON, tables of comparison tools, and the tasks of Label Studio.
//!
//! | Written as | By |
//! |---|---|
//! | `a`, `b`, `y` (1, 0, 0.5) or `winner` | ours, JSONL or a table; only these three are needed |
//! | `left`, `right`, `winner` or `label` (an id, `left`, `right` or `tie`) | crowd-kit and others |
//! | `chosen`, `not chosen`; `chosen`, `rejected`; `winner`, `loser` | tools of comparative judgement |
//! | tasks with `data` and `annotations` | Label Studio, pairwise |
//!
//! Names of columns and keys are compared without regard to case, and `_` is a blank.

use std::path::Path;

use serde_json::Value;

use crate::error::{DataError, Result};
use crate::json::{Expected, Object, as_id, kind_of};
use crate::pairs::{Pair, SplitName};
use crate::table::Table;

/// What every entry of a file has that does not say so itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDefaults {
    /// The trait that was judged.
    pub target: Option<String>,
    /// Who judged.
    pub judge: Option<String>,
}

pub(super) const JUDGEMENT: Expected = Expected {
    name: "a judgement",
    remedy: "write a, b and y, the judge as judge, and the time as at, on each line",
};

const JUDGES: [&str; 5] = ["judge", "worker", "rater", "annotator", "assessor"];
const TRAITS: [&str; 2] = ["trait", "criterion"];
const TIMES: [&str; 5] = ["at", "date", "time", "timestamp", "created at"];
/// All in milliseconds.
const DURATIONS: [&str; 2] = ["ms", "time taken"];
const ANSWERS: [&str; 5] = ["winner", "label", "answer", "choice", "preferred"];
const SIDES: [[&str; 2]; 2] = [["left", "right"], ["left id", "right id"]];
/// The better document first.
const RANKED: [[&str; 2]; 4] =
    [["chosen", "not chosen"], ["chosen", "rejected"], ["winner", "loser"], ["better", "worse"]];
/// Where the ids of Label Studio's two documents are, the first that is there.
const STUDIO_IDS: [[&str; 2]; 4] =
    [["id1", "id2"], ["left id", "right id"], ["text1", "text2"], ["left", "right"]];

/// An entry with its place.
pub(super) struct Entry<'a> {
    path: &'a Path,
    object: &'a Object,
    defaults: &'a LogDefaults,
}

/// The judgements of a table.
///
/// # Errors
/// With its row, what is no judgement.
pub(super) fn of_table(table: &Table, defaults: &LogDefaults) -> Result<Vec<(Pair, usize)>> {
    let mut pairs = Vec::with_capacity(table.records.len());
    for record in &table.records {
        let filled = table.header.iter().zip(&record.fields).filter(|(_, field)| !field.trim().is_empty());
        let fields = filled.map(|(name, field)| (name.clone(), Value::from(field.trim()))).collect();
        let object = Object { line: record.row, fields };
        let entry = Entry { path: &table.path, object: &object, defaults };
        pairs.push((entry.pair(pairs.len())?, record.row));
    }
    Ok(pairs)
}

/// The judgements of an object: one, or those of a task of Label Studio.
///
/// # Errors
/// With its line, what is no judgement.
pub(super) fn of_object(
    path: &Path,
    object: &Object,
    defaults: &LogDefaults,
    pairs: &mut Vec<(Pair, usize)>,
) -> Result<()> {
    let entry = Entry { path, object, defaults };
    match (object.get(path, "data")?, object.get(path, "annotations")?) {
        (Some(Value::Object(data)), Some(Value::Array(annotations))) => {
            for annotation in annotations {
                pairs.extend(
                    entry.studio_pair(data, annotation, pairs.len())?.map(|pair| (pair, object.line)),
                );
            }
        }
        _ => pairs.push((entry.pair(pairs.len())?, object.line)),
    }
    Ok(())
}

/// As names are compared.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

impl Entry<'_> {
    /// The value of the first of `names` that is there.
    fn value(&self, names: &[&str]) -> Result<Option<&Value>> {
        for name in names {
            let mut found =
                self.object.fields.iter().filter(|(key, value)| plain(key) == *name && !value.is_null());
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some((_, value)), None) => return Ok(Some(value)),
                (Some(_), Some(_)) => {
                    return Err(self.error(format!("\"{name}\" is there twice"), "leave one out"));
                }
            }
        }
        Ok(None)
    }

    /// A name: text, or a number as text.
    fn name(&self, names: &[&str]) -> Result<Option<String>> {
        let Some(value) = self.value(names)? else { return Ok(None) };
        match as_id(value) {
            Some(text) => Ok(Some(text)),
            None => {
                let what = format!("\"{}\" is {}", names[0], kind_of(value));
                Err(self.error(what, "write text or a whole number"))
            }
        }
    }

    fn number(&self, names: &[&str]) -> Result<Option<f64>> {
        let number = match self.value(names)? {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => {
                let value = self.value(names)?.map_or("nothing", kind_of);
                Err(self.error(format!("\"{}\" is {value}, and no number", names[0]), "write a number"))
            }
        }
    }

    fn whole(&self, name: &str) -> Result<Option<u64>> {
        let Some(number) = self.number(&[name])? else { return Ok(None) };
        match number >= 0.0 && number.fract() == 0.0 && number < 2_f64.powi(53) {
            true => Ok(Some(number as u64)),
            false => Err(self.error(format!("\"{name}\" is {number}"), "write a whole number, 0 or above")),
        }
    }

    fn pair(&self, place: usize) -> Result<Pair> {
        let (a, b, y, left) = self.answer()?;
        let run = self.whole("run")?.unwrap_or(0);
        let run =
            u32::try_from(run).map_err(|_| self.error(format!("run {run}"), "write a smaller number"))?;
        let split = match self.name(&["split"])? {
            None => SplitName::Train,
            Some(name) => {
                SplitName::ALL.into_iter().find(|split| split.as_str() == name).ok_or_else(|| {
                    self.error(format!("split \"{name}\""), "write train, val or test, or leave it out")
                })?
            }
        };
        let ms = self.number(&DURATIONS)?;
        if ms.is_some_and(|ms| ms < 0.0) {
            return Err(self.error("the time taken is below 0", "write milliseconds, or leave it out"));
        }
        let shown_left = self.name(&["shown left"])?.or(left);
        Ok(Pair {
            run,
            target: self.target()?,
            split,
            index: self.whole("index")?.map_or(place, |index| index as usize),
            a,
            b,
            y,
            da: self.number(&["da"])?,
            db: self.number(&["db"])?,
            d: self.number(&["d"])?,
            judge: Some(self.judge(self.name(&JUDGES)?)?),
            shown_left,
            ms: ms.map(|ms| ms.round() as u64),
            // Without times the order is the time, which tells repeats from copies.
            at: Some(self.name_or_number(&TIMES)?.unwrap_or_else(|| (place + 1).to_string())),
            weight: self.number(&["weight"])?,
        })
    }

    /// As [`name`](Self::name), or any number.
    fn name_or_number(&self, names: &[&str]) -> Result<Option<String>> {
        match self.value(names)? {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => self.name(names),
        }
    }

    /// The documents, 1 where the first is better, 0 where the second is, 0.5 for a tie, and the one on the left.
    fn answer(&self) -> Result<(String, String, f64, Option<String>)> {
        if let (Some(a), Some(b)) = (self.name(&["a"])?, self.name(&["b"])?) {
            let y = match self.value(&["y"])? {
                Some(_) => self.number(&["y"])?,
                None => self.choice(&a, &b)?,
            };
            let y = y.ok_or_else(|| {
                self.error("no answer", "write who is better as \"y\": 1 for a, 0 for b, 0.5")
            })?;
            return Ok((a, b, y, None));
        }
        for [left, right] in SIDES {
            if let (Some(left), Some(right)) = (self.name(&[left])?, self.name(&[right])?) {
                let y = self.choice(&left, &right)?;
                let y = y.ok_or_else(|| self.error("no answer", "write who is better as \"winner\""))?;
                return Ok((left.clone(), right, y, Some(left)));
            }
        }
        for [better, worse] in RANKED {
            if let (Some(better), Some(worse)) = (self.name(&[better])?, self.name(&[worse])?) {
                return Ok((better, worse, 1.0, None));
            }
        }
        let what = format!("no judgement; its keys are {}", self.object.keys());
        Err(self.error(what, "name a, b and y, or left, right and winner, or chosen and \"not chosen\""))
    }

    /// The answer about two documents, by id or by side.
    fn choice(&self, first: &str, second: &str) -> Result<Option<f64>> {
        let Some(answer) = self.name(&ANSWERS)? else { return Ok(None) };
        match plain(&answer).as_str() {
            _ if answer == first => Ok(Some(1.0)),
            _ if answer == second => Ok(Some(0.0)),
            "a" | "left" | "1" => Ok(Some(1.0)),
            "b" | "right" | "0" => Ok(Some(0.0)),
            "tie" | "draw" | "equal" | "same" | "0.5" => Ok(Some(0.5)),
            _ => {
                let what = format!("the answer \"{answer}\" is neither \"{first}\" nor \"{second}\"");
                Err(self.error(what, "write one of the two ids, left, right or tie"))
            }
        }
    }

    fn target(&self) -> Result<String> {
        let named =
            self.name(&TRAITS)?.filter(|name| !name.is_empty()).or_else(|| self.defaults.target.clone());
        named.ok_or_else(|| {
            self.error("no trait", "write what was judged as \"trait\", or name it with --trait")
        })
    }

    fn judge(&self, named: Option<String>) -> Result<String> {
        let named = named.filter(|name| !name.is_empty()).or_else(|| self.defaults.judge.clone());
        named.ok_or_else(|| {
            self.error("no judge", "write who judged as \"judge\", or name the one with --judge")
        })
    }

    /// An answer of Label Studio's; `None` where the annotator gave none.
    fn studio_pair(
        &self,
        data: &serde_json::Map<String, Value>,
        annotation: &Value,
        place: usize,
    ) -> Result<Option<Pair>> {
        let results = annotation["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        let pairwise = results.iter().find(|result| result["type"] == "pairwise");
        let Some(selected) = pairwise.map(|result| &result["value"]["selected"]) else { return Ok(None) };
        if annotation["was_cancelled"] == true {
            return Ok(None);
        }
        let y = match selected.as_str() {
            Some("left") => 1.0,
            Some("right") => 0.0,
            _ => {
                return Err(
                    self.error(format!("selected is {selected}"), "it should be \"left\" or \"right\"")
                );
            }
        };
        let datum =
            |name: &str| data.iter().find(|(key, _)| plain(key) == name).and_then(|(_, value)| as_id(value));
        let ids = STUDIO_IDS.iter().find_map(|[left, right]| datum(left).zip(datum(right)));
        let (a, b) = ids.ok_or_else(|| {
            let keys = data.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.error(format!("no two documents in the data ({keys})"), "call their ids id1 and id2")
        })?;
        let who = &annotation["completed_by"];
        let judge = as_id(who).or_else(|| as_id(&who["email"])).or_else(|| as_id(&who["id"]));
        let seconds = annotation["lead_time"].as_f64().filter(|seconds| *seconds >= 0.0);
        Ok(Some(Pair {
            run: 0,
            target: self.target()?,
            split: SplitName::Train,
            index: place,
            y,
            da: None,
            db: None,
            d: None,
            judge: Some(self.judge(judge)?),
            shown_left: Some(a.clone()),
            a,
            b,
            ms: seconds.map(|seconds| (1000.0 * seconds).round() as u64),
            at: Some(as_id(&annotation["created_at"]).unwrap_or_else(|| (place + 1).to_string())),
            weight: None,
        }))
    }

    fn error(&self, what: impl Into<String>, remedy: &str) -> DataError {
        self.object.error(self.path, what, remedy)
    }
}
