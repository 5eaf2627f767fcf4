//! How a table is written: its separators, its encoding and its escapes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How a file is written, as far as the file itself does not say.
///
/// The default is what [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) describes, in UTF-8, with the delimiter that
/// the header shows. Workbooks need none of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// What separates fields. `None` finds it in the header: the one of `,`, `;`, tab and `|` that occurs most often
    /// there; a tab in files that are called `.tsv`.
    pub delimiter: Option<Mark>,
    /// The encoding of files without a byte order mark; a mark is always followed. `None` is UTF-8.
    pub encoding: Option<Encoding>,
    /// A character that takes away the meaning of a quote, a delimiter, a line break or itself after it. `None`:
    /// quotes are doubled instead, which is always understood.
    pub escape: Option<Mark>,
}

/// One character of the syntax of a table: printable ASCII or a tab, neither a letter, a digit, a blank nor a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mark(u8);

impl Mark {
    /// A comma.
    pub const COMMA: Self = Self(b',');
    /// A tab.
    pub const TAB: Self = Self(b'\t');

    /// The marks that a header is searched for, the likeliest first.
    pub(super) const DELIMITERS: [Self; 4] = [Self::COMMA, Self(b';'), Self::TAB, Self(b'|')];

    /// The byte that stands for it in UTF-8.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl FromStr for Mark {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text.as_bytes() {
            b"\\t" | b"tab" => Ok(Self::TAB),
            &[byte] if (byte.is_ascii_punctuation() && byte != b'"') || byte == b'\t' => Ok(Self(byte)),
            _ => Err(DataError::setting(
                format!("{text:?} cannot separate or escape"),
                "give one character, like , or ; or \\, or the word tab",
            )),
        }
    }
}

impl TryFrom<String> for Mark {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TAB => formatter.write_str("tab"),
            Self(byte) => write!(formatter, "{}", char::from(byte)),
        }
    }
}

/// A character encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16; little-endian where no byte order mark says otherwise.
    Utf16,
    /// What Windows calls ANSI in Western Europe and America.
    Windows1252,
    /// ISO 8859-1: every byte is the code point of the same number.
    Latin1,
}

impl Encoding {
    /// Every encoding with the name that it is asked for by.
    pub const ALL: [(Self, &str); 4] = [
        (Self::Utf8, "utf-8"),
        (Self::Utf16, "utf-16"),
        (Self::Windows1252, "windows-1252"),
        (Self::Latin1, "latin-1"),
    ];
}

impl FromStr for Encoding {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|(_, name)| plain(name) == plain(text));
        found.map(|(encoding, _)| encoding).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name)| name).join(", ");
            DataError::setting(format!("unknown encoding {text:?}"), format!("give one of {names}"))
        })
    }
}

impl TryFrom<String> for Encoding {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Encoding> for String {
    fn from(encoding: Encoding) -> Self {
        encoding.to_string()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(encoding, _)| encoding == self);
        formatter.write_str(name.map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_single_characters() {
        for (text, byte) in
            [(",", b','), (";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), ("\\", b'\\')]
        {
            assert_eq!(text.parse::<Mark>().unwrap().byte(), byte, "{text:?}");
        }
        for text in ["", ",,", "a", "1", " ", "\"", "\n", "é"] {
            assert!(text.parse::<Mark>().unwrap_err().to_string().contains("one character"), "{text:?}");
        }
    }

    #[test]
    fn encodings_are_named_with_and_without_hyphens() {
        for (encoding, name) in Encoding::ALL {
            assert_eq!(name.parse::<Encoding>().unwrap(), encoding);
            assert_eq!(name.replace('-', "").to_uppercase().parse::<Encoding>().unwrap(), encoding);
            assert_eq!(encoding.to_string(), name);
        }
        let error = "ebcdic".parse::<Encoding>().unwrap_err().to_string();
        assert_eq!(error, "unknown encoding \"ebcdic\"; give one of utf-8, utf-16, windows-1252, latin-1");
    }

    #[test]
    fn options_are_written_as_on_the_command_line() {
        let options: TableOptions =
            serde_json::from_str(r#"{"delimiter": "tab", "encoding": "latin-1", "escape": "\\"}"#).unwrap();
        assert_eq!((options.delimiter, options.encoding), (Some(Mark::TAB), Some(Encoding::Latin1)));
        assert!(serde_json::from_str::<TableOptions>(r#"{"quote": "'"}"#).is_err());
    }
}
