//! Tasks of Label Studio: two documents, and annotations that select one of them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::answers::is_tie;
use super::fields::{Entry, plain, words};
use crate::error::Result;
use crate::json::as_id;
use crate::pairs::{Pair, SplitName};

/// Where the ids of the two documents are, the first that are there.
const IDS: [[&str; 2]; 4] = [["id1", "id2"], ["leftid", "rightid"], ["text1", "text2"], ["left", "right"]];
/// Parts by which the names of two things differ, the first before the second.
const ORDERS: [[&str; 2]; 4] = [["a", "b"], ["left", "right"], ["first", "second"], ["one", "two"]];

/// A task with its annotations.
pub(super) struct Task<'a> {
    entry: &'a Entry<'a>,
    data: &'a Map<String, Value>,
    annotations: &'a [Value],
}

/// A control of the labelling configuration that was used.
struct Answer<'a> {
    /// What was asked: the name of the control.
    question: &'a str,
    /// The names of what stood on the left and on the right.
    shown: Option<[&'a str; 2]>,
    selected: &'a Value,
}

/// The answers of an annotation, and whether it says that neither document is better.
struct Answers<'a> {
    pairwise: Vec<Answer<'a>>,
    tie: bool,
}

impl<'a> Task<'a> {
    /// `None` where the entry is no task.
    ///
    /// # Errors
    /// Label Studio's short form, which does not say what stood on the left.
    pub fn of(entry: &'a Entry<'a>) -> Result<Option<Self>> {
        match (
            entry.raw("data")?.map(|field| field.value),
            entry.raw("annotations")?.map(|field| field.value),
        ) {
            (Some(Value::Object(data)), Some(Value::Array(annotations))) => {
                Ok(Some(Self { entry, data, annotations }))
            }
            _ => match entry.fields().find(|field| field.value.get("selected").is_some()) {
                Some(field) => Err(entry.error(
                    format!(
                        "\"{}\" is an answer in Label Studio's JSON_MIN, which does not name its sides",
                        field.key
                    ),
                    "export the project as JSON",
                )),
                None => Ok(None),
            },
        }
    }
}

impl<'a> Answers<'a> {
    fn of(annotation: &'a Value) -> Self {
        let results = annotation["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_type = |kind: &'static str| results.iter().filter(move |result| result["type"] == kind);
        let pairwise = of_type("pairwise").map(|result| Answer {
            question: result["from_name"].as_str().unwrap_or_default(),
            shown: result["to_name"].as_str().and_then(|names| names.split_once(',')).map(<[&str; 2]>::from),
            selected: &result["value"]["selected"],
        });
        let ties = |choice: &Value| choice.as_str().is_some_and(is_tie);
        let tie = of_type("choices").any(|result| {
            result["value"]["choices"].as_array().is_some_and(|chosen| chosen.iter().any(ties))
        });
        match annotation["was_cancelled"] == true {
            true => Self { pairwise: Vec::new(), tie: false },
            false => Self { pairwise: pairwise.collect(), tie },
        }
    }
}

/// Adds the answers of all tasks to `pairs`, and counts annotations without one. Where they answer several questions, each
/// is a trait.
///
/// # Errors
/// With its line, a task whose documents or answers cannot be told.
pub(super) fn answers(tasks: &[Task<'_>], pairs: &mut Vec<(Pair, usize)>) -> Result<usize> {
    let all = tasks.iter().flat_map(|task| task.annotations).map(Answers::of);
    let questions: BTreeSet<&str> =
        all.flat_map(|answers| answers.pairwise.into_iter().map(|answer| answer.question)).collect();
    let several = questions.len() > 1;
    let mut unanswered = 0;
    for task in tasks {
        for annotation in task.annotations {
            let before = pairs.len();
            task.add(annotation, several, pairs)?;
            unanswered += usize::from(pairs.len() == before);
        }
    }
    Ok(unanswered)
}

impl Task<'_> {
    /// Adds the answers of an annotation.
    fn add(&self, annotation: &Value, several: bool, pairs: &mut Vec<(Pair, usize)>) -> Result<()> {
        let Answers { pairwise, tie } = Answers::of(annotation);
        // Of several questions, nothing says which of them is a tie.
        let tie = tie && !several;
        if tie && !pairwise.is_empty() {
            let what = "an annotation selects a document and chooses a tie";
            return Err(self.entry.error(what, "correct the annotation"));
        }
        let mut asked = BTreeSet::new();
        for Answer { question, shown, selected } in pairwise {
            if !asked.insert(question) {
                let what = format!("an annotation answers \"{question}\" twice");
                return Err(self.entry.error(what, "correct the annotation"));
            }
            let y = match selected.as_str() {
                Some("left") => 1.0,
                Some("right") => 0.0,
                _ => {
                    let what = format!("selected is {selected}");
                    return Err(self.entry.error(what, "it should be \"left\" or \"right\""));
                }
            };
            let target = if several { question.to_owned() } else { self.entry.target()? };
            let documents = self.documents(shown)?;
            let left = Some(documents[0].clone());
            pairs.push((self.pair(annotation, target, documents, y, left, pairs.len())?, self.entry.line()));
        }
        if tie {
            let (target, documents) = (self.entry.target()?, self.documents(None)?);
            pairs
                .push((self.pair(annotation, target, documents, 0.5, None, pairs.len())?, self.entry.line()));
        }
        Ok(())
    }

    /// The ids of the documents, that on the left first; in the order of the data where nothing says how they were `shown`.
    fn documents(&self, shown: Option<[&str; 2]>) -> Result<[String; 2]> {
        let datum = |name: &str| {
            self.data.iter().find(|(key, _)| plain(key) == name).and_then(|(_, value)| as_id(value))
        };
        let found = IDS.iter().find_map(|[first, second]| Some([datum(first)?, datum(second)?]));
        let Some([first, second]) = found else {
            let keys = self.data.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let what = format!("no two documents in the data ({keys})");
            return Err(self.entry.error(what, "call their ids id1 and id2"));
        };
        match shown.map(|names| (names, in_order(names))) {
            None | Some((_, Some(true))) => Ok([first, second]),
            Some((_, Some(false))) => Ok([second, first]),
            Some(([left, right], None)) => {
                let what =
                    format!("to_name \"{left},{right}\" does not say which of the documents is on the left");
                Err(self.entry.error(what, "write text1 for the first of the data and text2 for the second"))
            }
        }
    }

    fn pair(
        &self,
        annotation: &Value,
        target: String,
        [a, b]: [String; 2],
        y: f64,
        shown_left: Option<String>,
        place: usize,
    ) -> Result<Pair> {
        let who = &annotation["completed_by"];
        let judge = as_id(who).or_else(|| as_id(&who["email"])).or_else(|| as_id(&who["id"]));
        let seconds = annotation["lead_time"].as_f64().filter(|seconds| *seconds >= 0.0);
        Ok(Pair {
            run: 0,
            target,
            split: SplitName::Train,
            index: place,
            a,
            b,
            y,
            da: None,
            db: None,
            d: None,
            judge: Some(self.entry.named_judge(judge.filter(|judge| !judge.is_empty()))?),
            shown_left,
            ms: seconds.map(|seconds| (1000.0 * seconds).round() as u64),
            at: Some(as_id(&annotation["created_at"]).unwrap_or_else(|| (place + 1).to_string())),
            weight: None,
        })
    }
}

/// Whether the first of two names is that of the first of two things: `text1` before `text2`, `left` before `right`.
/// `None` where the names do not tell.
fn in_order(names: [&str; 2]) -> Option<bool> {
    let [first, second] = names.map(words);
    let mut differing = first.iter().zip(&second).filter(|(a, b)| a != b);
    let (Some((a, b)), None) = (differing.next(), differing.next()) else { return None };
    if first.len() != second.len() {
        return None;
    }
    match (a.parse::<u32>(), b.parse::<u32>()) {
        (Ok(a), Ok(b)) => Some(a < b),
        _ if ORDERS.contains(&[a.as_str(), b]) => Some(true),
        _ if ORDERS.contains(&[b.as_str(), a]) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
