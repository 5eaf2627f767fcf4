//! Pairs that a scorer is least sure of: those whose utilities are closest.

use std::collections::HashSet;

use super::{Pairing, balanced, unordered};
use crate::rng;

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssistedOptions {
    /// No document occurs more often, unless the pairs wanted cannot be had otherwise; `None` means as often as an equal
    /// share asks for, and once more.
    pub per_document: Option<usize>,
    /// The share of random pairs, 0 to 1: they keep the scale together where the scorer errs.
    pub random_share: f64,
}

impl Default for AssistedOptions {
    fn default() -> Self {
        Self { per_document: None, random_share: 0.1 }
    }
}

/// Up to `wanted` different pairs of documents with these utilities, none of `used` (either way round), in random order.
/// Fewer only when there are no more.
pub fn assisted(
    utilities: &[f64],
    wanted: usize,
    used: &HashSet<Pairing>,
    options: &AssistedOptions,
    seed: u64,
) -> Vec<Pairing> {
    let n = utilities.len();
    if n < 2 || wanted == 0 {
        return Vec::new();
    }
    let mut rng = rng::stream(seed, &["assisted"]);
    let mut order: Vec<usize> = (0..n).collect();
    // Equal utilities stand in random order.
    rng::shuffle(&mut rng, &mut order);
    order.sort_by(|&a, &b| utilities[a].total_cmp(&utilities[b]));

    let mut chosen = Chosen {
        pairs: Vec::new(),
        used: used.iter().map(|&pair| unordered(pair)).collect(),
        usage: vec![0; n],
        cap: options.per_document.unwrap_or((2 * wanted).div_ceil(n) + 1).max(1),
        wanted: (wanted as f64 * options.random_share.clamp(0.0, 1.0)).round() as usize,
    };
    let per_document = (2 * chosen.wanted).div_ceil(n);
    balanced(n, per_document, seed).into_iter().for_each(|pair| chosen.offer(pair));
    chosen.wanted = wanted;
    // Neighbours on the scale first; further apart as long as pairs are missing; above the cap when all are too few.
    let mut reach = (4 * wanted).div_ceil(n).clamp(2, n);
    loop {
        let mut candidates: Vec<Pairing> = (0..n)
            .flat_map(|place| (place + 1..n.min(place + 1 + reach)).map(move |other| (place, other)))
            .map(|(place, other)| (order[place], order[other]))
            .collect();
        let gap = |&(a, b): &Pairing| (utilities[a] - utilities[b]).abs();
        candidates.sort_by(|one, other| gap(one).total_cmp(&gap(other)));
        candidates.into_iter().for_each(|pair| chosen.offer(pair));
        if chosen.pairs.len() >= wanted {
            break;
        }
        if reach < n {
            reach = (2 * reach).min(n);
        } else if chosen.cap < n {
            chosen.cap *= 2;
        } else {
            break;
        }
    }
    let mut pairs = chosen.pairs;
    rng::shuffle(&mut rng, &mut pairs);
    pairs
}

struct Chosen {
    pairs: Vec<Pairing>,
    used: HashSet<Pairing>,
    usage: Vec<usize>,
    cap: usize,
    wanted: usize,
}

impl Chosen {
    /// Takes a pair that is new, wanted and within the cap.
    fn offer(&mut self, (a, b): Pairing) {
        let full = self.pairs.len() >= self.wanted || self.usage[a] >= self.cap || self.usage[b] >= self.cap;
        if !full && self.used.insert(unordered((a, b))) {
            self.usage[a] += 1;
            self.usage[b] += 1;
            self.pairs.push((a, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSEST: AssistedOptions = AssistedOptions { per_document: None, random_share: 0.0 };

    fn choose(utilities: &[f64], wanted: usize, options: &AssistedOptions) -> Vec<Pairing> {
        let mut pairs: Vec<Pairing> =
            assisted(utilities, wanted, &HashSet::new(), options, 1).into_iter().map(unordered).collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn the_closest_come_first() {
        // Gaps 0.1 (0 and 3), 0.2 (1 and 2), then 1.7 and more.
        assert_eq!(choose(&[0.0, 2.0, 1.8, 0.1], 2, &CLOSEST), [(0, 3), (1, 2)]);
    }

    #[test]
    fn the_cap_spreads_and_yields() {
        let utilities = [0.0, 0.0, 0.0, 5.0];
        let once = AssistedOptions { per_document: Some(1), random_share: 0.0 };
        let pairs = choose(&utilities, 2, &once);
        assert!(pairs.iter().any(|&(_, b)| b == 3), "{pairs:?}");
        assert_eq!(choose(&utilities, 6, &once).len(), 6);
    }

    #[test]
    fn what_is_used_does_not_come_again() {
        let used = HashSet::from([(3, 0), (1, 2)]);
        let pairs = assisted(&[0.0, 2.0, 1.8, 0.1], 10, &used, &CLOSEST, 1);
        assert_eq!(pairs.len(), 4, "all six but those two");
    }

    #[test]
    fn asking_for_all_gives_all_once() {
        let utilities: Vec<f64> = (0..30).map(|place| (place as f64 * 0.37).sin()).collect();
        let options = AssistedOptions::default();
        let pairs = choose(&utilities, 10_000, &options);
        let different: HashSet<&Pairing> = pairs.iter().collect();
        assert_eq!((pairs.len(), different.len()), (435, 435));
    }

    #[test]
    fn a_share_is_random() {
        let utilities: Vec<f64> = (0..200).map(f64::from).collect();
        let far = |options: &AssistedOptions| {
            choose(&utilities, 400, options).into_iter().filter(|(a, b)| b - a > 8).count()
        };
        assert_eq!(far(&CLOSEST), 0);
        let random = far(&AssistedOptions { random_share: 0.25, ..CLOSEST });
        // Of 100 random pairs, about 8 are that close by chance.
        assert!((80..=100).contains(&random), "{random}");
    }

    #[test]
    fn few_documents_give_nothing() {
        assert!(choose(&[], 3, &CLOSEST).is_empty() && choose(&[1.0], 3, &CLOSEST).is_empty());
    }
}
