//! What the cells of a workbook do not say: formulas whose results the file lacks, and cells that are merged.
//!
//! Read as cells, the first are empty or 0, and so are all of a merged region but one: a text or a grade would be missing
//! without a word.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use zip::ZipArchive;

use crate::error::{DataError, Result};
use crate::files::open;

/// A place where what is read is not what is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Columns of the sheet that have it, from 0.
    pub columns: RangeInclusive<u32>,
    /// What is wrong, with its place.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

const RESULTS: &str =
    "open the workbook in a spreadsheet and save it, which stores results, or save it as .csv";
const UNMERGE: &str = "unmerge them and write into each what it holds";

/// Flaws of all sheets, of formulas the first in each column.
///
/// Where the workbook asks to be calculated once it is opened, as libraries that write workbooks have it, a result of 0 is
/// one that they put there for the time being.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn flaws(path: &Path) -> Result<Vec<Flaw>> {
    let damaged = |source: Box<dyn std::error::Error + Send + Sync>| DataError::Workbook {
        path: path.to_owned(),
        source,
    };
    let file: File = open(path).map_err(|source| DataError::unreadable(path, source))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(error.into()))?;
    let calculated = match archive.by_name("xl/workbook.xml") {
        Ok(part) => !asks_to_be_calculated(BufReader::new(part)).map_err(|error| damaged(error.into()))?,
        Err(_) => true,
    };
    let mut flaws = Vec::new();
    for place in 0..archive.len() {
        let part = archive.by_index(place).map_err(|error| damaged(error.into()))?;
        if part.name().contains("worksheets/") && part.name().ends_with(".xml") {
            add_flaws(BufReader::new(part), calculated, &mut flaws).map_err(|error| damaged(error.into()))?;
        }
    }
    Ok(flaws)
}

/// Whether a workbook says that its results are still to be calculated.
fn asks_to_be_calculated(part: impl BufRead) -> std::result::Result<bool, quick_xml::Error> {
    let mut reader = Reader::from_reader(part);
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Eof => return Ok(false),
            Event::Start(start) if start.local_name().as_ref() == b"calcPr" => {
                let asks = attribute(&start, b"fullCalcOnLoad")?;
                return Ok(asks.is_some_and(|asks| asks == "1" || asks == "true"));
            }
            _ => {}
        }
    }
}

/// A cell of which the end was not seen yet.
#[derive(Default)]
struct Open {
    /// Whether its value is text, which may be empty.
    is_text: bool,
    has_formula: bool,
    has_value: bool,
}

/// Adds the flaws of a sheet; a result of 0 is one unless all were `calculated`.
fn add_flaws(
    part: impl BufRead,
    calculated: bool,
    flaws: &mut Vec<Flaw>,
) -> std::result::Result<(), quick_xml::Error> {
    let mut reader = Reader::from_reader(part);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut row, mut column) = (Vec::new(), 0_u32, 0_u32);
    let (mut cell, mut in_value) = (Open::default(), false);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Eof => return Ok(()),
            Event::Start(start) => match start.local_name().as_ref() {
                b"row" => {
                    let stated = attribute(&start, b"r")?.and_then(|row| row.parse().ok());
                    row = stated.unwrap_or(row.saturating_add(1));
                    column = 0;
                }
                b"c" => {
                    let place = attribute(&start, b"r")?;
                    column = place.and_then(|place| cell_place(&place)).map_or(column, |(column, _)| column);
                    let is_text = attribute(&start, b"t")?.is_some_and(|kind| kind == "str");
                    cell = Open { is_text, ..Open::default() };
                }
                b"f" => cell.has_formula = true,
                b"v" => {
                    in_value = true;
                    cell.has_value |= cell.is_text;
                }
                b"mergeCell" => flaws.extend(attribute(&start, b"ref")?.and_then(|cells| merged(&cells))),
                _ => {}
            },
            Event::Text(text) if in_value => {
                let is_result = calculated || &text[..] != b"0";
                cell.has_value |= !text.is_empty() && is_result;
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"v" => in_value = false,
                b"c" => {
                    let known = |flaw: &Flaw| flaw.remedy == RESULTS && flaw.columns.contains(&column);
                    if cell.has_formula && !cell.has_value && !flaws.iter().any(known) {
                        let what = format!("cell {}{row} has a formula without its result", letters(column));
                        flaws.push(Flaw { columns: column..=column, what, remedy: RESULTS });
                    }
                    column = column.saturating_add(1);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// What is wrong with merged cells; nothing where a region is a single cell.
fn merged(cells: &str) -> Option<Flaw> {
    let (first, last) = cells.split_once(':')?;
    let ((left, top), (right, bottom)) = (cell_place(first)?, cell_place(last)?);
    let is_one = (left, top) == (right, bottom);
    let what = format!("cells {cells} are merged, and only the first holds something");
    (!is_one).then_some(Flaw { columns: left..=right, what, remedy: UNMERGE })
}

/// A column as a spreadsheet calls it: A to Z, then AA.
pub(super) fn letters(column: u32) -> String {
    let last = char::from(b'A' + (column % 26) as u8);
    match column / 26 {
        0 => last.into(),
        rest => format!("{}{last}", letters(rest - 1)),
    }
}

/// The column, from 0, and the row of a cell such as `AB12`.
fn cell_place(name: &str) -> Option<(u32, u32)> {
    let name = name.replace('$', "");
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = name.split_at(digits);
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        let letter = letter.to_ascii_uppercase().checked_sub(b'A').filter(|letter| *letter < 26)?;
        column.checked_mul(26)?.checked_add(u32::from(letter) + 1)
    })?;
    Some((column.checked_sub(1)?, row.parse().ok()?))
}

fn attribute(start: &BytesStart<'_>, name: &[u8]) -> std::result::Result<Option<String>, quick_xml::Error> {
    let found = start.try_get_attribute(name)?;
    Ok(found.map(|attribute| String::from_utf8_lossy(&attribute.value).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sheet: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        add_flaws(sheet.as_bytes(), true, &mut flaws).unwrap();
        flaws
    }

    #[test]
    fn a_result_of_nothing_counts_where_it_was_calculated() {
        let sheet = r#"<row r="1"><c r="A1"><f>SUM(B1:C1)</f><v>0</v></c><c r="B1"><v>0</v></c><c r="C1"><f>A1</f><v>2</v></c></row>"#;
        assert_eq!(of(sheet), []);
        let mut flaws = Vec::new();
        add_flaws(sheet.as_bytes(), false, &mut flaws).unwrap();
        assert_eq!(flaws.len(), 1);
        assert_eq!(flaws[0].what, "cell A1 has a formula without its result");
        for (book, asks) in [
            ("<workbook><calcPr calcId=\"124519\" fullCalcOnLoad=\"1\"/></workbook>", true),
            ("<workbook><calcPr calcId=\"191029\"/></workbook>", false),
            ("<workbook/>", false),
        ] {
            assert_eq!(asks_to_be_calculated(book.as_bytes()).unwrap(), asks, "{book}");
        }
    }

    #[test]
    fn a_formula_needs_its_result() {
        let with = r#"<row r="3"><c r="B3"><f>A3+1</f><v>2</v></c><c r="C3" t="str"><f>""</f><v></v></c><c r="D3"/></row>"#;
        assert_eq!(of(with), []);
        for cell in [
            r#"<c r="AB3"><f>A3</f><v/></c>"#,
            r#"<c r="AB3" t="str"><f>A3</f></c>"#,
            "<c r='AB3'><f si='0' t='shared'/></c>",
        ] {
            let flaws =
                of(&format!("<sheetData><row r=\"3\">{cell}<c r=\"AB4\"><f>x</f></c></row></sheetData>"));
            assert_eq!(flaws.len(), 1, "{flaws:?}");
            assert_eq!(
                (&flaws[0].columns, flaws[0].what.as_str()),
                (&(27..=27), "cell AB3 has a formula without its result")
            );
        }
        // Numbers at the end of their range are rows as others are.
        assert_eq!(of(&format!("<row r=\"{}\"/><row><c><f>x</f></c></row>", u32::MAX)).len(), 1);
        // Places may be left to the order.
        let flaws = of("<row><c><v>1</v></c><c><f>x</f></c></row>");
        assert_eq!(flaws[0].what, "cell B1 has a formula without its result");
    }

    #[test]
    fn merged_cells_are_all_of_their_columns() {
        let flaws = of(r#"<mergeCells><mergeCell ref="B2:C4"/><mergeCell ref="D9:D9"/></mergeCells>"#);
        assert_eq!(flaws.len(), 1);
        assert_eq!((&flaws[0].columns, flaws[0].remedy), (&(1..=2), UNMERGE));
        assert!(flaws[0].what.starts_with("cells B2:C4 are merged"));
    }

    #[test]
    fn places_that_are_none_are_none() {
        assert_eq!(
            [cell_place("A1"), cell_place("$Z$10"), cell_place("AA7")],
            [Some((0, 1)), Some((25, 10)), Some((26, 7))]
        );
        for name in ["", "A", "12", "A-1", "ÄB1", "ZZZZZZZZZZZZZ1", "A99999999999"] {
            assert_eq!(cell_place(name), None, "{name}");
        }
    }
}
