//! Which columns of a file hold what.

use serde::{Deserialize, Serialize};

/// The default name of the column of ids.
pub(crate) const ID: &str = "text_id";

/// The default name of the column of texts.
pub(crate) const TEXT: &str = "full_text";

/// The names of the columns that hold what we need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Identifies a document; unique, not empty.
    pub id: String,
    /// The text to score.
    pub text: String,
    /// The task or question that the text answers; `None` means that there is none.
    pub prompt: Option<String>,
    /// The name of the disjoint group that a document belongs to.
    pub fold: String,
    /// The gold value; `None` means the column named like the trait.
    pub label: Option<String>,
    /// The standard error of the gold value; `None` means that all are equally sure.
    pub label_se: Option<String>,
    /// A second rating by somebody else; `None` where there is none. Nothing learns from it.
    pub second_rating: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            id: ID.into(),
            text: TEXT.into(),
            prompt: None,
            fold: "fold".into(),
            label: None,
            label_se: None,
            second_rating: None,
        }
    }
}
