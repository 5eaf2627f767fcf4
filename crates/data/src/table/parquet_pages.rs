//! The bytes of a Parquet file, whose pages are refused by their headers where unpacking them would take too much memory:
//! a few kilobytes can say that they are gigabytes.
//!
//! The `parquet` crate reads headers itself, and unpacks what they say without asking. It begins every page with a reader
//! at its header, so that is where the header is looked at beforehand. A header is a struct of Thrift's compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::LONGEST_ROW;

/// Values as long as any may be that a page may hold.
const LONG_VALUES: u64 = 8;

/// Bytes at the end of a file that are no page.
const FOOTER: u64 = 8;

/// Structs within structs; headers have three.
const DEEPEST: usize = 16;

/// A file whose pages have a limit.
pub(super) struct Pages(pub(super) File);

/// A page that would be larger than its values may make it.
#[derive(Debug)]
pub(super) struct TooLarge {
    /// Bytes, unpacked.
    bytes: u64,
    values: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, values } = self;
        let (size, most) = (bytes >> 20, LONGEST_ROW >> 20);
        write!(formatter, "a page of {size} MiB for {values} values, of which each may have {most} MiB")?;
        if *values > LONG_VALUES {
            write!(formatter, ", and all of a page {} MiB", LONG_VALUES * (LONGEST_ROW as u64 >> 20))?;
        }
        Ok(())
    }
}

impl std::error::Error for TooLarge {}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Pages {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        if start.saturating_add(FOOTER) < self.len() {
            // What is no header is the library's to refuse.
            if let Ok(header) = Header::read(&mut self.0.get_read(start)?) {
                header.check()?;
            }
        }
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// What a page says of itself.
#[derive(Debug, Default)]
struct Header {
    /// Bytes, unpacked.
    bytes: u64,
    values: u64,
}

impl Header {
    /// Reads a header to its end. Of a field that is there twice the last counts, as it does for the library.
    fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut header = Self::default();
        fields(input, 0, &mut |input, id, kind, depth| match (id, kind) {
            (2, I32) => {
                header.bytes = number(input)?;
                Ok(())
            }
            // The headers of data pages and dictionaries, each with its number of values first.
            (5 | 7 | 8, STRUCT) => fields(input, depth + 1, &mut |input, id, kind, depth| match (id, kind) {
                (1, I32) => {
                    header.values = number(input)?;
                    Ok(())
                }
                _ => pass(input, kind, depth),
            }),
            _ => pass(input, kind, depth),
        })?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let &Self { bytes, values } = self;
        match bytes > values.clamp(1, LONG_VALUES) * LONGEST_ROW as u64 {
            false => Ok(()),
            true => Err(ParquetError::External(Box::new(TooLarge { bytes, values }))),
        }
    }
}

const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// What is done with a field: its input, its number, its type and its depth.
type Visit<'a, R> = &'a mut dyn FnMut(&mut R, u64, u8, usize) -> io::Result<()>;

/// Visits the fields of a struct.
fn fields<R: Read>(input: &mut R, depth: usize, visit: Visit<'_, R>) -> io::Result<()> {
    let mut id: u64 = 0;
    loop {
        let head = byte(input)?;
        let (step, kind) = (u64::from(head >> 4), head & 15);
        if kind == 0 {
            return Ok(());
        }
        id = if step == 0 { number(input)? } else { id.saturating_add(step) };
        visit(input, id, kind, depth)?;
    }
}

/// Reads over a value.
fn pass<R: Read>(input: &mut R, kind: u8, depth: usize) -> io::Result<()> {
    match kind {
        // True and false are types.
        1 | 2 => Ok(()),
        BYTE => byte(input).map(drop),
        I16 | I32 | I64 => varint(input).map(drop),
        DOUBLE => over(input, 8),
        BINARY => {
            let length = varint(input)?;
            over(input, length)
        }
        LIST | SET => {
            let head = byte(input)?;
            let (length, kind) = (head >> 4, head & 15);
            let length = if length == 15 { varint(input)? } else { length.into() };
            // In lists, truth values are bytes.
            let kind = if matches!(kind, 1 | 2) { BYTE } else { kind };
            nested(depth)?;
            (0..length).try_for_each(|_| pass(input, kind, depth + 1))
        }
        STRUCT => {
            nested(depth)?;
            fields(input, depth + 1, &mut |input, _, kind, depth| pass(input, kind, depth))
        }
        // Headers have no maps.
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn nested(depth: usize) -> io::Result<()> {
    if depth < DEEPEST { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn over(input: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut input.take(bytes), &mut io::sink())? == bytes {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn byte(input: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A whole number with a sign, in zigzag; those below 0, which are no size, as 0.
fn number(input: &mut impl Read) -> io::Result<u64> {
    let zigzag = varint(input)?;
    Ok(if zigzag % 2 == 0 { zigzag / 2 } else { 0 })
}

/// Seven bits a byte, the lowest first.
fn varint(input: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = byte(input)?;
        value |= u64::from(byte & 127) << (7 * place);
        if byte < 128 {
            return Ok(value);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::{Compression, Encoding};
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use crate::testing::Scratch;
    use crate::{Layout, read_texts};

    use super::*;

    /// A file of texts, each in a page of its own.
    fn file(compression: Compression, version2: bool, texts: &[&str]) -> Vec<u8> {
        let schema = "message essays { required binary text_id (UTF8); required binary full_text (UTF8); }";
        let version = match version2 {
            true => parquet::file::properties::WriterVersion::PARQUET_2_0,
            false => parquet::file::properties::WriterVersion::PARQUET_1_0,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_writer_version(version)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_data_page_row_count_limit(1)
            .set_write_batch_size(1)
            .build();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<ByteArray> = (0..texts.len()).map(|n| format!("d{n}").as_str().into()).collect();
        let texts: Vec<ByteArray> = texts.iter().map(|&text| text.into()).collect();
        for values in [ids, texts] {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_value_that_is_too_long_is_refused_before_it_is_unpacked() {
        let scratch = Scratch::new();
        let long = "a ".repeat((LONGEST_ROW >> 1) + 1024);
        for (compression, version2) in
            [(Compression::ZSTD(Default::default()), false), (Compression::SNAPPY, true)]
        {
            let mut bytes = file(compression, version2, &["Short.", &long]);
            // What would unpack it gets to hear that it is damaged.
            let packed = bytes.len() / 2;
            bytes[packed..packed + 64].fill(0xff);
            let error = read_texts(scratch.file("long.parquet", &bytes), &Layout::default());
            let error = format!("{:#}", error.unwrap_err());
            assert!(
                error.contains("long.parquet: row 2: a page of 64 MiB for 1 values, of which each may have 64 MiB; shorten"),
                "{error}"
            );
        }
    }

    #[test]
    fn headers_say_the_sizes_that_were_written() {
        let texts = ["One.", "Two and a half.", ""];
        for version2 in [false, true] {
            let bytes = file(Compression::UNCOMPRESSED, version2, &texts);
            let scratch = Scratch::new();
            let pages = Pages(File::open(scratch.file("texts.parquet", &bytes)).unwrap());
            let reader = parquet::file::reader::SerializedFileReader::new(pages).unwrap();
            let column = parquet::file::reader::FileReader::metadata(&reader).row_group(0).column(1).clone();
            let start = usize::try_from(column.data_page_offset()).unwrap();
            let mut rest = &bytes[start..];
            for text in texts {
                let header = Header::read(&mut rest).unwrap();
                // A text is its length in four bytes and its bytes.
                assert_eq!((header.bytes, header.values), (text.len() as u64 + 4, 1));
                rest = &rest[text.len() + 4..];
            }
        }
    }

    #[test]
    fn many_values_may_fill_a_page_and_a_later_field_counts() {
        let check = |bytes: u64, values: u64| Header { bytes, values }.check().is_ok();
        let longest = LONGEST_ROW as u64;
        assert!(check(longest, 1) && !check(longest + 1, 1) && check(longest + 1, 2));
        assert!(check(8 * longest, 1000) && !check(8 * longest + 1, 1000) && !check(longest + 1, 0));
        // bytes: 3, a data page of 1 value, bytes: 2,000,000,000.
        let header = [0x25, 0x06, 0x3c, 0x15, 0x02, 0, 0x05, 0x04, 0x80, 0xd0, 0xac, 0xf3, 0x0e, 0];
        let read = Header::read(&mut header.as_slice()).unwrap();
        assert_eq!((read.bytes, read.values), (2_000_000_000, 1));
        for length in 0..header.len() {
            assert!(Header::read(&mut &header[..length]).is_err());
        }
        let deep = vec![0x1c; 1000];
        assert!(Header::read(&mut deep.as_slice()).is_err());
    }
}
