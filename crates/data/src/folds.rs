//! Adds the column `fold` to a CSV file: from a published map, or by a stratified draw.
//!
//! Every other field passes through unchanged; only quoting and line ends between records may differ.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::document::{Layout, UniqueIds};
use crate::documents::{is_missing, number, read_texts};
use crate::ending;
use crate::error::{DataError, Result};
use crate::files;
use crate::json::Fields;
use crate::rng;
use crate::table::{Kind, Mark, Record, Table, TableOptions};

/// The column that is added.
const FOLD: &str = "fold";

/// Reads a JSON object that maps ids to folds: `{"0000C359D63E": "D"}`.
///
/// # Errors
/// An unreadable file, anything but an object of strings, an empty fold name, or an empty object.
pub fn read_fold_map(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    let path = path.as_ref();
    let text = files::read_text(path)?;
    let Fields(folds) = serde_json::from_str::<Fields<String>>(&text).map_err(|error| {
        DataError::json(path, error.line(), "a fold map", "write {\"id\": \"fold\", …}", error)
    })?;
    if folds.is_empty() {
        return Err(DataError::file(path, "an empty fold map", "write {\"id\": \"fold\", …}"));
    }
    let mut map = BTreeMap::new();
    for (id, fold) in folds {
        if let Some(other) = map.insert(id.clone(), fold.clone()).filter(|other| *other != fold) {
            let what = format!("id \"{id}\" is in fold \"{other}\" and in fold \"{fold}\"");
            return Err(DataError::file(path, what, "leave one of them out"));
        }
    }
    match map.iter().find(|(_, fold)| fold.trim().is_empty()) {
        None => Ok(map),
        Some((id, _)) => {
            Err(DataError::file(path, format!("id \"{id}\" has an empty fold"), "name its fold"))
        }
    }
}

/// Writes `input` to `output` with the column `fold` from `map` added, and returns the documents per fold.
///
/// `id_col` names the id column. Ids in the map that the file lacks are ignored.
///
/// # Errors
/// A file that is no proper CSV, a missing id column, an empty or repeated id, a `fold` column already there, and
/// ids that the map lacks (counts them and lists the first five with their rows).
pub fn add_folds(
    input: impl AsRef<Path>,
    options: &TableOptions,
    id_col: &str,
    map: &BTreeMap<String, String>,
    output: impl AsRef<Path>,
) -> Result<BTreeMap<String, usize>> {
    let table = read_without_folds(input.as_ref(), options, id_col)?;
    let ids = unique_ids(&table, id_col)?;
    let missing: Vec<usize> = (0..ids.len()).filter(|&place| !map.contains_key(ids[place])).collect();
    if !missing.is_empty() {
        let record = ending::place(&table.path);
        let describe = |&place: &usize| format!("\"{}\" ({record} {})", ids[place], table.records[place].row);
        let first = missing.iter().take(5).map(describe).collect::<Vec<_>>().join(", ");
        let more = if missing.len() > 5 { ", …" } else { "" };
        let what = format!("{} of {} ids are not in the fold map: {first}{more}", missing.len(), ids.len());
        return Err(DataError::file(&table.path, what, "add them to the map, or remove their rows"));
    }
    let folds: Vec<&str> = ids.iter().map(|&id| map[id].trim()).collect();
    write_with_folds(&table, &folds, output.as_ref())
}

/// Writes `input` to `output` with the column `fold` added, and returns the documents per fold.
///
/// The `k` folds are called A, B, C, … Their sizes differ by at most one, both within each value of the column
/// `stratify` and overall. Documents without a value ([`NO_LABEL`](crate::NO_LABEL)) are divided as those of one value are.
/// The draw depends on the seed, the ids and those values, not on the order of the rows.
///
/// # Errors
/// A file that is no proper CSV, a missing column, an empty or repeated id, a `fold` column already there, a value
/// to stratify by that is not a number (with its row), no value at all, `k` outside 2 to 26 or above the number of documents.
pub fn assign_folds(
    input: impl AsRef<Path>,
    options: &TableOptions,
    id_col: &str,
    stratify: &str,
    k: usize,
    seed: u64,
    output: impl AsRef<Path>,
) -> Result<BTreeMap<String, usize>> {
    const NAMES: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if !(2..=NAMES.len()).contains(&k) {
        return Err(DataError::setting(format!("{k} folds"), "ask for 2 to 26"));
    }
    let table = read_without_folds(input.as_ref(), options, id_col)?;
    let ids = unique_ids(&table, id_col)?;
    if ids.len() < k {
        let what = format!("{} documents cannot fill {k} folds", ids.len());
        return Err(DataError::file(&table.path, what, "ask for fewer folds"));
    }
    let values = stratify_values(&table, stratify)?;

    // Shuffled from id order, then sorted by value (stable): random within a value, whatever the order of rows. Documents
    // without a value come last.
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&place| ids[place]);
    rng::shuffle(&mut rng::stream(seed, &["folds"]), &mut order);
    order.sort_by(|&left, &right| match (values[left], values[right]) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    });

    // Dealing in one go, without a fresh start at each value, keeps the sizes even overall as well.
    let mut folds = vec![""; ids.len()];
    for (turn, &place) in order.iter().enumerate() {
        let name = turn % k;
        folds[place] = &NAMES[name..=name];
    }
    write_with_folds(&table, &folds, output.as_ref())
}

/// Reads a table to which folds are added. Where it has texts, they and the ids are checked as those that are scored: what
/// is written is plain text, in which an error of a cell or a value that is no text could no longer be told.
fn read_without_folds(path: &Path, options: &TableOptions, id_col: &str) -> Result<Table> {
    let table = Table::read(path, options)?;
    if table.column(FOLD).is_some() {
        let remedy = "use it as it is, or remove that column first";
        return Err(DataError::file(path, "already has a column \"fold\"", remedy));
    }
    let mut layout = Layout { table: *options, ..Layout::default() };
    layout.columns.id = id_col.into();
    if table.require_column(&layout.columns.text, "text", "").is_ok() {
        read_texts(path, &layout)?;
    }
    Ok(table)
}

/// The ids in row order, stripped of blanks.
fn unique_ids<'a>(table: &'a Table, id_col: &str) -> Result<Vec<&'a str>> {
    let column = table.require_column(id_col, "id", "name the id column with --id-col")?;
    let ids: Vec<&str> = table.records.iter().map(|record| record.fields[column].trim()).collect();
    let mut unique = UniqueIds::default();
    for (record, id) in table.records.iter().zip(&ids) {
        unique.add(&table.path, record.row, id)?;
    }
    Ok(ids)
}

/// The values to stratify by in row order; `None` where a document has none.
fn stratify_values(table: &Table, stratify: &str) -> Result<Vec<Option<f64>>> {
    let column = table.require_column(stratify, "to stratify by", "name one of them with --stratify")?;
    let value = |record: &Record| {
        let field = record.fields[column].trim();
        if is_missing(field) {
            return Ok(None);
        }
        // Adding zero turns -0 into 0: one value, not two.
        let parsed = number(field).map(|value| value + 0.0);
        parsed.map(Some).ok_or_else(|| {
            let what = format!("\"{field}\" in column \"{stratify}\" is not a number");
            DataError::row(&table.path, record.row, what, "correct it, or stratify by another column")
        })
    };
    let values = table.records.iter().map(value).collect::<Result<Vec<_>>>()?;
    if values.iter().all(Option::is_none) {
        let what = format!("column \"{stratify}\" has no number");
        return Err(DataError::file(&table.path, what, "stratify by another column"));
    }
    Ok(values)
}

/// Writes the table with one more column and returns the documents per fold. Fields are separated by commas; by tabs in
/// a file called `.tsv`.
fn write_with_folds(table: &Table, folds: &[&str], output: &Path) -> Result<BTreeMap<String, usize>> {
    let ending = output.extension().unwrap_or_default().to_ascii_lowercase();
    if ending == "gz" || !matches!(Kind::of(output), Ok(Kind::Delimited | Kind::Unknown)) {
        return Err(DataError::file(output, "not the name of a text file", "write a .csv or a .tsv file"));
    }
    let delimiter = if ending == "tsv" { Mark::TAB } else { Mark::COMMA };
    let mut style = csv::WriterBuilder::new();
    style.delimiter(delimiter.byte());
    let rows = table.records.iter().zip(folds);
    let rows = as_csv(&style, rows.map(|(record, fold)| (&record.fields, *fold)));
    // Readers find the delimiter in the header, and other formats at its beginning: nothing else may be taken for them.
    let misleading = |c: char| c.is_control() || matches!(c, ',' | ';' | '|' | '\u{feff}');
    if table.header.iter().any(|name| name.contains(misleading)) {
        style.quote_style(csv::QuoteStyle::Always);
    }
    let written = as_csv(&style, [(&table.header, FOLD)]).and_then(|header| Ok([header, rows?].concat()));
    let in_memory = |error: csv::Error| DataError::file(output, error.to_string(), "report this as a defect");
    files::write_atomic(output, &written.map_err(in_memory)?)?;

    let mut counts: HashMap<&str, usize> = HashMap::new();
    for fold in folds {
        *counts.entry(fold).or_default() += 1;
    }
    Ok(counts.into_iter().map(|(fold, count)| (fold.to_owned(), count)).collect())
}

/// Records with one more field each.
fn as_csv<'a>(
    style: &csv::WriterBuilder,
    records: impl IntoIterator<Item = (&'a Vec<String>, &'a str)>,
) -> std::result::Result<Vec<u8>, csv::Error> {
    let mut writer = style.from_writer(Vec::new());
    for (fields, last) in records {
        writer.write_record(fields.iter().map(String::as_str).chain([last]))?;
    }
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use crate::{Columns, Layout, ScoreScale, read_labelled, read_scored, read_texts, stream_texts};

    const CSV: TableOptions = TableOptions { delimiter: None, encoding: None, escape: None };

    const ESSAYS: &str =
        "text_id,full_text,grammar\r\na,\"one, \"\"two\"\"\r\nthree\",3\r\nb, padded ,3.0\r\nc,,1\r\n";

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(id, fold)| (id.into(), fold.into())).collect()
    }

    fn column(path: &Path, name: &str) -> Vec<String> {
        let table = Table::read(path, &CSV).unwrap();
        let column = table.column(name).unwrap();
        table.records.iter().map(|record| record.fields[column].clone()).collect()
    }

    /// `n` essays with the given grades in turn.
    fn essays(n: usize, grades: &[&str]) -> String {
        let rows = (0..n).map(|place| format!("d{place},text,{}\n", grades[place % grades.len()]));
        std::iter::once("text_id,full_text,grammar\n".to_owned()).chain(rows).collect()
    }

    #[test]
    fn other_columns_pass_through_unchanged() {
        let scratch = Scratch::new();
        let input = scratch.file("in.csv", ESSAYS);
        let output = scratch.path("out/essays.csv");
        let folds = map(&[("a", "B"), ("b", "A"), ("c", "B"), ("unused", "C")]);
        let counts = add_folds(&input, &CSV, "text_id", &folds, &output).unwrap();
        assert_eq!(counts, BTreeMap::from([("A".into(), 1), ("B".into(), 2)]));
        let (before, after) = (Table::read(&input, &CSV).unwrap(), Table::read(&output, &CSV).unwrap());
        assert_eq!(after.header, ["text_id", "full_text", "grammar", "fold"]);
        for (before, after) in before.records.iter().zip(&after.records) {
            assert_eq!(before.fields[..], after.fields[..3]);
        }
        assert_eq!(column(&output, "fold"), ["B", "A", "B"]);
    }

    #[test]
    fn ids_missing_from_the_map_are_counted_and_listed() {
        let scratch = Scratch::new();
        let input = scratch.file("in.csv", essays(9, &["1"]));
        let result =
            add_folds(&input, &CSV, "text_id", &map(&[("d1", "A"), ("d3", "A")]), scratch.path("out.csv"));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("7 of 9 ids"), "{message}");
        assert!(
            message.contains("\"d0\" (row 2), \"d2\" (row 4)") && message.contains("\"d6\" (row 8), …"),
            "{message}"
        );
        assert_eq!(scratch.names(), ["in.csv"], "no output is written");
    }

    #[test]
    fn what_could_not_be_scored_is_not_written_as_text() {
        let scratch = Scratch::new();
        for (line, part) in [
            (r#"{"id": "b", "text": null, "grammar": 2}"#, "no \"text\""),
            (r#"{"id": "b", "text": ["x", "y"], "grammar": 2}"#, "\"text\" is a list"),
            (r#"{"id": 1e3, "text": "x", "grammar": 2}"#, "\"id\" is a number"),
        ] {
            let first = r#"{"id": "a", "text": "x", "grammar": 1}"#;
            let input = scratch.file("in.jsonl", format!("{first}\n{line}\n"));
            let output = scratch.path("out.csv");
            let message = assign_folds(&input, &CSV, "text_id", "grammar", 2, 36, &output).unwrap_err();
            let message = message.to_string();
            assert!(message.contains("in.jsonl: line 2: ") && message.contains(part), "{message}");
        }
        assert_eq!(scratch.names(), ["in.jsonl"], "no output is written");
    }

    #[test]
    fn existing_folds_are_not_overwritten() {
        let scratch = Scratch::new();
        let input = scratch.file("in.csv", "text_id,fold\na,A\n");
        let error =
            add_folds(&input, &CSV, "text_id", &map(&[("a", "B")]), scratch.path("out.csv")).unwrap_err();
        assert!(error.to_string().contains("already has a column \"fold\""), "{error}");
    }

    #[test]
    fn fold_map_is_an_object_of_names() {
        let scratch = Scratch::new();
        assert_eq!(read_fold_map(scratch.file("a.json", r#"{"x": "A"}"#)).unwrap(), map(&[("x", "A")]));
        let twice = read_fold_map(scratch.file("c.json", r#"{"x": "A", "y": "B", "x": "C"}"#)).unwrap_err();
        assert!(twice.to_string().contains("c.json: id \"x\" is in fold \"A\" and in fold \"C\""), "{twice}");
        for content in ["", "{}", "[]", r#"{"x": 1}"#, r#"{"x": " "}"#] {
            let error = read_fold_map(scratch.file("b.json", content)).unwrap_err();
            assert!(error.to_string().contains("b.json"), "{error}");
        }
    }

    #[test]
    fn assigned_sizes_differ_by_at_most_one_overall_and_per_grade() {
        let scratch = Scratch::new();
        // 3 and 3.0 are one grade; 7 of the 11 places hold it.
        let grades = ["3", "1", "3.0", "2", "3", "3", "5", "3", "3.0", "4", "3"];
        let input = scratch.file("in.csv", essays(203, &grades));
        let output = scratch.path("out.csv");
        let counts = assign_folds(&input, &CSV, "text_id", "grammar", 5, 7, &output).unwrap();
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [41, 41, 41, 40, 40]);
        let (folds, values) = (column(&output, "fold"), column(&output, "grammar"));
        for grade in [1.0, 2.0, 3.0, 4.0, 5.0] {
            let size = |name: &str| {
                let rows = folds.iter().zip(&values);
                rows.filter(|(fold, value)| *fold == name && value.parse() == Ok(grade)).count()
            };
            let sizes = ["A", "B", "C", "D", "E"].map(size);
            let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
            assert!(spread <= 1, "grade {grade}: {sizes:?}");
        }
    }

    #[test]
    fn documents_without_a_value_are_divided_as_those_of_one_value() {
        let scratch = Scratch::new();
        let grades = ["3", "", "1", " NA ", "3", "NaN", "-"];
        let input = scratch.file("in.csv", essays(70, &grades));
        let output = scratch.path("out.csv");
        assign_folds(&input, &CSV, "text_id", "grammar", 5, 7, &output).unwrap();
        let (folds, values) = (column(&output, "fold"), column(&output, "grammar"));
        let sizes = |of: fn(&str) -> bool| {
            let size = |name: &str| {
                let rows = folds.iter().zip(&values);
                rows.filter(|(fold, value)| *fold == name && of(value)).count()
            };
            ["A", "B", "C", "D", "E"].map(size)
        };
        assert_eq!(sizes(|_| true), [14; 5]);
        assert_eq!(sizes(is_missing), [8; 5]);
        assert_eq!(sizes(|value| value == "3"), [4; 5]);
    }

    #[test]
    fn assignment_follows_the_seed_and_not_the_row_order() {
        let scratch = Scratch::new();
        let forward = essays(60, &["1", "2", "3"]);
        let mut lines: Vec<&str> = forward.lines().collect();
        lines[1..].reverse();
        let backward = lines.join("\n");
        let assign = |content: &str, seed| {
            let input = scratch.file("in.csv", content);
            let output = scratch.path("out.csv");
            assign_folds(&input, &CSV, "text_id", "grammar", 3, seed, &output).unwrap();
            let pairs = column(&output, "text_id").into_iter().zip(column(&output, "fold"));
            pairs.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(assign(&forward, 1), assign(&backward, 1));
        assert_ne!(assign(&forward, 1), assign(&forward, 2));
    }

    #[test]
    fn impossible_assignments_are_refused() {
        let scratch = Scratch::new();
        let assign = |content: &str, k| {
            let input = scratch.file("in.csv", content);
            assign_folds(&input, &CSV, "text_id", "grammar", k, 1, scratch.path("out.csv"))
                .unwrap_err()
                .to_string()
        };
        assert!(assign(&essays(9, &["1"]), 1).contains("2 to 26"));
        assert!(assign(&essays(9, &["1"]), 27).contains("2 to 26"));
        assert!(assign(&essays(4, &["1"]), 5).contains("4 documents cannot fill 5 folds"));
        assert!(assign("text_id,grammar\na,1\nb,good\n", 2).contains("row 3: \"good\""));
        assert!(assign(&essays(9, &["", "NA"]), 2).contains("column \"grammar\" has no number"));
        assert!(assign("text_id,syntax\na,1\nb,1\n", 2).contains("no column \"grammar\""));
    }

    #[test]
    fn a_file_called_tsv_gets_tabs_and_other_kinds_are_refused() {
        let scratch = Scratch::new();
        let input = scratch.file("in.csv", "text_id;full_text\na;\"one\ttwo, three\"\n");
        let folds = map(&[("a", "A")]);
        let output = scratch.path("out.tsv");
        add_folds(&input, &CSV, "text_id", &folds, &output).unwrap();
        let written = std::fs::read_to_string(&output).unwrap();
        assert_eq!(written, "text_id\tfull_text\tfold\na\t\"one\ttwo, three\"\tA\n");
        for name in ["out.jsonl", "out.xlsx", "out.csv.gz"] {
            let error = add_folds(&input, &CSV, "text_id", &folds, scratch.path(name)).unwrap_err();
            assert!(error.to_string().contains("write a .csv or a .tsv file"), "{error}");
        }
    }

    #[test]
    fn every_reader_reads_back_what_folds_wrote() {
        const PIECES: [&str; 16] = [
            "\"",
            ",",
            ";",
            "\t",
            "|",
            "\n",
            "\r",
            "\\",
            " ",
            "a",
            "\0",
            "\u{feff}",
            "\u{e9}",
            "\u{1f642}",
            "\u{2028}",
            "sep=",
        ];
        let scratch = Scratch::new();
        let mut rng = rng::stream(5, &["round trip"]);
        let mut text = |longest: usize| -> String {
            (0..rng::below(&mut rng, longest)).map(|_| PIECES[rng::below(&mut rng, PIECES.len())]).collect()
        };
        for round in 0..60 {
            let columns = Columns { id: format!("id{}", text(4)), ..Columns::default() };
            let layout = Layout::from(&columns);
            let documents: Vec<(String, String)> = (0..8).map(|n| (format!("d{n}"), text(12))).collect();
            let mut style = csv::WriterBuilder::new();
            style.delimiter(b',').quote_style(csv::QuoteStyle::Always);
            let header = vec!["full_text".to_owned(), columns.id.clone()];
            let rows: Vec<Vec<String>> =
                documents.iter().map(|(id, text)| vec![text.clone(), id.clone()]).collect();
            let header = as_csv(&style, [(&header, "grammar")]).unwrap();
            let rows = as_csv(&style, rows.iter().map(|row| (row, "3"))).unwrap();
            let input = scratch.file("in.csv", [header, rows].concat());
            let folds = documents.iter().map(|(id, _)| (id.clone(), "A".to_owned())).collect();
            for name in ["out.csv", "out.tsv"] {
                let output = scratch.path(name);
                add_folds(&input, &CSV, &columns.id, &folds, &output).unwrap();
                let scale = ScoreScale::default();
                let streamed = stream_texts(&output, &layout, 0).unwrap().collect::<Result<Vec<_>>>();
                for read in [
                    read_texts(&output, &layout).unwrap().documents,
                    read_scored(&output, &layout, "grammar", &scale).unwrap().documents,
                    read_labelled(&output, &layout, "grammar", &scale).unwrap().documents,
                    streamed.unwrap(),
                ] {
                    let read: Vec<(String, String)> = read.into_iter().map(|d| (d.id, d.text)).collect();
                    assert_eq!(read, documents, "round {round}, {name}");
                }
            }
        }
    }
}
