//! Agreement between judges who answered about the same documents.
//!
//! Which document of a pair is `a` is arbitrary, so every pair enters both ways round: the chances expected of two
//! judges who guess do not depend on how documents are named. Of several answers of one judge to one pair the first
//! counts; the others measure consistency.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Comparison;

/// Worse, tie, better.
const CATEGORIES: usize = 3;

/// The coefficients of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Pairs of documents that more than one judge answered.
    pub shared_pairs: usize,
    /// Share of equal answers, over all two judges of all those pairs; `None` without such pairs, as below.
    pub percentage: Option<f64>,
    /// Cohen's (1960) kappa, the mean over pairs of judges by their number of shared pairs (Light 1971).
    pub cohen_kappa: Option<f64>,
    /// Krippendorff's alpha, where every disagreement counts the same.
    pub alpha_nominal: Option<f64>,
    /// Krippendorff's alpha, where a tie lies between the two documents.
    pub alpha_ordinal: Option<f64>,
    /// Every two judges with shared pairs, by index.
    pub judges: Vec<JudgePair>,
}

/// The agreement of two judges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct JudgePair {
    /// Index of one judge.
    pub first: usize,
    /// Index of the other judge, above it.
    pub second: usize,
    /// Pairs of documents that both answered.
    pub shared_pairs: usize,
    /// Of those, how many they answered equally.
    pub equal: usize,
    /// The same as a share.
    pub percentage: f64,
    /// Cohen's kappa; `None` where both always give the same answer, which leaves nothing to agree about.
    pub cohen_kappa: Option<f64>,
}

impl Agreement {
    /// What other judges answered to pairs that this one answered too: how many such answers there are, and how many of
    /// them are equal.
    pub fn of_judge(&self, judge: usize) -> (usize, usize) {
        let with = self.judges.iter().filter(|pair| pair.first == judge || pair.second == judge);
        with.fold((0, 0), |(all, equal), pair| (all + pair.shared_pairs, equal + pair.equal))
    }
}

/// Compares the answers of judges about shared pairs.
pub fn agreement(list: &[Comparison]) -> Agreement {
    let mut units: BTreeMap<(usize, usize), BTreeMap<usize, usize>> = BTreeMap::new();
    for comparison in list {
        let category = (2.0 * comparison.y_unordered()) as usize;
        units.entry(comparison.unordered()).or_default().entry(comparison.judge).or_insert(category);
    }
    units.retain(|_, answers| answers.len() > 1);

    let mut tables: BTreeMap<(usize, usize), [[f64; CATEGORIES]; CATEGORIES]> = BTreeMap::new();
    let mut coincidences = [[0.0; CATEGORIES]; CATEGORIES];
    for answers in units.values() {
        for (&first, &of_first) in answers {
            for (&second, &of_second) in answers.range(first + 1..) {
                add(tables.entry((first, second)).or_default(), of_first, of_second, 1.0);
                // Both orders of the judges, each by the number of partners an answer has.
                let share = 1.0 / (answers.len() - 1) as f64;
                add(&mut coincidences, of_first, of_second, share);
                add(&mut coincidences, of_second, of_first, share);
            }
        }
    }
    let judges: Vec<JudgePair> = tables
        .iter()
        .map(|(&(first, second), table)| JudgePair {
            first,
            second,
            shared_pairs: (total(table) / 2.0) as usize,
            equal: (diagonal(table) / 2.0) as usize,
            percentage: diagonal(table) / total(table),
            cohen_kappa: cohen_kappa(table),
        })
        .collect();
    let weighted = |values: Vec<(f64, usize)>| {
        let weight: usize = values.iter().map(|(_, weight)| weight).sum();
        let sum: f64 = values.iter().map(|&(value, weight)| value * weight as f64).sum();
        (weight > 0).then(|| sum / weight as f64)
    };
    Agreement {
        shared_pairs: units.len(),
        percentage: weighted(judges.iter().map(|pair| (pair.percentage, pair.shared_pairs)).collect()),
        cohen_kappa: weighted(
            judges.iter().filter_map(|pair| Some((pair.cohen_kappa?, pair.shared_pairs))).collect(),
        ),
        alpha_nominal: krippendorff_alpha(&coincidences, |_, _, _| 1.0),
        alpha_ordinal: krippendorff_alpha(&coincidences, ordinal_distance),
        judges,
    }
}

/// Enters two answers, and their mirror images.
fn add(table: &mut [[f64; CATEGORIES]; CATEGORIES], one: usize, other: usize, weight: f64) {
    let mirrored = CATEGORIES - 1;
    table[one][other] += weight;
    table[mirrored - one][mirrored - other] += weight;
}

fn total(table: &[[f64; CATEGORIES]; CATEGORIES]) -> f64 {
    table.iter().flatten().sum()
}

fn diagonal(table: &[[f64; CATEGORIES]; CATEGORIES]) -> f64 {
    (0..CATEGORIES).map(|category| table[category][category]).sum()
}

/// (observed − expected) / (1 − expected) of a table of counts.
fn cohen_kappa(table: &[[f64; CATEGORIES]; CATEGORIES]) -> Option<f64> {
    let n = total(table);
    let expected: f64 = (0..CATEGORIES)
        .map(|category| {
            let row: f64 = table[category].iter().sum();
            let column: f64 = table.iter().map(|row| row[category]).sum();
            row * column / (n * n)
        })
        .sum();
    (expected < 1.0).then(|| (diagonal(table) / n - expected) / (1.0 - expected))
}

/// 1 − observed / expected disagreement of a coincidence matrix; `None` where only one answer occurs.
fn krippendorff_alpha(
    coincidences: &[[f64; CATEGORIES]; CATEGORIES],
    distance: impl Fn(usize, usize, &[f64; CATEGORIES]) -> f64,
) -> Option<f64> {
    let counts: [f64; CATEGORIES] = coincidences.map(|row| row.iter().sum());
    let n: f64 = counts.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (low, high) in [(0, 1), (0, 2), (1, 2)] {
        let distance = distance(low, high, &counts);
        observed += coincidences[low][high] * distance;
        expected += counts[low] * counts[high] * distance;
    }
    (expected > 0.0).then(|| 1.0 - (n - 1.0) * observed / expected)
}

/// The squared number of answers between the middles of two categories.
fn ordinal_distance(low: usize, high: usize, counts: &[f64; CATEGORIES]) -> f64 {
    let between: f64 = counts[low..=high].iter().sum();
    (between - (counts[low] + counts[high]) / 2.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(judge: usize, a: usize, b: usize, y: f64) -> Comparison {
        Comparison { judge, ..Comparison::new(a, b, y) }
    }

    #[test]
    fn coefficients_by_hand() {
        // Three shared pairs: equal, a tie against a win, opposite; a fourth that only one judge saw.
        let list = [
            by(0, 0, 1, 1.0),
            by(1, 1, 0, 0.0),
            by(0, 0, 2, 0.5),
            by(1, 0, 2, 1.0),
            by(0, 1, 2, 0.0),
            by(1, 1, 2, 1.0),
            by(0, 1, 3, 0.0),
        ];
        let result = agreement(&list);
        assert_eq!(result.shared_pairs, 3);
        assert_eq!(result.percentage, Some(1.0 / 3.0));
        // Both ways round there are six: judge 0 has (2, 2, 2), judge 1 (3, 0, 3); expected 6/36 + 0 + 6/36.
        assert!((result.cohen_kappa.unwrap() - 0.0).abs() < 1e-15);
        // Coincidences: worse-better 2 each way, worse-tie 1, tie-better 1, diagonal 4; counts 5, 2, 5 of 12.
        // Nominal: observed 4, expected 5·2 + 5·5 + 2·5 = 45: 1 - 11 · 4 / 45.
        assert!((result.alpha_nominal.unwrap() - (1.0 - 44.0 / 45.0)).abs() < 1e-15);
        // Ordinal distances 3.5², 7², 3.5²: observed 24.5 + 98, expected 245 + 1225.
        assert!((result.alpha_ordinal.unwrap() - (1.0 - 11.0 * 122.5 / 1470.0)).abs() < 1e-14);
    }

    #[test]
    fn perfect_agreement_is_1_and_the_reverse_is_not_above_0() {
        let pairs = [(0, 1, 1.0), (1, 2, 0.5), (0, 2, 0.0)];
        let both = |flip: bool| {
            let other = |y: f64| if flip { 1.0 - y } else { y };
            let list: Vec<Comparison> =
                pairs.iter().flat_map(|&(a, b, y)| [by(0, a, b, y), by(1, a, b, other(y))]).collect();
            agreement(&list)
        };
        let same = both(false);
        assert_eq!((same.percentage, same.cohen_kappa), (Some(1.0), Some(1.0)));
        assert_eq!((same.alpha_nominal, same.alpha_ordinal), (Some(1.0), Some(1.0)));
        assert!(both(true).alpha_ordinal.unwrap() < 0.0);
    }

    #[test]
    fn the_first_answer_of_a_judge_counts() {
        let list = [by(0, 0, 1, 1.0), by(0, 0, 1, 0.0), by(1, 0, 1, 1.0)];
        assert_eq!(agreement(&list).percentage, Some(1.0));
    }

    #[test]
    fn without_shared_pairs_nothing_is_defined() {
        let result = agreement(&[by(0, 0, 1, 1.0), by(0, 0, 1, 0.0), by(1, 1, 2, 1.0)]);
        assert_eq!((result.shared_pairs, result.percentage, result.alpha_nominal), (0, None, None));
        // Nothing but ties: everybody agrees, and there is nothing else to expect.
        let result = agreement(&[by(0, 0, 1, 0.5), by(1, 0, 1, 0.5)]);
        assert_eq!((result.percentage, result.cohen_kappa), (Some(1.0), None));
        assert_eq!(result.alpha_nominal, None);
    }
}
