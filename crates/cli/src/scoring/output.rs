//! Scores on their way into a file, or to standard output, a window at a time.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use pair2score_data::Document;
use parquet::file::writer::SerializedFileWriter;

use super::is_parquet;
use super::partial::Partial;
use super::rows::{self, Columns, Row};
use crate::console;
use crate::destination::Destination;
use crate::spreadsheet::BYTE_ORDER_MARK;

/// Where scores go.
pub(crate) struct Output {
    sink: Sink,
    /// As messages call it.
    name: String,
    /// Whether ids are guarded and a byte order mark begins the CSV.
    for_spreadsheets: bool,
    /// Whether anybody still reads standard output.
    wanted: bool,
}

enum Sink {
    Csv(Partial),
    /// A row group per window; the writer exists from [`Output::begin`] on.
    Parquet(Partial, Option<SerializedFileWriter<File>>),
    Stdout,
}

impl Output {
    /// Whether a file that was stopped can be gone on with: Parquet has its table of contents at the end.
    fn can_go_on(path: &Path) -> bool {
        !is_parquet(path)
    }

    /// Takes the place of the output, which no other process can then take; `keep` leaves there what is written before
    /// an error.
    ///
    /// # Errors
    /// When it cannot be written, or another process writes it.
    pub(super) fn take(destination: &Destination, keep: bool, for_spreadsheets: bool) -> Result<Self> {
        let sink = match destination {
            Destination::Stdout => Sink::Stdout,
            Destination::File(path) => {
                let partial = Partial::take(path, keep && Self::can_go_on(path))?;
                if is_parquet(path) { Sink::Parquet(partial, None) } else { Sink::Csv(partial) }
            }
        };
        Ok(Self { sink, name: destination.to_string(), for_spreadsheets, wanted: true })
    }

    /// Bytes of an earlier run that can be gone on with.
    pub(super) fn left(&self) -> u64 {
        match &self.sink {
            Sink::Csv(partial) => partial.bytes(),
            Sink::Parquet(..) | Sink::Stdout => 0,
        }
    }

    /// Begins, or goes on after the first `bytes` where these are not 0.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn begin(&mut self, bytes: u64, columns: &Columns) -> Result<()> {
        let mark = if self.for_spreadsheets { BYTE_ORDER_MARK } else { "" };
        let header = format!("{mark}{}", columns.header()?);
        let context = || cannot_write(&self.name);
        match &mut self.sink {
            Sink::Csv(partial) => {
                partial.begin_at(bytes)?;
                if bytes == 0 {
                    partial.file.write_all(header.as_bytes()).with_context(context)?;
                }
            }
            Sink::Parquet(partial, writer) => {
                partial.begin_at(0)?;
                let file = partial.file.try_clone().with_context(context)?;
                *writer = Some(rows::parquet_writer(file, columns)?);
            }
            Sink::Stdout => self.wanted = console::stream(header.as_bytes())?,
        }
        Ok(())
    }

    /// Whether the reader of standard output is still there.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Writes a window and gives the bytes written so far, all on disk.
    ///
    /// # Errors
    /// When the disk is full, for example.
    pub(crate) fn write(&mut self, documents: &[Document], rows: &[Row]) -> Result<u64> {
        let context = || cannot_write(&self.name);
        match &mut self.sink {
            Sink::Csv(Partial { file, .. }) => {
                let lines = rows::csv(documents, rows, self.for_spreadsheets)?;
                let written = file.write_all(&lines).and_then(|()| file.sync_data());
                written.and_then(|()| file.stream_position()).with_context(context)
            }
            Sink::Parquet(_, None) => Ok(0),
            Sink::Parquet(_, Some(writer)) => {
                rows::write_row_group(writer, documents, rows).with_context(context)?;
                Ok(writer.bytes_written() as u64)
            }
            Sink::Stdout => {
                self.wanted = console::stream(&rows::csv(documents, rows, self.for_spreadsheets)?)?;
                Ok(0)
            }
        }
    }

    /// Completes the output and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub(crate) fn finish(self) -> Result<()> {
        let context = || cannot_write(&self.name);
        match self.sink {
            Sink::Csv(partial) => partial.finish(),
            Sink::Parquet(partial, writer) => {
                writer.map(SerializedFileWriter::into_inner).transpose().with_context(context)?;
                partial.finish()
            }
            Sink::Stdout => Ok(()),
        }
    }
}

fn cannot_write(name: &str) -> String {
    format!("cannot write {name}; check the free space")
}
