//! Lists of pairs to judge, JSONL: `{"a", "b", "shown_left"}`, and a `kind` where a pair is not a regular one.
//!
//! Any file of pairs is such a list too, since other keys are ignored.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::select::{Kind, Showing};
use crate::error::{DataError, Result};
use crate::files;
use crate::json;

/// A pair to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The id of one document.
    #[serde(deserialize_with = "json::id")]
    pub a: String,
    /// The id of the other document.
    #[serde(deserialize_with = "json::id")]
    pub b: String,
    /// The document to show on the left; without it, either.
    #[serde(default, deserialize_with = "json::optional_id", skip_serializing_if = "Option::is_none")]
    pub shown_left: Option<String>,
    /// Why it is shown.
    #[serde(default, skip_serializing_if = "is_regular")]
    pub kind: Kind,
}

fn is_regular(kind: &Kind) -> bool {
    *kind == Kind::Regular
}

impl Proposal {
    /// A showing of documents with these ids. `a` and `b` are in the order of their ids, so that nothing can be read
    /// from who comes first.
    pub fn new(showing: &Showing, ids: &[&str]) -> Self {
        let (left, right) = (ids[showing.left], ids[showing.right]);
        Self {
            a: left.min(right).to_owned(),
            b: left.max(right).to_owned(),
            shown_left: Some(left.to_owned()),
            kind: showing.kind,
        }
    }
}

/// Writes proposals, one per line.
///
/// # Errors
/// A failed write.
pub fn write_proposals(path: impl AsRef<Path>, proposals: &[Proposal]) -> Result<()> {
    let path = path.as_ref();
    let mut lines = Vec::new();
    for proposal in proposals {
        serde_json::to_writer(&mut lines, proposal)
            .map_err(|error| DataError::json(path, 1, "writable as JSON", "correct the pairs", error))?;
        lines.push(b'\n');
    }
    files::write_atomic(path, &lines)
}

/// Reads proposals, or any file whose lines have `a` and `b`.
///
/// # Errors
/// An unreadable or empty file; with its line, one that names no two documents or another one on the left.
pub fn read_proposals(path: impl AsRef<Path>) -> Result<Vec<Proposal>> {
    let path = path.as_ref();
    parse_proposals(path, &files::read_text(path)?)
}

/// As [`read_proposals`], from text; `path` is only named in messages.
///
/// # Errors
/// As [`read_proposals`], reading aside.
pub fn parse_proposals(path: &Path, text: &str) -> Result<Vec<Proposal>> {
    let mut proposals = Vec::new();
    for (place, content) in text.lines().enumerate().filter(|(_, content)| !content.trim().is_empty()) {
        let line = place + 1;
        let proposal: Proposal = serde_json::from_str(content).map_err(|error| {
            let remedy = "write {\"a\": \"…\", \"b\": \"…\"} on each line";
            DataError::json(path, line, "a pair to judge", remedy, error)
        })?;
        let Proposal { a, b, shown_left, .. } = &proposal;
        if a.trim().is_empty() || b.trim().is_empty() || a == b {
            return Err(DataError::line(
                path,
                line,
                "not two documents",
                "write two different ids as a and b",
            ));
        }
        if let Some(left) = shown_left.as_ref().filter(|left| *left != a && *left != b) {
            let what = format!("\"{left}\" on the left is neither document");
            return Err(DataError::line(path, line, what, "write a or b as \"shown_left\", or leave it out"));
        }
        proposals.push(proposal);
    }
    if proposals.is_empty() {
        return Err(DataError::file(path, "no pairs", "write one per line"));
    }
    Ok(proposals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn lists_survive_a_round_trip() {
        let ids = ["z", "x", "y"];
        let showings = [
            Showing { left: 0, right: 1, kind: Kind::Regular },
            Showing { left: 1, right: 0, kind: Kind::Repeat },
        ];
        let proposals = showings.map(|showing| Proposal::new(&showing, &ids));
        let scratch = Scratch::new();
        let path = scratch.path("pairs.jsonl");
        write_proposals(&path, &proposals).unwrap();
        let text = files::read_text(&path).unwrap();
        let expected = "{\"a\":\"x\",\"b\":\"z\",\"shown_left\":\"z\"}\n\
                        {\"a\":\"x\",\"b\":\"z\",\"shown_left\":\"x\",\"kind\":\"repeat\"}\n";
        assert_eq!(text, expected);
        assert_eq!(read_proposals(&path).unwrap(), proposals);
    }

    #[test]
    fn a_pair_cache_is_a_list_too() {
        let scratch = Scratch::new();
        let line = r#"{"run":1,"trait":"t","split":"train","index":0,"a":"x","b":"z","y":1}"#;
        assert_eq!(read_proposals(scratch.file("cache.jsonl", line)).unwrap()[0].b, "z");
        let numbers = r#"{"a":1,"b":"2","shown_left":2}"#;
        let read = &read_proposals(scratch.file("numbers.jsonl", numbers)).unwrap()[0];
        assert_eq!((read.a.as_str(), read.shown_left.as_deref()), ("1", Some("2")));
    }

    #[test]
    fn bad_lines_are_named() {
        let scratch = Scratch::new();
        for (line, what) in [
            ("{\"a\": \"x\"}", "line 2: not a pair to judge"),
            ("{\"a\": \"x\", \"b\": \"x\"}", "line 2: not two documents"),
            ("{\"a\": \"x\", \"b\": \"y\", \"shown_left\": \"z\"}", "line 2: \"z\" on the left"),
        ] {
            let path = scratch.file("list.jsonl", format!("{{\"a\":\"x\",\"b\":\"y\"}}\n{line}\n"));
            let message = read_proposals(path).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        }
        assert!(read_proposals(scratch.file("empty.jsonl", "\n")).is_err());
    }
}
