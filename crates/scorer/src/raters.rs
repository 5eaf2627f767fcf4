//! How far two people lie apart who label the same document.

use serde::{Deserialize, Serialize};

/// What is known of the labels themselves: a score can hardly be surer than people are. Written by training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raters {
    /// Documents that say so.
    pub documents: usize,
    /// Mean distance of two labels of a document, in rubric units.
    pub difference: f64,
    /// Share of the documents that got the same grade twice; `None` without grades, or where standard errors say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<f64>,
    /// Share of the documents whose two grades are the same or neighbours; `None` as the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<f64>,
}

impl Raters {
    /// Checks that it is one.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let mut shares = self.same.iter().chain(&self.neighbours);
        if self.difference >= 0.0 && self.difference.is_finite() && shares.all(|s| (0.0..=1.0).contains(s)) {
            return Ok(());
        }
        Err("says of raters (raters) what is no distance or no share".into())
    }
}
