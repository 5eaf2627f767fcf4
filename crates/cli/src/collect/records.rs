//! What the database takes and gives: judges and how far they are, pairs handed out, answers, and notes.

use pair2score_data::judgements::select::Showing;
use serde::{Deserialize, Serialize};

use crate::token::Hash;

/// What a judge says about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// The left text is better.
    Left,
    /// The right text is better.
    Right,
    /// Neither is.
    Tie,
    /// No answer; the pair does not come again, and is not exported.
    Skip,
}

impl Verdict {
    /// As the database names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Tie => "tie",
            Self::Skip => "skip",
        }
    }

    /// The `y` of a pair whose `a` is the left document.
    pub(super) fn of_left(name: &str) -> f64 {
        match name {
            "left" => 1.0,
            "right" => 0.0,
            _ => 0.5,
        }
    }
}

/// One of the two texts of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Left,
    Right,
}

/// A note about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    /// Id of the document.
    pub(super) document: String,
    pub(super) note: String,
    /// Name of the judge.
    pub(super) judge: String,
    /// When it was written, RFC 3339.
    pub(super) at: String,
}

/// A pair that a judge was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handout {
    /// Names it in an answer.
    pub(super) id: i64,
    /// The documents by place.
    pub(super) showing: Showing,
}

/// An answer as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submission {
    /// Which handout it answers.
    pub(super) handout: i64,
    /// Made by the judge's page: whoever sends the same again means the same judgement.
    pub(super) id: String,
    pub(super) verdict: Verdict,
    /// From showing to answering, milliseconds.
    pub(super) ms: u32,
}

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is on the disk.
    Stored,
    /// It was before.
    Known,
    /// The judge was never given this pair.
    NotGiven,
    /// The pair has another answer, or the id another pair.
    Conflict,
}

/// A judge as the server knows them.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) id: i64,
    pub(super) name: String,
    /// Hash of the secret in the judge's link, or of none where the link is switched off.
    pub(super) token: Hash,
}

/// How far a judge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    /// The name.
    pub(super) name: String,
    /// Whether they have a link, or it is switched off.
    pub(super) has_link: bool,
    /// Pairs answered or skipped, and those skipped alone.
    pub(super) done: usize,
    pub(super) skipped: usize,
    /// When the judge was last given a pair or answered one, RFC 3339; `None` before the first.
    pub(super) seen: Option<String>,
}
