//! Texts from Parquet files: two columns, read side by side in batches, page after page.
//!
//! The `parquet` crate answers most damaged files with errors and panics on some, so that it is called where a panic is
//! an error too.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use pair2score_data::files::open;
use pair2score_data::{Columns, DataError, Document};
use pair2score_scorer::caught;
use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Most rows decoded at once.
const BATCH: usize = 1024;

/// Bytes decoded at once, about; a single text may be longer.
const BATCH_BYTES: u64 = 64 << 20;

/// The id and text columns of a file.
pub(super) struct ParquetTexts {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    /// Positions of id and text among the leaves.
    columns: [usize; 2],
    /// The row group to read next.
    group: usize,
    current: Option<[ColumnReader; 2]>,
    /// Rows of the current row group that are decoded at once.
    batch: usize,
    decoded: VecDeque<[Option<String>; 2]>,
    /// Rows given out or skipped.
    row: u64,
}

impl ParquetTexts {
    /// Reads the footer and finds the columns.
    ///
    /// # Errors
    /// When the file is not Parquet, or a column is missing or of a type that is no text.
    pub(super) fn open(path: &Path, columns: &Columns) -> Result<Self> {
        let file = open(path).with_context(|| {
            format!("cannot read {}; check that it exists and may be read", path.display())
        })?;
        let reader = guarded(|| SerializedFileReader::new(file))
            .with_context(|| format!("{}: not a Parquet file, or damaged", path.display()))?;
        let [id, text] =
            [(&columns.id, "id", true), (&columns.text, "text", false)].map(|(name, role, numbers)| {
                find(&reader, name, role, numbers).map_err(|problem| anyhow!("{}: {problem}", path.display()))
            });
        let columns = [id?, text?];
        let (current, decoded) = (None, VecDeque::new());
        Ok(Self { path: path.to_owned(), reader, columns, group: 0, current, batch: BATCH, decoded, row: 0 })
    }

    /// Documents of the file.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Passes over the row groups that lie within the first `rows`, without decoding them, and gives how many of these
    /// rows are left.
    ///
    /// # Errors
    /// When there are no documents at all.
    pub(super) fn skip_groups(&mut self, rows: u64) -> Result<u64> {
        if self.len() == 0 {
            bail!("{}: has no rows; add one row per document", self.path.display());
        }
        while let Some(of_group) = self.rows_of(self.group).filter(|of_group| self.row + of_group <= rows) {
            self.group += 1;
            self.row += of_group;
        }
        Ok(rows - self.row)
    }

    fn rows_of(&self, group: usize) -> Option<u64> {
        let groups = self.reader.metadata().row_groups();
        groups.get(group).map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// Decodes the next rows; false at the end.
    fn decode(&mut self) -> Result<bool, ParquetError> {
        loop {
            if self.current.is_none() {
                if self.rows_of(self.group).is_none() {
                    return Ok(false);
                }
                let group = self.reader.get_row_group(self.group)?;
                let [id, text] = self.columns;
                self.current = Some([group.get_column_reader(id)?, group.get_column_reader(text)?]);
                self.batch = batch(group.metadata());
                self.group += 1;
            }
            let Some([id, text]) = &mut self.current else { continue };
            let (ids, texts) = (values(id, self.batch)?, values(text, self.batch)?);
            if ids.len() != texts.len() {
                return Err(ParquetError::General("columns of different lengths".into()));
            }
            if ids.is_empty() {
                self.current = None;
                continue;
            }
            self.decoded.extend(ids.into_iter().zip(texts).map(|(id, text)| [id, text]));
            return Ok(true);
        }
    }

    fn row_error(&self, what: String, remedy: &str) -> DataError {
        let row = usize::try_from(self.row).unwrap_or(usize::MAX);
        DataError::Row { path: self.path.clone(), row, what, remedy: remedy.into() }
    }
}

impl Iterator for ParquetTexts {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.decoded.is_empty() {
            match guarded(|| self.decode()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.row += 1;
                    return Some(Err(
                        self.row_error(format!("cannot be decoded ({error})"), "write the file again")
                    ));
                }
            }
        }
        let [id, text] = self.decoded.pop_front()?;
        self.row += 1;
        let row = usize::try_from(self.row).unwrap_or(usize::MAX);
        Some(match (id, text) {
            (Some(id), Some(text)) => {
                Ok(Document { id: id.trim().to_owned(), text, fold: None, label: None, row })
            }
            (None, _) => Err(self.row_error("the id is null".into(), "give every document an id")),
            (_, None) => Err(self.row_error("the text is null".into(), "write an empty text instead")),
        })
    }
}

/// Calls the library; a panic of its is an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    caught(call).unwrap_or_else(|| Err(ParquetError::General("what it says of itself is impossible".into())))
}

/// The position of a column that is neither nested nor of another type than text, or, if `numbers`, whole numbers.
fn find(reader: &SerializedFileReader<File>, name: &str, role: &str, numbers: bool) -> Result<usize, String> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns = schema.columns();
    let place = columns.iter().position(|column| column.path().string() == name).ok_or_else(|| {
        let found: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
        format!(
            "no column {name:?} ({role}); its columns are {}; name the right one with --id-col or --text-col",
            found.join(", ")
        )
    })?;
    let column = &columns[place];
    let physical = column.physical_type();
    let is_number = matches!(physical, Physical::INT32 | Physical::INT64);
    if column.max_rep_level() > 0 || !(physical == Physical::BYTE_ARRAY || numbers && is_number) {
        return Err(format!("column {name:?} ({role}) is {physical}, not text; write it as strings"));
    }
    Ok(place)
}

/// How many rows of a group are decoded at once: fewer where they are long.
fn batch(group: &RowGroupMetaData) -> usize {
    let bytes = u64::try_from(group.total_byte_size()).unwrap_or(0);
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let fitting = BATCH_BYTES.saturating_mul(rows).checked_div(bytes).unwrap_or(u64::MAX);
    usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, BATCH)
}

/// The next values of a column, `None` for null; none at the end of the row group.
fn values(reader: &mut ColumnReader, batch: usize) -> Result<Vec<Option<String>>, ParquetError> {
    let text = |value: ByteArray| {
        let bytes = value.data().to_vec();
        String::from_utf8(bytes).map_err(|_| ParquetError::General("not UTF-8".into()))
    };
    match reader {
        ColumnReader::ByteArrayColumnReader(reader) => read(reader, batch, text),
        ColumnReader::Int32ColumnReader(reader) => read(reader, batch, |value| Ok(value.to_string())),
        ColumnReader::Int64ColumnReader(reader) => read(reader, batch, |value| Ok(value.to_string())),
        _ => Err(ParquetError::General("a column of another type than the footer says".into())),
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    batch: usize,
    text: impl Fn(T::T) -> Result<String, ParquetError>,
) -> Result<Vec<Option<String>>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(batch, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(text);
    // Columns that cannot be null have no levels.
    let present = |row: usize| levels.is_empty() || levels.get(row).is_some_and(|&level| level > 0);
    (0..records).map(|row| if present(row) { values.next().transpose() } else { Ok(None) }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::ByteArrayType;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

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

    fn read(folder: &Path, bytes: &[u8], skip: u64) -> Result<Vec<Result<Document>>> {
        let path = folder.join("texts.parquet");
        std::fs::write(&path, bytes)?;
        Ok(crate::scoring::input::open(&path, &pair2score_data::Layout::default(), skip)?.collect())
    }

    #[test]
    fn rows_come_in_order_from_any_place_on_and_null_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
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
                let rows = read(folder.path(), &bytes, skip).unwrap();
                let ids = rows.iter().filter_map(|row| row.as_ref().ok()).map(|document| document.id.clone());
                let expected: Vec<String> = (skip..7).map(|row| format!("d{row}")).collect();
                assert_eq!(ids.collect::<Vec<_>>(), expected);
                let error = rows.last().unwrap().as_ref().unwrap_err().to_string();
                assert!(error.contains("row 8: the text is null; write an empty text instead"), "{error}");
            }
        }
    }

    #[test]
    fn an_error_among_rows_that_are_passed_over_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = file(Compression::SNAPPY);
        // Row 8, whose text is null, lies in the group of rows 6 to 9.
        let error = read(folder.path(), &bytes, 8).unwrap_err().to_string();
        assert!(error.contains("row 8: the text is null"), "{error}");
        assert_eq!(read(folder.path(), &bytes, 9).unwrap().len(), 0, "groups as a whole are not decoded");
    }

    #[test]
    fn damage_is_an_error_or_another_text_and_never_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let whole = file(Compression::SNAPPY);
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= flip;
                if let Ok(rows) = read(folder.path(), &bytes, 0) {
                    assert!(rows.len() <= 9, "byte {place}");
                }
            }
        }
        for length in 0..whole.len() {
            assert!(read(folder.path(), &whole[..length], 0).is_err(), "{length} bytes");
        }
    }
}
