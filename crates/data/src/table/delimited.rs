//! Fields between delimiters, as [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) describes them, and strictly so.
//!
//! The `csv` crate, which writes our tables, takes a meaning from every input: of `"a" b` it makes `a b`, and where
//! another program escaped its quotes by a backslash it changes texts or joins rows without a word. Here a quote that
//! closes a field is followed by a delimiter or the end of the line, or the row is named. A test compares both readers.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::decode::is_malformed;
use super::input::Input;
use super::{Mark, Record, TableOptions};
use crate::ending::inner_name;
use crate::error::{DataError, Result};

const QUOTE: u8 = b'"';

/// Bytes that a row may have, and so a text. Where a row has more, a quote was left open at the beginning of a large file.
pub(crate) const LONGEST_ROW: usize = 64 << 20;

/// What Excel writes above the header to name the delimiter.
const DECLARATION: &[u8] = b"sep=";

/// The rows of a file, the header and blank rows among them.
pub(super) struct Lines {
    path: PathBuf,
    text: Box<dyn BufRead>,
    /// Bytes of the text that were taken from it together: asking it for each one takes longer than reading it.
    chunk: Vec<u8>,
    /// How many bytes of the chunk were used.
    used: usize,
    delimiter: u8,
    escape: Option<u8>,
    /// The row being read, as a spreadsheet counts; 0 before the first.
    row: usize,
    /// Whether the last row ended in `\r`, so that a `\n` after it begins no row.
    after_return: bool,
    /// Names of columns, for messages; empty before the first row with any text.
    header: Vec<String>,
    over: bool,
}

/// The place in a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before its first byte.
    Start,
    /// In a field without quotes, where a quote is a character like others.
    Bare,
    Quoted,
    /// After a quote that closes the field or is the first of two.
    Quote,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`Input::open`]; options that contradict each other.
    pub fn open(path: &Path, options: &TableOptions) -> Result<Self> {
        Self::new(path, Input::open(path, options.encoding)?, options)
    }

    /// Splits a text; `path` is only named in messages, and its ending may name a delimiter.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn new(path: &Path, Input { head, text }: Input, options: &TableOptions) -> Result<Self> {
        if options.escape.is_some() && options.escape == options.delimiter {
            return Err(DataError::setting("delimiter and escape are the same", "give two different ones"));
        }
        let delimiter = options.delimiter.unwrap_or_else(|| match inner_name(path).0.ends_with(".tsv") {
            true => Mark::TAB,
            false => delimiter_of(&head),
        });
        let mut lines = Self {
            path: path.to_owned(),
            text,
            chunk: Vec::new(),
            used: 0,
            delimiter: delimiter.byte(),
            escape: options.escape.map(Mark::byte),
            row: 0,
            after_return: false,
            header: Vec::new(),
            over: false,
        };
        if declared(&head).is_some() {
            lines.read()?;
            lines.header.clear();
        }
        Ok(lines)
    }

    /// The next row; `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Record>> {
        let Some(fields) = self.fields()? else { return Ok(None) };
        let mut decoded = Vec::with_capacity(fields.len());
        for (place, field) in fields.into_iter().enumerate() {
            decoded.push(String::from_utf8(field).map_err(|_| self.not_utf8(place))?);
        }
        if self.header.is_empty() && decoded.iter().any(|field| !field.trim().is_empty()) {
            self.header = decoded.clone();
        }
        Ok(Some(Record { row: self.row, fields: decoded }))
    }

    /// The bytes of the fields of the next row.
    fn fields(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let (mut fields, mut field) = (Vec::new(), Vec::new());
        let mut place = Place::Start;
        let mut length = 0;
        while let Some(byte) = self.byte()? {
            if length == 0 {
                if std::mem::take(&mut self.after_return) && byte == b'\n' {
                    continue;
                }
                self.row += 1;
            }
            length += 1;
            if length > LONGEST_ROW {
                let what = format!("longer than {} MiB", LONGEST_ROW >> 20);
                return Err(self.error(what, "close every quote, or shorten the text"));
            }
            place = match (place, byte) {
                (Place::Quoted, QUOTE) => Place::Quote,
                (Place::Start, QUOTE) => Place::Quoted,
                (Place::Quote, QUOTE) => {
                    field.push(QUOTE);
                    Place::Quoted
                }
                (Place::Start | Place::Bare | Place::Quoted, _) if Some(byte) == self.escape => {
                    self.escaped(&mut field)?;
                    if place == Place::Quoted { Place::Quoted } else { Place::Bare }
                }
                (Place::Quoted, _) => {
                    field.push(byte);
                    Place::Quoted
                }
                (_, b'\r' | b'\n') => {
                    self.after_return = byte == b'\r';
                    fields.push(field);
                    return Ok(Some(fields));
                }
                (_, byte) if byte == self.delimiter => {
                    fields.push(std::mem::take(&mut field));
                    Place::Start
                }
                (Place::Quote, _) => {
                    return Err(self.error(
                        "a quote inside a field is not followed by a separator",
                        "double the quotes, or use --escape '\\'",
                    ));
                }
                (Place::Start | Place::Bare, _) => {
                    field.push(byte);
                    Place::Bare
                }
            };
        }
        if place == Place::Quoted {
            return Err(self.error("a quote is left open", "close it, and double quotes inside fields"));
        }
        fields.push(field);
        Ok((length > 0).then_some(fields))
    }

    /// What follows an escape: a character of the syntax loses its meaning, and before another one the escape is a
    /// character itself, so that nothing of the text is lost.
    fn escaped(&mut self, field: &mut Vec<u8>) -> Result<()> {
        let escape = self.escape.unwrap_or_default();
        let next = self.byte()?;
        let syntax = |byte| [QUOTE, escape, self.delimiter, b'\r', b'\n'].contains(&byte);
        if !next.is_some_and(syntax) {
            field.push(escape);
        }
        field.extend(next);
        Ok(())
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if self.used == self.chunk.len() {
            self.refill().map_err(|error| match is_malformed(&error) {
                true => self.error(error.to_string(), "save the file as UTF-8, or name its --encoding"),
                false => DataError::unreadable(&self.path, error),
            })?;
        }
        let byte = self.chunk.get(self.used).copied();
        self.used += usize::from(byte.is_some());
        Ok(byte)
    }

    /// Takes the next chunk, which is empty at the end.
    fn refill(&mut self) -> io::Result<()> {
        let bytes = self.text.fill_buf()?;
        self.chunk.clear();
        self.chunk.extend_from_slice(bytes);
        self.used = 0;
        self.text.consume(self.chunk.len());
        Ok(())
    }

    fn not_utf8(&self, place: usize) -> DataError {
        let column = match self.header.get(place) {
            Some(name) => format!("column \"{name}\""),
            None => format!("column {}", place + 1),
        };
        self.error(format!("{column} is not UTF-8"), "save the file as UTF-8, or try --encoding windows-1252")
    }

    fn error(&self, what: impl Into<String>, remedy: &str) -> DataError {
        DataError::row(&self.path, self.row.max(1), what, remedy)
    }
}

impl Iterator for Lines {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        if self.over {
            return None;
        }
        let next = self.read().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The delimiter that Excel's first line names.
fn declared(head: &[u8]) -> Option<Mark> {
    let &[byte, b'\r' | b'\n', ..] = head.strip_prefix(DECLARATION)? else { return None };
    char::from(byte).to_string().parse().ok()
}

/// The one that is declared, else the one that occurs most often in the header outside of quotes; a comma where none
/// does.
fn delimiter_of(head: &[u8]) -> Mark {
    if let Some(mark) = declared(head) {
        return mark;
    }
    let mut counts = [0; Mark::DELIMITERS.len()];
    let (mut quoted, mut blank) = (false, true);
    for &byte in head {
        if byte == QUOTE {
            quoted = !quoted;
        }
        if !quoted && matches!(byte, b'\r' | b'\n') {
            if !blank {
                break;
            }
            counts = [0; Mark::DELIMITERS.len()];
        }
        let place = Mark::DELIMITERS.iter().position(|mark| mark.byte() == byte);
        match place.filter(|_| !quoted) {
            Some(place) => counts[place] += 1,
            None => blank &= byte.is_ascii_whitespace(),
        }
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let first = counts.iter().position(|&count| count == most);
    first.map_or(Mark::COMMA, |place| Mark::DELIMITERS[place])
}

#[cfg(test)]
mod tests;
