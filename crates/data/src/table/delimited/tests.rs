//! Tests of [`super`], apart because the oddities of real files are many.

use rand::RngCore;

use super::*;
use crate::rng;
use crate::testing::Scratch;

fn read_with(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Result<Vec<Record>> {
    let scratch = Scratch::new();
    Lines::open(&scratch.file("essays.csv", bytes), options)?.collect()
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Vec<Record>> {
    read_with(bytes, &TableOptions::default())
}

fn rows(records: &[Record]) -> Vec<(usize, Vec<&str>)> {
    records.iter().map(|record| (record.row, record.fields.iter().map(String::as_str).collect())).collect()
}

fn message(bytes: impl AsRef<[u8]>) -> String {
    read(bytes).unwrap_err().to_string()
}

fn escaped() -> TableOptions {
    TableOptions { escape: Some("\\".parse().unwrap()), ..TableOptions::default() }
}

#[test]
fn quoted_fields_keep_delimiters_quotes_and_line_breaks() {
    let records = read("id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2,d").unwrap();
    let expected = [(1, vec!["id", "text"]), (2, vec!["1", "a, \"b\"\r\nc"]), (3, vec!["2", "d"])];
    assert_eq!(rows(&records), expected);
}

#[test]
fn every_line_is_a_row_whatever_ends_it() {
    for end in ["\n", "\r\n", "\r"] {
        let records = read("id,text\n1,x\n\n\n2,y\n3,\"\n\"\n4,z\n".replace('\n', end)).unwrap();
        let filled: Vec<usize> =
            records.iter().filter(|record| record.fields.len() == 2).map(|record| record.row).collect();
        assert_eq!(filled, [1, 2, 5, 6, 7], "{end:?}");
    }
}

#[test]
fn a_quote_inside_a_field_is_refused_with_its_row() {
    let expected = "row 3: a quote inside a field is not followed by a separator; double the quotes, or use --escape '\\'";
    for line in ["2,\"He said \\\"so\\\".\"", "2,\"quoted\" tail", "2,\"x\" ,", "2,\"x\"y,z"] {
        let error = message(format!("id,text\n1,x\n{line}\n"));
        assert!(error.ends_with(expected), "{line}: {error}");
    }
    assert_eq!(rows(&read("id,text\n1,5\" tall \"\n").unwrap())[1].1, ["1", "5\" tall \""]);
}

#[test]
fn an_open_quote_is_found_even_in_the_last_column() {
    let error = message("id,text\n1,x\n2,\"never closed\n3,y\n");
    assert!(error.contains("row 3: a quote is left open"), "{error}");
}

#[test]
fn an_escape_takes_a_meaning_away_and_nothing_else() {
    let text = "id,text\n1,\"He said \\\"so\\\".\"\n2,\"a \"\"b\"\" \\\\ C:\\new\"\n3,x\\,y\\\nz\n4,end\\";
    let records = read_with(text, &escaped()).unwrap();
    let texts: Vec<&str> = rows(&records).iter().map(|(_, fields)| fields[1]).collect();
    assert_eq!(texts, ["text", "He said \"so\".", "a \"b\" \\ C:\\new", "x,y\nz", "end\\"]);
    let same = TableOptions { delimiter: escaped().escape, ..escaped() };
    assert!(read_with("a", &same).unwrap_err().to_string().contains("the same"));
}

#[test]
fn delimiters_are_found_in_the_header() {
    for (delimiter, header) in [
        (",", "id,text"),
        (",", "text"),
        (",", "a,b;c"),
        (";", "id;\"text, as read\";notes"),
        (";", "\n \nid;text"),
        ("tab", "id\ttext"),
        ("tab", "\tid\ttext"),
        ("|", "id|text"),
        (";", "sep=;\na,b,c"),
    ] {
        assert_eq!(delimiter_of(header.as_bytes()).to_string(), delimiter, "{header:?}");
    }
}

#[test]
fn a_declared_delimiter_is_no_header() {
    let records = read("\u{feff}sep=;\r\nid;text\r\n1;x\r\n").unwrap();
    assert_eq!(rows(&records), [(2, vec!["id", "text"]), (3, vec!["1", "x"])]);
}

#[test]
fn options_override_what_the_header_shows() {
    let pipe = TableOptions { delimiter: Some("|".parse().unwrap()), ..TableOptions::default() };
    assert_eq!(rows(&read_with("a,b|c,d\n", &pipe).unwrap()), [(1, vec!["a,b", "c,d"])]);
    let scratch = Scratch::new();
    let path = scratch.file("essays.tsv", "id,a,b\ttext\n");
    let records: Vec<Record> =
        Lines::open(&path, &TableOptions::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows(&records), [(1, vec!["id,a,b", "text"])]);
}

#[test]
fn other_encodings_are_named_with_row_and_remedy() {
    let bytes = b"id,text\n1,x\n2,don\x92t\n";
    let error = message(bytes);
    let expected =
        "row 3: column \"text\" is not UTF-8; save the file as UTF-8, or try --encoding windows-1252";
    assert!(error.ends_with(expected), "{error}");
    let options = TableOptions { encoding: Some("windows-1252".parse().unwrap()), ..TableOptions::default() };
    assert_eq!(rows(&read_with(bytes, &options).unwrap())[2].1, ["2", "don\u{2019}t"]);
    let mut utf16: Vec<u8> = "\u{feff}id,text\n1,x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rows(&read(&utf16).unwrap()), [(1, vec!["id", "text"]), (2, vec!["1", "x"])]);
    utf16.extend([0x31, 0x00, 0x00, 0xd8, 0x31, 0x00]);
    let error = message(utf16);
    assert!(error.contains("row 3: not UTF-16"), "{error}");
}

#[test]
fn rows_that_never_end_are_refused() {
    let mut text = b"id,text\n1,\"".to_vec();
    text.resize(LONGEST_ROW + 100, b'x');
    assert!(message(text).contains("row 2: longer than 64 MiB; close every quote"));
}

/// Text of few different characters, most of which mean something to a table.
fn random_text(rng: &mut impl RngCore) -> String {
    const PIECES: [&str; 12] = ["\"", ",", ";", "\t", "|", "\n", "\r", "\\", " ", "a", "\u{e9}", "\u{1f642}"];
    (0..rng::below(rng, 9)).map(|_| PIECES[rng::below(rng, PIECES.len())]).collect()
}

#[test]
fn what_another_program_writes_reads_as_it_was() {
    let mut rng = rng::stream(1, &["tables"]);
    for round in 0..400 {
        let delimiter = Mark::DELIMITERS[rng::below(&mut rng, 4)];
        let width = 2 + rng::below(&mut rng, 3);
        let table: Vec<Vec<String>> =
            (0..5).map(|_| (0..width).map(|_| random_text(&mut rng)).collect()).collect();
        let terminator = match rng::below(&mut rng, 2) {
            0 => csv::Terminator::CRLF,
            _ => csv::Terminator::Any(b'\n'),
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter.byte())
            .terminator(terminator)
            .from_writer(Vec::new());
        table.iter().for_each(|row| writer.write_record(row).unwrap());
        let options = TableOptions { delimiter: Some(delimiter), ..TableOptions::default() };
        let read = read_with(writer.into_inner().unwrap(), &options).unwrap();
        assert!(read.iter().map(|record| &record.fields).eq(&table), "round {round}: {table:?} {read:?}");
    }
}

#[test]
fn what_is_read_reads_the_same_by_the_csv_crate() {
    let mut rng = rng::stream(2, &["tables"]);
    let mut read_by_both = 0;
    for _ in 0..4000 {
        let text = random_text(&mut rng) + &random_text(&mut rng);
        let options = TableOptions { delimiter: Some(Mark::COMMA), ..TableOptions::default() };
        let Ok(ours) = read_with(&text, &options) else { continue };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let theirs: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        // It skips empty lines.
        let ours: Vec<Vec<String>> =
            ours.into_iter().map(|record| record.fields).filter(|fields| *fields != [""]).collect();
        let theirs: Vec<Vec<String>> = theirs.into_iter().filter(|fields| *fields != [""]).collect();
        assert_eq!(ours, theirs, "{text:?}");
        read_by_both += 1;
    }
    assert!(read_by_both > 2000, "{read_by_both}");
}
