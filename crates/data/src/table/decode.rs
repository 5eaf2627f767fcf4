//! Bytes of other encodings as UTF-8.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use encoding_rs::{DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::Encoding;

/// The text of `input` in the encoding that a byte order mark says, else in `encoding`, without the mark. `head` is the
/// beginning of `input`. UTF-8 passes unchecked.
pub(super) fn decoded<R: Read + 'static>(
    input: R,
    head: &[u8],
    encoding: Option<Encoding>,
) -> io::Result<Box<dyn BufRead>> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let mark = encoding_rs::Encoding::for_bom(head);
    if let Some((_, length)) = mark {
        io::copy(&mut input.by_ref().take(length as u64), &mut io::sink())?;
    }
    let table = |found: &'static encoding_rs::Encoding| {
        Decoder::Tables(Box::new(found.new_decoder_without_bom_handling()))
    };
    let decoder = match (mark, encoding) {
        (Some((found, _)), _) if found == UTF_8 => return Ok(Box::new(input)),
        (Some((found, _)), _) => table(found),
        (None, None | Some(Encoding::Utf8)) => return Ok(Box::new(input)),
        // The first character of a table is one of ASCII, half of which is zero.
        (None, Some(Encoding::Utf16)) if head.starts_with(&[0]) => table(UTF_16BE),
        (None, Some(Encoding::Utf16)) => table(UTF_16LE),
        (None, Some(Encoding::Windows1252)) => table(WINDOWS_1252),
        (None, Some(Encoding::Latin1)) => Decoder::Latin1,
    };
    Ok(Box::new(Decoded { input, decoder, text: vec![0; CHUNK], ready: 0..0 }))
}

/// Bytes read and decoded at once.
const CHUNK: usize = 1 << 16;

/// UTF-8 made of another encoding.
struct Decoded<R> {
    input: BufReader<R>,
    decoder: Decoder,
    text: Vec<u8>,
    /// The part of `text` that nobody has read yet.
    ready: Range<usize>,
}

enum Decoder {
    /// Every byte is the code point of the same number.
    Latin1,
    /// By the tables of `encoding_rs`, until the end or the first bytes that mean nothing.
    Tables(Box<encoding_rs::Decoder>),
    /// All was decoded.
    Over,
    /// What comes next means nothing in the encoding.
    Failed,
}

impl<R: Read> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.ready.is_empty() {
            let input = self.input.fill_buf()?;
            let ended = input.is_empty();
            let (read, written) = match &mut self.decoder {
                Decoder::Over => break,
                Decoder::Failed => return Err(io::Error::new(io::ErrorKind::InvalidData, Malformed)),
                Decoder::Latin1 if ended => break,
                Decoder::Latin1 => encoding_rs::mem::convert_latin1_to_utf8_partial(input, &mut self.text),
                Decoder::Tables(decoder) => {
                    let (result, read, written) =
                        decoder.decode_to_utf8_without_replacement(input, &mut self.text, ended);
                    match result {
                        DecoderResult::InputEmpty if ended => self.decoder = Decoder::Over,
                        DecoderResult::Malformed(..) => self.decoder = Decoder::Failed,
                        DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
                    }
                    (read, written)
                }
            };
            self.input.consume(read);
            self.ready = 0..written;
        }
        Ok(&self.text[self.ready.clone()])
    }

    fn consume(&mut self, n: usize) {
        self.ready.start += n;
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

/// Whether bytes mean nothing in the encoding of their file.
pub(super) fn is_malformed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<Malformed>())
}

#[derive(Debug)]
struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not UTF-16")
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], encoding: Option<Encoding>) -> io::Result<Vec<u8>> {
        // A reader that gives one byte at a time splits every character.
        struct Slowly(io::Cursor<Vec<u8>>);
        impl Read for Slowly {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let n = buffer.len().min(1);
                self.0.read(&mut buffer[..n])
            }
        }
        let mut text = Vec::new();
        decoded(Slowly(io::Cursor::new(bytes.to_vec())), bytes, encoding)?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf16_follows_its_mark() {
        let text = "a;\u{e9}\u{1f642}\r\n";
        for bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            let file = utf16(&format!("\u{feff}{text}"), bytes);
            for encoding in [None, Some(Encoding::Utf16), Some(Encoding::Windows1252)] {
                assert_eq!(decode(&file, encoding).unwrap(), text.as_bytes());
            }
        }
        for bytes in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
            assert_eq!(decode(&bytes, Some(Encoding::Utf16)).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn half_a_character_is_an_error() {
        let mut file = utf16("\u{feff}ab", u16::to_le_bytes);
        file.extend([0x00, 0xd8, 0x61, 0x00]);
        assert_eq!(decode(&file, None).unwrap_err().to_string(), "not UTF-16");
        assert!(decode(b"\xff\xfea", None).is_err(), "an odd byte at the end");
    }

    #[test]
    fn single_bytes_by_their_tables() {
        assert_eq!(
            decode(b"don\x92t \x80", Some(Encoding::Windows1252)).unwrap(),
            "don\u{2019}t \u{20ac}".as_bytes()
        );
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(decode(&all, Some(Encoding::Latin1)).unwrap(), expected.as_bytes());
        assert_eq!(decode(&all, None).unwrap(), all, "UTF-8 passes unchecked");
        assert_eq!(decode(b"\xef\xbb\xbfx", None).unwrap(), b"x");
    }
}
