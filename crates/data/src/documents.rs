//! Documents read from CSV or JSONL files.
//!
//! Ids, folds and labels are stripped of blanks around them; texts stay as they are. A blank text is accepted,
//! since a page left empty is an answer too, and recorded in [`DocumentSet::empty`].

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
use crate::scale::ScoreScale;
use crate::stream;
use crate::table::{Record, Table, UniqueIds};

/// What to do about a missing column.
pub(crate) const MAP_COLUMNS: &str =
    "name the right one with data.columns in the config, or with --id-col, --text-col or --trait";

/// The names of the columns that hold what we need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Identifies a document; unique, not empty.
    pub id: String,
    /// The text to score.
    pub text: String,
    /// The name of the disjoint group that a document belongs to.
    pub fold: String,
    /// The gold value; `None` means the column named like the trait.
    pub label: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { id: "text_id".into(), text: "full_text".into(), fold: "fold".into(), label: None }
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Unique within its set, not empty.
    pub id: String,
    /// The text as the file has it; may be blank.
    pub text: String,
    /// The fold, where the file gives one; not empty.
    pub fold: Option<String>,
    /// The gold value in score units, where the file gives one; on the scale.
    pub label: Option<f64>,
    /// Where it was read: the row as a spreadsheet shows it (the header is 1), the line of a JSONL file.
    pub row: usize,
}

/// The documents of one file, in file order; at least one.
#[derive(Debug, Clone)]
pub struct DocumentSet {
    /// In file order.
    pub documents: Vec<Document>,
    /// The file they came from, for messages.
    pub path: PathBuf,
    /// The rows whose text is blank.
    pub empty: Vec<usize>,
    places: HashMap<String, usize>,
}

impl DocumentSet {
    /// Gathers documents; `path` is only named in messages.
    ///
    /// # Errors
    /// An empty id, or one used twice; names the rows.
    pub fn new(path: impl Into<PathBuf>, documents: Vec<Document>) -> Result<Self> {
        let path = path.into();
        let mut unique = UniqueIds::default();
        for document in &documents {
            unique.add(&path, document.row, &document.id)?;
        }
        let blank = |document: &&Document| document.text.trim().is_empty();
        let empty = documents.iter().filter(blank).map(|document| document.row).collect();
        let places =
            documents.iter().enumerate().map(|(place, document)| (document.id.clone(), place)).collect();
        Ok(Self { documents, path, empty, places })
    }

    /// The place of the document called `id`.
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The document called `id`.
    pub fn get(&self, id: &str) -> Option<&Document> {
        self.index_of(id).map(|place| &self.documents[place])
    }

    /// The ids, in file order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.id.as_str())
    }

    /// The documents, in file order.
    pub fn iter(&self) -> std::slice::Iter<'_, Document> {
        self.documents.iter()
    }

    /// The number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are no documents; never after reading a file.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The folds that occur, sorted.
    pub fn folds(&self) -> BTreeSet<&str> {
        self.documents.iter().filter_map(|document| document.fold.as_deref()).collect()
    }

    /// The places of the documents in one of `folds`, ascending.
    ///
    /// # Errors
    /// A fold that does not occur; lists those that do.
    pub fn in_folds(&self, folds: &[String]) -> Result<Vec<usize>> {
        let known = self.folds();
        if let Some(fold) = folds.iter().find(|fold| !known.contains(fold.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let what = match known.as_str() {
                "" => format!("no fold \"{fold}\"; it has no folds at all"),
                known => format!("no fold \"{fold}\"; its folds are {known}"),
            };
            return Err(DataError::file(&self.path, what, "name folds that occur"));
        }
        let chosen = |place: &usize| {
            let fold = self.documents[*place].fold.as_ref();
            fold.is_some_and(|fold| folds.contains(fold))
        };
        Ok((0..self.len()).filter(chosen).collect())
    }
}

impl<'a> IntoIterator for &'a DocumentSet {
    type Item = &'a Document;
    type IntoIter = std::slice::Iter<'a, Document>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads a CSV file for training: every document has a fold and a label.
///
/// `target` is the trait; its labels are in `columns.label` or, without one, in the column of that name.
///
/// # Errors
/// A file that is no proper CSV, a missing column (lists those found), an empty or repeated id, a missing fold, and
/// a label that is empty, not a number or not on `scale`; each with its row.
pub fn read_labelled(
    path: impl AsRef<Path>,
    columns: &Columns,
    target: &str,
    scale: &ScoreScale,
) -> Result<DocumentSet> {
    let table = Table::read(path.as_ref())?;
    let fold = table.require_column(&columns.fold, "fold", MAP_COLUMNS)?;
    let set = read_scored_table(&table, columns, target, scale, Some(fold))?;
    match set.iter().find(|document| document.fold.is_none()) {
        None => Ok(set),
        Some(document) => Err(DataError::row(
            &set.path,
            document.row,
            format!("document \"{}\" has no fold", document.id),
            "give every document a fold, for instance with the folds command",
        )),
    }
}

/// Reads a CSV file for evaluation: as [`read_labelled`], but folds may be missing.
///
/// # Errors
/// As [`read_labelled`], folds aside.
pub fn read_scored(
    path: impl AsRef<Path>,
    columns: &Columns,
    target: &str,
    scale: &ScoreScale,
) -> Result<DocumentSet> {
    let table = Table::read(path.as_ref())?;
    read_scored_table(&table, columns, target, scale, table.column(&columns.fold))
}

fn read_scored_table(
    table: &Table,
    columns: &Columns,
    target: &str,
    scale: &ScoreScale,
    fold: Option<usize>,
) -> Result<DocumentSet> {
    scale.validate()?;
    let id = table.require_column(&columns.id, "id", MAP_COLUMNS)?;
    let text = table.require_column(&columns.text, "text", MAP_COLUMNS)?;
    let label_name = columns.label.as_deref().unwrap_or(target);
    let label = table.require_column(label_name, "label", MAP_COLUMNS)?;
    let mut documents = Vec::with_capacity(table.records.len());
    for record in &table.records {
        let id = record.fields[id].trim().to_owned();
        let label = parse_label(&record.fields[label], scale).map_err(|problem| {
            let what = format!("label {problem} (document \"{id}\", column \"{label_name}\", scale {scale})");
            DataError::row(&table.path, record.row, what, "correct the label, or the scale in the config")
        })?;
        documents.push(Document {
            id,
            text: record.fields[text].clone(),
            fold: fold_of(record, fold),
            label: Some(label),
            row: record.row,
        });
    }
    DocumentSet::new(&table.path, documents)
}

/// Reads a number on the scale, or says what else `field` holds.
fn parse_label(field: &str, scale: &ScoreScale) -> std::result::Result<f64, String> {
    let field = field.trim();
    if field.is_empty() {
        return Err("is empty".into());
    }
    match field.parse::<f64>() {
        Ok(label) if scale.contains(label) => Ok(label),
        Ok(label) if label.is_finite() => Err(format!("{field} is not on the scale")),
        _ => Err(format!("\"{field}\" is not a number")),
    }
}

/// Reads documents to score: `.csv` with the id and text columns, or `.jsonl` with `{"id", "text"}` per line.
///
/// A fold is read where the CSV file has that column; other columns and keys are ignored. A JSONL id may be a string
/// or a whole number.
///
/// # Errors
/// Another file name ending, a file that is no proper CSV or JSONL, a missing column (lists those found), no
/// documents, an empty or repeated id; with its row or line.
pub fn read_texts(path: impl AsRef<Path>, columns: &Columns) -> Result<DocumentSet> {
    let path = path.as_ref();
    let documents = stream::open(path, columns)?.collect::<Result<Vec<_>>>()?;
    DocumentSet::new(path, documents)
}

pub(crate) fn fold_of(record: &Record, column: Option<usize>) -> Option<String> {
    let fold = column.map(|column| record.fields[column].trim());
    fold.filter(|fold| !fold.is_empty()).map(str::to_owned)
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
