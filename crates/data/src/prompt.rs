//! The prompt of a document: the task or question that its text answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::DataError;

const PROMPT: &str = "{prompt}";
const TEXT: &str = "{text}";

/// How a prompt and a text become what is read: words around `{prompt}` and `{text}`, each of which stands in it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PromptTemplate {
    template: String,
    /// Where `{prompt}` begins.
    prompt: usize,
    /// Where `{text}` begins.
    text: usize,
}

impl PromptTemplate {
    /// The prompt and the text in their places. Without a prompt it is the text alone.
    pub fn fill(&self, prompt: &str, text: &str) -> String {
        if prompt.trim().is_empty() {
            return text.to_owned();
        }
        let mut parts = [(self.prompt, PROMPT, prompt), (self.text, TEXT, text)];
        parts.sort_by_key(|&(place, ..)| place);
        let [(first, name, value), (second, other_name, other)] = parts;
        let (before, between) = (&self.template[..first], &self.template[first + name.len()..second]);
        [before, value, between, other, &self.template[second + other_name.len()..]].concat()
    }

    /// Where the prompt begins in what [`fill`](Self::fill) gives, in bytes.
    pub fn prompt_start(&self, text: &str) -> usize {
        match self.text < self.prompt {
            true => self.prompt - TEXT.len() + text.len(),
            false => self.prompt,
        }
    }
}

impl Default for PromptTemplate {
    /// The prompt, a blank line, and the text.
    fn default() -> Self {
        let template = format!("{PROMPT}\n\n{TEXT}");
        Self { prompt: 0, text: template.len() - TEXT.len(), template }
    }
}

impl FromStr for PromptTemplate {
    type Err = DataError;

    fn from_str(template: &str) -> Result<Self, DataError> {
        let only = |name: &str| match template.match_indices(name).collect::<Vec<_>>()[..] {
            [(place, _)] => Ok(place),
            ref found => Err(DataError::setting(
                format!("the template {template:?} has {name} {} times", found.len()),
                "write {prompt} and {text} once each, such as \"{prompt}\\n\\n{text}\"",
            )),
        };
        Ok(Self { prompt: only(PROMPT)?, text: only(TEXT)?, template: template.to_owned() })
    }
}

impl TryFrom<String> for PromptTemplate {
    type Error = DataError;

    fn try_from(template: String) -> Result<Self, DataError> {
        template.parse()
    }
}

impl From<PromptTemplate> for String {
    fn from(template: PromptTemplate) -> Self {
        template.template
    }
}

impl fmt::Display for PromptTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.template)
    }
}

/// A text that comes otherwise than a scorer reads texts. Nothing about a score shows whether a prompt was read, so whoever
/// takes texts refuses this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMismatch {
    /// The scorer reads the prompt of a text with it, and there is none, not even a blank one.
    Missing,
    /// There is a prompt, and the scorer reads none.
    Needless,
}

impl PromptMismatch {
    /// Compares what a scorer reads, by its template, with whether a prompt is `given`.
    ///
    /// # Errors
    /// Where they do not fit.
    pub fn check(template: Option<&PromptTemplate>, given: bool) -> Result<(), Self> {
        match (template, given) {
            (Some(_), false) => Err(Self::Missing),
            (None, true) => Err(Self::Needless),
            _ => Ok(()),
        }
    }
}

/// What can be read: a text, and the prompt that it answers, where there is one.
pub trait Passage {
    /// The text.
    fn text(&self) -> &str;

    /// The prompt; empty where there is none.
    fn prompt(&self) -> &str {
        ""
    }
}

impl Passage for str {
    fn text(&self) -> &str {
        self
    }
}

impl Passage for String {
    fn text(&self) -> &str {
        self
    }
}

impl Passage for Document {
    fn text(&self) -> &str {
        &self.text
    }

    fn prompt(&self) -> &str {
        &self.prompt
    }
}

/// A text that answers a prompt.
impl<P: AsRef<str>, T: AsRef<str>> Passage for (P, T) {
    fn text(&self) -> &str {
        self.1.as_ref()
    }

    fn prompt(&self) -> &str {
        self.0.as_ref()
    }
}

impl<P: Passage + ?Sized> Passage for &P {
    fn text(&self) -> &str {
        (**self).text()
    }

    fn prompt(&self) -> &str {
        (**self).prompt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_and_texts_take_their_places_and_words_in_them_are_no_places() {
        let template = PromptTemplate::default();
        assert_eq!(template.fill("Why {text}?", "So {prompt}."), "Why {text}?\n\nSo {prompt}.");
        assert_eq!(template.fill(" \n", "Alone."), "Alone.");
        let turned: PromptTemplate = "A: {text} (to: {prompt})".parse().unwrap();
        let whole = turned.fill("Why?", "So.");
        assert_eq!(whole, "A: So. (to: Why?)");
        assert_eq!(&whole[turned.prompt_start("So.")..][..4], "Why?");
        assert_eq!(template.prompt_start("So."), 0);
        assert_eq!(template.to_string().parse::<PromptTemplate>().unwrap(), template);
    }

    #[test]
    fn a_template_has_each_place_once() {
        for (template, name) in [("{text}", "{prompt} 0 times"), ("{prompt}{text}{text}", "{text} 2 times")] {
            let error = template.parse::<PromptTemplate>().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("once each"), "{error}");
        }
    }
}
