//! The rows of a Parquet file as text: the columns that are asked for, side by side in batches, page after page.
//!
//! The `parquet` crate answers most damaged files with errors and panics on some, so that it is called where a panic is
//! an error too.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::parquet_pages::{Pages, TooLarge};
use super::{Record, Source};
use crate::error::{DataError, Result};
use crate::files::open;
use crate::panics::caught;

/// Most rows decoded at once.
const BATCH: usize = 1024;

/// Bytes decoded at once, about; a single text may be longer.
const BATCH_BYTES: u64 = 64 << 20;

/// The rows of a file, from 1.
pub(super) struct ParquetRows {
    path: PathBuf,
    reader: SerializedFileReader<Pages>,
    kept: Vec<Kept>,
    /// The row group to read next.
    group: usize,
    current: Option<Vec<ColumnReader>>,
    /// Rows of the current row group that are decoded at once.
    batch: usize,
    decoded: VecDeque<Vec<Option<String>>>,
    /// Rows given out or passed over.
    row: u64,
}

/// A column whose values are decoded.
#[derive(Clone, Copy)]
struct Kept {
    column: usize,
    nullable: bool,
    /// Whether its whole numbers have no sign.
    unsigned: bool,
    /// The definition level of a value that is there.
    defined: i16,
}

impl ParquetRows {
    /// Reads the footer.
    ///
    /// # Errors
    /// A file that cannot be read, or is no Parquet.
    pub fn open(path: &Path) -> Result<Self> {
        let file = open(path).map_err(|source| DataError::unreadable(path, source))?;
        let reader = guarded(|| SerializedFileReader::new(Pages(file)))
            .map_err(|source| DataError::Parquet { path: path.to_owned(), source: source.into() })?;
        let (current, decoded) = (None, VecDeque::new());
        Ok(Self {
            path: path.to_owned(),
            reader,
            kept: Vec::new(),
            group: 0,
            current,
            batch: BATCH,
            decoded,
            row: 0,
        })
    }

    /// The names of the columns; of a nested one, the path to its values.
    pub fn header(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.columns().iter().map(|column| column.path().string()).collect()
    }

    fn rows_of(&self, group: usize) -> Option<u64> {
        let groups = self.reader.metadata().row_groups();
        groups.get(group).map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// Decodes the next rows; false at the end.
    fn decode(&mut self) -> std::result::Result<bool, ParquetError> {
        loop {
            if self.current.is_none() {
                if self.rows_of(self.group).is_none() {
                    return Ok(false);
                }
                let group = self.reader.get_row_group(self.group)?;
                let readers = self.kept.iter().map(|kept| group.get_column_reader(kept.column));
                self.current = Some(readers.collect::<std::result::Result<_, _>>()?);
                self.batch = batch(group.metadata(), &self.kept);
                self.group += 1;
            }
            let Some(readers) = &mut self.current else { continue };
            let read = |(reader, kept): (&mut ColumnReader, &Kept)| values(reader, self.batch, *kept);
            let columns: Vec<Vec<Option<String>>> =
                readers.iter_mut().zip(&self.kept).map(read).collect::<std::result::Result<_, _>>()?;
            let rows = columns.first().map_or(0, Vec::len);
            if columns.iter().any(|column| column.len() != rows) {
                return Err(ParquetError::General("columns of different lengths".into()));
            }
            if rows == 0 {
                self.current = None;
                continue;
            }
            let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
            let row = |_| columns.iter_mut().map(|column| column.next().flatten()).collect();
            self.decoded.extend((0..rows).map(row));
            return Ok(true);
        }
    }

    fn number(&self) -> usize {
        usize::try_from(self.row).unwrap_or(usize::MAX)
    }

    /// Why the current row cannot be read.
    fn undecoded(&self, error: &ParquetError) -> DataError {
        let (what, remedy) = match error {
            ParquetError::External(source) if source.is::<TooLarge>() => {
                (source.to_string(), "shorten its texts, or write fewer values into a page")
            }
            _ => (format!("cannot be decoded ({error})"), "write the file again"),
        };
        DataError::row(&self.path, self.number(), what, remedy)
    }

    /// The fields of a row in the order of the header; empty where they were not asked for.
    fn record(&self, values: Vec<Option<String>>) -> Result<Record> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let mut fields = vec![String::new(); schema.num_columns()];
        for (kept, value) in self.kept.iter().zip(values) {
            if value.is_none() && !kept.nullable {
                let name = schema.column(kept.column).path().string();
                let what = format!("column \"{name}\" is null");
                return Err(DataError::row(&self.path, self.number(), what, "write an empty text instead"));
            }
            fields[kept.column] = value.unwrap_or_default();
        }
        Ok(Record { row: self.number(), fields })
    }
}

impl Source for ParquetRows {
    fn keep(&mut self, needed: &[usize], others: &[usize]) -> Result<()> {
        let schema = self.reader.metadata().file_metadata().schema_descr_ptr();
        let all = needed.iter().map(|&column| (column, false));
        let all = all.chain(others.iter().map(|&column| (column, true)));
        let kept = all.map(|(column, nullable)| {
            let unsigned = readable(&schema.column(column)).map_err(|kind| {
                let name = schema.column(column).path().string();
                let what = format!("column \"{name}\" is {kind}, neither text nor a number");
                DataError::file(&self.path, what, "write it as strings, or leave it out of the file")
            })?;
            let defined = schema.column(column).max_def_level();
            Ok(Kept { column, nullable, unsigned, defined })
        });
        self.kept = kept.collect::<Result<_>>()?;
        Ok(())
    }

    fn is_text(&self, column: usize) -> bool {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.column(column).physical_type() == Physical::BYTE_ARRAY
    }

    fn len(&self) -> Option<u64> {
        Some(u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0))
    }

    /// Passes over whole row groups.
    fn pass(&mut self, rows: u64) -> u64 {
        while let Some(of_group) = self.rows_of(self.group).filter(|of_group| self.row + of_group <= rows) {
            self.group += 1;
            self.row += of_group;
        }
        self.row
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.decoded.is_empty() {
            match guarded(|| self.decode()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.row += 1;
                    return Some(Err(self.undecoded(&error)));
                }
            }
        }
        let values = self.decoded.pop_front()?;
        self.row += 1;
        Some(self.record(values))
    }
}

/// Calls the library; a panic of its is an error.
fn guarded<T>(
    call: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> std::result::Result<T, ParquetError> {
    caught(call).unwrap_or_else(|| Err(ParquetError::General("what it says of itself is impossible".into())))
}

/// Whether the whole numbers of a column are unsigned; `Err` says what a column is that is no text and no number.
fn readable(column: &ColumnDescriptor) -> std::result::Result<bool, String> {
    if column.max_rep_level() > 0 {
        return Err("a list".into());
    }
    let physical = column.physical_type();
    match (physical, column.logical_type_ref(), column.converted_type()) {
        (Physical::BYTE_ARRAY, Some(LogicalType::Decimal(_)), _)
        | (Physical::BYTE_ARRAY, _, ConvertedType::DECIMAL) => Err("a decimal".into()),
        (Physical::BYTE_ARRAY | Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE, ..) => Ok(false),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(whole)), _) => Ok(!whole.is_signed),
        (Physical::INT32 | Physical::INT64, None, converted) => match converted {
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Ok(true),
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64 => Ok(false),
            other => Err(other.to_string()),
        },
        // A column of nulls alone, of no type.
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Unknown), _) => Ok(false),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Decimal(_)), _) => Err("a decimal".into()),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Decimal(_)), _)
        | (Physical::FIXED_LEN_BYTE_ARRAY, _, ConvertedType::DECIMAL) => Err("a decimal".into()),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16), _) => Err("a number in 16 bits".into()),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), _) => Err("a UUID in bytes".into()),
        (Physical::FIXED_LEN_BYTE_ARRAY, ..) => Err("bytes".into()),
        (Physical::INT96, ..) => Err("a date or a time".into()),
        (Physical::INT32 | Physical::INT64, Some(_), _) => Err("a date or a time".into()),
    }
}

/// How many rows of a group are decoded at once: fewer where they are long.
fn batch(group: &RowGroupMetaData, kept: &[Kept]) -> usize {
    let bytes = |kept: &Kept| u64::try_from(group.column(kept.column).uncompressed_size()).unwrap_or(0);
    let bytes = kept.iter().map(bytes).fold(0, u64::saturating_add);
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let fitting = BATCH_BYTES.saturating_mul(rows).checked_div(bytes).unwrap_or(u64::MAX);
    usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, BATCH)
}

/// The next values of a column, `None` for null; none at the end of the row group.
fn values(
    reader: &mut ColumnReader,
    batch: usize,
    Kept { unsigned, defined, .. }: Kept,
) -> std::result::Result<Vec<Option<String>>, ParquetError> {
    let text = |value: ByteArray| {
        let bytes = value.data().to_vec();
        String::from_utf8(bytes).map(Some).map_err(|_| ParquetError::General("not UTF-8".into()))
    };
    match reader {
        ColumnReader::ByteArrayColumnReader(reader) => read(reader, batch, defined, text),
        ColumnReader::Int32ColumnReader(reader) if unsigned => {
            read(reader, batch, defined, |value| Ok(Some(value.cast_unsigned().to_string())))
        }
        ColumnReader::Int64ColumnReader(reader) if unsigned => {
            read(reader, batch, defined, |value| Ok(Some(value.cast_unsigned().to_string())))
        }
        ColumnReader::Int32ColumnReader(reader) => {
            read(reader, batch, defined, |value| Ok(Some(value.to_string())))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            read(reader, batch, defined, |value| Ok(Some(value.to_string())))
        }
        // What is no number is how pandas writes that there is none.
        ColumnReader::FloatColumnReader(reader) => {
            read(reader, batch, defined, |value| Ok((!value.is_nan()).then(|| value.to_string())))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            read(reader, batch, defined, |value| Ok((!value.is_nan()).then(|| value.to_string())))
        }
        ColumnReader::BoolColumnReader(reader) => {
            read(reader, batch, defined, |value| Ok(Some(value.to_string())))
        }
        _ => Err(ParquetError::General("a column of another type than the footer says".into())),
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    batch: usize,
    defined: i16,
    text: impl Fn(T::T) -> std::result::Result<Option<String>, ParquetError>,
) -> std::result::Result<Vec<Option<String>>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(batch, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(text);
    // Columns that cannot be null have no levels.
    let present = |row: usize| levels.is_empty() || levels.get(row).is_some_and(|&level| level == defined);
    (0..records).map(|row| if present(row) { values.next().unwrap_or(Ok(None)) } else { Ok(None) }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{BoolType, ByteArrayType, DoubleType, Int32Type, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::testing::Scratch;
    use crate::{Document, Layout, stream_texts};

    /// Two row groups of texts, some null.
    fn file(compression: Compression) -> Vec<u8> {
        let schema = "message texts { required binary text_id (UTF8); optional binary full_text (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        for rows in [0..5, 5..9] {
            let mut group = writer.next_row_group().unwrap();
            let ids: Vec<ByteArray> = rows.clone().map(|row| format!("d{row}").as_str().into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&ids, None, None).unwrap();
            column.close().unwrap();
            let levels: Vec<i16> = rows.map(|row| i16::from(row != 7)).collect();
            let texts =
                vec![ByteArray::from("Some text."); levels.iter().filter(|&&level| level > 0).count()];
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn read(scratch: &Scratch, bytes: &[u8], skip: u64) -> Result<Vec<Result<Document>>> {
        let path = scratch.file("texts.parquet", bytes);
        Ok(stream_texts(&path, &Layout::default(), skip)?.collect())
    }

    #[test]
    fn rows_come_in_order_from_any_place_on_and_null_is_an_error() {
        let scratch = Scratch::new();
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(Default::default()),
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
        ] {
            let bytes = file(compression);
            for skip in 0..7 {
                let rows = read(&scratch, &bytes, skip).unwrap();
                let ids = rows.iter().filter_map(|row| row.as_ref().ok()).map(|document| document.id.clone());
                let expected: Vec<String> = (skip..7).map(|row| format!("d{row}")).collect();
                assert_eq!(ids.collect::<Vec<_>>(), expected);
                let error = rows.last().unwrap().as_ref().unwrap_err().to_string();
                assert!(
                    error.contains("row 8: column \"full_text\" is null; write an empty text instead"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn an_error_among_rows_that_are_passed_over_is_an_error() {
        let scratch = Scratch::new();
        let bytes = file(Compression::SNAPPY);
        // Row 8, whose text is null, lies in the group of rows 6 to 9.
        let error = read(&scratch, &bytes, 8).unwrap_err().to_string();
        assert!(error.contains("row 8: column \"full_text\" is null"), "{error}");
        assert_eq!(read(&scratch, &bytes, 9).unwrap().len(), 0, "groups as a whole are not decoded");
    }

    /// Three documents with columns of several types, of which the last is a list.
    fn typed(path: &Path) {
        let schema = "message essays {
            required int64 text_id; required binary full_text (UTF8); optional binary fold (UTF8);
            optional double grammar; required boolean pass; optional int32 day (DATE);
            optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
        }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = std::fs::File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|&text| ByteArray::from(text)).collect::<Vec<_>>();
        let mut next =
            |write: &mut dyn FnMut(&mut parquet::file::writer::SerializedColumnWriter<'_>) -> usize| {
                let mut column = group.next_column().unwrap().unwrap();
                write(&mut column);
                column.close().unwrap();
            };
        next(&mut |c| c.typed::<Int64Type>().write_batch(&[7, -8, 9], None, None).unwrap());
        let of = texts(&["One, \"two\".", "", "Three\n."]);
        next(&mut |c| c.typed::<ByteArrayType>().write_batch(&of, None, None).unwrap());
        let of = texts(&["A", "B"]);
        next(&mut |c| c.typed::<ByteArrayType>().write_batch(&of, Some(&[1, 1, 0]), None).unwrap());
        next(&mut |c| {
            c.typed::<DoubleType>().write_batch(&[2.5, f64::NAN, 4.0], Some(&[1, 1, 1]), None).unwrap()
        });
        next(&mut |c| c.typed::<BoolType>().write_batch(&[true, false, true], None, None).unwrap());
        next(&mut |c| c.typed::<Int32Type>().write_batch(&[1], Some(&[0, 1, 0]), None).unwrap());
        let (levels, repeats) = ([3, 3, 0, 0], [0, 1, 0, 0]);
        let of = texts(&["a", "b"]);
        next(&mut |c| c.typed::<ByteArrayType>().write_batch(&of, Some(&levels), Some(&repeats)).unwrap());
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn labels_and_folds_are_those_of_the_same_table_as_csv() {
        let scratch = Scratch::new();
        let (parquet, scale) = (scratch.path("essays.parquet"), crate::ScoreScale::default());
        typed(&parquet);
        let csv =
            "text_id,full_text,fold,grammar\n7,\"One, \"\"two\"\".\",A,2.5\n-8,,B,\n9,\"Three\n.\",,4\n";
        let csv = scratch.file("essays.csv", csv);
        let [found, expected] = [&parquet, &csv].map(|path| {
            let set = crate::read_scored(path, &Layout::default(), "grammar", &scale).unwrap();
            set.documents.into_iter().map(|document| Document { row: 0, ..document }).collect::<Vec<_>>()
        });
        assert_eq!(found, expected);
        let error = crate::read_labelled(&parquet, &Layout::default(), "grammar", &scale).unwrap_err();
        assert!(error.to_string().contains("row 3: document \"9\" has no fold"), "{error}");
        assert_eq!(crate::count_texts(&parquet, &Layout::default()).unwrap(), 3);
    }

    #[test]
    fn columns_that_are_no_text_are_named_where_they_are_needed() {
        let scratch = Scratch::new();
        let path = scratch.path("essays.parquet");
        typed(&path);
        for (column, kind) in [("day", "a date or a time"), ("tags.list.element", "a list")] {
            let columns = crate::Columns { id: column.into(), ..Default::default() };
            let error = crate::read_texts(&path, &Layout::from(&columns)).unwrap_err().to_string();
            let expected = format!("column \"{column}\" is {kind}, neither text nor a number");
            assert!(error.contains(&expected), "{error}");
        }
        // A command that copies a table would lose them.
        let error = super::super::Table::read(&path, &Default::default()).unwrap_err().to_string();
        assert!(error.contains("is a date"), "{error}");
        for column in ["pass", "text_id"] {
            let columns = crate::Columns { text: column.into(), ..Default::default() };
            let error = crate::read_texts(&path, &Layout::from(&columns)).unwrap_err().to_string();
            assert!(error.contains(&format!("column \"{column}\" (text) is no text")), "{error}");
        }
    }

    #[test]
    fn damage_is_an_error_or_another_text_and_never_a_crash() {
        let scratch = Scratch::new();
        let whole = file(Compression::SNAPPY);
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= flip;
                if let Ok(rows) = read(&scratch, &bytes, 0) {
                    assert!(rows.len() <= 9, "byte {place}");
                }
            }
        }
        for length in 0..whole.len() {
            assert!(read(&scratch, &whole[..length], 0).is_err(), "{length} bytes");
        }
    }
}
