//! Secrets that let someone in: a judge's link, a key of a service. Only their hashes are kept.

use anyhow::{Context, Result};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes in a token: 192 bits, beyond guessing. So a plain hash keeps it as well as a slow one would.
const BYTES: usize = 24;

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

/// A new token in hexadecimal digits.
///
/// # Errors
/// An operating system that gives no random numbers.
pub(crate) fn new() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The hash of the token that a request carries, as `Authorization: Bearer`; that word may be written in any case
/// (RFC 9110, section 11.1).
pub(crate) fn of(headers: &HeaderMap) -> Option<Hash> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| hash(token.trim_start_matches(' ')))
}

/// What is kept of a token.
pub(crate) fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether two hashes are equal, in a time that does not tell where they differ.
pub(crate) fn same(one: &Hash, other: &Hash) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_say_nothing_in_a_link() {
        let tokens: std::collections::BTreeSet<String> = (0..1000).map(|_| new().unwrap()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == 48 && token.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn hashes_by_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digits: String = hash("abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, expected);
        assert!(same(&hash("abc"), &hash("abc")) && !same(&hash("abc"), &hash("abd")));
    }
}
