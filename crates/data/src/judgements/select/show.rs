//! From pairs to what a judge sees: sides, repeats and gold pairs.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Pairing, unordered};
use crate::rng;

/// Why a pair is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// To learn about its documents.
    #[default]
    Regular,
    /// Once more with sides swapped, to learn about the judge's consistency.
    Repeat,
    /// Its answer is known, to learn about the judge's care.
    Gold,
}

/// A pair as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Showing {
    /// Index of the document on the left.
    pub left: usize,
    /// Index of the document on the right.
    pub right: usize,
    /// Why.
    pub kind: Kind,
}

/// What is mixed into the regular pairs; shares of all pairs shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Share of repeats, 0 to below 1.
    pub repeats: f64,
    /// Share of gold pairs, 0 to below 1.
    pub gold: f64,
    /// Pairs shown between a pair and its repeat, at least.
    pub distance: usize,
}

impl Default for Mix {
    fn default() -> Self {
        Self { repeats: 0.05, gold: 0.0, distance: 10 }
    }
}

/// What one judge sees after `history`: a gold pair or a repeat by chance, else the pair that `regular` gives. `None`
/// when that gives none. Each gold pair and each repeat comes once per judge. The same history and seed give the same
/// showing; let the seed depend on the judge.
pub fn show_next(
    history: &[Showing],
    gold: &[Pairing],
    mix: &Mix,
    seed: u64,
    regular: impl FnOnce() -> Option<Pairing>,
) -> Option<Showing> {
    let mut rng = rng::stream(seed, &["show", &history.len().to_string()]);
    let draw = rng::unit(&mut rng);
    if draw < mix.gold {
        let shown = shown(history, Kind::Gold);
        let left: Vec<Pairing> =
            gold.iter().copied().filter(|&pair| !shown.contains(&unordered(pair))).collect();
        if let Some(&pair) = left.get(rng::below(&mut rng, left.len())) {
            return Some(place(pair, Kind::Gold, &mut rng));
        }
    } else if draw < mix.gold + mix.repeats {
        let repeated = shown(history, Kind::Repeat);
        let old = &history[..history.len().saturating_sub(mix.distance)];
        let fresh = |showing: &&Showing| {
            showing.kind == Kind::Regular && !repeated.contains(&unordered((showing.left, showing.right)))
        };
        let left: Vec<&Showing> = old.iter().filter(fresh).collect();
        if let Some(showing) = left.get(rng::below(&mut rng, left.len())) {
            return Some(Showing { left: showing.right, right: showing.left, kind: Kind::Repeat });
        }
    }
    regular().map(|pair| place(pair, Kind::Regular, &mut rng))
}

/// All of a list, with what is mixed in.
pub fn show_all(pairs: &[Pairing], gold: &[Pairing], mix: &Mix, seed: u64) -> Vec<Showing> {
    let mut pairs = pairs.iter().copied();
    let mut history = Vec::new();
    while let Some(showing) = show_next(&history, gold, mix, seed, || pairs.next()) {
        history.push(showing);
    }
    history
}

fn place((a, b): Pairing, kind: Kind, rng: &mut impl rand::RngCore) -> Showing {
    let (left, right) = if rng::below(rng, 2) == 0 { (a, b) } else { (b, a) };
    Showing { left, right, kind }
}

fn shown(history: &[Showing], kind: Kind) -> HashSet<Pairing> {
    let of_kind = history.iter().filter(|showing| showing.kind == kind);
    of_kind.map(|showing| unordered((showing.left, showing.right))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(n: usize) -> Vec<Pairing> {
        (0..n).map(|place| (2 * place, 2 * place + 1)).collect()
    }

    const GOLD: &[Pairing] = &[(9001, 9000), (9002, 9003)];

    #[test]
    fn every_regular_pair_comes_once_and_in_order() {
        let mix = Mix { repeats: 0.2, gold: 0.1, distance: 3 };
        let shown = show_all(&list(100), GOLD, &mix, 1);
        let regular: Vec<Pairing> = shown
            .iter()
            .filter(|showing| showing.kind == Kind::Regular)
            .map(|showing| unordered((showing.left, showing.right)))
            .collect();
        assert_eq!(regular, list(100));
    }

    #[test]
    fn repeats_are_swapped_late_and_single() {
        let mix = Mix { repeats: 0.3, gold: 0.0, distance: 10 };
        let shown = show_all(&list(300), GOLD, &mix, 1);
        let mut seen = HashSet::new();
        for (place, showing) in shown.iter().enumerate().filter(|(_, showing)| showing.kind == Kind::Repeat) {
            let first =
                shown.iter().position(|s| (s.left, s.right) == (showing.right, showing.left)).unwrap();
            assert!(place >= first + 10);
            assert!(seen.insert((showing.left, showing.right)), "repeated twice");
        }
        // 30 % of all shown; five standard deviations are 0.11.
        let share = seen.len() as f64 / shown.len() as f64;
        assert!((share - 0.3).abs() < 0.11, "{share}");
    }

    #[test]
    fn gold_pairs_come_once() {
        let mix = Mix { repeats: 0.0, gold: 0.5, distance: 10 };
        let shown = show_all(&list(50), GOLD, &mix, 1);
        assert_eq!(shown.iter().filter(|showing| showing.kind == Kind::Gold).count(), 2);
    }

    #[test]
    fn sides_are_even() {
        let shown = show_all(&list(2000), &[], &Mix { repeats: 0.0, ..Default::default() }, 1);
        let even = shown.iter().filter(|showing| showing.left % 2 == 0).count() as i32;
        // The standard deviation is 22.
        assert!((even - 1000).abs() < 115, "{even}");
    }

    #[test]
    fn history_and_seed_decide() {
        let mix = Mix::default();
        let all = show_all(&list(40), GOLD, &mix, 1);
        // Cut off anywhere, it goes on the same.
        let done = all[..25].iter().filter(|showing| showing.kind == Kind::Regular).count();
        let next = show_next(&all[..25], GOLD, &mix, 1, || list(40).get(done).copied());
        assert_eq!(next, Some(all[25]));
        assert_ne!(all, show_all(&list(40), GOLD, &mix, 2));
    }
}
