//! One of several parts of a file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One of several parts of equal size, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    number: u64,
    of: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if 1 <= number && number <= of && of <= 99_999 => Ok(Self { number, of }),
            _ => Err("expected I/N with I from 1 to N, such as 3/8".into()),
        }
    }
}

impl Shard {
    /// Its rows among `n`: from the first on, and one past its last.
    pub(super) fn rows(self, n: u64) -> (u64, u64) {
        let until = |number: u64| (u128::from(n) * u128::from(number) / u128::from(self.of)) as u64;
        (until(self.number - 1), until(self.number))
    }

    /// `scores-00003-of-00008.csv` for `scores.csv`.
    pub(super) fn name(self, output: &Path) -> PathBuf {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let ending =
            output.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
        output.with_file_name(format!("{stem}-{:05}-of-{:05}{ending}", self.number, self.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_divide_all_rows_in_order() {
        for n in [0, 1, 7, 100] {
            for of in 1..9 {
                let rows: Vec<_> = (1..=of).map(|number| Shard { number, of }.rows(n)).collect();
                assert_eq!((rows[0].0, rows[rows.len() - 1].1), (0, n));
                assert!(rows.windows(2).all(|pair| pair[0].1 == pair[1].0));
                let sizes: Vec<u64> = rows.iter().map(|(first, end)| end - first).collect();
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            }
        }
    }

    #[test]
    fn a_shard_is_written_as_its_number_of_how_many() {
        assert_eq!("3/8".parse(), Ok(Shard { number: 3, of: 8 }));
        for wrong in ["0/8", "9/8", "3", "a/b", "1/0", "-1/2", "1/100000"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        let name = Shard { number: 3, of: 8 }.name(Path::new("out/scores.csv"));
        assert_eq!(name, Path::new("out/scores-00003-of-00008.csv"));
    }
}
