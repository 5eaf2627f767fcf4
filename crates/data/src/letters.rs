//! How letters follow each other in texts, by which a text of another language, or of none, is known.
//!
//! A text is a sequence of signs: its letters in lower case, with a gap in the place of whatever stands between them. A table
//! counts which sign follows which in texts that are known; it says how many bits the next sign of another text is worth.
//! No words and no language are known: the table is as good for Finnish as for English.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Letters that have a row of their own; the others share one.
const LETTERS: usize = 40;
/// Signs of a text below which its mean says nothing.
const SHORTEST: usize = 60;
/// Texts below which nothing is known of their like.
const TEXTS: usize = 20;
/// Texts differ at least so much, in bits: a small number of alike texts would say less.
const LEAST_DEVIATION: f64 = 0.05;
/// Digits, each for so many quarters of a bit.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What is usual among some texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letters {
    /// The most frequent letters, the most frequent first. Signs are the gap, these, and any other letter.
    pub alphabet: String,
    /// For each sign what each sign after it is worth: a digit, of those of Base64, for so many quarters of a bit.
    pub bits: Vec<String>,
    /// Mean of the texts' means, in bits per sign.
    pub mean: f64,
    /// Standard deviation of what single signs are worth.
    pub spread: f64,
    /// Standard deviation of texts' means, beside what `spread` explains.
    pub deviation: f64,
}

impl Letters {
    /// Counts texts; `None` where they are too few, or too short.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let texts: Vec<Vec<char>> = texts.map(signs).filter(|signs| signs.len() > SHORTEST).collect();
        if texts.len() < TEXTS {
            return None;
        }
        let mut frequencies = BTreeMap::<char, usize>::new();
        for &letter in texts.iter().flatten().filter(|&&sign| sign != ' ') {
            *frequencies.entry(letter).or_default() += 1;
        }
        let mut alphabet: Vec<(char, usize)> = frequencies.into_iter().collect();
        alphabet.sort_by_key(|&(letter, n)| (std::cmp::Reverse(n), letter));
        let alphabet: String = alphabet.into_iter().take(LETTERS).map(|(letter, _)| letter).collect();
        let places: Vec<Vec<usize>> = texts.iter().map(|signs| places(&alphabet, signs)).collect();
        let quarters = worth(&places, alphabet.chars().count() + 2);
        let digit = |&quarters: &u8| char::from(DIGITS[usize::from(quarters)]);
        let bits = quarters.iter().map(|row| row.iter().map(digit).collect()).collect();
        let (mean, spread, deviation) = moments(&places, &quarters);
        Some(Self { alphabet, bits, mean, spread, deviation })
    }

    /// Checks that the table is whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), String> {
        let signs = self.alphabet.chars().count() + 2;
        let is_row = |row: &String| row.len() == signs && row.bytes().all(|digit| DIGITS.contains(&digit));
        if self.bits.len() != signs || !self.bits.iter().all(is_row) {
            return Err(format!("has letters whose table is not {signs} rows of {signs} digits of Base64"));
        }
        let is_number = |number: f64, least: f64| number.is_finite() && number >= least;
        if !is_number(self.mean, 0.0)
            || !is_number(self.spread, 0.0)
            || !is_number(self.deviation, LEAST_DEVIATION)
        {
            return Err("has letters whose mean, spread or deviation is too small, or no number".into());
        }
        Ok(())
    }
}

/// The signs of a text, a gap at both ends.
fn signs(text: &str) -> Vec<char> {
    let mut signs = vec![' '];
    for letter in text.to_lowercase().chars() {
        if letter.is_alphabetic() {
            signs.push(letter);
        } else if signs.last() != Some(&' ') {
            signs.push(' ');
        }
    }
    if signs.last() != Some(&' ') {
        signs.push(' ');
    }
    signs
}

/// Signs as rows of the table.
fn places(alphabet: &str, signs: &[char]) -> Vec<usize> {
    let rows: BTreeMap<char, usize> = std::iter::once(' ').chain(alphabet.chars()).zip(0..).collect();
    signs.iter().map(|sign| rows.get(sign).copied().unwrap_or(rows.len())).collect()
}

/// What each sign after each is worth, in quarters of a bit: minus the logarithm of its share, half a count added to each.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is rounded, and between 0 and 63"
)]
fn worth(texts: &[Vec<usize>], signs: usize) -> Vec<Vec<u8>> {
    let mut counts = vec![vec![0.5; signs]; signs];
    for text in texts {
        for pair in text.windows(2) {
            counts[pair[0]][pair[1]] += 1.0;
        }
    }
    let row = |counts: &Vec<f64>| {
        let all: f64 = counts.iter().sum();
        counts.iter().map(|n| (-4.0 * libm::log2(n / all)).round().clamp(0.0, 63.0) as u8).collect()
    };
    counts.iter().map(row).collect()
}

/// Mean, spread and deviation of texts.
fn moments(texts: &[Vec<usize>], quarters: &[Vec<u8>]) -> (f64, f64, f64) {
    let of = |text: &Vec<usize>| -> Vec<f64> {
        text.windows(2).map(|pair| f64::from(quarters[pair[0]][pair[1]]) / 4.0).collect()
    };
    let bits: Vec<Vec<f64>> = texts.iter().map(of).collect();
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let all = bits.concat();
    let centre = average(&all);
    let variance = all.iter().map(|bit| (bit - centre).powi(2)).sum::<f64>() / all.len() as f64;
    let means: Vec<f64> = bits.iter().map(|bits| average(bits)).collect();
    let mean = average(&means);
    let between: f64 = means.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / means.len() as f64;
    let within: f64 = bits.iter().map(|bits| variance / bits.len() as f64).sum::<f64>() / means.len() as f64;
    (mean, variance.sqrt(), (between - within).max(0.0).sqrt().max(LEAST_DEVIATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_letters_and_gaps() {
        let text: String = signs("  Été -- 3 x's\n").into_iter().collect();
        assert_eq!(text, " été x s ");
        assert_eq!(signs(""), [' ']);
    }

    #[test]
    fn what_always_follows_is_worth_nothing_and_what_never_does_is_worth_most() {
        let text = "ab ".repeat(40);
        let letters = Letters::of(std::iter::repeat_n(text.as_str(), 20)).unwrap();
        letters.validate().unwrap();
        assert_eq!(letters.alphabet, "ab");
        // Signs: the gap, a, b, and any other letter. After each of the first three comes one sign 800 times: four half
        // counts are added, so -4 log2(800.5 / 802) = 0.01 quarters, and -4 log2(0.5 / 802) = 42.6 of the others.
        assert_eq!(letters.bits, ["rArr", "rrAr", "Arrr", "IIII"]);
        assert_eq!((letters.mean, letters.deviation), (0.0, LEAST_DEVIATION));
    }

    #[test]
    fn the_ready_scorer_has_those_of_the_texts_it_learned_from() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let manifest = std::fs::read(root.join("export/bundle/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        // Counted by a program of its own.
        let written: Letters = serde_json::from_value(manifest["scorer"]["letters"].clone()).unwrap();
        written.validate().unwrap();
        let mut essays = csv::Reader::from_path(root.join("data/demo/essays.csv")).unwrap();
        let rows = essays.deserialize().map(|row| row.unwrap());
        let rows: Vec<BTreeMap<String, String>> =
            rows.filter(|row: &BTreeMap<_, _>| row["fold"] != "E").collect();
        let counted = Letters::of(rows.iter().map(|row| row["full_text"].as_str())).unwrap();
        assert_eq!((&counted.alphabet, &counted.bits), (&written.alphabet, &written.bits));
        let numbers = |of: &Letters| [of.mean, of.spread, of.deviation];
        for (one, other) in numbers(&counted).iter().zip(numbers(&written)) {
            assert!((one - other).abs() < 1e-9, "{one} is not {other}");
        }
    }

    #[test]
    fn few_and_short_texts_say_nothing() {
        let long = "some words of a text, ".repeat(10);
        assert_eq!(Letters::of(std::iter::repeat_n(long.as_str(), 19)), None);
        assert_eq!(Letters::of(std::iter::repeat_n("short", 100)), None);
        assert!(Letters::of(std::iter::repeat_n(long.as_str(), 20)).is_some());
    }

    #[test]
    fn a_table_that_is_not_whole_is_refused() {
        let long = "some words of a text, ".repeat(10);
        let letters = Letters::of(std::iter::repeat_n(long.as_str(), 20)).unwrap();
        letters.validate().unwrap();
        let damaged = |change: fn(&mut Letters)| {
            let mut letters = letters.clone();
            change(&mut letters);
            letters.validate()
        };
        assert!(damaged(|letters| letters.bits.truncate(3)).is_err());
        assert!(damaged(|letters| letters.bits[0] = "-".repeat(letters.bits.len())).is_err());
        assert!(damaged(|letters| letters.spread = f64::NAN).is_err());
        assert!(damaged(|letters| letters.alphabet.push('é')).is_err());
    }
}
