//! CSV files as spreadsheets take them.

use std::borrow::Cow;

/// What tells spreadsheets that a CSV file is UTF-8, and what some programs write before any text.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A cell with an apostrophe before it where a spreadsheet would take it for a formula. The page's tables have the same
/// rule.
pub(crate) fn no_formula(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}").into() } else { cell.into() }
}
