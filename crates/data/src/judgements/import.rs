//! From judgements to a pair cache for stage 1.
//!
//! Documents are split 80/10/10 and a judgement is only of use where both its documents have the same role: of randomly
//! chosen pairs, a third would be lost. So the random split is improved: documents change places as long as that keeps
//! more judgements. Pairs that were proposed within the same split are all kept.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Comparisons, FitOptions, Judgement, JudgementLog, judge_weights};
use crate::document::DocumentSet;
use crate::error::{DataError, Result};
use crate::pairs::{Pair, PairMeta, PerSplit, SplitName, UsageStats, split_80_10_10};
use crate::rng;

/// How to make a cache.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The run, for the files.
    pub run: u32,
    /// The seed of the split.
    pub seed: u64,
    /// Documents with fewer judgements are left out.
    pub min_per_document: usize,
    /// The fold kept for the test of stage 2: judgements of its documents are left out.
    pub heldout_fold: Option<String>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { run: 1, seed: 36, min_per_document: 1, heldout_fold: None }
    }
}

/// Judgements that did not get into a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Judgements of a document of the held-out fold.
    pub heldout: usize,
    /// Judgements of a document with too few of them.
    pub rare: usize,
    /// Judgements whose documents have different roles.
    pub crossing: usize,
}

/// A cache with its account.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The pairs, in the order train, val, test, each in the order of the log. With several judges, `weight` is the reliability of
    /// the judge.
    pub pairs: Vec<Pair>,
    /// What the meta file says.
    pub meta: PairMeta,
    /// How many judgements are missing, and why.
    pub dropped: Dropped,
}

/// Makes a cache from the judgements of one trait.
///
/// # Errors
/// A judgement of a document that is not in `documents`, with file and line; a held-out fold that does not occur; too
/// few judgements to train and validate.
pub fn to_cache(log: &JudgementLog, documents: &DocumentSet, options: &ImportOptions) -> Result<Import> {
    let mut dropped = Dropped::default();
    let heldout = match &options.heldout_fold {
        None => Vec::new(),
        Some(fold) => documents.in_folds(std::slice::from_ref(fold))?,
    };
    let mut kept = Vec::with_capacity(log.judgements.len());
    for judgement in &log.judgements {
        let place = |id: &str| {
            documents.index_of(id).ok_or_else(|| {
                let what = format!("document \"{id}\" is not in {}", documents.path.display());
                log.error(judgement, what, "give the documents that were judged")
            })
        };
        let pair = (place(&judgement.pair.a)?, place(&judgement.pair.b)?);
        match [pair.0, pair.1].iter().any(|place| heldout.binary_search(place).is_ok()) {
            true => dropped.heldout += 1,
            false => kept.push((judgement, pair)),
        }
    }
    dropped.rare = drop_rare(&mut kept, options.min_per_document);

    let pool: Vec<usize> =
        (0..documents.len()).filter(|place| heldout.binary_search(place).is_err()).collect();
    let places: Vec<(usize, usize)> = kept.iter().map(|(_, pair)| *pair).collect();
    let roles = improved_split(&pool, &places, options.seed);
    let weights = weights(log)?;
    let mut pairs = Vec::new();
    let mut counts = PerSplit::default();
    for split in SplitName::ALL {
        for (judgement, (a, b)) in &kept {
            if roles[a] == split && roles[b] == split {
                pairs.push(Pair {
                    run: options.run,
                    split,
                    index: *counts.get(split),
                    weight: weights.get(judgement.judge()).copied(),
                    ..judgement.pair.clone()
                });
                *counts.get_mut(split) += 1;
            }
        }
    }
    dropped.crossing = kept.len() - pairs.len();
    if counts.train == 0 || counts.val == 0 {
        let what = format!(
            "{} judgements leave {} for training and {} for validation ({} of the held-out fold, {} of documents \
             with fewer than {}, {} across splits)",
            log.judgements.len(),
            counts.train,
            counts.val,
            dropped.heldout,
            dropped.rare,
            options.min_per_document,
            dropped.crossing
        );
        let path = log.files.first().cloned().unwrap_or_default();
        return Err(DataError::file(
            &path,
            what,
            "collect more, of fewer documents, or lower --min-per-document",
        ));
    }
    let meta = meta(documents, pairs.first(), &pairs, counts, options);
    Ok(Import { pairs, meta, dropped })
}

type Placed<'a> = (&'a Judgement, (usize, usize));

/// Leaves out documents with fewer than `least` judgements, again until none is left: each takes judgements of others
/// along. Gives the number of judgements that went.
fn drop_rare(kept: &mut Vec<Placed<'_>>, least: usize) -> usize {
    let before = kept.len();
    loop {
        let mut uses: HashMap<usize, usize> = HashMap::new();
        for place in kept.iter().flat_map(|(_, (a, b))| [a, b]) {
            *uses.entry(*place).or_default() += 1;
        }
        let n = kept.len();
        kept.retain(|(_, (a, b))| uses[a] >= least && uses[b] >= least);
        if kept.len() == n {
            return before - n;
        }
    }
}

/// The role of every judged document: a random split of all documents of `pool`, then exchanges of roles between two of
/// the judged ones, each of which keeps more judgements together.
fn improved_split(pool: &[usize], pairs: &[(usize, usize)], seed: u64) -> HashMap<usize, SplitName> {
    let splits = split_80_10_10(pool, seed);
    let judged: HashSet<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
    let with_role = SplitName::ALL
        .iter()
        .enumerate()
        .flat_map(|(role, &split)| splits.get(split).iter().map(move |&place| (place, role)));
    // Numbered in the order of the split, which the seed alone decides.
    let (places, roles): (Vec<usize>, Vec<usize>) =
        with_role.filter(|(place, _)| judged.contains(place)).unzip();
    let number: HashMap<usize, usize> =
        places.iter().enumerate().map(|(number, &place)| (place, number)).collect();
    let pairs: Vec<(usize, usize)> = pairs.iter().map(|(a, b)| (number[a], number[b])).collect();
    let mut split = Split::new(roles, &pairs);
    let mut order: Vec<usize> = (0..places.len()).collect();
    rng::shuffle(&mut rng::stream(seed, &["judgements", "split"]), &mut order);
    // Each exchange keeps more judgements, so this ends.
    while order.iter().filter(|&&document| split.improve(document)).count() > 0 {}
    places.into_iter().zip(split.roles.iter().map(|&role| SplitName::ALL[role])).collect()
}

/// Documents, those of the greatest number first.
type Ordered = BTreeSet<(Reverse<isize>, usize)>;

/// Documents with their roles, as places in [`SplitName::ALL`].
struct Split {
    roles: Vec<usize>,
    /// Per document, the other document of each of its judgements, ascending.
    partners: Vec<Vec<usize>>,
    /// Per document and role, the number of partners that have it.
    counts: Vec<[isize; 3]>,
    /// Per role and other role, the documents of the former, first those that would keep most judgements in the latter. So
    /// the best exchange is found without a look at every document.
    movable: [[Ordered; 3]; 3],
}

impl Split {
    fn new(roles: Vec<usize>, pairs: &[(usize, usize)]) -> Self {
        let mut partners = vec![Vec::new(); roles.len()];
        for &(a, b) in pairs {
            partners[a].push(b);
            partners[b].push(a);
        }
        let mut counts = vec![[0; 3]; roles.len()];
        for (of_document, partners) in counts.iter_mut().zip(&mut partners) {
            partners.sort_unstable();
            partners.iter().for_each(|&partner| of_document[roles[partner]] += 1);
        }
        let mut split = Self { roles, partners, counts, movable: Default::default() };
        (0..split.roles.len()).for_each(|document| split.list(document));
        split
    }

    /// Makes the exchange with this document that keeps most judgements together, of equal ones that with the first
    /// document; whether any keeps more.
    fn improve(&mut self, one: usize) -> bool {
        let from = self.roles[one];
        let mut best = (0, one);
        for to in others(from) {
            let of_one = self.gain(one, to);
            for &(Reverse(of_other), other) in &self.movable[to][from] {
                // A judgement of the two crosses before and after; it is counted on both sides.
                let shared = self.shared(one, other);
                let gain = of_one + of_other - 2 * shared;
                if gain > best.0 || (gain == best.0 && gain > 0 && other < best.1) {
                    best = (gain, other);
                }
                // Those after it gain no more.
                if shared == 0 {
                    break;
                }
            }
        }
        if best.0 > 0 {
            let to = self.roles[best.1];
            self.give(one, to);
            self.give(best.1, from);
        }
        best.0 > 0
    }

    /// The number of judgements of two documents.
    fn shared(&self, one: usize, other: usize) -> isize {
        let partners = &self.partners[one];
        let first = partners.partition_point(|&partner| partner < other);
        partners[first..].partition_point(|&partner| partner == other) as isize
    }

    fn give(&mut self, document: usize, role: usize) {
        self.unlist(document);
        let before = std::mem::replace(&mut self.roles[document], role);
        self.list(document);
        for place in 0..self.partners[document].len() {
            let partner = self.partners[document][place];
            self.unlist(partner);
            self.counts[partner][before] -= 1;
            self.counts[partner][role] += 1;
            self.list(partner);
        }
    }

    fn list(&mut self, document: usize) {
        let from = self.roles[document];
        for to in others(from) {
            self.movable[from][to].insert((Reverse(self.gain(document, to)), document));
        }
    }

    fn unlist(&mut self, document: usize) {
        let from = self.roles[document];
        for to in others(from) {
            self.movable[from][to].remove(&(Reverse(self.gain(document, to)), document));
        }
    }

    /// How many judgements more a document would keep if it alone changed its role.
    fn gain(&self, document: usize, to: usize) -> isize {
        self.counts[document][to] - self.counts[document][self.roles[document]]
    }
}

/// The other roles.
fn others(role: usize) -> impl Iterator<Item = usize> {
    (0..3).filter(move |&other| other != role)
}

/// Reliability weights by name; none for a single judge.
fn weights(log: &JudgementLog) -> Result<HashMap<String, f64>> {
    let comparisons = Comparisons::from(log);
    let Comparisons { documents, judges, list } = &comparisons;
    if judges.len() < 2 {
        return Ok(HashMap::new());
    }
    let weights = judge_weights(documents.len(), judges.len(), list, FitOptions::default())?;
    // Four digits are more than is known, and read better.
    let rounded = weights.into_iter().map(|weight| (weight * 1e4).round().max(1.0) / 1e4);
    Ok(judges.iter().cloned().zip(rounded).collect())
}

fn meta(
    documents: &DocumentSet,
    first: Option<&Pair>,
    pairs: &[Pair],
    counts: PerSplit<usize>,
    options: &ImportOptions,
) -> PairMeta {
    let mut usage: HashMap<&str, usize> = HashMap::new();
    let mut ids: PerSplit<BTreeSet<usize>> = PerSplit::default();
    for pair in pairs {
        for id in [&pair.a, &pair.b] {
            *usage.entry(id).or_default() += 1;
            ids.get_mut(pair.split).extend(documents.index_of(id));
        }
    }
    let listed = |split: SplitName| -> Vec<String> {
        ids.get(split).iter().map(|&place| documents.documents[place].id.clone()).collect()
    };
    let folds: BTreeSet<String> = SplitName::ALL
        .iter()
        .flat_map(|&split| ids.get(split))
        .filter_map(|&place| documents.documents[place].fold.clone())
        .collect();
    let (min_usage, max_usage) =
        (usage.values().copied().min().unwrap_or(0), usage.values().copied().max().unwrap_or(0));
    PairMeta {
        run: options.run,
        target: first.map(|pair| pair.target.clone()).unwrap_or_default(),
        seed: options.seed,
        target_usage: options.min_per_document,
        min_score_gap: 0.0,
        split_fraction: None,
        group_size: None,
        pair_folds: folds.into_iter().collect(),
        heldout_fold: options.heldout_fold.clone(),
        splits: PerSplit {
            train: listed(SplitName::Train),
            val: listed(SplitName::Val),
            test: listed(SplitName::Test),
        },
        // Nobody asked for a number: what there is was wanted.
        counts_requested: counts.clone(),
        counts_actual: counts,
        usage_stats: UsageStats {
            per_essay_limit: max_usage,
            max_usage,
            min_usage,
            mean_usage: 2.0 * pairs.len() as f64 / usage.len() as f64,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange that [`Split::improve`] makes, found by trying all: its gain and its other document.
    fn tried(split: &Split, pairs: &[(usize, usize)], one: usize) -> Option<(usize, usize)> {
        let kept = |roles: &[usize]| pairs.iter().filter(|&&(a, b)| roles[a] == roles[b]).count();
        let now = kept(&split.roles);
        let gain = |other: usize| {
            let mut roles = split.roles.clone();
            roles.swap(one, other);
            (kept(&roles).saturating_sub(now), other)
        };
        let gains = (0..split.roles.len()).map(gain).filter(|&(gain, _)| gain > 0);
        gains.max_by_key(|&(gain, other)| (gain, Reverse(other)))
    }

    #[test]
    fn exchanges_are_those_that_trying_all_finds() {
        let mut rng = rng::stream(5, &["test"]);
        let mut exchanges = 0;
        for round in 0..60 {
            let n = 4 + rng::below(&mut rng, 12);
            let roles: Vec<usize> = (0..n).map(|_| rng::below(&mut rng, 3)).collect();
            // Some pairs are judged again and again.
            let mut pair = || {
                let a = rng::below(&mut rng, n);
                (a, (a + 1 + rng::below(&mut rng, if round % 2 == 0 { n - 1 } else { 2 })) % n)
            };
            let pairs: Vec<(usize, usize)> = (0..3 * n).map(|_| pair()).collect();
            let mut split = Split::new(roles, &pairs);
            for one in (0..n).chain(0..n) {
                let expected = tried(&split, &pairs, one);
                let mut roles = split.roles.clone();
                if let Some((_, other)) = expected {
                    roles.swap(one, other);
                    exchanges += 1;
                }
                assert_eq!(split.improve(one), expected.is_some());
                assert_eq!(split.roles, roles, "{pairs:?}");
            }
        }
        assert!(exchanges > 60, "{exchanges}");
    }
}
