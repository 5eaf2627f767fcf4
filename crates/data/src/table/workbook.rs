//! The cells of a workbook, `.xlsx`, as text.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use calamine::{Cell, Data, DataRef, ExcelDateTime, Range, Reader, Xlsx, XlsxError};

use super::sheet_flaws::{Flaw, flaws, letters};
use super::{Record, Source};
use crate::error::{DataError, Result};
use crate::files::open;

/// Most fields of a table, which take some gigabytes: a sheet with two cells in opposite corners would have 17 billion.
const MOST_FIELDS: u64 = 50_000_000;

/// The one sheet of a workbook that holds anything.
pub(super) struct Sheet {
    /// The header among them.
    pub rows: Vec<Record>,
    /// Its first column.
    left: u32,
    /// Where its cells are not what is meant.
    flaws: Vec<Flaw>,
    /// The first error value of each column.
    errors: Vec<Flaw>,
}

/// The records of a sheet, whose flaws are errors once it is known which columns are read.
pub(super) struct SheetRecords {
    path: PathBuf,
    records: Box<dyn Source>,
    sheet: Sheet,
}

impl Sheet {
    /// Checks records that were made of the rows, which are taken.
    pub fn check(self, path: &Path, records: Box<dyn Source>) -> SheetRecords {
        SheetRecords { path: path.to_owned(), records, sheet: self }
    }
}

impl Iterator for SheetRecords {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next()
    }
}

impl Source for SheetRecords {
    fn keep(&mut self, needed: &[usize], others: &[usize]) -> Result<()> {
        let Sheet { left, flaws, errors, .. } = &self.sheet;
        let reads = |flaw: &&Flaw, columns: &[usize]| {
            columns.iter().any(|&column| flaw.columns.contains(&(left + column as u32)))
        };
        let flaw = flaws.iter().find(|flaw| reads(flaw, needed) || reads(flaw, others));
        // What is read besides says itself what it makes of an error value, or is passed on as a CSV file would have it.
        match flaw.or_else(|| errors.iter().find(|error| reads(error, needed))) {
            Some(Flaw { what, remedy, .. }) => Err(DataError::file(&self.path, what, *remedy)),
            None => Ok(()),
        }
    }
}

/// Reads the one sheet that holds anything.
///
/// # Errors
/// A file that cannot be read, one with several filled sheets, as nothing says which is meant, and a sheet whose cells
/// lie too far apart to be a table.
pub(super) fn sheet(path: &Path) -> Result<Sheet> {
    let file = open(path).map_err(|source| DataError::unreadable(path, source))?;
    let damaged = |source: XlsxError| DataError::Workbook { path: path.to_owned(), source: source.into() };
    let mut book = Xlsx::new(BufReader::new(file)).map_err(damaged)?;
    let mut filled = Vec::new();
    for name in book.sheet_names() {
        let cells = filled_cells(&mut book, &name).map_err(damaged)?;
        if !cells.is_empty() {
            filled.push((name, cells));
        }
    }
    if filled.len() > 1 {
        let names: Vec<String> = filled.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let what = format!("{} sheets that hold something: {}", filled.len(), names.join(", "));
        return Err(DataError::file(
            path,
            what,
            "save the one that is meant as .csv, or in a workbook of its own",
        ));
    }
    let Some((name, cells)) = filled.pop() else {
        return Ok(Sheet { rows: Vec::new(), left: 0, flaws: Vec::new(), errors: Vec::new() });
    };
    let left = cells.iter().map(|cell| cell.get_position().1).min().unwrap_or(0);
    let errors = errors(&cells);
    Ok(Sheet { rows: records(path, &name, cells)?, left, flaws: flaws(path)?, errors })
}

/// The cells of a sheet that hold something; of a chart, none.
fn filled_cells(
    book: &mut Xlsx<BufReader<File>>,
    name: &str,
) -> std::result::Result<Vec<Cell<Data>>, XlsxError> {
    let mut reader = match book.worksheet_cells_reader(name) {
        Err(XlsxError::NotAWorksheet(_)) => return Ok(Vec::new()),
        reader => reader?,
    };
    let mut cells = Vec::new();
    while let Some(cell) = reader.next_cell()? {
        if *cell.get_value() != DataRef::Empty {
            cells.push(Cell::new(cell.get_position(), Data::from(cell.get_value().clone())));
        }
    }
    Ok(cells)
}

/// The first cell of each column that holds an error in place of a value.
fn errors(cells: &[Cell<Data>]) -> Vec<Flaw> {
    let mut errors: Vec<Flaw> = Vec::new();
    for cell in cells {
        let ((row, column), Data::Error(error)) = (cell.get_position(), cell.get_value()) else { continue };
        if !errors.iter().any(|known| known.columns.contains(&column)) {
            let what = format!("cell {}{} is {error}", letters(column), u64::from(row) + 1);
            errors.push(Flaw { columns: column..=column, what, remedy: "correct its formula" });
        }
    }
    errors
}

/// The rows of a sheet from its first cell to its last; empty ones between are there too.
fn records(path: &Path, name: &str, cells: Vec<Cell<Data>>) -> Result<Vec<Record>> {
    let ends = |of: fn((u32, u32)) -> u32| {
        let places = cells.iter().map(|cell| of(cell.get_position()));
        places.fold((u32::MAX, 0), |(first, last), place| (first.min(place), last.max(place)))
    };
    let ((first, last), (left, right)) = (ends(|(row, _)| row), ends(|(_, column)| column));
    let (height, width) = (u64::from(last - first) + 1, u64::from(right - left) + 1);
    if height.saturating_mul(width) > MOST_FIELDS {
        let what = format!(
            "the cells of sheet \"{name}\" lie in {height} rows and {width} columns, down to {}{}",
            letters(right),
            u64::from(last) + 1
        );
        return Err(DataError::file(path, what, "delete what lies outside of the table, or save it as .csv"));
    }
    let record = |(place, cells): (usize, &[Data])| Record {
        row: first as usize + 1 + place,
        fields: cells.iter().map(text).collect(),
    };
    Ok(Range::from_sparse(cells).rows().enumerate().map(record).collect())
}

/// A cell as the same sheet saved as CSV would have it, but for dates, which are in the order of ISO 8601.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        // Some programs end lines as Windows does, escaped, in the same file where others do not; results of formulas keep
        // the escape.
        Data::String(text) => text.replace("\r\n", "\n").replace("_x000D_\n", "\n"),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(value) => value.to_string().to_uppercase(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(time) => date(time),
    }
}

/// A date, with its time unless that is midnight; a time of day, or a number of hours, minutes and seconds, alone.
fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() || (0.0..1.0).contains(&time.as_f64()) {
        let seconds = (time.as_f64() * 86_400.0).round();
        let sign = if seconds < 0.0 { "-" } else { "" };
        let seconds = seconds.abs() as u64;
        return format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second) {
        (0, 0, 0) => date,
        _ => format!("{date}T{hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::testing::Scratch;

    const NAMESPACE: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";

    /// The smallest workbook that has these sheets, given as XML of their rows.
    fn workbook(sheets: &[&str]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |name: &str, content: String| {
            let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(name, stored).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        };
        let each = |part: fn(usize) -> String| (1..=sheets.len()).map(part).collect::<String>();
        add("[Content_Types].xml", format!("<Types xmlns=\"{PACKAGE}/content-types\"/>"));
        let office = format!(
            "<Relationship Id=\"r1\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/>"
        );
        add(
            "_rels/.rels",
            format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{office}</Relationships>"),
        );
        let names = each(|n| format!("<sheet name=\"S{n}\" sheetId=\"{n}\" r:id=\"r{n}\"/>"));
        add(
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{NAMESPACE}\" xmlns:r=\"{RELATIONS}\"><sheets>{names}</sheets></workbook>"
            ),
        );
        let targets = each(|n| {
            format!(
                "<Relationship Id=\"r{n}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
            )
        });
        add(
            "xl/_rels/workbook.xml.rels",
            format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{targets}</Relationships>"),
        );
        for (place, rows) in sheets.iter().enumerate() {
            add(
                &format!("xl/worksheets/sheet{}.xml", place + 1),
                format!("<worksheet xmlns=\"{NAMESPACE}\"><sheetData>{rows}</sheetData></worksheet>"),
            );
        }
        zip.finish().unwrap().into_inner()
    }

    fn rows(path: &Path) -> Result<Vec<Record>> {
        Ok(sheet(path)?.rows)
    }

    const ROWS: &str = r#"
        <row r="2"><c r="A2" t="inlineStr"><is><t>text_id</t></is></c><c r="B2" t="inlineStr"><is><t>full_text</t></is></c>
        <c r="C2" t="inlineStr"><is><t>grammar</t></is></c></row>
        <row r="4"><c r="A4"><v>7</v></c><c r="B4" t="inlineStr"><is><t xml:space="preserve"> "One", &amp; two.
</t></is></c><c r="C4"><v>3.5</v></c></row>"#;

    #[test]
    fn cells_are_text_and_rows_are_those_of_the_sheet() {
        let scratch = Scratch::new();
        let path = scratch.file("essays.xlsx", workbook(&["", ROWS]));
        let rows = rows(&path).unwrap();
        assert_eq!((rows[0].row, rows[0].fields.join("|").as_str()), (2, "text_id|full_text|grammar"));
        assert_eq!((rows[2].row, rows[2].fields.join("|").as_str()), (4, "7| \"One\", & two.\n|3.5"));
    }

    #[test]
    fn escapes_and_long_numbers_are_what_they_stand_for() {
        let scratch = Scratch::new();
        let sheet = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>One._x000D_
Two _x005F_x000D_.</t></is></c><c r="B1"><v>1.1000000000000001</v></c><c r="C1" t="str"><f>D1</f><v>a_x000D_
b</v></c></row>"#;
        let path = scratch.file("essays.xlsx", workbook(&[sheet]));
        assert_eq!(rows(&path).unwrap()[0].fields, ["One.\nTwo _x000D_.", "1.1", "a\nb"]);
    }

    #[test]
    fn times_have_no_date() {
        let time = |days: f64, kind| date(&ExcelDateTime::new(days, kind, false));
        let clock = calamine::ExcelDateTimeType::DateTime;
        assert_eq!(time(0.378_472_222_222_222_2, clock), "09:05:00");
        assert_eq!(time(0.0, clock), "00:00:00");
        assert_eq!(time(46_054.0, clock), "2026-02-01");
        assert_eq!(time(46_054.75, clock), "2026-02-01T18:00:00");
        let lasting = calamine::ExcelDateTimeType::TimeDelta;
        assert_eq!([time(1.25, lasting), time(-0.5, lasting)], ["30:00:00", "-12:00:00"]);
    }

    #[test]
    fn a_cell_far_from_the_table_is_named() {
        let scratch = Scratch::new();
        let sheet = |cell: &str, row: u32| {
            format!(r#"{ROWS}<row r="{row}"><c r="{cell}" t="inlineStr"><is><t>stray</t></is></c></row>"#)
        };
        let path = scratch.file("essays.xlsx", workbook(&[&sheet("XFD1048576", 1_048_576)]));
        let error = rows(&path).unwrap_err().to_string();
        let expected = "essays.xlsx: the cells of sheet \"S1\" lie in 1048575 rows and 16384 columns, down to XFD1048576; \
                        delete what lies outside of the table, or save it as .csv";
        assert!(error.ends_with(expected), "{error}");
        let path = scratch.file("essays.xlsx", workbook(&[&sheet("AB9", 9)]));
        assert_eq!(rows(&path).unwrap()[7].fields.join(""), "stray");
        assert_eq!(
            [0, 25, 26, 27, 701, 702, 16_383].map(letters),
            ["A", "Z", "AA", "AB", "ZZ", "AAA", "XFD"]
        );
    }

    #[test]
    fn several_sheets_and_damaged_files_are_refused() {
        let scratch = Scratch::new();
        let message = |bytes: &[u8]| rows(&scratch.file("essays.xlsx", bytes)).unwrap_err().to_string();
        let error = message(&workbook(&[ROWS, ROWS]));
        assert!(error.contains("2 sheets that hold something: \"S1\", \"S2\""), "{error}");
        assert!(message(b"id,text\n").contains("cannot read the workbook"));
    }

    /// What reading texts says of a workbook whose second row has this cell of text.
    fn message(cell: &str, after: &str) -> Option<String> {
        let header = ["text_id", "full_text", "note"]
            .map(|name| format!("<c t=\"inlineStr\"><is><t>{name}</t></is></c>"));
        let first = "<c t=\"inlineStr\"><is><t>a</t></is></c>";
        let sheet = format!(
            "<row r=\"1\">{}</row><row r=\"2\">{first}{cell}</row><row r=\"3\">{}{}</row></sheetData>{after}<sheetData>",
            header.concat(),
            first.replace('a', "b"),
            first.replace('a', "Text.")
        );
        let scratch = Scratch::new();
        let path = scratch.file("essays.xlsx", workbook(&[&sheet]));
        crate::read_texts(&path, &crate::Layout::default()).err().map(|error| error.to_string())
    }

    #[test]
    fn cells_that_do_not_hold_what_they_mean_are_refused_where_they_are_read() {
        let text = "<c t=\"inlineStr\"><is><t>Text.</t></is></c>";
        assert_eq!(message(text, ""), None);
        let says = |cell: &str, after: &str, part: &str| {
            let message = message(cell, after).unwrap();
            assert!(message.contains(part), "{message}");
        };
        says(
            "<c><f>A1&amp;A2</f></c>",
            "",
            "essays.xlsx: cell B2 has a formula without its result; open the workbook in a",
        );
        says(
            "<c t=\"e\"><f>NAME()</f><v>#NAME?</v></c>",
            "",
            "essays.xlsx: cell B2 is #NAME?; correct its formula",
        );
        let merged = |cells: &str| format!("<mergeCells><mergeCell ref=\"{cells}\"/></mergeCells>");
        says(
            text,
            &merged("B2:B3"),
            "essays.xlsx: cells B2:B3 are merged, and only the first holds something; unmerge",
        );
        // Another column may be as it is.
        assert_eq!(message(&format!("{text}<c t=\"e\"><v>#DIV/0!</v></c>"), &merged("C2:C3")), None);
        assert_eq!(message(&format!("{text}<c><f>B2</f></c>"), ""), None);
    }
}
