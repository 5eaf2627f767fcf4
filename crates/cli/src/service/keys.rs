//! API keys: a file with one per line. A service without keys answers everybody who reaches it.

use std::path::Path;

use anyhow::{Result, bail};
use axum::http::HeaderMap;
use pair2score_data::files::read_text;

use crate::token::{self, Hash};

/// Characters of a key: short ones can be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// Hashes of the keys that let a request in.
pub(super) struct Keys(Vec<Hash>);

impl Keys {
    /// Reads a file: a key per line; blank lines and those that begin with `#` are notes.
    ///
    /// # Errors
    /// A file that cannot be read or holds no key, and a line that cannot be one. What stands there is not shown.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let mut keys = Vec::new();
        for (place, line) in text.lines().enumerate().map(|(place, line)| (place, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !LENGTHS.contains(&line.len()) || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
                bail!(
                    "{}: line {} is not a key; one has {} to {} letters, digits and signs without blanks between them, \
                     as `openssl rand -hex 24` makes them",
                    path.display(),
                    place + 1,
                    LENGTHS.start(),
                    LENGTHS.end()
                );
            }
            keys.push(token::hash(line));
        }
        if keys.is_empty() {
            bail!("{}: holds no key, so nobody could ask; write one per line", path.display());
        }
        Ok(Self(keys))
    }

    /// Whether a request carries one of the keys. Every hash is compared, whichever fits.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        token::of(headers)
            .is_some_and(|hash| self.0.iter().fold(false, |found, known| token::same(known, &hash) | found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Keys, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        std::fs::write(&path, content).unwrap();
        Keys::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn notes_are_left_out_and_every_key_lets_in() {
        let keys = read("# the school\n\n  0123456789abcdef  \r\nfedcba9876543210\n").unwrap();
        let admits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", value.parse().unwrap());
            keys.admit(&headers)
        };
        assert!(admits("Bearer 0123456789abcdef") && admits("Bearer fedcba9876543210"));
        assert!(admits("bearer 0123456789abcdef") && admits("BEARER  0123456789abcdef"));
        for wrong in
            ["Bearer 0123456789abcde", "0123456789abcdef", "Bearer # the school", "Bearer ", "Basic x"]
        {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!keys.admit(&HeaderMap::new()));
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_shown() {
        let error = read("0123456789abcdef\nsecret but short\n").err().unwrap();
        assert!(error.contains("line 2 is not a key") && !error.contains("secret"), "{error}");
        assert!(read("# nothing\n").err().unwrap().contains("holds no key"));
    }
}
