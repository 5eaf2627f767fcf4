//! Rows of scores as CSV and as Parquet.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use pair2score_data::Document;
use pair2score_scorer::Scored;
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::spreadsheet::no_formula;

/// What a scorer gives for a document.
#[derive(Debug)]
pub(crate) struct Row {
    /// A score per trait, with its interval where that is to be written.
    pub(crate) scores: Vec<Scored>,
    /// Whether the text was longer than the scorer reads.
    pub(crate) truncated: bool,
    /// Tokens that were read of it.
    pub(crate) tokens: usize,
}

/// The columns between id and truncated.
#[derive(Debug)]
pub(crate) struct Columns(Vec<Column>);

/// A column of numbers.
#[derive(Debug)]
struct Column {
    name: String,
    /// Whether all documents have one: a grade is missing where its scale has none.
    always: bool,
}

impl Columns {
    /// Score, grade and, where they are written, the ends of the interval of these traits: called so of a single one, and
    /// after the traits of several.
    ///
    /// # Errors
    /// Two columns of one name.
    pub(crate) fn of<'t>(targets: impl Iterator<Item = &'t str>, intervals: bool) -> Result<Self> {
        let targets: Vec<&str> = targets.collect();
        let mut columns = Vec::new();
        for target in &targets {
            let mut put = |kind: &str, always| {
                let name = match (&targets[..], kind) {
                    ([_], kind) => kind.to_owned(),
                    (_, "score") => (*target).to_owned(),
                    (_, kind) => format!("{target}_{kind}"),
                };
                columns.push(Column { name, always });
            };
            put("score", true);
            put("grade", false);
            if intervals {
                put("low", true);
                put("high", true);
            }
        }
        let mut names = BTreeSet::new();
        match columns.iter().find(|column| !names.insert(&column.name)) {
            Some(Column { name, .. }) => {
                bail!(
                    "rates a trait that is called {name}, like an end of the interval of another; leave out --intervals"
                )
            }
            None => Ok(Self(columns)),
        }
    }

    /// The first line of a CSV file.
    pub(super) fn header(&self) -> Result<String> {
        let names = self.0.iter().map(|column| column.name.as_str());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id"].into_iter().chain(names).chain(["truncated"]))?;
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    /// The schema of a Parquet file.
    fn schema(&self) -> Result<Type> {
        let column = |name: &str, kind, repetition, logical: Option<LogicalType>| {
            let column = Type::primitive_type_builder(name, kind).with_repetition(repetition);
            Ok::<_, anyhow::Error>(Arc::new(column.with_logical_type(logical).build()?))
        };
        let text = Some(LogicalType::String);
        let mut fields = vec![column("id", PhysicalType::BYTE_ARRAY, Repetition::REQUIRED, text)?];
        for Column { name, always } in &self.0 {
            let repetition = if *always { Repetition::REQUIRED } else { Repetition::OPTIONAL };
            fields.push(column(name, PhysicalType::DOUBLE, repetition, None)?);
        }
        fields.push(column("truncated", PhysicalType::BOOLEAN, Repetition::REQUIRED, None)?);
        Ok(Type::group_type_builder("scores").with_fields(fields).build()?)
    }
}

/// A window as lines of CSV. A grade is empty where its scale has none. For spreadsheets, an id that they would take for
/// a formula has an apostrophe before it.
pub(super) fn csv(documents: &[Document], rows: &[Row], for_spreadsheets: bool) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (document, Row { scores, truncated, .. }) in documents.iter().zip(rows) {
        let id = if for_spreadsheets { no_formula(&document.id) } else { Cow::from(&document.id) };
        writer.write_field(&*id)?;
        for Scored { score, grade, interval, .. } in scores {
            writer.write_field(score.to_string())?;
            writer.write_field(grade.map_or_else(String::new, |grade| grade.to_string()))?;
            for end in interval.iter().flatten() {
                writer.write_field(end.to_string())?;
            }
        }
        writer.write_field(truncated.to_string())?;
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(writer.into_inner()?)
}

/// Begins a Parquet file.
pub(super) fn parquet_writer<W: Write + Send>(file: W, columns: &Columns) -> Result<SerializedFileWriter<W>> {
    let schema = Arc::new(columns.schema().context("our own schema")?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    Ok(SerializedFileWriter::new(file, schema, Arc::new(properties))?)
}

/// Writes a window as a row group.
pub(super) fn write_row_group(
    writer: &mut SerializedFileWriter<File>,
    documents: &[Document],
    rows: &[Row],
) -> Result<()> {
    let mut group = writer.next_row_group()?;
    let ids: Vec<ByteArray> = documents.iter().map(|document| document.id.as_str().into()).collect();
    column::<ByteArrayType>(&mut group, &ids, None)?;
    for place in 0..rows.first().map_or(0, |row| row.scores.len()) {
        let scored: Vec<Scored> = rows.iter().map(|row| row.scores[place]).collect();
        let grades: Vec<f64> = scored.iter().filter_map(|scored| scored.grade).collect();
        let has_grade: Vec<i16> = scored.iter().map(|scored| i16::from(scored.grade.is_some())).collect();
        column::<DoubleType>(
            &mut group,
            &scored.iter().map(|scored| scored.score).collect::<Vec<_>>(),
            None,
        )?;
        column::<DoubleType>(&mut group, &grades, Some(&has_grade))?;
        let intervals: Vec<[f64; 2]> = scored.iter().filter_map(|scored| scored.interval).collect();
        for end in 0..if intervals.is_empty() { 0 } else { 2 } {
            let ends: Vec<f64> = intervals.iter().map(|interval| interval[end]).collect();
            column::<DoubleType>(&mut group, &ends, None)?;
        }
    }
    column::<BoolType>(&mut group, &rows.iter().map(|row| row.truncated).collect::<Vec<_>>(), None)?;
    group.close()?;
    Ok(())
}

/// Writes a column; where it is optional, `present` has a 1 for each row with a value and a 0 for the others.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<()> {
    let mut column = group.next_column()?.context("our own schema has this column")?;
    column.typed::<T>().write_batch(values, present, None)?;
    column.close()?;
    Ok(())
}
