//! Simulated raters, who say which of two essays is better and are sometimes wrong.
//!
//! A rater sees the score of each essay with an error of their own for every judgement (normal, [`ERROR`] score units),
//! and calls two essays equal that look closer than [`TIE`].

use std::collections::BTreeMap;

use pair2score_data::judgements::select::balanced;
use pair2score_data::judgements::simulate::normal;
use pair2score_data::pairs::{Pair, PairMeta, PerSplit, SplitName, UsageStats, split_80_10_10};
use pair2score_data::rng;

use crate::Essay;

/// Deviation of the error of a score as a rater sees it.
const ERROR: f64 = 0.5;
/// Scores that look closer than this are called equal.
const TIE: f64 = 0.25;
const RATERS: usize = 5;
/// The fold whose essays are not judged.
const HELD_OUT: char = 'E';

/// Judgements about the grammar of the essays outside fold E, as a pair cache: so many that train, and a tenth of that to
/// validate and to test.
pub fn judge(essays: &[Essay], n: usize, seed: u64) -> (Vec<Pair>, PairMeta) {
    let judged: Vec<&Essay> = essays.iter().filter(|essay| essay.fold != HELD_OUT).collect();
    let places = split_80_10_10(&(0..judged.len()).collect::<Vec<_>>(), seed);
    let mut random = rng::stream(seed, &["demo", "raters"]);
    let (mut pairs, mut counts) = (Vec::new(), PerSplit::default());
    let mut usage: BTreeMap<&str, usize> = BTreeMap::new();
    for split in SplitName::ALL {
        let of_split = places.get(split);
        let wanted = if split == SplitName::Train { n } else { n / 10 };
        let per_essay = (2 * wanted).div_ceil(of_split.len());
        for (index, (left, right)) in
            balanced(of_split.len(), per_essay, seed).into_iter().take(wanted).enumerate()
        {
            let [a, b] = [left, right].map(|place| judged[of_split[place]]);
            let mut seen = |essay: &Essay| essay.grammar + ERROR * normal(&mut random);
            let gap = seen(a) - seen(b);
            let y = if gap.abs() < TIE { 0.5 } else { f64::from(u8::from(gap > 0.0)) };
            for essay in [a, b] {
                *usage.entry(&essay.id).or_default() += 1;
            }
            *counts.get_mut(split) += 1;
            pairs.push(Pair {
                run: 1,
                target: "grammar".into(),
                split,
                index,
                a: a.id.clone(),
                b: b.id.clone(),
                y,
                da: None,
                db: None,
                d: None,
                judge: Some(format!("rater {}", index % RATERS + 1)),
                shown_left: Some(a.id.clone()),
                ms: None,
                at: None,
                weight: None,
            });
        }
    }
    let ids = |split| places.get(split).iter().map(|&place| judged[place].id.clone()).collect();
    let used: Vec<usize> = usage.values().copied().collect();
    let meta = PairMeta {
        run: 1,
        target: "grammar".into(),
        seed,
        target_usage: (2 * n).div_ceil(places.get(SplitName::Train).len()),
        min_score_gap: 0.0,
        split_fraction: None,
        group_size: None,
        pair_folds: ('A'..HELD_OUT).map(String::from).collect(),
        heldout_fold: Some(HELD_OUT.to_string()),
        splits: PerSplit {
            train: ids(SplitName::Train),
            val: ids(SplitName::Val),
            test: ids(SplitName::Test),
        },
        counts_requested: PerSplit { train: n, val: n / 10, test: n / 10 },
        counts_actual: counts,
        usage_stats: UsageStats {
            per_essay_limit: used.iter().copied().max().unwrap_or(0),
            max_usage: used.iter().copied().max().unwrap_or(0),
            min_usage: used.iter().copied().min().unwrap_or(0),
            mean_usage: used.iter().sum::<usize>() as f64 / used.len().max(1) as f64,
        },
    };
    (pairs, meta)
}
