//! Files as UTF-8 text, whatever they are compressed with and encoded in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::Encoding;
use super::decode::{decoded, is_malformed};
use crate::ending::{inner_name, is_json};
use crate::error::{DataError, Result};
use crate::files::open;

/// Bytes of a file that are looked at before it is read: enough for every header.
const HEAD: usize = 1 << 16;

/// What a file holds, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Fields between delimiters: `.csv`, `.tsv`.
    Delimited,
    /// JSON, an object per line or a list of objects: `.jsonl`, `.ndjson`, `.json`.
    Json,
    /// A workbook: `.xlsx`.
    Workbook,
    /// Columns in pages: `.parquet`.
    Parquet,
    /// Another ending, or none.
    Unknown,
}

impl Kind {
    /// What the file at `path` holds; `.gz` at the end aside.
    ///
    /// # Errors
    /// Endings of files that are known not to be read; each with a way out.
    pub fn of(path: &Path) -> Result<Self> {
        let (name, compressed) = inner_name(path);
        let ending = Path::new(&name).extension().unwrap_or_default().to_string_lossy().into_owned();
        match ending.as_str() {
            "csv" | "tsv" => Ok(Self::Delimited),
            _ if is_json(path) => Ok(Self::Json),
            "xlsx" if !compressed => Ok(Self::Workbook),
            "xlsx" => Err(DataError::file(path, "a compressed workbook", "decompress it")),
            "xls" | "xlsb" | "xlsm" | "ods" | "numbers" => {
                Err(DataError::file(path, format!("a spreadsheet (.{ending})"), "save it as .xlsx or .csv"))
            }
            "zip" | "7z" | "rar" | "tar" | "tgz" => Err(DataError::file(
                path,
                format!("an archive (.{ending})"),
                "unpack it and give the file in it",
            )),
            "bz2" | "xz" | "zst" | "lz4" | "br" => Err(DataError::file(
                path,
                format!("compressed (.{ending})"),
                "decompress it, or compress it with gzip",
            )),
            "parquet" if !compressed => Ok(Self::Parquet),
            "parquet" => Err(DataError::file(path, "compressed Parquet", "decompress it")),
            _ => Ok(Self::Unknown),
        }
    }
}

/// The text of a file, with its first bytes.
pub(crate) struct Input {
    /// The beginning, in UTF-8 where the file is what it says; at most 64 KiB.
    pub head: Vec<u8>,
    /// All of the text, `head` included, without a byte order mark.
    pub text: Box<dyn BufRead>,
}

impl Input {
    /// A text that was read already.
    pub fn of_text(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
        Self { head: text[..text.len().min(HEAD)].to_vec(), text: Box::new(io::Cursor::new(text.to_vec())) }
    }

    /// Opens a file that is compressed where its name says so, in the encoding that its byte order mark says, else in
    /// `encoding`, else in UTF-8. Bytes of UTF-8 are passed on as they are: whoever splits them knows which row is wrong.
    ///
    /// # Errors
    /// A file that cannot be read, or that is something else than its name says.
    pub fn open(path: &Path, encoding: Option<Encoding>) -> Result<Self> {
        let unreadable = |source| DataError::unreadable(path, source);
        let file = open(path).map_err(unreadable)?;
        let (_, compressed) = inner_name(path);
        let bytes: Box<dyn Read> = if compressed { inflate(path, file)? } else { Box::new(file) };
        let (start, bytes) = with_head(BufReader::new(bytes)).map_err(unreadable)?;
        if let Some((what, remedy)) = other_format(&start) {
            return Err(DataError::file(path, what, remedy));
        }
        let text = decoded(bytes, &start, encoding).map_err(unreadable)?;
        let (head, text) = with_head(text).map_err(unreadable)?;
        let zeros = head.iter().filter(|&&byte| byte == 0).count();
        if zeros > head.len() / 4 {
            let what = "characters of two or four bytes, as in UTF-16 or UTF-32, without saying so";
            return Err(DataError::file(path, what, "save it as UTF-8, or try --encoding utf-16"));
        }
        Ok(Self { head, text: Box::new(text) })
    }
}

/// The first bytes, and all of them once more.
fn with_head<R: BufRead>(mut input: R) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut head = Vec::new();
    match input.by_ref().take(HEAD as u64).read_to_end(&mut head) {
        // It comes again where the text is split into rows, which can name the row.
        Err(error) if is_malformed(&error) => {}
        read => drop(read?),
    }
    Ok((head.clone(), io::Cursor::new(head).chain(input)))
}

/// Formats that no encoding makes a text of, by their first bytes.
fn other_format(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const FORMATS: [(&[u8], &str, &str); 4] = [
        (b"PK\x03\x04", "a workbook or an archive", "name it .xlsx, or unpack it"),
        (b"\x1f\x8b", "compressed with gzip", "add .gz to its name"),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as .xlsx or .csv"),
        (b"PAR1", "Parquet", "name it .parquet"),
    ];
    let found = FORMATS.iter().find(|(magic, ..)| head.starts_with(magic));
    found.map(|&(_, what, remedy)| (what, remedy))
}

#[cfg(not(target_family = "wasm"))]
fn inflate(_: &Path, file: File) -> Result<Box<dyn Read>> {
    Ok(Box::new(flate2::read::MultiGzDecoder::new(file)))
}

/// A page has no files.
#[cfg(target_family = "wasm")]
fn inflate(path: &Path, _: File) -> Result<Box<dyn Read>> {
    Err(DataError::file(path, "compressed", "decompress it"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::Scratch;

    fn text(path: &Path) -> Result<String> {
        let mut text = String::new();
        Input::open(path, None)?.text.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn gzip_is_read_in_all_its_members() {
        let scratch = Scratch::new();
        let member = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let both = [member("\u{feff}id,text\n"), member("1,x\n")].concat();
        assert_eq!(text(&scratch.file("a.CSV.GZ", &both)).unwrap(), "id,text\n1,x\n");
        let message = text(&scratch.file("b.csv.gz", &both[..12])).unwrap_err().to_string();
        assert!(message.contains("b.csv.gz; check that it is whole"), "{message}");
        let message = text(&scratch.file("c.csv", &both)).unwrap_err().to_string();
        assert!(message.contains("c.csv: compressed with gzip; add .gz to its name"), "{message}");
    }

    #[test]
    fn characters_of_several_bytes_are_not_taken_for_one() {
        let scratch = Scratch::new();
        let wide = |zeros: usize| {
            "id,text\n1,x\n".bytes().flat_map(|byte| [vec![byte], vec![0; zeros]].concat()).collect()
        };
        for bytes in [wide(1), wide(3), [b"\xff\xfe\0\0".to_vec(), wide(3)].concat()] {
            let message = text(&scratch.file("a.csv", bytes)).unwrap_err().to_string();
            assert!(message.contains("a.csv: characters of two or four bytes"), "{message}");
        }
        assert_eq!(text(&scratch.file("b.csv", "id,text\n1,a\0b\n")).unwrap(), "id,text\n1,a\0b\n");
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        for (name, part) in [
            ("a.zip", "an archive (.zip); unpack it"),
            ("a.csv.zip", "an archive (.zip)"),
            ("a.xls", "a spreadsheet (.xls); save it as .xlsx or .csv"),
            ("a.ODS", "a spreadsheet (.ods)"),
            ("a.csv.zst", "compressed (.zst)"),
            ("a.xlsx.gz", "a compressed workbook"),
            ("a.parquet.gz", "compressed Parquet"),
        ] {
            let message = Kind::of(Path::new(name)).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        for (name, kind) in [
            ("a.csv", Kind::Delimited),
            ("a.tsv.gz", Kind::Delimited),
            ("a.JSONL", Kind::Json),
            ("a.xlsx", Kind::Workbook),
            ("a.parquet", Kind::Parquet),
            ("a", Kind::Unknown),
        ] {
            assert_eq!(Kind::of(Path::new(name)).unwrap(), kind, "{name}");
        }
    }
}
