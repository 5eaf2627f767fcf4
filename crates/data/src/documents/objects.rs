//! Documents of JSON files.

use std::path::Path;

use serde_json::Value;

use super::{Documents, NAME_PROMPT};
use crate::document::{Columns, Document, Layout};
use crate::error::Result;
use crate::json::{Expected, Object, as_id, kind_of, objects};
use crate::table::Input;

const DOCUMENT: Expected =
    Expected { name: "a document", remedy: "write {\"id\": \"…\", \"text\": \"…\"} on each line" };

const NAME_THEM: &str = "name the right one with --id-col or --text-col";

/// Keys that are read where the columns have their default names, which few JSON files use.
const USUAL: Keys<'static> = Keys { id: "id", text: "text" };

/// The documents of a file in its order.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn documents(path: &Path, layout: &Layout) -> Result<Documents> {
    let (path, columns) = (path.to_owned(), layout.columns.clone());
    let objects = objects(&path, Input::open(&path, layout.table.encoding)?.text, DOCUMENT)?;
    Ok(Box::new(objects.map(move |object| document(&path, &columns, &object?))))
}

fn document(path: &Path, columns: &Columns, object: &Object) -> Result<Document> {
    let keys = Keys::of(columns, object);
    let missing = |key: &str, role: &str, remedy: &str| {
        let what = format!("no \"{key}\" ({role}); its keys are {}", object.keys());
        object.error(path, what, remedy)
    };
    let text = object.get(path, keys.text)?.ok_or_else(|| missing(keys.text, "text", NAME_THEM))?;
    let Value::String(text) = text else {
        let what = format!("\"{}\" is {}", keys.text, kind_of(text));
        return Err(object.error(path, what, "write the text in quotes"));
    };
    let id = object.get(path, keys.id)?.ok_or_else(|| missing(keys.id, "id", NAME_THEM))?;
    let Some(id) = as_id(id) else {
        let what = format!("\"{}\" is {}", keys.id, kind_of(id));
        return Err(object.error(path, what, "write ids as text or whole numbers"));
    };
    let prompt = match &columns.prompt {
        None => String::new(),
        Some(key) => match object.get(path, key)?.ok_or_else(|| missing(key, "prompt", NAME_PROMPT))? {
            Value::String(prompt) => prompt.clone(),
            Value::Null => String::new(),
            other => {
                let what = format!("\"{key}\" is {}", kind_of(other));
                return Err(object.error(path, what, "write the prompt in quotes"));
            }
        },
    };
    let fold = object.get(path, &columns.fold)?.and_then(as_id).filter(|fold| !fold.is_empty());
    Ok(Document { id, text: text.clone(), prompt, fold, row: object.line, ..Document::default() })
}

/// The keys of an object that is a document.
struct Keys<'a> {
    id: &'a str,
    text: &'a str,
}

impl<'a> Keys<'a> {
    /// Those of the columns. A default name is looked for only where the usual key is absent.
    fn of(columns: &'a Columns, object: &Object) -> Self {
        let Columns { id, text, .. } = Columns::default();
        let there = |key: &str| object.fields.iter().any(|(name, _)| name == key);
        let choose = |given: &'a str, default: &str, usual: &'static str| match given == default {
            true if there(usual) || !there(given) => usual,
            _ => given,
        };
        Self { id: choose(&columns.id, &id, USUAL.id), text: choose(&columns.text, &text, USUAL.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn read_as(text: &str, columns: &Columns) -> Result<Vec<Document>> {
        let scratch = Scratch::new();
        let path = scratch.file("essays.jsonl", text);
        documents(&path, &Layout::from(columns))?.collect()
    }

    fn read(text: &str) -> Result<Vec<Document>> {
        read_as(text, &Columns::default())
    }

    fn message(text: &str) -> String {
        read(text).expect_err(text).to_string()
    }

    fn rows(documents: &[Document]) -> Vec<(usize, &str, &str)> {
        documents.iter().map(|d| (d.row, d.id.as_str(), d.text.as_str())).collect()
    }

    #[test]
    fn an_object_per_line_or_one_list() {
        let lines = "\u{feff}\n{\"id\": \"a\", \"text\": \"One.\"}\r\n\n{\"text\": \"Two.\", \"id\": 7, \"fold\": \"B\"}";
        let documents = read(lines).unwrap();
        assert_eq!(rows(&documents), [(2, "a", "One."), (4, "7", "Two.")]);
        assert_eq!(documents[1].fold.as_deref(), Some("B"));
        let list = "[{\"id\":\"a\",\"text\":\"One.\"},\n{\"id\":\"b\",\n\"text\":\"Two.\"} ,{\"id\":\"c\",\"text\":\"\"}\n]\n";
        assert_eq!(rows(&read(list).unwrap()), [(1, "a", "One."), (2, "b", "Two."), (3, "c", "")]);
        assert_eq!(read(" []").unwrap(), []);
    }

    #[test]
    fn keys_are_those_of_the_columns() {
        let columns = Columns { id: "essay_id".into(), text: "full_text".into(), ..Columns::default() };
        let own = "{\"essay_id\": \"a\", \"full_text\": \"One.\"}\n";
        assert_eq!(rows(&read_as(own, &columns).unwrap()), [(1, "a", "One.")]);
        let defaults = "{\"text_id\": \"a\", \"full_text\": \"One.\"}\n";
        assert_eq!(rows(&read(defaults).unwrap()), [(1, "a", "One.")]);
        let named = Columns { id: "who".into(), text: "what".into(), ..Columns::default() };
        let error = read_as("{\"id\": \"a\", \"what\": \"x\"}", &named).unwrap_err().to_string();
        assert!(
            error.contains("line 1: no \"who\" (id); its keys are id, what; name the right one"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_document_is_named_in_words_of_json() {
        let good = "{\"id\": \"a\", \"text\": \"x\"}\n";
        for (line, part) in [
            ("[\"b\", \"x\"]", "line 2: a list where an object belongs"),
            ("5", "line 2: a number where an object belongs"),
            ("{\"id\": \"b\"}", "line 2: no \"text\" (text); its keys are id"),
            ("{\"id\": \"b\", \"text\": 5}", "line 2: \"text\" is a number"),
            ("{\"id\": null, \"text\": \"x\"}", "line 2: no \"id\" (id); its keys are id, text"),
            (
                "{\"id\": [1], \"text\": \"x\"}",
                "line 2: \"id\" is a list; write ids as text or whole numbers",
            ),
            ("{\"id\": 1.5, \"text\": \"x\"}", "line 2: \"id\" is a number"),
            ("{\"id\": 1, \"id\": 2, \"text\": \"x\"}", "line 2: \"id\" is there twice"),
            ("{\"id\": \"b\", \"text\": }", "line 2: not a document; write {"),
        ] {
            let error = message(&format!("{good}{line}\n"));
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(message("[\"a\", \"x\"]\n[\"b\", \"y\"]\n").contains("line 1: text where an object belongs"));
        let list = good.trim();
        for (text, part) in [
            (format!("[{list}]\n[{list}]\n"), "line 2: something follows the list"),
            (format!("[{list}\n{list}]"), "line 2: the list does not go on"),
            (format!("[{list},\n"), "line 2: no JSON where an object belongs"),
            (format!("[{list},\n{{\"id\": x}}]"), "line 2: not a list of objects"),
        ] {
            let error = message(&text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn objects_over_several_lines_and_objects_cut_off() {
        let error = message("{\n  \"id\": \"a\",\n  \"text\": \"One.\"\n}\n");
        assert!(error.contains("line 1: one object a line; this looks pretty-printed; write"), "{error}");
        let error = message("{\"id\": \"a\", \"te");
        assert!(error.contains("line 1: not a document"), "{error}");
    }
}
