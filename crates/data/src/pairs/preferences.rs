//! Preference data as people share it: a prompt with an answer that was chosen and one that was rejected.
//!
//! Each different answer to a prompt becomes a document with that prompt. Documents that a pair or a prompt connects share
//! their split, so that no split knows a prompt of another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use super::conversation::{self, ANSWERS, Preference};
use super::{Pair, SplitName};
use crate::error::{DataError, Result};
use crate::json::{Expected, Object, objects};
use crate::rng::mix;
use crate::table::{Input, Kind, Rows, TableOptions};

const PREFERENCE: Expected = Expected {
    name: "a preference",
    remedy: "write {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"} on each line",
};

/// Documents and pairs of a file of preferences.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// In the order in which they first occur.
    pub documents: Vec<Answer>,
    /// In the order of the file.
    pub pairs: Vec<Pair>,
    /// Preferences between equal answers, which say nothing and are left out.
    pub equal: usize,
    /// Keys or columns that are there and not read.
    pub unread: BTreeSet<String>,
}

/// An answer as a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `d1`, `d2`, …
    pub id: String,
    /// What it answers; empty where the file gives no prompt.
    pub prompt: String,
    /// The answer.
    pub text: String,
    /// The split of its pairs.
    pub split: SplitName,
}

/// Reads objects with `chosen`, `rejected` and what they answer, each a text or a list of messages with `role` and
/// `content`, in JSON (one on each line, or all in a list) or as rows of a table.
///
/// What they answer is the `prompt`, or what dialogues have in common. A tenth of the prompts validates and a tenth tests, by
/// the seed; `target` is the trait of the pairs.
///
/// # Errors
/// A file that cannot be read; with its line, an object that is no preference, or whose prompt is not understood; fewer
/// than three prompts.
pub fn read_preferences(path: &Path, target: &str, seed: u64) -> Result<Preferences> {
    let mut answers = Answers::default();
    let mut preferred = Vec::new();
    let mut unread = BTreeSet::new();
    let mut equal = 0;
    for object in preferences(path).map_err(DataError::without_options)? {
        let object = object.map_err(DataError::without_options)?;
        let Preference { prompt, chosen, rejected } = Preference::of(path, &object, PREFERENCE.remedy)?;
        unread.extend(conversation::unread(&object).map(str::to_owned));
        match chosen == rejected {
            true => equal += 1,
            false => {
                let [a, b] = [chosen, rejected].map(|answer| answers.place(&prompt, &answer));
                answers.connect(a, b);
                preferred.push([a, b]);
            }
        }
    }
    let splits = answers.splits(path, seed)?;
    let mut counts = BTreeMap::<SplitName, usize>::new();
    let pairs = preferred.into_iter().map(|[a, b]| {
        let count = counts.entry(splits[a]).or_default();
        *count += 1;
        pair(target, splits[a], *count - 1, [a, b].map(id))
    });
    let pairs = pairs.collect();
    let documents = answers.texts.into_iter().zip(splits).enumerate();
    let documents = documents
        .map(|(place, ((prompt, text), split))| Answer { id: id(place), prompt, text, split })
        .collect();
    Ok(Preferences { documents, pairs, equal, unread })
}

/// The objects of a file, or its rows as such.
fn preferences(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Object>>>> {
    match Kind::of(path)? {
        Kind::Json | Kind::Unknown => objects(path, Input::open(path, None)?.text, PREFERENCE),
        Kind::Delimited | Kind::Workbook | Kind::Parquet => rows(path),
    }
}

/// The rows of a table. Of Parquet, only columns that are read have to hold text.
fn rows(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Object>>>> {
    let mut rows = Rows::open(path, &TableOptions::default())?;
    let names: Vec<String> = rows.header.iter().map(|name| name.trim().to_owned()).collect();
    let is_read = |name: &str| conversation::keys().any(|key| key == name);
    // The columns of Parquet within a list are called by the way there.
    if let Some(key) =
        names.iter().find_map(|name| name.split_once('.').map(|(key, _)| key).filter(|key| is_read(key)))
    {
        return Err(DataError::file(
            path,
            format!("column \"{key}\" holds lists"),
            "write the file as JSONL",
        ));
    }
    if let Some(key) = ANSWERS.iter().find(|key| !names.iter().any(|name| name == *key)) {
        let what = format!("no column \"{key}\"; its columns are {}", names.join(", "));
        return Err(DataError::file(path, what, "call the better answer chosen, the other rejected"));
    }
    let kept: Vec<usize> = (0..names.len()).filter(|&column| is_read(&names[column])).collect();
    rows.keep(&[], &kept)?;
    Ok(Box::new(rows.map(move |record| {
        let record = record?;
        let value = |(name, field): (&String, String)| match is_read(name) {
            // What stands in other columns may not have been decoded.
            false => Value::from("something"),
            true if field.trim().is_empty() => Value::Null,
            true => Value::from(field),
        };
        let fields = names.iter().zip(record.fields);
        let fields = fields.map(|(name, field)| (name.clone(), value((name, field)))).collect();
        Ok(Object { line: record.row, fields })
    })))
}

fn id(place: usize) -> String {
    format!("d{}", place + 1)
}

fn pair(target: &str, split: SplitName, index: usize, [a, b]: [String; 2]) -> Pair {
    Pair {
        run: 1,
        target: target.to_owned(),
        split,
        index,
        a,
        b,
        y: 1.0,
        da: None,
        db: None,
        d: None,
        judge: None,
        shown_left: None,
        ms: None,
        at: None,
        weight: None,
    }
}

/// Different documents, and which of them belong together.
#[derive(Default)]
struct Answers {
    /// Prompt and answer of each.
    texts: Vec<(String, String)>,
    places: HashMap<(String, String), usize>,
    /// A document of each prompt.
    prompts: HashMap<String, usize>,
    /// A document that each is connected with, nearer to the one that stands for all; that one has its own place.
    towards: Vec<usize>,
}

impl Answers {
    /// The document of an answer.
    fn place(&mut self, prompt: &str, answer: &str) -> usize {
        let text = (prompt.to_owned(), answer.to_owned());
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        let place = self.texts.len();
        self.towards.push(place);
        self.texts.push(text.clone());
        self.places.insert(text, place);
        if !prompt.is_empty() {
            let first = *self.prompts.entry(prompt.trim().to_owned()).or_insert(place);
            self.connect(first, place);
        }
        place
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The first document stands for all.
        self.towards[a.max(b)] = a.min(b);
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.towards[place] != place {
            self.towards[place] = self.towards[self.towards[place]];
            place = self.towards[place];
        }
        place
    }

    /// The split of each document: of the connected groups, a tenth but at least one validates, as many test.
    fn splits(&mut self, path: &Path, seed: u64) -> Result<Vec<SplitName>> {
        let roots: Vec<usize> = (0..self.texts.len()).map(|place| self.root(place)).collect();
        let mut groups = roots.clone();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() < 3 {
            let what = format!("{} prompts; training, validation and test need one each", groups.len());
            return Err(DataError::file(path, what, "give more preferences"));
        }
        groups.sort_by_key(|root| mix(seed, &["preferences", &self.texts[*root].0, &self.texts[*root].1]));
        let tenth = (groups.len() / 10).max(1);
        let split = |rank: usize| match rank / tenth {
            0 => SplitName::Val,
            1 => SplitName::Test,
            _ => SplitName::Train,
        };
        let of: HashMap<usize, SplitName> =
            groups.into_iter().enumerate().map(|(rank, root)| (root, split(rank))).collect();
        Ok(roots.iter().map(|root| of[root]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn read(lines: &str) -> std::result::Result<Preferences, String> {
        let scratch = Scratch::new();
        let path = scratch.file("preferences.jsonl", lines);
        read_preferences(&path, "preference", 1).map_err(|error| error.to_string())
    }

    /// Prompt and text of each document.
    fn texts(lines: &str) -> Vec<[String; 2]> {
        read(lines).unwrap().documents.into_iter().map(|document| [document.prompt, document.text]).collect()
    }

    /// Two more prompts, so that every split has one.
    const OTHERS: &str = "{\"prompt\": \"P\", \"chosen\": \"p1\", \"rejected\": \"p2\"}\n\
                          {\"prompt\": \"Q\", \"chosen\": \"q1\", \"rejected\": \"q2\"}\n";

    #[test]
    fn texts_and_messages_say_the_same() {
        for line in [
            r#"{"prompt": "Why?", "chosen": "So.", "rejected": "No."}"#,
            r#"{"chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
                "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}]}"#,
            r#"{"prompt": [{"role": "user", "content": "Why?"}], "chosen": [{"role": "assistant", "content": "So."}],
                "rejected": [{"role": "assistant", "content": "No."}]}"#,
            r#"{"prompt": "Why?", "rejected": "No.",
                "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}"#,
        ] {
            let found = texts(&format!("{}\n{OTHERS}", line.replace('\n', " ")));
            assert_eq!(found[..2], [["Why?", "So."], ["Why?", "No."]], "{line}");
        }
        let alone = texts(&format!("{{\"chosen\": \"So.\", \"rejected\": \"No.\"}}\n{OTHERS}"));
        assert_eq!(alone[..2], [["", "So."], ["", "No."]]);
    }

    #[test]
    fn a_conversation_says_who_speaks() {
        let turns = r#"{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}, {"role": "user", "content": "C?"}"#;
        let line = format!("{{\"prompt\": [{turns}], \"chosen\": \"D.\", \"rejected\": \"E.\"}}\n{OTHERS}");
        assert_eq!(texts(&line)[0], ["user: A?\n\nassistant: B.\n\nuser: C?", "D."]);
    }

    #[test]
    fn answers_to_one_prompt_share_their_split_and_equal_ones_are_one_document() {
        let lines = "{\"prompt\": \"R\", \"chosen\": \"r1\", \"rejected\": \"r2\"}\n\
                     {\"prompt\": \"R\", \"chosen\": \"r1\", \"rejected\": \"r3\"}\n\
                     {\"prompt\": \"R\", \"chosen\": \"r4\", \"rejected\": \"r5\"}\n\
                     {\"prompt\": \"R\", \"chosen\": \"r4\", \"rejected\": \"r4\"}\n";
        let Preferences { documents, pairs, equal, .. } = read(&format!("{lines}{OTHERS}")).unwrap();
        assert_eq!((documents.len(), pairs.len(), equal), (9, 5, 1));
        assert!(documents[..5].iter().all(|document| document.split == documents[0].split));
        assert_eq!(pairs[1].a, pairs[0].a);
        for pair in &pairs {
            let split = |id: &String| documents.iter().find(|document| document.id == *id).unwrap().split;
            assert_eq!([split(&pair.a), split(&pair.b)], [pair.split; 2]);
            assert!(pair.defect().is_none() && pair.y == 1.0);
        }
        for split in SplitName::ALL {
            assert!(documents.iter().any(|document| document.split == split), "{split}");
        }
    }

    #[test]
    fn what_is_no_preference_is_refused_with_its_line() {
        for (line, what) in [
            (r#"{"prompt": "x", "chosen": "y"}"#, "no \"rejected\"; its keys are prompt, chosen"),
            (r#"{"chosen": 1, "rejected": "y"}"#, "\"chosen\" is"),
            (r#"{"chosen": [{"role": "user"}], "rejected": "y"}"#, "a message without a role or a content"),
            (
                r#"{"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
                    "rejected": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#,
                "answer different prompts",
            ),
        ] {
            let message = read(&format!("{OTHERS}{}\n", line.replace('\n', " "))).unwrap_err();
            assert!(message.contains("line 3") && message.contains(what), "{message}");
        }
        assert!(read(OTHERS).unwrap_err().contains("2 prompts; training, validation and test need one each"));
    }

    #[test]
    fn a_question_of_any_form_has_one_split() {
        let orca = |n: usize| {
            format!(
                "{{\"system\": \"S\", \"question\": \"Q{}\", \"chosen\": \"c{n}\", \"rejected\": \"r{n}\"}}\n",
                n / 2
            )
        };
        let human = |n: usize| {
            let text = |answer: &str| format!("\\n\\nHuman: Q{}\\n\\nAssistant: {answer}{n}", n / 2);
            format!("{{\"chosen\": \"{}\", \"rejected\": \"{}\"}}\n", text("c"), text("r"))
        };
        for lines in [(0..40).map(orca).collect::<String>(), (0..40).map(human).collect()] {
            let documents = read(&lines).unwrap().documents;
            let splits: HashMap<&str, SplitName> =
                documents.iter().map(|document| (document.prompt.as_str(), document.split)).collect();
            assert_eq!(splits.len(), 20);
            assert!(documents.iter().all(|document| splits[document.prompt.as_str()] == document.split));
        }
    }

    #[test]
    fn tables_are_read() {
        let scratch = Scratch::new();
        let read = |name: &str, text: &str| {
            read_preferences(&scratch.file(name, text), "preference", 1).map_err(|error| error.to_string())
        };
        let found =
            read("a.csv", "id,question,chosen,rejected\n1,P,\"p, 1\",p2\n2,Q,q1,q2\n3,R,r1,r2\n").unwrap();
        assert_eq!((found.documents[0].prompt.as_str(), found.documents[0].text.as_str()), ("P", "p, 1"));
        assert_eq!(found.unread, ["id".to_owned()].into());
        for (text, what) in [
            ("prompt,chosen\nP,p\n", "no column \"rejected\"; its columns are prompt, chosen"),
            ("prompt,chosen,rejected\nP,p1,\n", "line 2: no \"rejected\""),
            ("topic of it,chosen,rejected\nP,p1,p2\n", "line 2: no prompt, and \"topic of it\" is not read"),
            (
                "chosen.list.element.role,rejected\nP,p1\n",
                "column \"chosen\" holds lists; write the file as JSONL",
            ),
        ] {
            let message = read("b.csv", text).unwrap_err();
            assert!(message.contains(what), "{message}");
        }
    }

    #[test]
    fn a_file_in_another_encoding_is_told_what_helps() {
        let scratch = Scratch::new();
        let path =
            scratch.file("a.jsonl", b"{\"prompt\": \"\xe9\", \"chosen\": \"b\", \"rejected\": \"c\"}\n");
        let message = read_preferences(&path, "preference", 1).unwrap_err().to_string();
        assert!(message.ends_with("line 1: not UTF-8; save the file as UTF-8"), "{message}");
    }
}
