//! Rows of scores as CSV and as Parquet.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use pair2score_data::Document;
use pair2score_scorer::Scored;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::spreadsheet::no_formula;

const SCHEMA: &str = "message scores {
    required binary id (UTF8);
    required double score;
    optional double grade;
    required boolean truncated;
}";

/// The first line of a CSV file.
pub(super) const HEADER: &str = "id,score,grade,truncated\n";

/// A window as lines of CSV. The grade is empty where the scale has none. For spreadsheets, an id that they would take for
/// a formula has an apostrophe before it.
pub(super) fn csv(documents: &[Document], scores: &[Scored], for_spreadsheets: bool) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (document, scored) in documents.iter().zip(scores) {
        let Scored { score, grade, truncated, .. } = scored;
        let id = if for_spreadsheets { no_formula(&document.id) } else { Cow::from(&document.id) };
        let grade = grade.map_or_else(String::new, |grade| grade.to_string());
        let row = [score.to_string(), grade, truncated.to_string()];
        writer.write_record(std::iter::once(&*id).chain(row.iter().map(String::as_str)))?;
    }
    Ok(writer.into_inner()?)
}

/// Begins a Parquet file.
pub(super) fn parquet_writer<W: Write + Send>(file: W) -> Result<SerializedFileWriter<W>> {
    let schema = Arc::new(parse_message_type(SCHEMA).context("our own schema")?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    Ok(SerializedFileWriter::new(file, schema, Arc::new(properties))?)
}

/// Writes a window as a row group.
pub(super) fn write_row_group(
    writer: &mut SerializedFileWriter<File>,
    documents: &[Document],
    scores: &[Scored],
) -> Result<()> {
    let mut group = writer.next_row_group()?;
    let ids: Vec<ByteArray> = documents.iter().map(|document| document.id.as_str().into()).collect();
    let grades: Vec<f64> = scores.iter().filter_map(|scored| scored.grade).collect();
    let has_grade: Vec<i16> = scores.iter().map(|scored| i16::from(scored.grade.is_some())).collect();
    column::<ByteArrayType>(&mut group, &ids, None)?;
    column::<DoubleType>(&mut group, &scores.iter().map(|scored| scored.score).collect::<Vec<_>>(), None)?;
    column::<DoubleType>(&mut group, &grades, Some(&has_grade))?;
    column::<BoolType>(&mut group, &scores.iter().map(|scored| scored.truncated).collect::<Vec<_>>(), None)?;
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
