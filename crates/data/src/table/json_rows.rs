//! The objects of a JSON file as rows of text: their keys are its columns.
//!
//! Nothing says beforehand which keys there are, so either keys are looked for that somebody asks for, object after
//! object, or all objects are read first.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Number, Value};

use super::{Asked, Encoding, Input, Meant, Record, Source};
use crate::columns;
use crate::error::{DataError, Result};
use crate::json::{Expected, Object, as_id, kind_of, objects};

const DOCUMENT: Expected =
    Expected { name: "a document", remedy: "write {\"id\": \"…\", \"text\": \"…\"} on each line" };

/// The objects of a file.
pub(super) struct JsonRows {
    path: PathBuf,
    objects: Box<dyn Iterator<Item = Result<Object>>>,
    columns: Vec<Column>,
    /// Of the first object.
    keys: Option<String>,
}

/// A key that is looked for.
struct Column {
    name: String,
    /// The key that is meant by the name, once the first object has told.
    key: Option<String>,
    meant: Meant,
    /// What it is for, and what to do where it is missing; `None` where it may be.
    needed: Option<(String, String)>,
    /// Whether an object had it.
    seen: bool,
}

impl JsonRows {
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path, encoding: Option<Encoding>) -> Result<Self> {
        let objects = objects(path, Input::open(path, encoding)?.text, DOCUMENT)?;
        Ok(Self { path: path.to_owned(), objects, columns: Vec::new(), keys: None })
    }

    fn record(&mut self, object: &Object) -> Result<Record> {
        self.keys.get_or_insert_with(|| object.keys());
        let path = &self.path;
        let fields = self.columns.iter_mut().map(|column| column.field(path, object));
        Ok(Record { row: object.line, fields: fields.collect::<Result<_>>()? })
    }

    /// A column that one object at least should have had.
    fn never_seen(&mut self) -> Option<DataError> {
        let keys = self.keys.take()?;
        let column = self.columns.iter().find(|column| !column.seen && column.needed.is_some())?;
        let (role, remedy) = column.needed.as_ref()?;
        let names = either(&column.name);
        let what = format!("no object has {names} ({role}); the keys of the first are {keys}");
        Some(DataError::file(&self.path, what, remedy))
    }
}

impl Source for JsonRows {
    fn ask(&mut self, Asked { name, meant, needed }: Asked<'_>) -> Option<usize> {
        let name = name.trim();
        let needed = needed.map(|(role, remedy)| (role.to_owned(), remedy.to_owned()));
        if let Some(place) = self.columns.iter().position(|column| column.name == name) {
            let column = &mut self.columns[place];
            column.needed = column.needed.take().or(needed);
            return Some(place);
        }
        self.columns.push(Column { name: name.to_owned(), key: None, meant, needed, seen: false });
        Some(self.columns.len() - 1)
    }

    fn read_header(&mut self) -> Result<Option<Vec<String>>> {
        let objects = self.objects.by_ref().collect::<Result<Vec<_>>>()?;
        let mut known = HashSet::new();
        let keys = objects.iter().flat_map(|object| &object.fields).map(|(key, _)| key);
        let names: Vec<String> = keys.filter(|&key| known.insert(key.as_str())).cloned().collect();
        let column = |name: &String| Column {
            name: name.clone(),
            key: Some(name.clone()),
            meant: Meant::Anything,
            needed: None,
            seen: true,
        };
        self.columns = names.iter().map(column).collect();
        self.objects = Box::new(objects.into_iter().map(Ok));
        Ok(Some(names))
    }

    fn nothing(&self, path: &Path) -> DataError {
        DataError::file(path, "empty", "write one document per line")
    }
}

impl Iterator for JsonRows {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        match self.objects.next() {
            Some(object) => Some(object.and_then(|object| self.record(&object))),
            None => self.never_seen().map(Err),
        }
    }
}

impl Column {
    /// What an object has under the name. The first object decides for all which key that is, so that the texts of a
    /// file never come from two.
    fn field(&mut self, path: &Path, object: &Object) -> Result<String> {
        let there = |key: &str| object.fields.iter().any(|(name, _)| name == key);
        let key = self.key.get_or_insert_with(|| key(&self.name, there).to_owned()).as_str();
        let value = object.get(path, key)?;
        let before = self.seen;
        self.seen |= there(key);
        let wrong = |value: &Value, remedy: &str| {
            object.error(path, format!("\"{key}\" is {}", kind_of(value)), remedy)
        };
        match (self.meant, value, &self.needed) {
            (Meant::Text | Meant::Id, None, Some((role, remedy))) => {
                let missing = match before {
                    true => format!("\"{key}\" ({role}), which objects before it have"),
                    false => format!("{} ({role})", either(&self.name)),
                };
                let what = format!("no {missing}; its keys are {}", object.keys());
                Err(object.error(path, what, remedy))
            }
            (_, None, _) => Ok(String::new()),
            (_, Some(Value::String(text)), _) => Ok(text.clone()),
            (Meant::Text, Some(value), _) => Err(wrong(value, "write it in quotes")),
            (Meant::Id, Some(value), _) => {
                as_id(value).ok_or_else(|| wrong(value, "write ids as text or whole numbers"))
            }
            (Meant::Value, Some(value @ (Value::Array(_) | Value::Object(_))), _) => {
                Err(wrong(value, "write text or a number"))
            }
            (_, Some(Value::Number(number)), _) if is_cut(number) => Err(object.error(
                path,
                format!("\"{key}\" is a number of too many digits"),
                "write it in quotes",
            )),
            (Meant::Value | Meant::Anything, Some(value), _) => Ok(value.to_string()),
        }
    }
}

/// Whether a number may have had more digits than are left of it: whole ones this large do not fit.
fn is_cut(number: &Number) -> bool {
    number.is_f64() && number.as_f64().is_some_and(|number| number.abs() >= 2_f64.powi(53))
}

/// What a column of a default name may be called instead, as few JSON files use those names.
fn usual(name: &str) -> Option<&'static str> {
    match name {
        columns::ID => Some("id"),
        columns::TEXT => Some("text"),
        _ => None,
    }
}

/// The key that is meant by the name of a column: the name itself where it is there, or else the usual key.
pub(super) fn key(name: &str, there: impl Fn(&str) -> bool) -> &str {
    usual(name).filter(|usual| !there(name) && there(usual)).unwrap_or(name)
}

/// The keys that the name of a column may mean, for messages.
pub(super) fn either(name: &str) -> String {
    match usual(name) {
        Some(usual) => format!("\"{name}\" or \"{usual}\""),
        None => format!("\"{name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rows, Table, TableOptions};
    use super::*;
    use crate::testing::Scratch;
    use crate::{Columns, Document, Layout, ScoreScale, read_labelled, read_scored, read_texts};

    fn read_as(text: &str, columns: &Columns) -> Result<Vec<Document>> {
        let scratch = Scratch::new();
        let path = scratch.file("essays.jsonl", text);
        Ok(read_texts(&path, &Layout::from(columns))?.documents)
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
    fn numbers_that_json_does_not_hold_are_named() {
        let id = "{\"id\": 123456789012345678901234, \"text\": \"x\"}\n";
        assert!(message(id).contains("line 1: \"id\" is a number"), "{}", message(id));
        let scratch = Scratch::new();
        let error =
            Table::read(&scratch.file("a.jsonl", id), &TableOptions::default()).unwrap_err().to_string();
        assert!(error.contains("\"id\" is a number of too many digits; write it in quotes"), "{error}");
        for word in ["NaN", "Infinity", "-Infinity"] {
            let error = message(&format!("{{\"id\": \"a\", \"grammar\": {word}, \"text\": \"x\"}}\n"));
            assert!(
                error.contains(&format!("line 1: {word} is no JSON; write null in its place")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_object_per_line_or_one_list() {
        let lines = "\u{feff}\n{\"id\": \"a\", \"text\": \"One.\"}\r\n\n{\"text\": \"Two.\", \"id\": 7, \"fold\": \"B\"}";
        let documents = read(lines).unwrap();
        assert_eq!(rows(&documents), [(2, "a", "One."), (4, "7", "Two.")]);
        assert_eq!(documents[1].fold.as_deref(), Some("B"));
        let list = "[{\"id\":\"a\",\"text\":\"One.\"},\n{\"id\":\"b\",\n\"text\":\"Two.\"} ,{\"id\":\"c\",\"text\":\"\"}\n]\n";
        assert_eq!(rows(&read(list).unwrap()), [(1, "a", "One."), (2, "b", "Two."), (3, "c", "")]);
        assert!(message(" []").contains("essays.jsonl: empty; write one document per line"));
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
    fn the_name_of_a_column_comes_before_the_usual_key() {
        let both = "{\"id\": 1, \"text_id\": \"A1\", \"text\": \"teaser\", \"full_text\": \"the essay\"}\n";
        assert_eq!(rows(&read(both).unwrap()), [(1, "A1", "the essay")]);
        let scratch = Scratch::new();
        let table = Table::read(&scratch.file("essays.jsonl", both), &TableOptions::default()).unwrap();
        assert_eq!((table.column("text_id"), table.column("full_text")), (Some(1), Some(3)));
    }

    #[test]
    fn the_first_object_decides_which_keys_are_meant() {
        let named = "{\"id\": 1, \"text\": \"teaser\", \"full_text\": \"the essay\"}\n";
        let usual = "{\"id\": 2, \"text\": \"another\"}\n";
        let error = message(&format!("{named}{usual}"));
        let expected =
            "line 2: no \"full_text\" (text), which objects before it have; its keys are id, text; name";
        assert!(error.contains(expected), "{error}");
        let documents = read(&format!("{usual}{named}")).unwrap();
        assert_eq!(rows(&documents), [(1, "2", "another"), (2, "1", "teaser")]);
        let error = message("{\"id\": 1, \"essay\": \"x\"}\n");
        assert!(
            error.contains("line 1: no \"full_text\" or \"text\" (text); its keys are id, essay; name"),
            "{error}"
        );
    }

    #[test]
    fn a_table_keeps_the_keys_apart_that_a_name_may_mean() {
        let scratch = Scratch::new();
        let path = scratch.file("essays.jsonl", "{\"id\": 1}\n{\"id\": 2, \"text_id\": \"A2\"}\n");
        let table = Table::read(&path, &TableOptions::default()).unwrap();
        let fields: Vec<_> = table.records.iter().map(|record| record.fields.join("|")).collect();
        assert_eq!(fields, ["1|", "2|A2"]);
        let error = table.require_column("full_text", "text", "name another").unwrap_err().to_string();
        assert!(
            error.contains("no column \"full_text\" or \"text\" (text); its columns are id, text_id"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_document_is_named_in_words_of_json() {
        let good = "{\"id\": \"a\", \"text\": \"x\"}\n";
        for (line, part) in [
            ("[\"b\", \"x\"]", "line 2: a list where an object belongs"),
            ("5", "line 2: a number where an object belongs"),
            ("{\"id\": \"b\"}", "line 2: no \"text\" (text), which objects before it have; its keys are id"),
            ("{\"id\": \"b\", \"text\": 5}", "line 2: \"text\" is a number; write it in quotes"),
            (
                "{\"id\": null, \"text\": \"x\"}",
                "line 2: no \"id\" (id), which objects before it have; its keys are id, text",
            ),
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

    #[test]
    fn labels_folds_and_prompts_are_those_of_the_same_table_as_csv() {
        let scratch = Scratch::new();
        let csv = "text_id,full_text,fold,grammar,se,task\n\
                   a,\"One, \"\"two\"\".\",A,2.5,0.5,Why?\n7,,B,,,\n9,\"Three\n.\",1,4,0.25,\n";
        let csv = scratch.file("essays.csv", csv);
        let objects = [
            r#"{"id": "a", "text": "One, \"two\".", "fold": "A", "grammar": 2.5, "se": "0.5", "task": "Why?", "more": [1]}"#,
            r#"{"task": "", "id": 7, "text": "", "fold": "B", "grammar": null}"#,
            r#"{"text": "Three\n.", "grammar": "4", "fold": 1, "se": 0.25, "id": "9", "task": ""}"#,
        ];
        let columns =
            Columns { label_se: Some("se".into()), prompt: Some("task".into()), ..Columns::default() };
        let read = |path: &Path| {
            let set =
                read_labelled(path, &Layout::from(&columns), "grammar", &ScoreScale::default()).unwrap();
            set.documents.into_iter().map(|document| Document { row: 0, ..document }).collect::<Vec<_>>()
        };
        let expected = read(&csv);
        assert_eq!(expected[2].label_se, Some(0.25));
        for text in [objects.join("\n"), format!("[{}]", objects.join(",\n"))] {
            assert_eq!(read(&scratch.file("essays.jsonl", text)), expected);
        }
    }

    #[test]
    fn a_key_that_no_object_has_is_named() {
        let scratch = Scratch::new();
        let path = scratch.file("essays.jsonl", "{\"id\": 1, \"text\": \"x\", \"fold\": \"A\"}\n");
        let (layout, scale) = (Layout::default(), ScoreScale::default());
        let expected =
            "no object has \"grammar\" (label); the keys of the first are id, text, fold; name the right one";
        for read in [read_labelled, read_scored] {
            let error = read(&path, &layout, "grammar", &scale).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let path = scratch.file("essays.jsonl", "{\"id\": 1, \"text\": \"x\", \"grammar\": [3]}\n");
        let error = read_scored(&path, &layout, "grammar", &scale).unwrap_err().to_string();
        assert!(error.contains("line 1: \"grammar\" is a list; write text or a number"), "{error}");
        let error = read_labelled(&path, &layout, "id", &scale).unwrap_err().to_string();
        assert!(error.contains("no object has \"fold\" (fold)"), "{error}");
    }

    #[test]
    fn a_table_has_all_keys_as_columns() {
        let scratch = Scratch::new();
        let text =
            "{\"id\": 1, \"text\": \"x\", \"tags\": [\"a\", 2]}\n\n{\"id\": \"b\", \"grammar\": 3.5}\n";
        let path = scratch.file("essays.jsonl", text);
        let table = Table::read(&path, &TableOptions::default()).unwrap();
        assert_eq!(table.header, ["id", "text", "tags", "grammar"]);
        let fields: Vec<_> =
            table.records.iter().map(|record| (record.row, record.fields.join("|"))).collect();
        assert_eq!(fields, [(1, "1|x|[\"a\",2]|".into()), (3, "b|||3.5".into())]);
        // By the default names too.
        assert_eq!((table.column("text_id"), table.column("full_text")), (Some(0), Some(1)));
        let mut rows = Rows::open(&path, &TableOptions::default()).unwrap();
        assert_eq!(rows.column("grammar"), Some(0));
        assert_eq!(rows.map(|record| record.unwrap().fields).collect::<Vec<_>>(), [[""], ["3.5"]]);
    }
}
