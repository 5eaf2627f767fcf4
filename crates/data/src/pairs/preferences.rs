//! Preference data as people share it: a prompt with an answer that was chosen and one that was rejected.
//!
//! Each different answer to a prompt becomes a document with that prompt. Documents that a pair or a prompt connects share
//! their split, so that no split knows a prompt of another.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value;

use super::{Pair, SplitName};
use crate::error::{DataError, Result};
use crate::json::{Expected, Object, kind_of, objects};
use crate::rng::mix;
use crate::table::Input;

const PREFERENCE: Expected = Expected {
    name: "a preference",
    remedy: "write {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"} on each line",
};

/// What stands between the messages of a prompt.
const BLANK_LINE: &str = "\n\n";

/// Documents and pairs of a file of preferences.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// In the order in which they first occur.
    pub documents: Vec<Answer>,
    /// In the order of the file.
    pub pairs: Vec<Pair>,
    /// Preferences between equal answers, which say nothing and are left out.
    pub equal: usize,
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

/// Reads objects with `chosen`, `rejected` and maybe `prompt`, each a text or a list of messages with `role` and
/// `content`: one on each line, or all in a list. Of messages the last one is the answer, and those before it are the
/// prompt.
///
/// A tenth of the prompts validates and a tenth tests, by the seed; `target` is the trait of the pairs.
///
/// # Errors
/// A file that cannot be read; with its line, an object that is no preference; fewer than three prompts.
pub fn read_preferences(path: &Path, target: &str, seed: u64) -> Result<Preferences> {
    let mut answers = Answers::default();
    let mut preferred = Vec::new();
    let mut equal = 0;
    for object in objects(path, Input::open(path, None)?.text, PREFERENCE)? {
        let object = object?;
        let prompt = part(path, &object, "prompt")?;
        let of = |key: &str| {
            let what = || format!("no \"{key}\"; its keys are {}", object.keys());
            part(path, &object, key)?.ok_or_else(|| object.error(path, what(), PREFERENCE.remedy))
        };
        let [(of_chosen, chosen), (of_rejected, rejected)] =
            [of("chosen")?, of("rejected")?].map(|part| part.answering(prompt.as_ref()));
        if of_chosen != of_rejected {
            let what = "\"chosen\" and \"rejected\" answer different prompts";
            return Err(object.error(path, what, "compare answers to one prompt"));
        }
        match chosen == rejected {
            true => equal += 1,
            false => preferred.push([chosen, rejected].map(|answer| answers.place(&of_chosen, &answer))),
        }
        if let Some([a, b]) = preferred.last() {
            answers.connect(*a, *b);
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
    Ok(Preferences { documents, pairs, equal })
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

/// A text, or messages.
enum Part {
    Text(String),
    /// Who says what.
    Messages(Vec<(String, String)>),
}

impl Part {
    /// Prompt and answer; a conversation brings its prompt along.
    fn answering(self, prompt: Option<&Self>) -> (String, String) {
        let asked = || prompt.map_or_else(String::new, Self::text);
        match self {
            Self::Text(answer) => (asked(), answer),
            Self::Messages(mut messages) => {
                let answer = messages.pop().map_or_else(String::new, |(_, answer)| answer);
                (if messages.is_empty() { asked() } else { Self::Messages(messages).text() }, answer)
            }
        }
    }

    /// As one text; several messages say who speaks.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Messages(messages) => match messages.as_slice() {
                [(_, content)] => content.clone(),
                several => {
                    let lines = several.iter().map(|(role, content)| format!("{role}: {content}"));
                    lines.collect::<Vec<_>>().join(BLANK_LINE)
                }
            },
        }
    }
}

/// The value of a key, which may be absent.
fn part(path: &Path, object: &Object, key: &str) -> Result<Option<Part>> {
    let wrong = |value: &Value| {
        let what = format!("\"{key}\" is {}", kind_of(value));
        object.error(path, what, "write a text, or a list of messages with role and content")
    };
    let message = |value: &Value| {
        let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        of("role").zip(of("content")).ok_or_else(|| {
            let what = format!("\"{key}\" has a message without a role or a content in text");
            object.error(path, what, "write {\"role\": \"user\", \"content\": \"…\"}")
        })
    };
    match object.get(path, key)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Part::Text(text.clone()))),
        Some(Value::Array(messages)) if !messages.is_empty() => {
            Ok(Some(Part::Messages(messages.iter().map(message).collect::<Result<_>>()?)))
        }
        Some(other) => Err(wrong(other)),
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
            let first = *self.prompts.entry(prompt.to_owned()).or_insert(place);
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
        let Preferences { documents, pairs, equal } = read(&format!("{lines}{OTHERS}")).unwrap();
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
}
