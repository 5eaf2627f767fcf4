//! Which rows are to be scored, into which file, and how far that went.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use pair2score_data::Columns;
use pair2score_data::files::{read_text, write_atomic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::output::Output;

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
    fn rows(self, n: u64) -> (u64, u64) {
        let until = |number: u64| (u128::from(n) * u128::from(number) / u128::from(self.of)) as u64;
        (until(self.number - 1), until(self.number))
    }

    /// `scores-00003-of-00008.csv` for `scores.csv`.
    fn name(self, output: &Path) -> PathBuf {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let ending =
            output.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
        output.with_file_name(format!("{stem}-{:05}-of-{:05}{ending}", self.number, self.of))
    }
}

/// What is to be scored.
pub(crate) struct Job {
    /// The file to write.
    pub(crate) output: PathBuf,
    /// Its rows of the input; `None` for all.
    pub(crate) rows: Option<(u64, u64)>,
    /// Whether the state is written beside the output.
    keeps_state: bool,
    /// What must be the same to go on.
    identity: String,
}

/// How far a job went. Written beside its output, where it stays as the mark that the output is whole.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    identity: String,
    /// All documents of the job are scored, and the output has its name.
    finished: bool,
    /// Documents scored.
    pub(crate) documents: u64,
    /// Those longer than the scorer reads.
    pub(crate) truncated: u64,
    /// Those without text.
    pub(crate) empty: u64,
    /// Bytes of the output so far.
    pub(crate) bytes: u64,
}

impl Job {
    /// A job; of a shard, its rows are counted.
    ///
    /// # Errors
    /// When the input or the scorer cannot be read.
    pub(crate) fn new(
        input: &Path,
        columns: &Columns,
        scorer: &Path,
        output: &Path,
        shard: Option<Shard>,
        resume: bool,
        calibrated: bool,
    ) -> Result<Self> {
        let rows = shard.map(|shard| Ok::<_, anyhow::Error>(shard.rows(super::count(input, columns)?)));
        let rows = rows.transpose()?;
        let keeps_state = shard.is_some() || resume;
        let identity = match keeps_state {
            true => identity(input, columns, scorer, rows, calibrated)?,
            false => String::new(),
        };
        let output = shard.map_or_else(|| output.to_owned(), |shard| shard.name(output));
        Ok(Self { output, rows, keeps_state, identity })
    }

    /// Whether a state is kept, and with it what is written before an error.
    pub(crate) fn keeps_state(&self) -> bool {
        self.keeps_state
    }

    /// Where the job was left; the start where it is new.
    ///
    /// # Errors
    /// When the state is that of another input or scorer.
    pub(crate) fn state(&self, resume: bool) -> Result<State> {
        let fresh = State { identity: self.identity.clone(), ..State::default() };
        let path = self.state_path();
        if !resume || !path.is_file() {
            return Ok(fresh);
        }
        let state: State = serde_json::from_str(&read_text(&path)?).with_context(|| {
            format!("{}: is damaged; remove it, or start over without --resume", path.display())
        })?;
        if state.identity != self.identity {
            bail!(
                "{}: was made from another input or scorer, or other columns; start over without --resume",
                path.display()
            );
        }
        let there = match state.finished {
            true => self.output.is_file(),
            false => Output::can_go_on(&self.output) && Output::partial_bytes(&self.output) >= state.bytes,
        };
        Ok(if there { state } else { fresh })
    }

    /// Writes the state, where one is kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        if self.keeps_state {
            write_atomic(self.state_path(), &serde_json::to_vec_pretty(state)?)?;
        }
        Ok(())
    }

    fn state_path(&self) -> PathBuf {
        let name = self.output.file_name().unwrap_or_default().to_string_lossy();
        self.output.with_file_name(format!("{name}.state.json"))
    }
}

impl State {
    /// All documents are scored and the output has its name.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The same, finished.
    pub(crate) fn finished(self) -> Self {
        Self { finished: true, ..self }
    }
}

/// SHA-256 of what the scores depend on, in hexadecimal: the scorer's files, and name, size and columns of the input,
/// which may be too large to be read for this alone.
fn identity(
    input: &Path,
    columns: &Columns,
    scorer: &Path,
    rows: Option<(u64, u64)>,
    calibrated: bool,
) -> Result<String> {
    let mut hash = Sha256::new();
    let size = std::fs::metadata(input).map_or(0, |metadata| metadata.len());
    hash.update(format!("{}\n{size}\n{columns:?}\n{rows:?}\n{calibrated}\n", input.display()));
    add_files(&mut hash, scorer)
        .with_context(|| format!("cannot read {}; check that it exists and may be read", scorer.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// Adds the files of a folder but for the state of training, by name.
fn add_files(hash: &mut Sha256, folder: &Path) -> std::io::Result<()> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hash.update(format!("{name}\n"));
        if path.is_dir() && name != "training" {
            add_files(hash, &path)?;
        } else if path.is_file() && name != ".lock" {
            std::io::copy(&mut File::open(&path)?, hash)?;
        }
    }
    Ok(())
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
