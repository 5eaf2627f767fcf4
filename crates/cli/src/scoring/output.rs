//! Scores as CSV or Parquet, a window at a time, into a file that takes its name when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use pair2score_data::Document;
use pair2score_scorer::Scored;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::is_parquet;

const SCHEMA: &str = "message scores {
    required binary id (UTF8);
    required double score;
    required double grade;
    required boolean truncated;
}";

/// A file of scores in the making.
pub(crate) struct Output {
    path: PathBuf,
    partial: PathBuf,
    format: Format,
    /// Whether what is there stays when this is dropped before it is finished.
    keep: bool,
}

enum Format {
    Csv(File),
    /// A row group per window.
    Parquet(Option<SerializedFileWriter<File>>),
}

impl Output {
    /// Whether what is written can be gone on with: Parquet has its table of contents at the end.
    pub(crate) fn can_go_on(path: &Path) -> bool {
        !is_parquet(path)
    }

    /// The bytes that a file of scores in the making has on disk; 0 where there is none.
    pub(crate) fn partial_bytes(path: &Path) -> u64 {
        std::fs::metadata(partial(path)).map_or(0, |metadata| metadata.len())
    }

    /// Begins a file, or goes on after its first `bytes` where these are not 0.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn create(path: &Path, bytes: u64, keep: bool) -> Result<Self> {
        let partial = partial(path);
        let context =
            || format!("cannot write {}; choose another place or allow writing there", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&partial)
            .with_context(context)?;
        file.set_len(bytes).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        let format = match is_parquet(path) {
            true => {
                let schema = Arc::new(parse_message_type(SCHEMA).context("our own schema")?);
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = SerializedFileWriter::new(file, schema, Arc::new(properties));
                Format::Parquet(Some(writer.with_context(context)?))
            }
            false => {
                if bytes == 0 {
                    file.write_all(b"id,score,grade,truncated\n").with_context(context)?;
                }
                Format::Csv(file)
            }
        };
        Ok(Self { path: path.to_owned(), partial, format, keep })
    }

    /// Writes a window and gives the bytes written so far, all on disk.
    ///
    /// # Errors
    /// When the disk is full, for example.
    pub(crate) fn write(&mut self, documents: &[Document], scores: &[Scored]) -> Result<u64> {
        let written = match &mut self.format {
            Format::Csv(file) => write_csv(file, documents, scores),
            Format::Parquet(Some(writer)) => write_row_group(writer, documents, scores),
            Format::Parquet(None) => Ok(0),
        };
        written.with_context(|| format!("cannot write {}; check the free space", self.partial.display()))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub(crate) fn finish(mut self) -> Result<()> {
        let context = || {
            format!(
                "cannot write {}; check the free space and that writing is allowed there",
                self.path.display()
            )
        };
        match &mut self.format {
            Format::Csv(file) => file.sync_all().with_context(context)?,
            Format::Parquet(writer) => {
                let file =
                    writer.take().map(SerializedFileWriter::into_inner).transpose().with_context(context)?;
                file.map_or(Ok(()), |file| file.sync_all()).with_context(context)?;
            }
        }
        std::fs::rename(&self.partial, &self.path).with_context(context)?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.keep {
            // Whatever stopped the writing is the error to report.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// `.<name>.partial` beside the file.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

fn write_csv(file: &mut File, documents: &[Document], scores: &[Scored]) -> Result<u64> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (document, scored) in documents.iter().zip(scores) {
        let Scored { score, grade, truncated, .. } = scored;
        let numbers = [score.to_string(), grade.to_string(), truncated.to_string()];
        writer.write_record([&document.id].into_iter().chain(&numbers))?;
    }
    file.write_all(&writer.into_inner()?)?;
    file.sync_data()?;
    Ok(file.stream_position()?)
}

fn write_row_group(
    writer: &mut SerializedFileWriter<File>,
    documents: &[Document],
    scores: &[Scored],
) -> Result<u64> {
    let mut group = writer.next_row_group()?;
    let ids: Vec<ByteArray> = documents.iter().map(|document| document.id.as_str().into()).collect();
    column::<ByteArrayType>(&mut group, &ids)?;
    column::<DoubleType>(&mut group, &scores.iter().map(|scored| scored.score).collect::<Vec<_>>())?;
    column::<DoubleType>(&mut group, &scores.iter().map(|scored| scored.grade).collect::<Vec<_>>())?;
    column::<BoolType>(&mut group, &scores.iter().map(|scored| scored.truncated).collect::<Vec<_>>())?;
    group.close()?;
    Ok(writer.bytes_written() as u64)
}

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) -> Result<()> {
    let mut column = group.next_column()?.context("our own schema has this column")?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()?;
    Ok(())
}
