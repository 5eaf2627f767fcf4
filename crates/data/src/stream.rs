//! Documents to score, one after the other, so that a file may be larger than memory.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::documents::{Columns, Document, MAP_COLUMNS, fold_of};
use crate::error::{DataError, Result};
use crate::files::without_bom;
use crate::table::{Record, Rows, no_rows};

/// Documents in the order of their file.
type Documents = Box<dyn Iterator<Item = Result<Document>>>;

/// Documents in the order of their file, each with an id of its own; an iterator that is over after its first error.
///
/// What it remembers is some 40 bytes per document, to find an id that is used twice.
pub struct TextStream {
    path: PathBuf,
    documents: Documents,
    /// The row of every id, by its hash.
    rows: HashMap<[u64; 2], u64>,
    over: bool,
}

impl TextStream {
    /// Checks the ids of documents that come from elsewhere; `path` is only named in messages.
    pub fn new(path: &Path, documents: impl Iterator<Item = Result<Document>> + 'static) -> Self {
        Self { path: path.to_owned(), documents: Box::new(documents), rows: HashMap::new(), over: false }
    }

    fn check(&mut self, document: Document) -> Result<Document> {
        let Document { id, row, .. } = &document;
        if id.is_empty() {
            return Err(DataError::row(&self.path, *row, "the id is empty", "give every document an id"));
        }
        match self.rows.insert(hash(id), *row as u64) {
            None => Ok(document),
            Some(first) => Err(DataError::row(
                &self.path,
                *row,
                format!("id \"{id}\" is already used in row {first}"),
                "give every document its own id",
            )),
        }
    }
}

impl Iterator for TextStream {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.documents.next().map(|document| document.and_then(|document| self.check(document)));
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// 128 bits, so that no two ids in the world have the same.
fn hash(id: &str) -> [u64; 2] {
    [0u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        hasher.finish()
    })
}

/// Opens documents to score as [`read_texts`](crate::read_texts) reads them, one after the other.
///
/// # Errors
/// Those of the file as a whole; what is wrong with a row comes in its place.
pub fn stream_texts(path: &Path, columns: &Columns) -> Result<TextStream> {
    let mut documents = open(path, columns)?.peekable();
    // A file without documents is refused before anything is done with it.
    if let Some(Err(_)) = documents.peek()
        && let Some(Err(error)) = documents.next()
    {
        return Err(error);
    }
    Ok(TextStream::new(path, documents))
}

/// How many documents a file holds, without checking them.
///
/// # Errors
/// As [`stream_texts`], and rows that are no documents.
pub fn count_texts(path: &Path, columns: &Columns) -> Result<u64> {
    open(path, columns)?.try_fold(0, |n, document| document.map(|_| n + 1))
}

/// Documents whose ids are not checked.
pub(crate) fn open(path: &Path, columns: &Columns) -> Result<Documents> {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("csv") => csv_documents(path, columns),
        Some("jsonl") => json_documents(path),
        _ => Err(DataError::file(path, "neither .csv nor .jsonl", "give a .csv or a .jsonl file")),
    }
}

/// A file without its byte order mark.
fn reader(path: &Path) -> Result<BufReader<File>> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        action: "read",
        remedy: "check that it exists and may be read",
        source,
    };
    let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let start = input.fill_buf().map_err(io)?;
    let mark = start.len() - without_bom(start).len();
    input.consume(mark);
    Ok(input)
}

fn csv_documents(path: &Path, columns: &Columns) -> Result<Documents> {
    let mut rows = Rows::new(path, reader(path)?)?;
    let id = rows.require_column(&columns.id, "id", MAP_COLUMNS)?;
    let text = rows.require_column(&columns.text, "text", MAP_COLUMNS)?;
    let fold = rows.column(&columns.fold);
    let document = move |mut record: Record| Document {
        id: record.fields[id].trim().to_owned(),
        fold: fold_of(&record, fold),
        row: record.row,
        text: std::mem::take(&mut record.fields[text]),
        label: None,
    };
    let next = move || rows.next().map(|record| record.map(document));
    Ok(Box::new(not_empty(next, no_rows(path))))
}

fn json_documents(path: &Path) -> Result<Documents> {
    let mut input = reader(path)?;
    let file = path.to_owned();
    let (mut line, mut bytes) = (0, Vec::new());
    let next = move || {
        loop {
            bytes.clear();
            line += 1;
            match input.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => return Some(json_document(&file, line, &bytes)),
                Err(source) => {
                    let (path, remedy) = (file.clone(), "check that it exists and may be read");
                    return Some(Err(DataError::Io { path, action: "read", remedy, source }));
                }
            }
        }
    };
    Ok(Box::new(not_empty(next, DataError::file(path, "empty", "write one document per line"))))
}

/// What `next` gives, or the error where that is nothing.
fn not_empty(
    mut next: impl FnMut() -> Option<Result<Document>>,
    error: DataError,
) -> impl Iterator<Item = Result<Document>> {
    let mut error = Some(error);
    std::iter::from_fn(move || {
        let document = next().or_else(|| error.take().map(Err));
        error = None;
        document
    })
}

#[derive(Deserialize)]
struct JsonDocument {
    id: JsonId,
    text: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "the id is neither text nor a whole number")]
enum JsonId {
    Text(String),
    Number(i64),
}

fn json_document(path: &Path, row: usize, bytes: &[u8]) -> Result<Document> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| DataError::row(path, row, "not UTF-8", "save the file as UTF-8"))?;
    let parsed: JsonDocument = serde_json::from_str(text).map_err(|source| DataError::Json {
        path: path.to_owned(),
        line: row,
        expected: "a document",
        remedy: "write {\"id\": \"…\", \"text\": \"…\"} on each line",
        source,
    })?;
    let id = match parsed.id {
        JsonId::Text(id) => id.trim().to_owned(),
        JsonId::Number(id) => id.to_string(),
    };
    Ok(Document { id, text: parsed.text, fold: None, label: None, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_texts;
    use crate::testing::Scratch;

    #[test]
    fn a_stream_gives_what_a_reader_gives() {
        let scratch = Scratch::new();
        let long = "x".repeat(40_000);
        for (name, text) in [
            ("a.csv", format!("\u{feff}text_id,full_text,fold\n\n1,\"a\n\nb\",A\n,,\n2,{long},\n3,\"\",B\n")),
            ("b.csv", format!("text_id,full_text\r\n1,{long}\r\n\r\n2,\"c\r\nd\"\r\n")),
            ("c.jsonl", "\u{feff}{\"id\": 1, \"text\": \"a\"}\n\n{\"id\": \"2\", \"text\": \"\"}".to_owned()),
        ] {
            let path = scratch.file(name, text.as_bytes());
            let columns = Columns::default();
            let whole = read_texts(&path, &columns).unwrap().documents;
            let stream: Vec<_> = stream_texts(&path, &columns).unwrap().map(Result::unwrap).collect();
            assert_eq!(stream, whole, "{name}");
            assert_eq!(count_texts(&path, &columns).unwrap(), whole.len() as u64);
        }
    }

    #[test]
    fn the_first_error_ends_a_stream() {
        let scratch = Scratch::new();
        let path = scratch.file("a.csv", b"text_id,full_text\n1,a\n2,b\n1,c\n3,d\n");
        let results: Vec<_> = stream_texts(&path, &Columns::default()).unwrap().collect();
        assert_eq!(results.len(), 3);
        let message = results[2].as_ref().unwrap_err().to_string();
        assert!(message.contains("row 4: id \"1\" is already used in row 2"), "{message}");
    }

    #[test]
    fn a_file_without_documents_is_refused_at_once() {
        let scratch = Scratch::new();
        for (name, text, problem) in [
            ("a.csv", "", "empty"),
            ("b.csv", "text_id,full_text\n", "a header but no rows"),
            ("c.jsonl", "\n \n", "empty"),
            ("d.txt", "x", "neither .csv nor .jsonl"),
        ] {
            let path = scratch.file(name, text.as_bytes());
            let error = stream_texts(&path, &Columns::default()).err().expect(name).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
