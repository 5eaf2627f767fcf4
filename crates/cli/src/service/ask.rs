//! What is asked: the bodies of requests, and the texts in them that can be computed.

use axum::http::StatusCode;
use pair2score_data::PromptMismatch;
use pair2score_scorer::Encoded;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::job::Pass;
use super::problem::{Problem, Refusal};
use super::scorers::Served;
use crate::spreadsheet::BYTE_ORDER_MARK;

/// Entries of one request in JSON; a stream has any number.
const ENTRIES: usize = 4096;

/// What a route does with texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Score,
    Compare,
    Embed,
}

/// Texts that are computed together: one, or the two that are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) texts: Vec<String>,
    /// What they answer, where that was said.
    pub(super) prompt: Option<String>,
}

/// What a line of a stream calls its entry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(serde_json::Number),
    Name(String),
}

/// The body of `/score` and `/embed`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    text: Option<String>,
    texts: Option<Vec<String>>,
    /// Of all of them.
    prompt: Option<String>,
}

/// The body of `/compare`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    a: Option<String>,
    b: Option<String>,
    pairs: Option<Vec<Pair>>,
    /// Of all of them.
    prompt: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    a: String,
    b: String,
}

/// A line of a stream for `/score` and `/embed`: a document as files have them, whose other keys do not matter.
#[derive(Deserialize)]
struct TextLine {
    id: Option<Id>,
    text: String,
    prompt: Option<String>,
}

/// A line of a stream for `/compare`.
#[derive(Deserialize)]
struct PairLine {
    id: Option<Id>,
    a: String,
    b: String,
    prompt: Option<String>,
}

/// What a line is called that is not what is asked for.
#[derive(Deserialize)]
struct Named {
    id: Option<Id>,
}

impl Task {
    /// What the scorer has to compute of every text.
    ///
    /// # Errors
    /// A scorer that cannot do it.
    pub(super) fn passes(self, scorer: &Served) -> Result<Vec<Pass>, Refusal> {
        let about = &scorer.about;
        match self {
            Self::Score if about.scores => Ok(vec![Pass::Score]),
            Self::Score => Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cannot_score",
                format!("{:?} holds stage 1 only, which ranks and does not score; use /compare", about.name),
            )),
            Self::Embed => Ok(vec![Pass::Embedding]),
            Self::Compare => {
                let stages = [(about.ranks, Pass::Utility), (about.scores, Pass::Score)];
                Ok(stages.into_iter().filter_map(|(has, pass)| has.then_some(pass)).collect())
            }
        }
    }

    /// The entries of a body.
    ///
    /// # Errors
    /// A body that is not what is asked for.
    pub(super) fn entries(self, body: &[u8]) -> Result<Vec<Entry>, Refusal> {
        let wrong = |message: String| Refusal::new(StatusCode::BAD_REQUEST, "bad_request", message);
        let body = body.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(body);
        let (texts, prompt): (Vec<Vec<String>>, Option<String>) = match self {
            Self::Score | Self::Embed => match object::<Texts>(body).map_err(wrong)? {
                Texts { text: Some(text), texts: None, prompt } => (vec![vec![text]], prompt),
                Texts { text: None, texts: Some(texts), prompt } => {
                    (texts.into_iter().map(|text| vec![text]).collect(), prompt)
                }
                _ => {
                    return Err(wrong("give either \"text\", one text, or \"texts\", a list of them".into()));
                }
            },
            Self::Compare => match object::<Pairs>(body).map_err(wrong)? {
                Pairs { a: Some(a), b: Some(b), pairs: None, prompt } => (vec![vec![a, b]], prompt),
                Pairs { a: None, b: None, pairs: Some(pairs), prompt } => {
                    (pairs.into_iter().map(|Pair { a, b }| vec![a, b]).collect(), prompt)
                }
                _ => {
                    return Err(wrong(
                        "give either \"a\" and \"b\", two texts, or \"pairs\", a list of objects with both"
                            .into(),
                    ));
                }
            },
        };
        match texts.len() {
            0 => Err(wrong("the list is empty; give at least one entry".into())),
            n if n > ENTRIES => Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many",
                format!("{n} entries are more than the {ENTRIES} of one request; send several, or a stream"),
            )),
            _ => Ok(texts.into_iter().map(|texts| Entry { texts, prompt: prompt.clone() }).collect()),
        }
    }

    /// What a line calls its entry, and the entry.
    ///
    /// # Errors
    /// A line that is not what is asked for; what it calls its entry is known all the same, where it says so.
    pub(super) fn line(self, line: &[u8]) -> (Option<Id>, Result<Entry, Problem>) {
        let read =
            match self {
                Self::Score | Self::Embed => object(line)
                    .map(|TextLine { id, text, prompt }| (id, Entry { texts: vec![text], prompt })),
                Self::Compare => object(line)
                    .map(|PairLine { id, a, b, prompt }| (id, Entry { texts: vec![a, b], prompt })),
            };
        match read {
            Ok((id, entry)) => (id, Ok(entry)),
            Err(message) => {
                let named = object::<Named>(line).ok().and_then(|Named { id }| id);
                (named, Err(Problem::new("bad_line", message)))
            }
        }
    }
}

/// An object in JSON. A list of its values, which serde would take for one, is none.
fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("this is not what is asked for: {why}");
    match json.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(json).map_err(|error| wrong(&error)),
        _ => Err(wrong(&"it is no object in JSON")),
    }
}

/// The tokens of an entry's texts.
///
/// # Errors
/// A text that no number can be trusted of: a blank one, one without the prompt that the scorer reads with it, and, unless
/// it may be cut, one longer than the scorer reads.
pub(super) fn encoded(scorer: &Served, entry: &Entry, may_cut: bool) -> Result<Vec<Encoded>, Problem> {
    let (template, prompt) = (scorer.template.as_ref(), entry.prompt.as_deref());
    PromptMismatch::check(template, prompt.is_some()).map_err(|mismatch| match mismatch {
        PromptMismatch::Missing => {
            let message = "this scorer reads the prompt of a text with it; give it as \"prompt\", or \"\"";
            Problem::new("no_prompt", message)
        }
        PromptMismatch::Needless => {
            let message = "this scorer reads texts without prompts; leave out \"prompt\"";
            Problem::new("needless_prompt", message)
        }
    })?;
    let prompt = prompt.unwrap_or_default();
    let encode = |(place, text): (usize, &String)| {
        let name = if entry.texts.len() == 1 { "the text" } else { ["text a", "text b"][place] };
        if text.trim().is_empty() {
            return Err(Problem::new("blank", format!("{name} is blank; there is nothing to score")));
        }
        let document = scorer
            .text_encoder
            .passage(&(prompt, text), template)
            .map_err(|error| Problem::new("not_encoded", format!("{name} has no tokens: {error}")))?;
        if document.truncated() && !may_cut {
            let (n, most) = (document.full_length, document.ids.len());
            let message = format!(
                "{name} has {n} tokens and the scorer reads {most}; shorten it, or let it be cut (truncate)"
            );
            return Err(Problem::new("too_long", message));
        }
        Ok(document)
    };
    entry.texts.iter().enumerate().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_entry_or_a_list() {
        for (task, body, expected) in [
            (Task::Score, r#"{"text": "One."}"#, vec![vec!["One."]]),
            (Task::Score, "\u{feff}{\"text\": \"One.\"}", vec![vec!["One."]]),
            (Task::Embed, r#"{"texts": ["One.", "Two."]}"#, vec![vec!["One."], vec!["Two."]]),
            (Task::Compare, r#"{"b": "Two.", "a": "One."}"#, vec![vec!["One.", "Two."]]),
            (Task::Compare, r#"{"pairs": [{"a": "1", "b": "2"}]}"#, vec![vec!["1", "2"]]),
        ] {
            let entries = task.entries(body.as_bytes()).unwrap();
            let texts: Vec<_> = entries.iter().map(|entry| entry.texts.clone()).collect();
            assert_eq!(texts, expected, "{body}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_give() {
        let many = format!(r#"{{"texts": [{}]}}"#, vec!["\"a\""; ENTRIES + 1].join(","));
        for (task, body, status, said) in [
            (Task::Score, "", 400, "no object"),
            (Task::Score, r#"["One.", null]"#, 400, "no object"),
            (Task::Score, r#"{"text": "One.""#, 400, "EOF"),
            (Task::Score, r#"{"text": 3}"#, 400, "expected a string"),
            (Task::Score, r#"{"txt": "One."}"#, 400, "unknown field `txt`"),
            (Task::Score, r#"{"text": "One.", "texts": []}"#, 400, "either \"text\""),
            (Task::Score, "{}", 400, "either \"text\""),
            (Task::Score, r#"{"texts": []}"#, 400, "the list is empty"),
            (Task::Score, r#"{"text": "\ud800"}"#, 400, "hex escape"),
            (Task::Score, &many, 413, "4097 entries"),
            (Task::Compare, r#"{"a": "One."}"#, 400, "either \"a\" and \"b\""),
            (Task::Compare, r#"{"pairs": [{"a": "1"}]}"#, 400, "missing field `b`"),
        ] {
            let refusal = task.entries(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.status.as_u16(), status, "{body:.40}");
            assert!(refusal.problem.message.contains(said), "{body:.40}: {}", refusal.problem.message);
        }
    }

    #[test]
    fn a_line_is_a_document_of_a_file() {
        let (id, entry) = Task::Score.line(br#"{"id": "e1", "text": "One.", "fold": "A"}"#);
        assert_eq!((id, entry.unwrap().texts), (Some(Id::Name("e1".into())), vec!["One.".into()]));
        let (id, entry) = Task::Compare.line(br#"{"id": 7, "a": "One.", "b": "Two."}"#);
        assert!(id == Some(Id::Number(7.into())) && entry.is_ok());
        for (line, name) in [
            (&br#"{"text": "#[..], None),
            (br#"{"id": [1], "text": "One."}"#, None),
            (br#"{"id": 7, "text": 3}"#, Some(Id::Number(7.into()))),
            (br#"{"id": "e1", "txt": "One."}"#, Some(Id::Name("e1".into()))),
        ] {
            let (id, entry) = Task::Score.line(line);
            assert_eq!((id, entry.unwrap_err().code), (name, "bad_line"));
        }
    }
}
