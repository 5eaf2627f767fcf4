//! Pair caches on disk: `run{N}_{trait}.jsonl` and `run{N}_{trait}_meta.json`.

use std::path::{Path, PathBuf};

use super::{Pair, PairMeta};
use crate::error::{DataError, Result};
use crate::files;

/// The pairs of one file, in file order; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct PairCache {
    /// The pairs, in file order.
    pub pairs: Vec<Pair>,
    /// The line of each pair, from 1.
    pub lines: Vec<usize>,
    /// The file they came from, for messages.
    pub path: PathBuf,
}

/// Reads a JSONL file of pairs. Unknown keys are ignored, since judgement logs may carry more; blank lines too.
///
/// # Errors
/// An unreadable or empty file; with its line, one that is no pair, that pairs a document with itself, or whose `y`
/// is not 0, 0.5 or 1 or whose weight is not above 0.
pub fn read_pairs(path: impl AsRef<Path>) -> Result<PairCache> {
    let path = path.as_ref();
    parse_pairs(path, &files::read_text(path)?)
}

/// As [`read_pairs`], from text; `path` is only named in messages.
///
/// # Errors
/// As [`read_pairs`], reading aside.
pub fn parse_pairs(path: &Path, text: &str) -> Result<PairCache> {
    let mut pairs = Vec::new();
    let mut lines = Vec::new();
    for (place, content) in text.lines().enumerate().filter(|(_, content)| !content.trim().is_empty()) {
        let line = place + 1;
        let pair: Pair = serde_json::from_str(content).map_err(|error| {
            let remedy = "write run, trait, split, index, a, b and y on each line";
            DataError::json(path, line, "a pair", remedy, error)
        })?;
        if let Some((what, remedy)) = pair.defect() {
            return Err(DataError::line(path, line, what, remedy));
        }
        pairs.push(pair);
        lines.push(line);
    }
    if pairs.is_empty() {
        return Err(DataError::file(path, "no pairs", "generate them again, or give another file"));
    }
    Ok(PairCache { pairs, lines, path: path.to_owned() })
}

/// Reads a `_meta.json` file.
///
/// # Errors
/// An unreadable file, or one that is no such JSON.
pub fn read_meta(path: impl AsRef<Path>) -> Result<PairMeta> {
    let path = path.as_ref();
    let text = files::read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let expected = "the meta file of a pair cache";
        DataError::json(path, error.line(), expected, "generate the pairs again", error)
    })
}

/// The paths of the pairs and of the meta file of a cache in `dir`.
///
/// # Errors
/// A trait that cannot be part of a file name.
pub fn cache_files(dir: impl AsRef<Path>, run: u32, target: &str) -> Result<[PathBuf; 2]> {
    if target.trim().is_empty() || target.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control())
    {
        let what = format!("trait {target:?} cannot be part of a file name");
        return Err(DataError::setting(what, "name a trait without slashes and colons"));
    }
    Ok([".jsonl", "_meta.json"].map(|end| dir.as_ref().join(format!("run{run}_{target}{end}"))))
}

/// Writes a cache into `dir` and returns the paths of the pairs and of the meta file.
///
/// The same pairs give the same bytes. The meta file comes last: where it exists, the pairs are complete.
///
/// # Errors
/// A trait that cannot be part of a file name; a pair that [`read_pairs`] would refuse; a failed write.
pub fn write_cache(
    dir: impl AsRef<Path>,
    run: u32,
    target: &str,
    pairs: &[Pair],
    meta: &PairMeta,
) -> Result<(PathBuf, PathBuf)> {
    let [pairs_path, meta_path] = cache_files(dir, run, target)?;
    let no_json =
        |path: &Path, error| DataError::json(path, 1, "writable as JSON", "correct the pairs", error);

    let mut lines = Vec::new();
    for (place, pair) in pairs.iter().enumerate() {
        if let Some((what, remedy)) = pair.defect() {
            return Err(DataError::line(&pairs_path, place + 1, what, remedy));
        }
        serde_json::to_writer(&mut lines, pair).map_err(|error| no_json(&pairs_path, error))?;
        lines.push(b'\n');
    }
    let mut json = serde_json::to_vec_pretty(meta).map_err(|error| no_json(&meta_path, error))?;
    json.push(b'\n');

    files::write_atomic(&pairs_path, &lines)?;
    files::write_atomic(&meta_path, &json)?;
    Ok((pairs_path, meta_path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    const PUBLISHED: &str = r#"{"run": 1, "trait": "grammar", "split": "train", "index": 0, "a": "x", "b": "z", "y": 1, "da": 3.5, "db": 2.0, "d": 1.5}"#;

    fn read(content: &str) -> Result<PairCache> {
        let scratch = Scratch::new();
        read_pairs(scratch.file("pairs.jsonl", content))
    }

    #[test]
    fn published_lines_survive_a_round_trip() {
        let pair = read(PUBLISHED).unwrap().pairs.remove(0);
        assert_eq!(serde_json::to_string(&pair).unwrap(), PUBLISHED.replace(": ", ":").replace(", ", ","));
    }

    #[test]
    fn judgements_survive_a_round_trip() {
        let line = r#"{"run":0,"trait":"grammar","split":"train","index":0,"a":"x","b":"z","y":0.5,"judge":"me","shown_left":"z","ms":1200,"at":"2026-05-01T10:00:00Z","weight":2.0}"#;
        let pair = read(line).unwrap().pairs.remove(0);
        assert_eq!(serde_json::to_string(&pair).unwrap(), line);
    }

    #[test]
    fn unknown_keys_and_blank_lines_are_ignored() {
        let line = PUBLISHED.replace("\"y\"", "\"note\": [1], \"y\"");
        assert_eq!(read(&format!("\u{feff}{line}\r\n\r\n")).unwrap().pairs.len(), 1);
    }

    #[test]
    fn bad_lines_are_named() {
        for (from, to, what) in [
            ("\"y\": 1", "\"y\": 0.7", "y is 0.7"),
            ("\"b\": \"z\"", "\"b\": \"x\"", "paired with itself"),
            ("\"b\": \"z\"", "\"b\": \"\"", "id is empty"),
            ("\"split\": \"train\", ", "", "not a pair"),
            ("\"train\"", "\"dev\"", "not a pair"),
            ("\"y\": 1", "\"y\": 1, \"weight\": 0", "weight is 0"),
            ("}", "", "not a pair"),
        ] {
            let message =
                read(&format!("{PUBLISHED}\n{}\n", PUBLISHED.replace(from, to))).unwrap_err().to_string();
            assert!(message.contains("pairs.jsonl: line 2") && message.contains(what), "{message}");
        }
    }

    #[test]
    fn file_without_pairs_is_an_error() {
        assert!(read("\n").unwrap_err().to_string().contains("no pairs"));
    }

    #[test]
    fn trait_stays_inside_the_folder() {
        let scratch = Scratch::new();
        let meta: PairMeta = serde_json::from_str(META).unwrap();
        for target in ["../up", "a\\b", ""] {
            assert!(write_cache(scratch.root(), 1, target, &[], &meta).is_err(), "{target}");
        }
        assert!(scratch.names().is_empty());
    }

    const META: &str = r#"{"run": 1, "trait": "grammar", "seed": 36, "target_usage": 5, "min_score_gap": 1.0,
        "pair_folds": ["A"], "heldout_fold": "E", "splits": {"train": ["x"], "val": [], "test": []},
        "counts_requested": {"train": 1, "val": 0, "test": 0}, "counts_actual": {"train": 1, "val": 0, "test": 0},
        "usage_stats": {"per_essay_limit": 6, "max_usage": 1, "min_usage": 1, "mean_usage": 1.0}}"#;

    #[test]
    fn written_cache_reads_back() {
        let scratch = Scratch::new();
        let pairs = read(PUBLISHED).unwrap().pairs;
        let meta: PairMeta = serde_json::from_str(META).unwrap();
        let (pairs_path, meta_path) =
            write_cache(scratch.path("deep/er"), 3, "grammar", &pairs, &meta).unwrap();
        assert!(pairs_path.ends_with("run3_grammar.jsonl") && meta_path.ends_with("run3_grammar_meta.json"));
        assert_eq!(read_pairs(&pairs_path).unwrap().pairs, pairs);
        assert_eq!(read_meta(&meta_path).unwrap(), meta);
    }
}
