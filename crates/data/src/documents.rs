//! Readers of documents.
//!
//! Ids, folds and labels are stripped of blanks around them; texts stay as they are. A blank text is accepted,
//! since a page left empty is an answer too, and recorded in [`DocumentSet::empty`].

use std::path::{Path, PathBuf};

use crate::columns::Columns;
use crate::document::{Document, DocumentSet, Layout, UniqueIds};
use crate::error::{DataError, Result};
use crate::scale::ScoreScale;
use crate::table::{Kind, Record, Rows};

/// What to do about a missing column.
const MAP_COLUMNS: &str = "name the right one: in a configuration with data.columns, else with --id-col, --text-col, \
                           --trait or --anchors";

/// What to do about a missing column of prompts.
const NAME_PROMPT: &str =
    "name the right one: in a configuration with data.columns.prompt, else with --prompt-col";

/// What a field says, whatever its case, where there is no label.
pub const NO_LABEL: [&str; 11] = ["", "NA", "N/A", "#N/A", "<NA>", "NaN", "null", "None", "\\N", "-", "."];

/// Reads a table, or JSON as [`read_texts`] does, for training: every document has a fold, and a label where its field does
/// not say [otherwise](NO_LABEL). In JSON a key that is absent or null is an empty field.
///
/// `target` is the trait; its labels are in `columns.label` or, without one, in the column of that name.
///
/// # Errors
/// A file that is no proper table, a missing column (lists those found), an empty or repeated id, a missing fold, and
/// a label that is no number or not on `scale`; each with its row.
pub fn read_labelled(
    path: impl AsRef<Path>,
    layout: &Layout,
    target: &str,
    scale: &ScoreScale,
) -> Result<DocumentSet> {
    let mut rows = Rows::open(path.as_ref(), &layout.table)?;
    rows.require_column(&layout.columns.fold, "fold", MAP_COLUMNS)?;
    let set = scored_documents(rows, &layout.columns, target, scale)?;
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

/// Reads a table for evaluation: as [`read_labelled`], but folds may be missing.
///
/// # Errors
/// As [`read_labelled`], folds aside.
pub fn read_scored(
    path: impl AsRef<Path>,
    layout: &Layout,
    target: &str,
    scale: &ScoreScale,
) -> Result<DocumentSet> {
    scored_documents(Rows::open(path.as_ref(), &layout.table)?, &layout.columns, target, scale)
}

fn scored_documents(
    mut rows: Rows,
    columns: &Columns,
    target: &str,
    scale: &ScoreScale,
) -> Result<DocumentSet> {
    scale.validate()?;
    let parts = Parts::find(&mut rows, columns)?;
    let label_name = columns.label.as_deref().unwrap_or(target);
    let label = rows.require_column(label_name, "label", MAP_COLUMNS)?;
    let label_se = columns.label_se.as_deref();
    let label_se = label_se.map(|name| rows.require_column(name, "standard error of the label", MAP_COLUMNS));
    let label_se = label_se.transpose()?;
    let second = columns.second_rating.as_deref();
    let second = second
        .map(|name| Ok::<_, DataError>((rows.require_column(name, "second rating", MAP_COLUMNS)?, name)));
    let second = second.transpose()?;
    if second.is_some_and(|(column, _)| column == label) {
        let what = format!("the second rating is in the column {label_name:?}, which has the labels");
        return Err(DataError::file(&rows.path, what, "name the column of another person's ratings"));
    }
    let more = label_se.into_iter().chain(second.map(|(column, _)| column)).chain([label]);
    parts.keep(&mut rows, more)?;
    let path = rows.path.clone();
    let mut documents = Vec::new();
    for record in rows.by_ref() {
        let mut record = record?;
        let mut document = parts.take(&mut record);
        let id = &document.id;
        let rating = |column: usize, kind: &str, name: &str| {
            parse_label(&record.fields[column], scale).map_err(|problem| {
                let what = format!("{kind} {problem} (document \"{id}\", column \"{name}\", scale {scale})");
                DataError::row(
                    &path,
                    record.row,
                    what,
                    format!(
                        "correct the {kind}, or give the scale that it is on: `scale` of a configuration, or \
                         --scale-min, --scale-max and --scale-step"
                    ),
                )
            })
        };
        document.label = rating(label, "label", label_name)?;
        document.second_rating =
            second.map(|(column, name)| rating(column, "second rating", name)).transpose()?.flatten();
        if let (Some(_), Some(column)) = (document.label, label_se) {
            document.label_se = Some(standard_error(&path, &record, id, column)?);
        }
        documents.push(document);
    }
    if documents.is_empty() {
        return Err(rows.nothing());
    }
    DocumentSet::new(path, documents)
}

/// Reads a number on the scale or that there is none, or says what else `field` holds.
fn parse_label(field: &str, scale: &ScoreScale) -> std::result::Result<Option<f64>, String> {
    let field = field.trim();
    if is_missing(field) {
        return Ok(None);
    }
    match number(field) {
        Some(number) => scale.label(number).map(Some).ok_or_else(|| format!("{field} is not on the scale")),
        None if field.contains(',') && field.replace(',', ".").parse::<f64>().is_ok() => {
            let (point, none) = (field.replace(',', "."), field.replace(',', ""));
            Err(format!("\"{field}\" may be {point} or {none} (write the one that is meant)"))
        }
        None => Err(format!("\"{field}\" is not a number")),
    }
}

/// The finite number that a field is, blanks aside. A comma stands for the decimal point, as spreadsheets of half the world
/// write it, unless three digits follow and it may divide thousands.
pub(crate) fn number(field: &str) -> Option<f64> {
    let field = field.trim();
    let with_point = match field.split_once(',') {
        Some((whole, part)) => {
            let is_clear = part.len() != 3 || whole.trim_start_matches(['-', '+']) == "0";
            let are_digits = part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty();
            (is_clear && are_digits && !whole.contains('.')).then(|| format!("{whole}.{part}"))?
        }
        None => field.to_owned(),
    };
    with_point.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a field says that there is no value, blanks aside.
pub(crate) fn is_missing(field: &str) -> bool {
    NO_LABEL.iter().any(|missing| missing.eq_ignore_ascii_case(field.trim()))
}

/// The standard error of a label: an error of 0 would count for all others together, and a missing one for nothing.
fn standard_error(path: &Path, record: &Record, id: &str, column: usize) -> Result<f64> {
    let field = record.fields[column].trim();
    match number(field) {
        Some(number) if number > 0.0 => Ok(number),
        _ => {
            let what = format!("the standard error of the label is \"{field}\" (document \"{id}\")");
            Err(DataError::row(path, record.row, what, "give a number above 0, or leave the label out"))
        }
    }
}

/// The columns of what is known of a document without its label.
#[derive(Clone, Copy)]
struct Parts {
    id: usize,
    text: usize,
    prompt: Option<usize>,
    fold: Option<usize>,
}

impl Parts {
    fn find(rows: &mut Rows, columns: &Columns) -> Result<Self> {
        let id = rows.require_id(&columns.id, "id", MAP_COLUMNS)?;
        let text = rows.require_text(&columns.text, "text", MAP_COLUMNS)?;
        let name = columns.prompt.as_deref();
        let prompt = name.map(|name| rows.require_text(name, "prompt", NAME_PROMPT)).transpose()?;
        if let Some(name) = name.filter(|_| prompt == Some(text)) {
            let what = format!("the prompts are in the column {name:?}, which has the texts");
            return Err(DataError::file(&rows.path, what, "name the column of what the texts answer"));
        }
        Ok(Self { id, text, prompt, fold: rows.column(&columns.fold) })
    }

    /// Lets the rows have these columns and some more.
    fn keep(&self, rows: &mut Rows, more: impl IntoIterator<Item = usize>) -> Result<()> {
        let others: Vec<usize> = self.fold.into_iter().chain(self.prompt).chain(more).collect();
        rows.keep(&[self.id, self.text], &others)
    }

    /// The document of a row, without a label; its text is not in the row any more.
    fn take(&self, record: &mut Record) -> Document {
        let fold = self.fold.map(|column| record.fields[column].trim());
        let fold = fold.filter(|fold| !is_missing(fold)).map(str::to_owned);
        let id = record.fields[self.id].trim().to_owned();
        let mut taken = |column: usize| std::mem::take(&mut record.fields[column]);
        let (prompt, text) = (self.prompt.map(&mut taken).unwrap_or_default(), taken(self.text));
        Document { id, text, prompt, fold, row: record.row, ..Document::default() }
    }
}

/// Reads documents to score: a `.csv`, `.tsv`, `.xlsx` or `.parquet` table with the id and text columns, or JSON with an
/// object per line (`.jsonl`) or in one list. CSV and JSON may be compressed (`.gz`).
///
/// A fold is read where the file has it; other columns and keys are ignored. The keys of JSON objects are called like
/// the columns; where these have their default names and the first object lacks them, `id` and `text` are read. Ids of
/// JSON may be whole numbers.
///
/// # Errors
/// Another file name ending, a file that is no proper table or JSON, a missing column (lists those found), no
/// documents, an empty or repeated id; with its row or line.
pub fn read_texts(path: impl AsRef<Path>, layout: &Layout) -> Result<DocumentSet> {
    let path = path.as_ref();
    DocumentSet::new(path, open(path, layout, 0)?.0.collect::<Result<Vec<_>>>()?)
}

/// Opens documents to score as [`read_texts`] reads them, one after the other, from those after the first `skip` on.
///
/// # Errors
/// Those of the file as a whole, and what is wrong with a row that is passed over; row groups of Parquet that are passed
/// over as a whole are not read. What is wrong with a later row comes in its place.
pub fn stream_texts(path: &Path, layout: &Layout, skip: u64) -> Result<TextStream> {
    // Ids of rows that are passed over are checked as those of all.
    let (documents, left) = open(path, layout, skip)?;
    let mut stream = TextStream::new(path, documents);
    // Not by `skip` of the iterator, which would take an error for a row.
    for _ in 0..left {
        match stream.next() {
            Some(document) => document?,
            None => break,
        };
    }
    Ok(stream)
}

/// How many documents a file holds, without checking their ids.
///
/// # Errors
/// As [`stream_texts`], and rows that are no documents; of Parquet, only its footer is read.
pub fn count_texts(path: &Path, layout: &Layout) -> Result<u64> {
    if Kind::of(path)? == Kind::Parquet
        && let Some(n) = Rows::open(path, &layout.table)?.len()
    {
        return Ok(n);
    }
    open(path, layout, 0)?.0.try_fold(0, |n, document| document.map(|_| n + 1))
}

/// Documents in the order of their file.
type Documents = Box<dyn Iterator<Item = Result<Document>>>;

/// Documents in the order of their file, each with an id of its own and of no absurd length; an iterator that is over
/// after its first error.
pub struct TextStream {
    path: PathBuf,
    documents: Documents,
    ids: UniqueIds,
    over: bool,
}

impl TextStream {
    /// Checks documents that come from elsewhere; `path` is only named in messages.
    pub fn new(path: &Path, documents: impl Iterator<Item = Result<Document>> + 'static) -> Self {
        let documents = Box::new(documents);
        Self { path: path.to_owned(), documents, ids: UniqueIds::default(), over: false }
    }

    fn check(&mut self, document: Document) -> Result<Document> {
        self.ids.add(&self.path, document.row, &document.id)?;
        document.check_size(&self.path)?;
        Ok(document)
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

/// Documents whose ids are not checked, and how many of the first `skip` are still among them. A file has at least one,
/// or this is an error.
fn open(path: &Path, layout: &Layout, skip: u64) -> Result<(Documents, u64)> {
    if Kind::of(path)? == Kind::Unknown {
        let remedy = "give a file of one of these kinds";
        return Err(DataError::file(path, "neither .csv, .tsv, .xlsx, .parquet nor .jsonl", remedy));
    }
    let mut rows = Rows::open(path, &layout.table)?;
    let parts = Parts::find(&mut rows, &layout.columns)?;
    parts.keep(&mut rows, [])?;
    let passed = rows.pass(skip);
    let if_empty = rows.nothing();
    let document = move |record: Result<Record>| record.map(|mut record| parts.take(&mut record));
    let mut documents = rows.map(document).peekable();
    // A file without documents, or with a wrong first one, is refused before anything is done with it.
    match documents.next_if(Result::is_err) {
        Some(Err(error)) => Err(error),
        _ if passed == 0 && documents.peek().is_none() => Err(if_empty),
        _ => Ok((Box::new(documents), skip - passed)),
    }
}

#[cfg(test)]
mod tests;
