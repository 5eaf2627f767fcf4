//! A prompt and two answers to it, in the forms in which preference data is shared: texts, messages, and dialogues written
//! as one text.

use std::path::Path;

use serde_json::Value;

use crate::error::Result;
use crate::json::{Object, kind_of};

/// Keys of the answers, the better one first.
pub(super) const ANSWERS: [&str; 2] = ["chosen", "rejected"];
/// Keys of what is asked.
const QUESTIONS: [&str; 3] = ["prompt", "question", "instruction"];
/// What a question is about, or the question itself where there is no other.
const INPUT: &str = "input";
const SYSTEM: [&str; 2] = ["system", "system_prompt"];
const HISTORY: &str = "history";
/// Keys of what an answer may depend on, which are not read.
const CONTEXT: [&str; 15] = [
    "context",
    "conversation",
    "conversations",
    "dialogue",
    "dialog",
    "query",
    "post",
    "passage",
    "article",
    "document",
    "documents",
    "image",
    "images",
    "tools",
    "functions",
];
/// Words in keys of what is no prompt.
const ABOUT: [&str; 24] = [
    "id", "ids", "idx", "index", "uuid", "hash", "source", "dataset", "subset", "split", "model", "models",
    "score", "scores", "rating", "ratings", "rank", "label", "margin", "language", "lang", "category",
    "date", "url",
];

/// What stands between the messages of a prompt.
const BLANK_LINE: &str = "\n\n";

/// Where the answer of a dialogue begins, wherever it stands.
const TOKENS: [&str; 6] = [
    "<|im_start|>assistant",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<|assistant|>",
    "<start_of_turn>model",
    "[/INST]",
    "ASSISTANT:",
];
/// Where the answer of a dialogue begins, at the start of a line.
const SPEAKER: &str = "Assistant:";
/// Who asks in a dialogue.
const ASKING: [&str; 3] = ["Human:", "User:", "USER:"];

/// Who says what.
type Message = (String, String);

/// A prompt with two answers to it.
pub(super) struct Preference {
    /// Empty where the object gives none.
    pub prompt: String,
    pub chosen: String,
    pub rejected: String,
}

/// A text, or messages.
enum Part {
    Text(String),
    Messages(Vec<Message>),
}

/// All keys that are read.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    ANSWERS.into_iter().chain(QUESTIONS).chain([INPUT, HISTORY]).chain(SYSTEM)
}

impl Preference {
    /// Of messages the last one is the answer, and those before it belong to the prompt.
    ///
    /// # Errors
    /// With its line, an object without two answers to one prompt, and one with a prompt in another form.
    pub fn of(path: &Path, object: &Object, remedy: &'static str) -> Result<Self> {
        let asked = asked(path, object)?;
        let answer = |key: &str| {
            let what = || format!("no \"{key}\"; its keys are {}", object.keys());
            part(path, object, key)?.ok_or_else(|| object.error(path, what(), remedy))
        };
        let different = || {
            let what = "\"chosen\" and \"rejected\" answer different prompts";
            object.error(path, what, "compare answers to one prompt")
        };
        let [(prompt, chosen), (of_rejected, rejected)] = match [answer("chosen")?, answer("rejected")?] {
            [Part::Text(chosen), Part::Text(rejected)] => match Dialogue::of(&chosen, &rejected) {
                Dialogue::None => [chosen, rejected].map(|text| (joined(&asked, Vec::new()), text)),
                Dialogue::Different => return Err(different()),
                Dialogue::Common { prompt, answers } => {
                    let repeated = |(_, content): &Message| prompt.contains(question(content));
                    let before: Vec<Message> = asked.iter().filter(|said| !repeated(said)).cloned().collect();
                    let whole = joined(&before, vec![("user".to_owned(), prompt)]);
                    answers.map(|answer| (whole.clone(), answer))
                }
            },
            parts => parts.map(|part| match part {
                Part::Text(answer) => (joined(&asked, Vec::new()), answer),
                Part::Messages(mut messages) => {
                    let answer = messages.pop().map_or_else(String::new, |(_, answer)| answer);
                    (joined(&asked, messages), answer)
                }
            }),
        };
        if prompt != of_rejected {
            return Err(different());
        }
        // How to answer is no question.
        let only_system = asked.iter().all(|(role, _)| role == "system") && prompt == text(&asked);
        refuse_unread(path, object, !only_system)?;
        Ok(Self { prompt, chosen, rejected })
    }
}

/// What an object asks beside its answers.
fn asked(path: &Path, object: &Object) -> Result<Vec<Message>> {
    let system = one(path, object, &SYSTEM, "system")?;
    let mut question = one(path, object, &QUESTIONS, "user")?;
    if let [(_, input)] = one(path, object, &[INPUT], "user")?.as_slice() {
        match question.as_mut_slice() {
            [] => question.push(("user".to_owned(), input.clone())),
            [(_, question)] => *question += &format!("{BLANK_LINE}{input}"),
            _ => {
                let what = format!("\"{INPUT}\" beside a prompt of several messages");
                return Err(object.error(path, what, "put it into the prompt"));
            }
        }
    }
    Ok([system, history(path, object)?, question].concat())
}

/// The messages of the one key of several that is there; a text is said by `role`.
fn one(path: &Path, object: &Object, keys: &[&str], role: &str) -> Result<Vec<Message>> {
    let mut found: Option<(&str, Vec<Message>)> = None;
    for &key in keys {
        let messages = match part(path, object, key)? {
            None => continue,
            Some(Part::Text(text)) if text.trim().is_empty() => continue,
            Some(Part::Text(text)) => vec![(role.to_owned(), text)],
            Some(Part::Messages(messages)) => messages,
        };
        match &found {
            Some((other, before)) if *before != messages => {
                let what = format!("\"{other}\" and \"{key}\" differ");
                return Err(object.error(
                    path,
                    what,
                    "leave one out, or put all that is asked into \"prompt\"",
                ));
            }
            _ => found = Some((key, messages)),
        }
    }
    Ok(found.map_or_else(Vec::new, |(_, messages)| messages))
}

/// Questions with their answers, from before the prompt.
fn history(path: &Path, object: &Object) -> Result<Vec<Message>> {
    let value = object.get(path, HISTORY)?;
    let turns = match value {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(Value::Array(turns)) => turns,
        Some(_) => &Vec::new(),
    };
    let turn = |turn: &Value| match turn.as_array().map(Vec::as_slice) {
        Some([Value::String(question), Value::String(answer)]) => {
            Some([("user".to_owned(), question.clone()), ("assistant".to_owned(), answer.clone())])
        }
        _ => None,
    };
    match turns.iter().map(turn).collect::<Option<Vec<_>>>() {
        Some(turns) if value.is_some_and(Value::is_array) => Ok(turns.concat()),
        _ => match part(path, object, HISTORY)? {
            Some(Part::Messages(messages)) => Ok(messages),
            _ => {
                let what = format!("\"{HISTORY}\" is no list of questions with their answers");
                Err(object.error(
                    path,
                    what,
                    "write [[\"question\", \"answer\"], …], or put it into the prompt",
                ))
            }
        },
    }
}

/// Keys that the prompt may be in, or a part of it.
fn refuse_unread(path: &Path, object: &Object, has_question: bool) -> Result<()> {
    for key in unread(object) {
        let name = key.to_lowercase();
        let about = name.split(['_', '-', ' ', '.']).any(|word| ABOUT.contains(&word));
        let has_text = object.fields.iter().any(|(own, value)| own == key && has_text(value));
        if has_text && (CONTEXT.contains(&name.as_str()) || !has_question && !about) {
            let what = match has_question {
                true => format!("\"{key}\" is not read, and may belong to the prompt"),
                false => format!("no prompt, and \"{key}\" is not read"),
            };
            return Err(object.error(path, what, "put it into \"prompt\", or leave it out of the file"));
        }
    }
    Ok(())
}

/// The keys that are not read.
pub(super) fn unread(object: &Object) -> impl Iterator<Item = &str> {
    object.fields.iter().map(|(key, _)| key.as_str()).filter(|key| !keys().any(|read| read == *key))
}

fn has_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    }
}

/// What was asked before the messages of an answer, which may repeat it.
fn joined(asked: &[Message], messages: Vec<Message>) -> String {
    let (system, question) = match asked {
        [(role, _), question @ ..] if role == "system" => (&asked[..1], question),
        _ => (&asked[..0], asked),
    };
    let same = |a: &[Message], b: &[Message]| {
        a.len() <= b.len() && a.iter().zip(b).all(|((_, a), (_, b))| a.trim() == b.trim())
    };
    let turns = match messages.as_slice() {
        [(role, _), turns @ ..] if role == "system" => turns,
        turns => turns,
    };
    let own_system = &messages[..messages.len() - turns.len()];
    let repeated = !question.is_empty() && same(question, turns);
    let system: &[Message] = if same(system, own_system) && !own_system.is_empty() { &[] } else { system };
    let question: &[Message] = if repeated { &[] } else { question };
    text(&[system, own_system, question, turns].concat())
}

/// As one text; several messages say who speaks.
fn text(messages: &[Message]) -> String {
    match messages {
        [(_, content)] => content.clone(),
        several => {
            let lines = several.iter().map(|(role, content)| format!("{role}: {content}"));
            lines.collect::<Vec<_>>().join(BLANK_LINE)
        }
    }
}

/// Two dialogues as texts.
enum Dialogue {
    /// They are texts.
    None,
    /// They go apart before the first answer.
    Different,
    /// What they have in common up to the last answer, and what follows.
    Common { prompt: String, answers: [String; 2] },
}

impl Dialogue {
    fn of(chosen: &str, rejected: &str) -> Self {
        let common = chosen.char_indices().zip(rejected.chars()).take_while(|((_, a), b)| a == b);
        let end = common.last().map_or(0, |((place, c), _)| place + c.len_utf8());
        match (last_answer(&chosen[..end]), last_answer(chosen).zip(last_answer(rejected))) {
            (Some((prompt, answer)), _) => Self::Common {
                prompt: question(&chosen[..prompt]).to_owned(),
                answers: [chosen, rejected].map(|text| text[answer..].trim_start().to_owned()),
            },
            (None, Some(_)) if ASKING.iter().any(|name| chosen.trim_start().starts_with(name)) => {
                Self::Different
            }
            _ => Self::None,
        }
    }
}

/// Where the mark of the last answer begins and ends.
fn last_answer(text: &str) -> Option<(usize, usize)> {
    let tokens = TOKENS.iter().filter_map(|token| Some((text.rfind(token)?, token.len())));
    let at_start = |place: &usize| {
        let before = text[..*place].trim_end_matches(['#', '*', ' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    };
    let speaker = text.rmatch_indices(SPEAKER).map(|(place, _)| place).find(at_start);
    tokens
        .chain(speaker.map(|place| (place, SPEAKER.len())))
        .max()
        .map(|(place, length)| (place, place + length))
}

/// What is asked, without the marks of a dialogue of one question.
fn question(dialogue: &str) -> &str {
    let mut text = dialogue.trim();
    if let Some(rest) = text.strip_suffix(SPEAKER) {
        text = rest.trim_end();
    }
    let text = text.trim_end_matches(['#', ' ', '\n']);
    let asked = text.trim_start_matches(['#', ' ']);
    match ASKING.iter().find_map(|name| asked.strip_prefix(name)) {
        Some(question) if last_answer(question).is_none() => question.trim(),
        _ => text,
    }
}

/// The value of a key, which may be absent.
fn part(path: &Path, object: &Object, key: &str) -> Result<Option<Part>> {
    let remedy = "write a text, or a list of messages with role and content";
    let message = |value: &Value| {
        let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        of("role").zip(of("content")).ok_or_else(|| {
            let what = format!("\"{key}\" has a message without a role or a content in text");
            object.error(path, what, "write {\"role\": \"user\", \"content\": \"…\"}")
        })
    };
    let messages =
        |list: &[Value]| Ok(Some(Part::Messages(list.iter().map(message).collect::<Result<_>>()?)));
    match object.get(path, key)? {
        None => Ok(None),
        Some(Value::String(text)) if text.trim_start().starts_with("[{") => {
            // Tables have lists as text, in the words of JSON or of another language.
            match serde_json::from_str::<Vec<Value>>(text) {
                Ok(list) => messages(&list),
                Err(_) => {
                    let what = format!("\"{key}\" is a list as text, and not in JSON");
                    Err(object.error(path, what, remedy))
                }
            }
        }
        Some(Value::String(text)) => Ok(Some(Part::Text(text.clone()))),
        Some(Value::Array(list)) if !list.is_empty() => messages(list),
        Some(other) => Err(object.error(path, format!("\"{key}\" is {}", kind_of(other)), remedy)),
    }
}

#[cfg(test)]
mod tests;
