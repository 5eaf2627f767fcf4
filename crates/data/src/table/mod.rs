//! A table as rows of text, checked for shape: the common ground of everything that is read from CSV files, workbooks,
//! Parquet files and JSON.
//!
//! - [`TableOptions`]: how a file is written, where it does not say so itself
//! - `input`: a file as UTF-8 text; `decode`: other encodings
//! - `delimited`: fields between delimiters; `workbook`: cells of a sheet, and `sheet_flaws` what they do not say;
//!   `parquet_rows`: columns of a Parquet file; `json_rows`: keys of objects

mod decode;
mod delimited;
mod input;
mod json_rows;
mod options;
#[cfg(not(target_family = "wasm"))]
mod parquet_pages;
#[cfg(not(target_family = "wasm"))]
mod parquet_rows;
#[cfg(not(target_family = "wasm"))]
mod sheet_flaws;
#[cfg(not(target_family = "wasm"))]
mod workbook;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};

pub(crate) use delimited::LONGEST_ROW;
pub(crate) use input::{Input, Kind};
pub use options::{Encoding, Mark, TableOptions};

/// A table in memory. Every record has as many fields as the header.
#[derive(Debug)]
pub struct Table {
    /// Where it was read.
    pub path: PathBuf,
    /// Column names as the file has them.
    pub header: Vec<String>,
    /// The rows below it.
    pub records: Vec<Record>,
    /// Whether its columns are keys of objects, which have [names of their own](json_rows::key).
    of_objects: bool,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// As a spreadsheet counts rows: the header is 1, the first record 2; a blank line is a row too. In a Parquet file,
    /// which has no row for a header, the first record is 1. In JSON it is the line.
    pub row: usize,
    /// The fields as the file has them, untrimmed.
    pub fields: Vec<String>,
}

impl Table {
    /// Reads a delimited file or a workbook with a header, a Parquet file, or objects in JSON, whose lists and objects
    /// become fields in JSON. Rows that hold nothing but blanks are dropped, those of Parquet and JSON aside.
    ///
    /// # Errors
    /// An unreadable file; no header or no records; two columns of one name; a row with more or fewer fields than
    /// the header, with a quote left open or inside a field, or in another encoding.
    pub fn read(path: &Path, options: &TableOptions) -> Result<Self> {
        Self::gather(Rows::open(path, options)?)
    }

    /// As [`read`](Self::read), from the text of a delimited file; `path` is only named in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read), reading aside.
    pub fn parse(path: &Path, text: &str, options: &TableOptions) -> Result<Self> {
        let lines = delimited::Lines::new(path, Input::of_text(text), options)?;
        Self::gather(Rows::new(path, lines)?)
    }

    fn gather(mut rows: Rows) -> Result<Self> {
        let of_objects = match rows.records.read_header()? {
            None => false,
            Some(names) => {
                rows.header = checked_header(&rows.path, Record { row: 1, fields: names })?;
                true
            }
        };
        let all: Vec<usize> = (0..rows.header.len()).collect();
        rows.keep(&[], &all)?;
        let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
        if records.is_empty() {
            return Err(rows.nothing());
        }
        Ok(Self { path: rows.path, header: rows.header, records, of_objects })
    }

    /// The place of the column called `name`, blanks around names aside.
    pub fn column(&self, name: &str) -> Option<usize> {
        column(&self.header, self.named(name))
    }

    /// What a column is called here.
    fn named<'a>(&self, name: &'a str) -> &'a str {
        match self.of_objects {
            true => json_rows::key(name, |key| column(&self.header, key).is_some()),
            false => name,
        }
    }

    /// As [`column`](Self::column).
    ///
    /// # Errors
    /// A missing column; lists those there are. `role` says what the column is for, `remedy` how to name another.
    pub fn require_column(&self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let names = if self.of_objects { json_rows::either(name) } else { format!("\"{name}\"") };
            missing_column(&self.path, &self.header, &names, role, remedy)
        })
    }
}

/// The records of a table, one after the other, checked as those of a [`Table`]; only one is in memory.
pub(crate) struct Rows {
    /// Where they are read.
    pub path: PathBuf,
    /// Column names as the file has them.
    pub header: Vec<String>,
    records: Box<dyn Source>,
}

/// A column that is looked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    name: &'a str,
    meant: Meant,
    /// What it is for, and how to name another where it is missing; `None` where it may be.
    needed: Option<(&'a str, &'a str)>,
}

/// What the values of a column are meant as, where a file tells text from other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    /// Text, in every record.
    Text,
    /// Text or a whole number, in every record.
    Id,
    /// Text, a number, or true and false.
    Value,
    /// Whatever is there.
    Anything,
}

/// Where records come from. Parquet, which keeps columns apart, and JSON, where each record names its own, say more than
/// records.
trait Source: Iterator<Item = Result<Record>> {
    /// Of a file without a header: looks for a column in each record, and gives its place.
    fn ask(&mut self, _column: Asked<'_>) -> Option<usize> {
        None
    }

    /// Of a file without a header: reads all of it for the names that occur, each of which becomes a column.
    fn read_header(&mut self) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Leaves fields of other columns than these empty; those of `needed` may not be null.
    fn keep(&mut self, _needed: &[usize], _others: &[usize]) -> Result<()> {
        Ok(())
    }

    /// Whether a column is meant as text; of files without types, any is.
    fn is_text(&self, _column: usize) -> bool {
        true
    }

    /// How many records there are, where that is known without reading them.
    fn len(&self) -> Option<u64> {
        None
    }

    /// Passes over at most `rows` records without reading them, and says over how many.
    fn pass(&mut self, _rows: u64) -> u64 {
        0
    }

    /// What a file without records gets to hear.
    fn nothing(&self, path: &Path) -> DataError {
        DataError::file(path, "a header but no rows", "add one row per document")
    }
}

/// Records that lie one after the other.
struct InOrder<I>(I);

impl<I: Iterator<Item = Result<Record>>> Iterator for InOrder<I> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl<I: Iterator<Item = Result<Record>>> Source for InOrder<I> {}

impl Rows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// A file that is no table, without a header, or with two columns of one name.
    pub fn open(path: &Path, options: &TableOptions) -> Result<Self> {
        match Kind::of(path)? {
            Kind::Workbook => workbook_rows(path),
            Kind::Parquet => parquet_rows(path),
            Kind::Delimited | Kind::Unknown => Self::new(path, delimited::Lines::open(path, options)?),
            Kind::Json => {
                let records = Box::new(json_rows::JsonRows::open(path, options.encoding)?);
                Ok(Self { path: path.to_owned(), header: Vec::new(), records })
            }
        }
    }

    fn new(path: &Path, lines: impl Iterator<Item = Result<Record>> + 'static) -> Result<Self> {
        let blank = |record: &Record| record.fields.iter().all(|field| field.trim().is_empty());
        let mut records = lines.filter(move |record| !record.as_ref().is_ok_and(blank));
        let header = match records.next() {
            Some(header) => checked_header(path, header?)?,
            None => {
                let remedy = "give a CSV file with a header and one row per document";
                return Err(DataError::file(path, "empty", remedy));
            }
        };
        Ok(Self { path: path.to_owned(), header, records: Box::new(InOrder(records)) })
    }

    /// Says which columns are read, before the first record: fields of others may be empty. Those of `needed` are in
    /// every record.
    ///
    /// # Errors
    /// Columns of Parquet that hold neither text nor numbers.
    pub fn keep(&mut self, needed: &[usize], others: &[usize]) -> Result<()> {
        self.records.keep(needed, others)
    }

    /// As [`require_column`](Self::require_column), of a column that is meant as text.
    ///
    /// # Errors
    /// A missing column, and one whose type says that it is something else.
    pub fn require_text(&mut self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        let column = self.find(Asked { name, meant: Meant::Text, needed: Some((role, remedy)) })?;
        match self.records.is_text(column) {
            true => Ok(column),
            false => {
                Err(DataError::file(&self.path, format!("column \"{name}\" ({role}) is no text"), remedy))
            }
        }
    }

    /// How many records there are, where that is known without reading them.
    pub fn len(&self) -> Option<u64> {
        self.records.len()
    }

    /// Passes over at most `rows` records without reading them, and says over how many.
    pub fn pass(&mut self, rows: u64) -> u64 {
        self.records.pass(rows)
    }

    /// As [`require_column`](Self::require_column), of a column that identifies its records.
    ///
    /// # Errors
    /// A missing column.
    pub fn require_id(&mut self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        self.find(Asked { name, meant: Meant::Id, needed: Some((role, remedy)) })
    }

    /// As [`Table::column`]; of JSON, where each record may have it or not, a column that is empty where it is absent.
    pub fn column(&mut self, name: &str) -> Option<usize> {
        let asked = Asked { name, meant: Meant::Value, needed: None };
        self.ask(asked).or_else(|| column(&self.header, name))
    }

    /// As [`Table::require_column`]; of JSON, where a column that no record has is an error after the last.
    ///
    /// # Errors
    /// A missing column.
    pub fn require_column(&mut self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        self.find(Asked { name, meant: Meant::Value, needed: Some((role, remedy)) })
    }

    /// What a file without records gets to hear.
    pub fn nothing(&self) -> DataError {
        self.records.nothing(&self.path)
    }

    fn find(&mut self, asked: Asked<'_>) -> Result<usize> {
        let (role, remedy) = asked.needed.unwrap_or_default();
        let found = self.ask(asked).or_else(|| column(&self.header, asked.name));
        found.ok_or_else(|| {
            missing_column(&self.path, &self.header, &format!("\"{}\"", asked.name), role, remedy)
        })
    }

    /// Looks for a column in each record, where there is no header that could name it.
    fn ask(&mut self, asked: Asked<'_>) -> Option<usize> {
        let place = self.records.ask(asked)?;
        if place == self.header.len() {
            self.header.push(asked.name.to_owned());
        }
        Some(place)
    }

    fn check(&self, record: Record) -> Result<Record> {
        if record.fields.len() == self.header.len() {
            let mut columns = record.fields.iter().zip(&self.header);
            if !columns.all(|(field, name)| plain(field).eq_ignore_ascii_case(plain(name))) {
                return Ok(record);
            }
            let what = "the header once more, as where files were put one after the other";
            return Err(DataError::row(&self.path, record.row, what, "remove this row"));
        }
        Err(DataError::row(
            &self.path,
            record.row,
            format!("{} fields where the header has {}", record.fields.len(), self.header.len()),
            "put fields that hold commas or line breaks in quotes, and close every quote",
        ))
    }
}

impl Iterator for Rows {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        let record = self.records.next()?;
        Some(record.and_then(|record| self.check(record)))
    }
}

#[cfg(not(target_family = "wasm"))]
fn workbook_rows(path: &Path) -> Result<Rows> {
    let mut sheet = workbook::sheet(path)?;
    let rows = Rows::new(path, std::mem::take(&mut sheet.rows).into_iter().map(Ok))?;
    Ok(Rows { records: Box::new(sheet.check(path, rows.records)), ..rows })
}

#[cfg(not(target_family = "wasm"))]
fn parquet_rows(path: &Path) -> Result<Rows> {
    let records = parquet_rows::ParquetRows::open(path)?;
    let header = checked_header(path, Record { row: 0, fields: records.header() })?;
    Ok(Rows { path: path.to_owned(), header, records: Box::new(records) })
}

/// A page has no files.
#[cfg(target_family = "wasm")]
fn parquet_rows(path: &Path) -> Result<Rows> {
    Err(DataError::file(path, "Parquet", "save it as .csv"))
}

/// A page has no files.
#[cfg(target_family = "wasm")]
fn workbook_rows(path: &Path) -> Result<Rows> {
    Err(DataError::file(path, "a workbook", "save it as .csv"))
}

fn column(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|column| column.trim() == name.trim())
}

/// `names` stand in quotes.
fn missing_column(path: &Path, header: &[String], names: &str, role: &str, remedy: &str) -> DataError {
    let found = header.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", ");
    let hint = match header {
        [only] if only.contains(|c: char| c.is_ascii_punctuation() || c == ' ') => {
            "; if that is several, name what separates them with --delimiter"
        }
        _ => "",
    };
    DataError::file(path, format!("no column {names} ({role}); its columns are {found}{hint}"), remedy)
}

/// A field without blanks and byte order marks around it.
fn plain(field: &str) -> &str {
    field.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// A name with what nobody sees in it written out.
fn visible(name: &str) -> String {
    let is_hidden = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let shown = |c: char| if is_hidden(c) { c.escape_unicode().collect() } else { c.to_string() };
    name.chars().map(shown).collect::<String>()
}

fn checked_header(path: &Path, header: Record) -> Result<Vec<String>> {
    let mut names = HashSet::new();
    for column in &header.fields {
        let name = column.trim();
        // Spreadsheets leave unnamed empty columns at the end; nobody can ask for those.
        if !name.is_empty() && !names.insert(name) {
            let what = format!("two columns are called \"{name}\"");
            return Err(DataError::row(path, header.row, what, "rename one of them"));
        }
    }
    Ok(header.fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn parse(bytes: impl AsRef<[u8]>) -> Result<Table> {
        let scratch = Scratch::new();
        Table::read(&scratch.file("essays.csv", bytes), &TableOptions::default())
    }

    fn message(bytes: impl AsRef<[u8]>) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    fn fields(table: &Table) -> Vec<Vec<&str>> {
        table.records.iter().map(|record| record.fields.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn byte_order_mark_is_not_part_of_the_first_name() {
        assert_eq!(parse("\u{feff}id,text\n1,x\n").unwrap().header, ["id", "text"]);
    }

    #[test]
    fn blank_lines_and_rows_of_delimiters_are_dropped() {
        let table = parse(" \n,\nid,text\n1,x\n\n  \n,,,\n\n").unwrap();
        assert_eq!((table.records[0].row, fields(&table)), (4, vec![vec!["1", "x"]]));
    }

    #[test]
    fn ragged_rows_name_the_row_and_the_counts() {
        let error = message("id,text\n1,x\n2,y,z\n");
        assert!(error.contains("essays.csv: row 3: 3 fields where the header has 2"), "{error}");
        assert!(message("id,text\n1\n").contains("row 2: 1 fields"));
    }

    #[test]
    fn file_without_records_is_an_error() {
        assert!(message("").contains("empty"));
        assert!(message("\u{feff}\n\n").contains("empty"));
        assert!(message("id,text\n").contains("no rows"));
        assert!(message("id,text\n\n,\n").contains("no rows"));
    }

    #[test]
    fn column_names_are_unique() {
        assert!(message("id,text, id\n1,x,2\n").contains("two columns are called \"id\""));
        assert!(parse("id,text,,\n1,x,,\n").is_ok());
    }

    #[test]
    fn missing_column_lists_those_found() {
        let table = parse("id:text\n1:x\n").unwrap();
        let error = table.require_column("id", "id", "rename it").unwrap_err().to_string();
        assert!(error.contains("id:text") && error.contains("--delimiter"), "{error}");
    }
}
