//! What the ending of a file's name says of its content.

use std::path::Path;

/// The name in lower case without `.gz`, and whether that was there.
pub(crate) fn inner_name(path: &Path) -> (String, bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.strip_suffix(".gz") {
        Some(inner) => (inner.to_owned(), true),
        None => (name, false),
    }
}

/// Whether a file holds JSON, an object per line or a list of objects.
pub(crate) fn is_json(path: &Path) -> bool {
    let (name, _) = inner_name(path);
    let ending = Path::new(&name).extension();
    ending.is_some_and(|ending| ending == "jsonl" || ending == "ndjson" || ending == "json")
}

/// What messages call the place of a record in a file.
pub(crate) fn place(path: &Path) -> &'static str {
    if is_json(path) { "line" } else { "row" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_json_are_on_lines_and_others_in_rows() {
        for name in ["a.jsonl", "A.JSONL.GZ", "b.ndjson", "c.json"] {
            assert_eq!(place(Path::new(name)), "line", "{name}");
        }
        for name in ["a.csv", "a.json.csv", "json", "", "a.parquet"] {
            assert_eq!(place(Path::new(name)), "row", "{name}");
        }
    }
}
