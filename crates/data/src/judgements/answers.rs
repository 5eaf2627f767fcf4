//! Which document is better: the columns that say so are read alike in a whole file, and may not contradict each other.

use std::collections::HashMap;

use serde_json::Value;

use super::fields::{Entry, Field, is_missing, plain, words};
use crate::error::Result;

/// Columns of the two documents; the names of most say where they stood.
const PAIRS: [[&str; 2]; 4] = [["a", "b"], ["left", "right"], ["leftid", "rightid"], ["modela", "modelb"]];
/// Columns of the two documents, the better one first.
const RANKED: [[&str; 2]; 4] =
    [["chosen", "notchosen"], ["chosen", "rejected"], ["winner", "loser"], ["better", "worse"]];
/// Columns that name the better document.
const BETTER: [&str; 7] = ["winner", "label", "answer", "choice", "preferred", "chosen", "better"];
/// Columns that name the other one.
const WORSE: [&str; 4] = ["loser", "notchosen", "rejected", "worse"];
/// Columns that may name the better document, or say something else.
const RESULTS: [&str; 6] = ["result", "outcome", "verdict", "decision", "preference", "selected"];
/// Columns that say whether neither is better; [`is_tied`] finds more.
const TIED: [&str; 6] = ["istie", "isdraw", "isatie", "isadraw", "equal", "isequal"];
/// Words of such columns.
const TIE_WORDS: [&str; 5] = ["tie", "ties", "tied", "draw", "drawn"];
/// Words that may stand with them.
const AROUND_TIES: [&str; 12] =
    ["is", "it", "a", "was", "were", "are", "they", "the", "winner", "flag", "judged", "called"];
/// Words for sides.
const SIDES: [&str; 8] = ["a", "b", "left", "right", "1", "2", "first", "second"];
/// Answers that say that neither is better.
const TIES: [&str; 18] = [
    "tie",
    "ties",
    "tied",
    "draw",
    "drawn",
    "equal",
    "same",
    "neither",
    "neitherisbetter",
    "nopreference",
    "nodifference",
    "equallygood",
    "bothequallygood",
    "equalquality",
    "bothgood",
    "bothbad",
    "tiebothbad",
    "tiebothgood",
];
/// Results that say that there is a better document, which other columns name.
const WINS: [&str; 5] = ["win", "wins", "won", "winner", "decided"];

/// What an entry says of its documents.
pub(super) struct Said<'a> {
    pub documents: [String; 2],
    /// Whether these may be sides, of columns that hold the documents.
    sides_only: bool,
    /// The document that was shown on the left, where that is known.
    pub left: Option<String>,
    /// Answers that need no reading, with their keys: 1 where the first document is better, 0 where the second is, 0.5
    /// for a tie.
    stated: Vec<(&'a str, f64)>,
    /// The column that says that it is no tie.
    decided: Option<&'a str>,
    words: Vec<Word<'a>>,
}

/// An answer that names a document or a side.
struct Word<'a> {
    key: &'a str,
    answer: String,
    /// What it says if it names a document; ties count as such.
    as_id: Option<f64>,
    /// What it says if it names a side; ties count as such.
    as_side: Option<f64>,
}

/// The two documents, and where they stand.
struct Sides<'a> {
    documents: &'a [String; 2],
    /// The plain names of the columns, where these are sides.
    columns: Option<[&'a str; 2]>,
    left: Left,
}

/// The document that was shown on the left.
enum Left {
    Known(String),
    /// Nothing tells where documents stood.
    Unsaid,
    /// There is a column of it, which holds something else than ids.
    Unclear,
}

/// What answers of a column name.
#[derive(Clone, Copy)]
enum Naming {
    Documents,
    Sides,
    /// All answers can be read both ways, or some in one way and some in the other.
    Either,
}

impl<'a> Said<'a> {
    /// # Errors
    /// An entry without two documents, and columns that cannot be read.
    pub fn of(entry: &Entry<'a>) -> Result<Self> {
        let Some((names, fields, ranked)) = columns(entry)? else {
            let what = format!("no judgement; its keys are {}", entry.keys());
            let remedy = "name a, b and y, or left, right and winner, or chosen and \"not chosen\"";
            return Err(entry.error(what, remedy));
        };
        let documents = [document(entry, fields[0], ranked)?, document(entry, fields[1], ranked)?];
        let sides_only = ranked && are_sides(entry, &documents);
        let left = left(entry, &documents, names)?;
        let sides = Sides { documents: &documents, columns: (!ranked).then_some(names), left };
        let mut stated = Vec::new();
        let mut decided = None;
        let mut tied = false;
        for field in entry.fields().filter(|field| is_tied(field.key) && !is_missing(field.value)) {
            match truth(entry, field)? {
                true => stated.push((field.key, 0.5)),
                false => decided = Some(field.key),
            }
            tied |= !stated.is_empty();
        }
        let results = results(entry, &sides)?;
        // Where one document has to stand first, it may be here that neither is better.
        tied |= results.iter().any(|word| word.as_id == Some(0.5));
        if ranked && !tied {
            stated.push((fields[0].key, 1.0));
        }
        let mut words = results;
        for (columns, better) in [(BETTER.as_slice(), true), (WORSE.as_slice(), false)] {
            for field in entry.all(columns)? {
                if !fields.iter().any(|own| own.key == field.key) {
                    words.push(sides.word(field.key, entry.text(field)?, better));
                }
            }
        }
        if let Some(field) = entry.field("y")? {
            if names != PAIRS[0] && stated.is_empty() && words.is_empty() {
                let what = format!("\"{}\" is about a and b, which are not there", field.key);
                let remedy = "call the documents a and b, where 1 says that a is better, or write the better one as winner";
                return Err(entry.error(what, remedy));
            }
            stated.push((field.key, entry.number(field)?));
        }
        let left = match sides.left {
            Left::Known(id) => Some(id),
            _ => None,
        };
        Ok(Self { documents, sides_only, left, stated, decided, words })
    }
}

/// The columns of the two documents, with their plain names, and whether the first is the better one.
type Columns<'a> = ([&'static str; 2], [Field<'a>; 2], bool);

/// The first columns of two documents that hold something, else the first that are there.
fn columns<'a>(entry: &Entry<'a>) -> Result<Option<Columns<'a>>> {
    let mut empty = None;
    let known = PAIRS.iter().map(|names| (*names, false)).chain(RANKED.iter().map(|names| (*names, true)));
    for (names, ranked) in known {
        let [Some(first), Some(second)] = [entry.raw(names[0])?, entry.raw(names[1])?] else { continue };
        let blank = |field: Field<'_>| field.value.as_str().is_some_and(|text| text.trim().is_empty());
        match blank(first) || blank(second) {
            false => return Ok(Some((names, [first, second], ranked))),
            true => empty = empty.or(Some((names, [first, second], ranked))),
        }
    }
    Ok(empty)
}

/// The id of a document, of which the better one may have to stand first.
///
/// # Errors
/// A value that stands for none.
fn document(entry: &Entry<'_>, field: Field<'_>, ranked: bool) -> Result<String> {
    let id = entry.text(field)?;
    if is_missing(field.value) && !id.trim().is_empty() {
        let what = format!("\"{}\" is \"{id}\", which stands for a missing value", field.key);
        return Err(entry.error(what, "write the document's id, or leave the entry out"));
    }
    if ranked && is_tie(&id) {
        let what = format!("\"{}\" is \"{id}\", and no document", field.key);
        return Err(entry.error(what, "write both documents, and beside them \"tie\": true"));
    }
    Ok(id)
}

/// The columns of results that name a document, a side or a tie.
///
/// # Errors
/// One that says something else: it might be that neither document is better.
fn results<'a>(entry: &Entry<'a>, sides: &Sides<'_>) -> Result<Vec<Word<'a>>> {
    let mut words = Vec::new();
    for field in entry.all(&RESULTS)? {
        let answer = entry.text_or_number(field)?;
        let word = sides.word(field.key, answer, true);
        if word.as_id.is_some() || word.as_side.is_some() {
            words.push(word);
        } else if !WINS.contains(&plain(&word.answer).as_str()) {
            let what = format!("\"{}\" is \"{}\", which is neither a win nor a tie", field.key, word.answer);
            return Err(entry.error(what, "write win or tie, or give the column another name"));
        }
    }
    Ok(words)
}

/// The document on the left.
fn left(entry: &Entry<'_>, documents: &[String; 2], names: [&str; 2]) -> Result<Left> {
    let shown = entry.field("shownleft")?;
    let column = match names {
        ["left" | "leftid", _] => None,
        _ => entry.first(&["left", "leftid"])?,
    };
    let own = match names {
        ["left" | "leftid", _] => Some((names[0], documents[0].clone())),
        _ => None,
    };
    let of_column = match column {
        Some(field) => entry.text(field).ok().filter(|id| documents.contains(id)).map(|id| (field.key, id)),
        None => None,
    };
    let shown_id = shown.map(|field| entry.text(field)).transpose()?;
    let known = own.or(of_column);
    match (shown.zip(shown_id), known) {
        (Some((field, id)), Some((key, other))) if id != other => {
            let what = format!("\"{}\" is \"{id}\", and \"{key}\" is \"{other}\"", field.key);
            Err(entry.error(what, "correct it, or leave one of the two out"))
        }
        (Some((_, id)), _) | (None, Some((_, id))) => Ok(Left::Known(id)),
        (None, None) if column.is_some() => Ok(Left::Unclear),
        (None, None) => Ok(Left::Unsaid),
    }
}

/// Whether a column says that neither document is better.
fn is_tied(key: &str) -> bool {
    let words = words(key);
    let (ties, others): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| TIE_WORDS.contains(word));
    TIED.contains(&plain(key).as_str())
        || !ties.is_empty() && others.iter().all(|word| AROUND_TIES.contains(word))
}

/// Whether two documents are called like sides of other columns: `a` and `b` beside `text_a` and `text_b`.
fn are_sides(entry: &Entry<'_>, documents: &[String; 2]) -> bool {
    let [first, second] = documents.each_ref().map(|id| plain(id));
    let names: Vec<String> = entry.fields().map(|field| plain(field.key)).collect();
    let has = |name: String| names.contains(&name);
    let beside = |name: &String| {
        let after = name.strip_suffix(&first).filter(|stem| !stem.is_empty());
        let before = name.strip_prefix(&first).filter(|stem| !stem.is_empty());
        after.is_some_and(|stem| has(format!("{stem}{second}")))
            || before.is_some_and(|stem| has(format!("{second}{stem}")))
    };
    let known = [&first, &second].iter().all(|side| SIDES.contains(&side.as_str()));
    known && first != second && names.iter().any(beside)
}

/// Whether an answer says that neither document is better.
pub(super) fn is_tie(answer: &str) -> bool {
    TIES.contains(&plain(answer).as_str())
}

/// Yes or no.
fn truth(entry: &Entry<'_>, field: Field<'_>) -> Result<bool> {
    let text = match field.value {
        Value::Bool(truth) => return Ok(*truth),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_lowercase(),
        _ => String::new(),
    };
    match text.as_str() {
        "true" | "t" | "yes" | "y" | "1" | "1.0" => Ok(true),
        "false" | "f" | "no" | "n" | "0" | "0.0" => Ok(false),
        _ => {
            let what = format!("\"{}\" is {}, which is neither yes nor no", field.key, field.value);
            Err(entry.error(what, "write true or false, or give the column another name"))
        }
    }
}

impl Sides<'_> {
    fn word<'a>(&self, key: &'a str, answer: String, better: bool) -> Word<'a> {
        let name = plain(&answer);
        let tie = is_tie(&answer).then_some(0.5);
        let [first, second] = self.documents;
        let as_id = match () {
            () if answer == *first => Some(1.0),
            () if answer == *second => Some(0.0),
            () => tie,
        };
        let as_side = tie.or_else(|| self.side(&name));
        let turned = |y: Option<f64>| y.map(|y| if better { y } else { 1.0 - y });
        Word { key, answer, as_id: turned(as_id), as_side: turned(as_side) }
    }

    /// 1 where a side is that of the first document, 0 where it is that of the second.
    fn side(&self, name: &str) -> Option<f64> {
        match (name, &self.left, self.columns) {
            ("left", Left::Known(id), _) => Some(f64::from(*id == self.documents[0])),
            ("right", Left::Known(id), _) => Some(f64::from(*id != self.documents[0])),
            ("left" | "right", Left::Unclear, _) | (_, _, None) => None,
            ("left" | "a", ..) => Some(1.0),
            ("right" | "b", ..) => Some(0.0),
            (_, _, Some([first, _])) if name == first => Some(1.0),
            (_, _, Some([_, second])) if name == second => Some(0.0),
            _ => None,
        }
    }
}

/// The answers of a file: 1 where the first document is better, 0 where the second is, 0.5 for a tie.
///
/// # Errors
/// The first entry whose answer can be read in no way or in two, whose columns contradict each other, or that has no answer.
pub(super) fn resolve<'a>(entries: &[(&Entry<'a>, &Said<'a>)]) -> Result<Vec<f64>> {
    if let Some((entry, said)) = entries.first().filter(|_| entries.iter().all(|(_, said)| said.sides_only)) {
        let [first, second] = &said.documents;
        return Err(entry.error(
            format!("\"{first}\" and \"{second}\" are sides of other columns, not documents"),
            "call the columns of the documents a and b, and write the better one as winner",
        ));
    }
    let mut all = HashMap::<String, Vec<&Word<'_>>>::new();
    for word in entries.iter().flat_map(|(_, said)| &said.words) {
        all.entry(plain(word.key)).or_default().push(word);
    }
    let naming = |words: Vec<&Word<'_>>| {
        let documents = words.iter().all(|word| word.as_id.is_some());
        let sides = words.iter().all(|word| word.as_side.is_some());
        match (documents, sides) {
            (true, false) => Naming::Documents,
            (false, true) => Naming::Sides,
            _ => Naming::Either,
        }
    };
    let namings: HashMap<String, Naming> =
        all.into_iter().map(|(name, words)| (name, naming(words))).collect();
    entries.iter().map(|(entry, said)| y(entry, said, &namings)).collect()
}

fn y(entry: &Entry<'_>, said: &Said<'_>, namings: &HashMap<String, Naming>) -> Result<f64> {
    let mut claims = said.stated.clone();
    for word in &said.words {
        let naming = namings.get(&plain(word.key)).copied().unwrap_or(Naming::Either);
        claims.push((word.key, read(entry, word, naming, &said.documents)?));
    }
    let Some(&(key, y)) = claims.first() else {
        let what = format!("no answer; its keys are {}", entry.keys());
        return Err(entry.error(
            what,
            "write who is better as \"winner\", or beside a and b as \"y\": 1 for a, 0 for b, 0.5",
        ));
    };
    let other = claims.iter().find(|(_, other)| *other != y).map(|(key, _)| *key);
    match other.or(said.decided.filter(|_| y == 0.5)) {
        None => Ok(y),
        Some(other) => Err(entry.error(
            format!("\"{key}\" and \"{other}\" contradict each other"),
            "correct one of them, or leave it out",
        )),
    }
}

fn read(entry: &Entry<'_>, word: &Word<'_>, naming: Naming, documents: &[String; 2]) -> Result<f64> {
    let Word { key, answer, .. } = word;
    match (naming, word.as_id, word.as_side) {
        (Naming::Documents, Some(y), _) | (Naming::Sides, _, Some(y)) => Ok(y),
        (_, Some(y), None) | (_, None, Some(y)) => Ok(y),
        (_, Some(y), Some(other)) if y == other => Ok(y),
        (_, Some(_), Some(_)) => Err(entry.error(
            format!("the answer \"{answer}\" of \"{key}\" is both a document and a side"),
            "answer with left and right, or with ids in the whole file and call no document so",
        )),
        (_, None, None) => {
            let [first, second] = documents;
            let what = format!("the answer \"{answer}\" is neither \"{first}\" nor \"{second}\" (\"{key}\")");
            Err(entry.error(what, match answer.parse::<f64>() {
                Ok(_) => {
                    "write one of the two ids, left, right or tie; numbers are answers only as \"y\" beside a and b, where 1 \
                     says that a is better"
                }
                Err(_) => "write one of the two ids, left, right or tie",
            }))
        }
    }
}

#[cfg(test)]
mod tests;
