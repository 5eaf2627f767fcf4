//! Documents that may meet: all of them, or those of each split apart.

use std::collections::{HashMap, HashSet};

use super::{AdaptiveOptions, Known, Pairing, adaptive, adaptive_new, balanced, unordered};
use crate::judgements::{Comparison, Posterior};
use crate::pairs::{SplitName, split_80_10_10};

/// Documents in groups. Pairs are of documents of one group, and every group has its share of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(Vec<Vec<usize>>);

impl Groups {
    /// These documents, each of which may meet every other.
    pub fn all(documents: Vec<usize>) -> Self {
        Self(vec![documents])
    }

    /// The splits of these documents that an import with this seed makes, so that it keeps every pair.
    pub fn within_splits(documents: &[usize], seed: u64) -> Self {
        let splits = split_80_10_10(documents, seed);
        Self(SplitName::ALL.iter().map(|&split| splits.get(split).clone()).collect())
    }

    /// [`balanced`] pairs of each group; every beginning of the list has its share of each.
    pub fn balanced(&self, per_document: usize, seed: u64) -> Vec<Pairing> {
        self.mixed(|group| balanced(group.len(), per_document, seed))
    }

    /// The next [`adaptive`] pairs after the judgements in `list`, as many as a tenth of the documents: that costs little
    /// information, and needs a tenth of the fits. Every beginning of the list has its share of each group.
    pub fn adaptive(&self, list: &[Comparison], known: &Posterior, seed: u64) -> Vec<Pairing> {
        self.mixed(|group| {
            let (list, known) = (of_group(list, group), known.of(group));
            adaptive(&list, &known, (group.len() / 10).max(1), &AdaptiveOptions::of(&known), seed)
        })
    }

    /// The next `wanted` pairs, all of them new ([`adaptive_new`]), each group in proportion to its documents, one group
    /// after the other.
    pub fn adaptive_new(
        &self,
        known: Known<'_>,
        wanted: usize,
        options: &AdaptiveOptions,
        seed: u64,
    ) -> Vec<Pairing> {
        let n: usize = self.0.iter().map(Vec::len).sum();
        let (mut pairs, mut before) = (Vec::new(), 0);
        for group in &self.0 {
            // Shares of a running total add up to the whole.
            before += group.len();
            let goal = (wanted as f64 * before as f64 / n as f64).round() as usize;
            let number = numbers(group);
            let used = known.used.iter();
            let used = used.filter_map(|(a, b)| Some((*number.get(a)?, *number.get(b)?))).collect();
            let (list, posterior) = (of_group(known.list, group), known.posterior.of(group));
            let known = Known { list: &list, used: &used, posterior: &posterior };
            let chosen = adaptive_new(known, goal.saturating_sub(pairs.len()), options, seed);
            pairs.extend(chosen.into_iter().map(|(a, b)| (group[a], group[b])));
        }
        pairs
    }

    /// The first pair that is not among `used`, which has the smaller index first.
    pub(crate) fn unused(&self, used: &HashSet<Pairing>) -> Option<Pairing> {
        let pairs = |group: &'_ Vec<usize>| {
            let (group, n) = (group.clone(), group.len());
            (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b))).map(move |(a, b)| (group[a], group[b]))
        };
        self.0.iter().flat_map(pairs).find(|&pair| !used.contains(&unordered(pair)))
    }

    /// The pairs of all groups, those of each in their order, evenly mixed. `of_group` gives places in the group.
    fn mixed(&self, mut of_group: impl FnMut(&[usize]) -> Vec<Pairing>) -> Vec<Pairing> {
        let mut placed = Vec::new();
        for group in &self.0 {
            let pairs = of_group(group);
            let n = pairs.len() as f64;
            let along = pairs.into_iter().enumerate();
            placed.extend(along.map(|(place, (a, b))| ((place as f64 + 0.5) / n, (group[a], group[b]))));
        }
        placed.sort_by(|one, other| one.0.total_cmp(&other.0));
        placed.into_iter().map(|(_, pair)| pair).collect()
    }
}

/// The place of every document in its group.
fn numbers(group: &[usize]) -> HashMap<usize, usize> {
    group.iter().enumerate().map(|(number, &document)| (document, number)).collect()
}

/// The judgements of documents of a group, which are numbered by their places in it.
fn of_group(list: &[Comparison], group: &[usize]) -> Vec<Comparison> {
    let number = numbers(group);
    let within = |c: &Comparison| Some(Comparison { a: *number.get(&c.a)?, b: *number.get(&c.b)?, ..*c });
    list.iter().filter_map(within).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::{Features, posterior_with};

    #[test]
    fn new_pairs_stay_within_splits_and_share_the_number() {
        let documents: Vec<usize> = (5..105).collect();
        let said: Vec<f64> = (0..105).map(|place| (place as f64 * 0.37).sin()).collect();
        let known = posterior_with(&Features::new(Some(&said), None).unwrap(), &[]).unwrap();
        let groups = Groups::within_splits(&documents, 7);
        let used = HashSet::from([(5, 6)]);
        let options = AdaptiveOptions::of(&known);
        let pairs = groups.adaptive_new(Known { list: &[], used: &used, posterior: &known }, 50, &options, 7);
        let splits = split_80_10_10(&documents, 7);
        let role = |place: &usize| {
            SplitName::ALL.into_iter().position(|split| splits.get(split).contains(place)).unwrap()
        };
        let mut counts = [0; 3];
        for (a, b) in &pairs {
            assert_eq!(role(a), role(b));
            counts[role(a)] += 1;
        }
        // 80, 10 and 10 of 100 documents.
        assert_eq!((pairs.len(), counts), (50, [40, 5, 5]));
        assert!(!pairs.contains(&(5, 6)) && !pairs.contains(&(6, 5)));
    }

    #[test]
    fn unused_pairs_are_found_to_the_last() {
        let groups = Groups(vec![vec![3, 1], vec![4, 5, 6]]);
        let mut used = HashSet::new();
        while let Some(pair) = groups.unused(&used) {
            assert!(used.insert(unordered(pair)));
        }
        assert_eq!(used, HashSet::from([(1, 3), (4, 5), (4, 6), (5, 6)]));
    }
}
