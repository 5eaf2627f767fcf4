//! A CSV file as rows of text, checked for shape: the common ground of documents and folds.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};
use crate::files;

/// A CSV file in memory. Every record has as many fields as the header.
#[derive(Debug)]
pub struct Table {
    /// Where it was read.
    pub path: PathBuf,
    /// Column names as the file has them.
    pub header: Vec<String>,
    /// The rows below it.
    pub records: Vec<Record>,
}

/// One record below the header.
#[derive(Debug)]
pub struct Record {
    /// As a spreadsheet counts rows: the header is 1, the first record 2; a blank line is a row too.
    pub row: usize,
    /// The fields as the file has them, untrimmed.
    pub fields: Vec<String>,
}

impl Table {
    /// Reads a comma-separated UTF-8 file with a header. Rows that hold nothing but blanks are dropped.
    ///
    /// # Errors
    /// An unreadable file; no header or no records; two columns of one name; a row with more or fewer fields than
    /// the header, with a quote left open, or not in UTF-8.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_bytes(path)?;
        Self::parse(path, files::without_bom(&bytes))
    }

    fn parse(path: &Path, input: impl Read) -> Result<Self> {
        let mut rows = Rows::new(path, input)?;
        let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
        if records.is_empty() {
            return Err(no_rows(path));
        }
        Ok(Self { path: path.to_owned(), header: rows.header, records })
    }

    /// The place of the column called `name`, blanks around names aside.
    pub fn column(&self, name: &str) -> Option<usize> {
        column(&self.header, name)
    }

    /// As [`column`](Self::column).
    ///
    /// # Errors
    /// A missing column; lists those there are. `role` says what the column is for, `remedy` how to name another.
    pub fn require_column(&self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        require_column(&self.path, &self.header, name, role, remedy)
    }
}

/// The records of a CSV file, one after the other, checked as those of a [`Table`]; only one is in memory.
pub(crate) struct Rows<R> {
    path: PathBuf,
    /// Column names as the file has them.
    pub header: Vec<String>,
    reader: csv::Reader<Recorder<R>>,
    record: csv::ByteRecord,
    /// Of the record read last.
    row: usize,
}

impl<R: Read> Rows<R> {
    /// Reads the header; `path` is only named in messages.
    ///
    /// # Errors
    /// No header, or two columns of one name.
    pub fn new(path: &Path, input: R) -> Result<Self> {
        let recorder = Recorder { input, bytes: Vec::new(), start: 0, record: 0 };
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(recorder);
        let (path, record) = (path.to_owned(), csv::ByteRecord::new());
        let mut rows = Self { path, header: Vec::new(), reader, record, row: 0 };
        match rows.read()? {
            Some(header) => rows.header = checked_header(&rows.path, rows.row, header)?,
            None => {
                return Err(DataError::file(
                    &rows.path,
                    "empty",
                    "give a CSV file with a header and one row per document",
                ));
            }
        }
        Ok(rows)
    }

    /// As [`Table::column`].
    pub fn column(&self, name: &str) -> Option<usize> {
        column(&self.header, name)
    }

    /// As [`Table::require_column`].
    ///
    /// # Errors
    /// A missing column.
    pub fn require_column(&self, name: &str, role: &str, remedy: &str) -> Result<usize> {
        require_column(&self.path, &self.header, name, role, remedy)
    }

    /// The fields of the next record; `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Vec<String>>> {
        let read = self.reader.read_byte_record(&mut self.record);
        let more = read.map_err(|error| {
            DataError::row(&self.path, self.row + 1, error.to_string(), "correct that row")
        })?;
        if !more {
            if self.row > 0 && ends_inside_quotes(self.reader.get_ref().of_record()) {
                return Err(DataError::row(
                    &self.path,
                    self.row,
                    "a quote is left open",
                    "close it, and double quotes inside fields",
                ));
            }
            return Ok(None);
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        let recorder = self.reader.get_mut();
        recorder.begin_record(start);
        self.row += 1 + blank_lines(recorder.before_record(), recorder.of_record());
        let header = (!self.header.is_empty()).then_some(self.header.as_slice());
        decode(&self.path, self.row, &self.record, header).map(Some)
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        loop {
            let fields = match self.read() {
                Ok(fields) => fields?,
                Err(error) => return Some(Err(error)),
            };
            if fields.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            if fields.len() == self.header.len() {
                return Some(Ok(Record { row: self.row, fields }));
            }
            return Some(Err(DataError::row(
                &self.path,
                self.row,
                format!("{} fields where the header has {}", fields.len(), self.header.len()),
                "put fields that hold commas or line breaks in quotes, and close every quote",
            )));
        }
    }
}

/// Remembers what was read since the start of a record, which the parser does not give back: its line breaks count
/// rows, and its last quote may be open.
struct Recorder<R> {
    input: R,
    bytes: Vec<u8>,
    /// Place of `bytes` in the file.
    start: u64,
    /// Place of the record in `bytes`: 1, or 0 for the first of the file.
    record: usize,
}

impl<R> Recorder<R> {
    /// Forgets all that lies before the byte before a record.
    fn begin_record(&mut self, start: u64) {
        let place = ((start - self.start) as usize).min(self.bytes.len());
        self.record = place.min(1);
        self.bytes.drain(..place - self.record);
        self.start = start - self.record as u64;
    }

    fn before_record(&self) -> &[u8] {
        &self.bytes[..self.record]
    }

    fn of_record(&self) -> &[u8] {
        &self.bytes[self.record..]
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.bytes.extend_from_slice(&buffer[..n]);
        Ok(n)
    }
}

/// What a file without records gets to hear.
pub(crate) fn no_rows(path: &Path) -> DataError {
    DataError::file(path, "a header but no rows", "add one row per document")
}

fn column(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|column| column.trim() == name.trim())
}

fn require_column(path: &Path, header: &[String], name: &str, role: &str, remedy: &str) -> Result<usize> {
    column(header, name).ok_or_else(|| {
        let found = header.join(", ");
        let hint = match header {
            [only] if only.contains([';', '\t']) => "; the file must be separated by commas",
            _ => "",
        };
        DataError::file(path, format!("no column \"{name}\" ({role}); its columns are {found}{hint}"), remedy)
    })
}

/// Finds duplicates while rows are read: refuses empty ids and those seen before.
#[derive(Debug, Default)]
pub(crate) struct UniqueIds(HashMap<String, usize>);

impl UniqueIds {
    /// # Errors
    /// An empty id, or one that an earlier row has; names both rows.
    pub fn add(&mut self, path: &Path, row: usize, id: &str) -> Result<()> {
        if id.is_empty() {
            return Err(DataError::row(path, row, "the id is empty", "give every document an id"));
        }
        match self.0.insert(id.to_owned(), row) {
            None => Ok(()),
            Some(first) => Err(DataError::row(
                path,
                row,
                format!("id \"{id}\" is already used in row {first}"),
                "give every document its own id",
            )),
        }
    }
}

fn decode(
    path: &Path,
    row: usize,
    record: &csv::ByteRecord,
    header: Option<&[String]>,
) -> Result<Vec<String>> {
    let text = |(place, bytes): (usize, &[u8])| {
        String::from_utf8(bytes.to_vec()).map_err(|_| {
            let column = match header.and_then(|header| header.get(place)) {
                Some(name) => format!("column \"{name}\""),
                None => format!("column {}", place + 1),
            };
            DataError::row(path, row, format!("{column} is not UTF-8"), "save the file as UTF-8")
        })
    };
    record.iter().enumerate().map(text).collect()
}

fn checked_header(path: &Path, row: usize, header: Vec<String>) -> Result<Vec<String>> {
    let mut names = HashSet::new();
    for column in &header {
        let name = column.trim();
        // Spreadsheets leave unnamed empty columns at the end; nobody can ask for those.
        if !name.is_empty() && !names.insert(name) {
            return Err(DataError::row(
                path,
                row,
                format!("two columns are called \"{name}\""),
                "rename one of them",
            ));
        }
    }
    Ok(header)
}

/// The blank lines that the reader skips between `before` and the record that it finds in `after`.
fn blank_lines(before: &[u8], after: &[u8]) -> usize {
    // The reader ends a record at `\r`; the `\n` that may follow is no line of its own.
    let after = if before.ends_with(b"\r") { after.strip_prefix(b"\n").unwrap_or(after) } else { after };
    let skipped = after.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let (returns, feeds) = skipped.fold((0, 0), |(returns, feeds), &byte| match byte {
        b'\r' => (returns + 1, feeds),
        _ => (returns, feeds + 1),
    });
    // Each line ends in `\n`, `\r\n` or `\r`, the same throughout a file.
    feeds.max(returns)
}

/// Whether the last record is still open at the end of the file: then a line added to it is no new record.
fn ends_inside_quotes(last_record: &[u8]) -> bool {
    let probe = [last_record, b"\nend"].concat();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(probe.as_slice());
    reader.byte_records().count() < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: impl AsRef<[u8]>) -> Result<Table> {
        Table::parse(Path::new("essays.csv"), files::without_bom(bytes.as_ref()))
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
    fn quoted_fields_keep_commas_quotes_and_line_breaks() {
        let table = parse("id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2,d\r\n").unwrap();
        assert_eq!(fields(&table), [["1", "a, \"b\"\r\nc"], ["2", "d"]]);
        assert_eq!(table.records[1].row, 3);
    }

    #[test]
    fn blank_lines_and_rows_of_commas_are_dropped() {
        let table = parse("id,text\n1,x\n\n  \n,,,\n\n").unwrap();
        assert_eq!(fields(&table), [["1", "x"]]);
    }

    #[test]
    fn blank_lines_count_as_rows() {
        for end in ["\n", "\r\n", "\r"] {
            let table = parse("id,text\n1,x\n\n\n2,y\n3,\"\n\"\n4,z\n".replace('\n', end)).unwrap();
            let rows: Vec<_> = table.records.iter().map(|record| record.row).collect();
            assert_eq!(rows, [2, 5, 6, 7], "{end:?}");
        }
    }

    #[test]
    fn ragged_rows_name_the_row_and_the_counts() {
        let error = message("id,text\n1,x\n2,y,z\n");
        assert!(error.contains("essays.csv: row 3: 3 fields where the header has 2"), "{error}");
        assert!(message("id,text\n1\n").contains("row 2: 1 fields"));
    }

    #[test]
    fn open_quote_is_found_even_in_the_last_column() {
        let error = message("id,text\n1,x\n2,\"never closed\n3,y\n");
        assert!(error.contains("row 3: a quote is left open"), "{error}");
        assert!(parse("id,text\n1,5\" tall\n").is_ok(), "a stray quote inside a field opens nothing");
        assert!(parse("id,text\n1,\"x\"").is_ok(), "the last line needs no line break");
    }

    #[test]
    fn wrong_encoding_names_row_and_column() {
        let error = message(b"id,text\n1,x\n2,caf\xe9\n");
        assert!(error.contains("row 3: column \"text\" is not UTF-8; save the file as UTF-8"), "{error}");
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
        let table = parse("id;text\n1;x\n").unwrap();
        let error = table.require_column("id", "id", "rename it").unwrap_err().to_string();
        assert!(error.contains("id;text") && error.contains("commas"), "{error}");
    }
}
