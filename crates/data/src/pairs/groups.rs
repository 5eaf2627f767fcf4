//! Divides the documents of a split into groups, within which pairs are made.

use rand_chacha::ChaCha8Rng;

use crate::document::DocumentSet;
use crate::rng;

/// Where each document stands among those of `pool`, by all traits together: the mean of its labels, each in standard
/// deviations of its trait from the trait's mean. None without any label.
pub(super) fn standings(traits: &[(String, DocumentSet)], pool: &[usize]) -> Vec<Option<f64>> {
    let n = traits.first().map_or(0, |(_, set)| set.len());
    let mut sums = vec![(0.0, 0_usize); n];
    for (_, set) in traits {
        let labels: Vec<f64> = pool.iter().filter_map(|&place| set.documents[place].label).collect();
        let (mean, deviation) = mean_and_deviation(&labels);
        for (document, (sum, count)) in set.iter().zip(&mut sums) {
            if let Some(label) = document.label {
                *sum += if deviation > 0.0 { (label - mean) / deviation } else { 0.0 };
                *count += 1;
            }
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

/// Groups of about `size` places, of which each spans the whole order of `standings`: the order is cut into `size` parts,
/// and every group gets a random place of each. Places without a standing are in no group.
pub(super) fn spanning(
    places: &[usize],
    standings: &[Option<f64>],
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut ranked: Vec<(f64, usize)> =
        places.iter().filter_map(|&place| Some((standings[place]?, place))).collect();
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
    let n_groups = (ranked.len() / size).max(1);
    let mut groups = vec![Vec::new(); n_groups];
    for part in ranked.chunks_mut(n_groups) {
        rng::shuffle(rng, part);
        for (group, &mut (_, place)) in groups.iter_mut().zip(part) {
            group.push(place);
        }
    }
    groups
}

/// The mean and the standard deviation (n − 1) of labels; of fewer than two the deviation is no number.
pub(super) fn mean_and_deviation(labels: &[f64]) -> (f64, f64) {
    let n = labels.len() as f64;
    let mean = labels.iter().sum::<f64>() / n;
    let squares: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::document::Document;

    fn set(labels: &[Option<f64>]) -> DocumentSet {
        let document = |(place, &label): (usize, &Option<f64>)| Document {
            id: format!("d{place}"),
            label,
            ..Document::default()
        };
        DocumentSet::new("essays.csv", labels.iter().enumerate().map(document).collect()).unwrap()
    }

    #[test]
    fn a_standing_is_the_mean_of_standardised_labels() {
        // Means 2 and 200, deviations 1 and 100; the last document is outside the pool.
        let grammar = set(&[Some(1.0), Some(2.0), Some(3.0), None, Some(5.0)]);
        let syntax = set(&[Some(200.0), Some(100.0), None, Some(300.0), None]);
        let all = standings(&[("grammar".into(), grammar), ("syntax".into(), syntax)], &[0, 1, 2, 3]);
        assert_eq!(all, [Some(-0.5), Some(-0.5), Some(1.0), Some(1.0), Some(3.0)]);
        let none = standings(&[("grammar".into(), set(&[None, Some(2.0), Some(2.0)]))], &[0, 1, 2]);
        assert_eq!(none, [None, Some(0.0), Some(0.0)]);
    }

    #[test]
    fn every_group_has_a_document_of_each_part_of_the_order() {
        let standings: Vec<Option<f64>> =
            (0..83).map(|place| (place < 80).then(|| f64::from(place * 37 % 80))).collect();
        let places: Vec<usize> = (0..83).collect();
        let groups = spanning(&places, &standings, 8, &mut rng::stream(1, &["groups"]));
        assert_eq!(groups.len(), 10);
        for group in &groups {
            let eighths: Vec<usize> =
                group.iter().map(|&place| standings[place].unwrap() as usize / 10).collect();
            assert_eq!(eighths, (0..8).collect::<Vec<_>>());
        }
        let used: BTreeSet<usize> = groups.concat().into_iter().collect();
        assert_eq!(used, (0..80).collect());
        let other = spanning(&places, &standings, 8, &mut rng::stream(2, &["groups"]));
        assert_ne!(groups, other);
    }

    #[test]
    fn what_does_not_divide_makes_groups_a_little_larger() {
        let standings: Vec<Option<f64>> = (0..14).map(|place| Some(f64::from(place))).collect();
        let places: Vec<usize> = (0..14).collect();
        let sizes = |size| -> Vec<usize> {
            let groups = spanning(&places, &standings, size, &mut rng::stream(1, &["groups"]));
            groups.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(4), [5, 5, 4]);
        assert_eq!(sizes(8), [14]);
        assert_eq!(sizes(40), [14]);
    }
}
