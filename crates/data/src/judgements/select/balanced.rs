//! Balanced random pairs.

use std::collections::HashSet;

use rand::RngCore;

use super::{Pairing, unordered};
use crate::rng;

/// Tries at a cycle without a pair that is there already, before one is accepted.
const TRIES: usize = 50;

/// Pairs in which each of `n` documents occurs `per_document` times; where both numbers are odd, one document occurs
/// once more. Nothing for fewer than two documents.
///
/// The pairs are random cycles through all documents: with two or more per document everything is connected. No pair
/// occurs twice as long as random cycles that avoid it are found, which for `per_document` well below `n` they are.
/// The order is by rounds, so that whoever stops early has used every document about equally often.
pub fn balanced(n: usize, per_document: usize, seed: u64) -> Vec<Pairing> {
    if n < 2 {
        return Vec::new();
    }
    let wanted = (n * per_document).div_ceil(2);
    let mut rng = rng::stream(seed, &["balanced"]);
    let mut used = HashSet::new();
    let mut pairs = Vec::with_capacity(wanted + n);
    while pairs.len() < wanted {
        let cycle = best_cycle(n, &used, &mut rng);
        // Every other edge, then the rest: two rounds in which each document occurs once.
        let edges =
            (0..n).step_by(2).chain((1..n).step_by(2)).map(|place| (cycle[place], cycle[(place + 1) % n]));
        // The cycle through two documents is the same pair there and back.
        for pair in edges.take(wanted - pairs.len()) {
            used.insert(unordered(pair));
            pairs.push(pair);
        }
    }
    pairs
}

/// A random order of the documents whose neighbours, the last and the first included, are no used pair if possible.
fn best_cycle(n: usize, used: &HashSet<Pairing>, rng: &mut impl RngCore) -> Vec<usize> {
    let mut best = (usize::MAX, Vec::new());
    for _ in 0..TRIES {
        let cycle = cycle(n, used, rng);
        let repeated =
            (0..n).filter(|&place| used.contains(&unordered((cycle[place], cycle[(place + 1) % n])))).count();
        if repeated < best.0 {
            best = (repeated, cycle);
        }
        if best.0 == 0 {
            break;
        }
    }
    best.1
}

/// Each next document is random among those left that the last one has not met, as far as a few draws find one.
fn cycle(n: usize, used: &HashSet<Pairing>, rng: &mut impl RngCore) -> Vec<usize> {
    let mut left: Vec<usize> = (0..n).collect();
    let mut cycle = vec![left.swap_remove(rng::below(rng, n))];
    while !left.is_empty() {
        let last = cycle[cycle.len() - 1];
        let fresh = |place: &usize| !used.contains(&unordered((last, left[*place])));
        let drawn = (0..8).map(|_| rng::below(rng, left.len())).find(fresh);
        let place = drawn.or_else(|| (0..left.len()).find(fresh)).unwrap_or(0);
        cycle.push(left.swap_remove(place));
    }
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::n_parts;

    fn usage(n: usize, pairs: &[Pairing]) -> Vec<usize> {
        let mut usage = vec![0; n];
        for &(a, b) in pairs {
            usage[a] += 1;
            usage[b] += 1;
        }
        usage
    }

    #[test]
    fn every_document_occurs_equally_often() {
        for (n, k) in [(2, 1), (2, 3), (5, 2), (6, 3), (7, 4), (40, 5), (200, 15), (3, 6)] {
            for seed in 0..5 {
                let pairs = balanced(n, k, seed);
                assert!(pairs.iter().all(|(a, b)| a != b), "{n} {k}");
                assert_eq!(usage(n, &pairs), vec![k; n], "{n} {k}");
            }
        }
    }

    #[test]
    fn an_odd_total_uses_one_document_once_more() {
        for seed in 0..5 {
            let usage = usage(7, &balanced(7, 3, seed));
            assert_eq!((usage.iter().filter(|&&count| count == 4).count(), usage.iter().sum()), (1, 22));
        }
    }

    #[test]
    fn everything_is_connected_and_nothing_repeated() {
        for (n, k) in [(3, 2), (10, 2), (10, 4), (41, 7), (200, 15), (200, 2)] {
            for seed in 0..5 {
                let pairs = balanced(n, k, seed);
                assert_eq!(n_parts(n, pairs.iter().copied()), 1, "{n} {k}");
                let different: HashSet<Pairing> = pairs.iter().map(|&pair| unordered(pair)).collect();
                assert_eq!(different.len(), pairs.len(), "{n} {k}");
            }
        }
    }

    #[test]
    fn stopping_early_keeps_the_balance() {
        let pairs = balanced(50, 6, 1);
        for round in 1..6 {
            assert_eq!(usage(50, &pairs[..25 * round]), vec![round; 50]);
        }
    }

    #[test]
    fn few_documents_and_the_seed() {
        assert!(balanced(0, 3, 1).is_empty() && balanced(1, 3, 1).is_empty() && balanced(9, 0, 1).is_empty());
        assert_eq!(balanced(20, 3, 1), balanced(20, 3, 1));
        assert_ne!(balanced(20, 3, 1), balanced(20, 3, 2));
    }
}
