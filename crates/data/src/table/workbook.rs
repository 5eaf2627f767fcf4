//! The cells of a workbook, `.xlsx`, as text.

use std::io::BufReader;
use std::path::Path;

use calamine::{Data, ExcelDateTime, Range, Reader, Xlsx};

use super::Record;
use crate::error::{DataError, Result};
use crate::files::open;

/// The rows of the one sheet that holds anything, the header among them.
///
/// # Errors
/// A file that cannot be read, and one with several filled sheets: nothing says which is meant.
pub(super) fn rows(path: &Path) -> Result<Vec<Record>> {
    let file = open(path).map_err(|source| DataError::unreadable(path, source))?;
    let damaged =
        |source: calamine::XlsxError| DataError::Workbook { path: path.to_owned(), source: source.into() };
    let mut book = Xlsx::new(BufReader::new(file)).map_err(damaged)?;
    let mut filled = Vec::new();
    for name in book.sheet_names() {
        let cells = book.worksheet_range(&name).map_err(damaged)?;
        if cells.used_cells().next().is_some() {
            filled.push((name, cells));
        }
    }
    match filled.as_slice() {
        [] => Ok(Vec::new()),
        [(_, cells)] => Ok(records(cells)),
        several => {
            let names: Vec<String> = several.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let what = format!("{} sheets that hold something: {}", several.len(), names.join(", "));
            Err(DataError::file(
                path,
                what,
                "save the one that is meant as .csv, or in a workbook of its own",
            ))
        }
    }
}

fn records(cells: &Range<Data>) -> Vec<Record> {
    let first = cells.start().map_or(0, |(row, _)| row as usize) + 1;
    let record = |(place, cells): (usize, &[Data])| Record {
        row: first + place,
        fields: cells.iter().map(text).collect(),
    };
    cells.rows().enumerate().map(record).collect()
}

/// A cell as the same sheet saved as CSV would have it, but for dates, which are in the order of ISO 8601.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(value) => value.to_string().to_uppercase(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(time) => date(time),
    }
}

fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        return time.as_f64().to_string();
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
    fn several_sheets_and_damaged_files_are_refused() {
        let scratch = Scratch::new();
        let message = |bytes: &[u8]| rows(&scratch.file("essays.xlsx", bytes)).unwrap_err().to_string();
        let error = message(&workbook(&[ROWS, ROWS]));
        assert!(error.contains("2 sheets that hold something: \"S1\", \"S2\""), "{error}");
        assert!(message(b"id,text\n").contains("cannot read the workbook"));
    }
}
