//! What is in a file of pairs: counts, gaps, usage, and signs of trouble.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::{GAP_NAMES, N_GAPS, Pair, SplitName, gap_bucket, read_meta, read_pairs};
use crate::error::Result;

/// The account of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct PairStats {
    /// The file.
    pub path: PathBuf,
    /// Counts of the splits that occur, in the order train, val, test.
    pub splits: Vec<SplitStats>,
    /// Documents in more than one split; 0 in a sound cache.
    pub shared_documents: usize,
    /// The unit of the gap buckets, in score units: the smallest gap that the cache was made with, as the `_meta.json` beside
    /// it says; 1 where nothing does.
    pub gap_unit: f64,
}

/// The account of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitStats {
    /// Which.
    pub split: SplitName,
    /// Lines.
    pub pairs: usize,
    /// Different documents.
    pub documents: usize,
    /// Pairs with y = 0.5.
    pub ties: usize,
    /// Pairs per gap bucket, see [`GAP_NAMES`] and [`PairStats::gap_unit`].
    pub gaps: [usize; N_GAPS],
    /// Pairs without labels, as judgements are.
    pub unknown_gaps: usize,
    /// Pairs of the least used document.
    pub usage_min: usize,
    /// Pairs per document.
    pub usage_mean: f64,
    /// Pairs of the most used document.
    pub usage_max: usize,
    /// Pairs that repeat an earlier one, either way round; several judges make some.
    pub duplicates: usize,
}

/// Reads a file of pairs and counts.
///
/// # Errors
/// As [`read_pairs`], and as [`read_meta`] where there is a meta file.
pub fn stats(path: impl AsRef<Path>) -> Result<PairStats> {
    let cache = read_pairs(path)?;
    let gap_unit = gap_unit(&cache.path)?;
    let mut by_split: BTreeMap<SplitName, Vec<&Pair>> = BTreeMap::new();
    let mut splits_of: HashMap<&str, BTreeSet<SplitName>> = HashMap::new();
    for pair in &cache.pairs {
        by_split.entry(pair.split).or_default().push(pair);
        for id in [&pair.a, &pair.b] {
            splits_of.entry(id).or_default().insert(pair.split);
        }
    }
    Ok(PairStats {
        splits: by_split.iter().map(|(&split, pairs)| count(split, pairs, gap_unit)).collect(),
        gap_unit,
        shared_documents: splits_of.values().filter(|splits| splits.len() > 1).count(),
        path: cache.path,
    })
}

/// The smallest gap of the cache in a file of pairs; 1 where it is not known, or where none was asked for.
fn gap_unit(pairs: &Path) -> Result<f64> {
    let name = pairs.file_stem().unwrap_or_default().to_string_lossy();
    let meta = pairs.with_file_name(format!("{name}_meta.json"));
    let gap = if meta.is_file() { read_meta(&meta)?.min_score_gap } else { 0.0 };
    Ok(if gap > 0.0 { gap } else { 1.0 })
}

/// Counts the pairs of one split; at least one.
fn count(split: SplitName, pairs: &[&Pair], gap_unit: f64) -> SplitStats {
    let mut usage: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let (mut gaps, mut unknown_gaps, mut ties, mut duplicates) = ([0; N_GAPS], 0, 0, 0);
    for pair in pairs {
        for id in [&pair.a, &pair.b] {
            *usage.entry(id).or_default() += 1;
        }
        match pair.gap() {
            Some(gap) => gaps[gap_bucket(gap, gap_unit)] += 1,
            None => unknown_gaps += 1,
        }
        ties += usize::from(pair.y == 0.5);
        duplicates += usize::from(!seen.insert(pair.unordered()));
    }
    SplitStats {
        split,
        pairs: pairs.len(),
        documents: usage.len(),
        ties,
        gaps,
        unknown_gaps,
        usage_min: usage.values().copied().min().unwrap_or(0),
        usage_mean: 2.0 * pairs.len() as f64 / usage.len() as f64,
        usage_max: usage.values().copied().max().unwrap_or(0),
        duplicates,
    }
}

impl fmt::Display for PairStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table(std::slice::from_ref(self)))
    }
}

/// A table for people: one line per file and split, and a warning where splits share documents.
pub fn table(stats: &[PairStats]) -> String {
    let mut rows = vec![header()];
    for file in stats {
        rows.extend(file.splits.iter().map(|split| row(file, split)));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for file in stats.iter().filter(|file| file.shared_documents > 0) {
        let (path, shared) = (file.path.display(), file.shared_documents);
        text.push_str(&format!("{path}: {shared} documents are in more than one split\n"));
    }
    text
}

fn header() -> Vec<String> {
    let gaps = GAP_NAMES.map(|name| format!("gap {name}"));
    let before = ["file", "split", "pairs", "documents", "ties", "repeated", "gap unit"].map(str::to_owned);
    let after = ["no gap", "uses min", "mean", "max"].map(str::to_owned);
    before.into_iter().chain(gaps).chain(after).collect()
}

fn row(PairStats { path, gap_unit, .. }: &PairStats, split: &SplitStats) -> Vec<String> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let counts = [split.pairs, split.documents, split.ties, split.duplicates];
    let mut row = vec![name, split.split.to_string()];
    row.extend(counts.map(|count| count.to_string()));
    // Of a gap in deviations, more digits than say anything.
    row.push(format!("{gap_unit:.3}").trim_end_matches('0').trim_end_matches('.').to_owned());
    row.extend(split.gaps.iter().chain([&split.unknown_gaps, &split.usage_min]).map(usize::to_string));
    row.push(format!("{:.2}", split.usage_mean));
    row.push(split.usage_max.to_string());
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    /// Counted by hand below: x-z twice (once reversed), x-w tied, and one judgement without labels.
    const PAIRS: &str = r#"{"run":1,"trait":"t","split":"train","index":0,"a":"x","b":"z","y":1,"d":1.5}
{"run":1,"trait":"t","split":"train","index":1,"a":"z","b":"x","y":0,"da":2.0,"db":3.5}
{"run":1,"trait":"t","split":"train","index":2,"a":"x","b":"w","y":0.5,"d":0.0}
{"run":1,"trait":"t","split":"val","index":0,"a":"w","b":"v","y":1}
"#;

    fn counted() -> PairStats {
        let scratch = Scratch::new();
        stats(scratch.file("pairs.jsonl", PAIRS)).unwrap()
    }

    #[test]
    fn counts_match_those_by_hand() {
        let stats = counted();
        let train = SplitStats {
            split: SplitName::Train,
            pairs: 3,
            documents: 3,
            ties: 1,
            gaps: [1, 2, 0, 0],
            unknown_gaps: 0,
            usage_min: 1,
            usage_mean: 2.0,
            usage_max: 3,
            duplicates: 1,
        };
        assert_eq!(stats.splits[0], train);
        assert_eq!((stats.splits[1].split, stats.splits[1].unknown_gaps), (SplitName::Val, 1));
        assert_eq!(stats.splits.len(), 2);
    }

    #[test]
    fn gaps_are_counted_in_those_of_the_cache() {
        let scratch = Scratch::new();
        let pairs = scratch.file("run1_t.jsonl", PAIRS);
        let meta = r#"{"run": 1, "trait": "t", "seed": 1, "target_usage": 5, "min_score_gap": 0.5, "pair_folds": ["A"],
            "splits": {"train": [], "val": [], "test": []}, "counts_requested": {"train": 0, "val": 0, "test": 0},
            "counts_actual": {"train": 0, "val": 0, "test": 0},
            "usage_stats": {"per_essay_limit": 1, "max_usage": 1, "min_usage": 1, "mean_usage": 1.0}}"#;
        scratch.file("run1_t_meta.json", meta);
        let counted = stats(&pairs).unwrap();
        assert_eq!((counted.gap_unit, counted.splits[0].gaps), (0.5, [1, 0, 0, 2]));
        assert!(table(&[counted]).lines().nth(1).unwrap().contains(" 0.5 "));
        scratch.file("run1_t_meta.json", "{}");
        assert!(stats(&pairs).unwrap_err().to_string().contains("run1_t_meta.json"));
    }

    #[test]
    fn documents_in_two_splits_are_found() {
        let stats = counted();
        assert_eq!(stats.shared_documents, 1);
        assert!(stats.to_string().contains("1 documents are in more than one split"));
    }

    #[test]
    fn table_has_a_line_per_file_and_split() {
        let stats = counted();
        let text = table(&[stats.clone(), stats]);
        assert_eq!(text.lines().filter(|line| line.starts_with("pairs.jsonl ")).count(), 4);
        assert!(text.lines().next().unwrap().contains("gap >=3"));
    }
}
