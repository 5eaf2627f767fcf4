//! Pair caches: JSONL, and after a separator the meta file.

use std::path::Path;

use pair2score_data::pairs::{read_meta, read_pairs, stats, table, write_cache};

use super::{empty_folder, file, parts};

/// Stands in for a second part that is missing or wrong.
const META: &[u8] = br#"{"run": 1, "trait": "grammar", "seed": 36, "target_usage": 5, "min_score_gap": 1.0,
    "pair_folds": ["A"], "splits": {"train": [], "val": [], "test": []},
    "counts_requested": {"train": 0, "val": 0, "test": 0}, "counts_actual": {"train": 0, "val": 0, "test": 0},
    "usage_stats": {"per_essay_limit": 6, "max_usage": 1, "min_usage": 1, "mean_usage": 1.0}}"#;

pub(super) fn check(input: &[u8], folder: &Path) {
    let parts = parts(input);
    let path = file(folder, "pairs.jsonl", parts[0]);
    let meta = read_meta(file(folder, "meta.json", parts.get(1).unwrap_or(&META)));
    let Ok(cache) = read_pairs(&path) else { return };

    let counted = stats(&path).expect("it was read above");
    assert_eq!(counted.splits.iter().map(|split| split.pairs).sum::<usize>(), cache.pairs.len());
    for split in &counted.splits {
        assert_eq!(split.gaps.iter().sum::<usize>() + split.unknown_gaps, split.pairs);
    }
    table(&[counted]);

    let meta = meta.unwrap_or_else(|_| read_meta(file(folder, "meta.json", META)).expect("it is sound"));
    let out = empty_folder(folder, "cache");
    let (pairs_path, meta_path) =
        write_cache(&out, meta.run, "grammar", &cache.pairs, &meta).expect("what was read can be written");
    assert_eq!(read_pairs(pairs_path).expect("what we wrote can be read").pairs, cache.pairs);
    assert_eq!(read_meta(meta_path).expect("what we wrote can be read"), meta);
}
