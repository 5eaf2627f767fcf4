//! Chooses the graded documents that a scorer remembers.
//!
//! They are to show what a grade looks like, so they are documents that did not decide the scores and whose scores agree
//! with their labels: of each grade the half with the smallest errors, five at least and 400 at most. Of a continuous scale,
//! tenths of the documents by their labels stand for grades. Among these the first anchor is the one nearest to all, and
//! each next one is the farthest from those there are (Gonzalez 1985, the k-centre problem), so that a text finds one that
//! resembles it. Distance is that of [`AnchorSpace`].

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};
use pair2score_data::ScoreScale;
use pair2score_scorer::AnchorSpace;

/// Anchors of a grade at most.
const MOST: usize = 5;

/// Documents of a grade that are looked at: each is compared with each.
const LOOKED_AT: usize = 400;

/// Parts of a continuous scale, each with as many documents.
const BANDS: usize = 10;

/// The places of the documents that may be anchors, in groups of which each has anchors of its own, from the lowest label.
pub(crate) fn candidates(labels: &[f64], scores: &[f64], scale: &ScoreScale) -> Vec<Vec<usize>> {
    let error = |&place: &usize| (labels[place] - scale_end(scores[place], scale)).abs();
    let agreeing = |mut group: Vec<usize>| {
        group.sort_by(|a, b| error(a).total_cmp(&error(b)));
        group.truncate(group.len().div_ceil(2).clamp(MOST, LOOKED_AT));
        group
    };
    groups(labels, scale).into_iter().map(agreeing).collect()
}

/// Places of labels by grade, or in tenths.
fn groups(labels: &[f64], scale: &ScoreScale) -> Vec<Vec<usize>> {
    let Some(grades) = scale.grades() else {
        let mut rising: Vec<usize> = (0..labels.len()).collect();
        rising.sort_by(|&a, &b| labels[a].total_cmp(&labels[b]));
        let band = rising.len().div_ceil(BANDS).max(1);
        return rising.chunks(band).map(<[usize]>::to_vec).collect();
    };
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, &label) in labels.iter().enumerate() {
        groups.entry(grades.index_nearest(label)).or_default().push(place);
    }
    groups.into_values().collect()
}

/// A score within the scale: a linear map goes past its ends.
fn scale_end(score: f64, scale: &ScoreScale) -> f64 {
    score.clamp(scale.min(), scale.max())
}

/// The rows of these embeddings that become anchors of a grade, in the order in which they are chosen.
pub(crate) fn spread(embeddings: ArrayView2<'_, f32>, space: &AnchorSpace) -> Vec<usize> {
    let n = embeddings.nrows();
    let width = embeddings.ncols();
    let directions = embeddings.outer_iter().flat_map(|row| space.direction(&row.to_vec())).map(f64::from);
    let directions = Array2::from_shape_vec((n, width), directions.collect()).expect("rows are of one width");
    let similarities = directions.dot(&directions.t());
    let most_central = |a: &usize, b: &usize| {
        let to_all = |place: usize| similarities.index_axis(Axis(0), place).sum();
        to_all(*a).total_cmp(&to_all(*b)).then(b.cmp(a))
    };
    let mut chosen: Vec<usize> = (0..n).max_by(most_central).into_iter().collect();
    while chosen.len() < MOST.min(n) {
        let nearest = |place: usize| chosen.iter().map(|&of| similarities[[place, of]]).fold(-1.0, f64::max);
        let others = (0..n).filter(|place| !chosen.contains(place));
        let farthest = others.min_by(|&a, &b| nearest(a).total_cmp(&nearest(b)));
        // What lies where an anchor is already is the same text.
        match farthest.filter(|&place| nearest(place) < 1.0 - 1e-6) {
            Some(place) => chosen.push(place),
            None => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn candidates_are_the_better_half_of_each_grade_and_five_at_least() {
        let grades = ScoreScale::graded(1.0, 5.0, 1.0);
        // Twelve documents of grade 2 whose errors fall, two of grade 5, and a score beyond the scale.
        let labels = [vec![2.0; 12], vec![5.0, 5.0]].concat();
        let scores: Vec<f64> = (0..12).map(|i| 2.0 + f64::from(12 - i) / 10.0).chain([9.0, 4.5]).collect();
        assert_eq!(candidates(&labels, &scores, &grades), [vec![11, 10, 9, 8, 7, 6], vec![12, 13]]);
        let seven = candidates(&labels[..7], &scores[..7], &grades);
        assert_eq!(seven, [[6, 5, 4, 3, 2]]);
        assert_eq!(candidates(&[2.0; 2000], &[2.0; 2000], &grades)[0].len(), 400);
    }

    #[test]
    fn a_continuous_scale_is_taken_in_tenths_of_its_documents() {
        let labels: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40).powi(2)).collect();
        let found = candidates(&labels, &labels, &ScoreScale::continuous(0.0, 1600.0));
        assert_eq!(found.len(), 10);
        let ends: Vec<f64> = found.iter().flat_map(|band| [labels[band[0]], labels[band[3]]]).collect();
        assert!(ends.is_sorted(), "{ends:?}");
        assert_eq!(candidates(&labels[..3], &labels[..3], &ScoreScale::continuous(0.0, 1600.0)).len(), 3);
        assert!(candidates(&[], &[], &ScoreScale::continuous(0.0, 1.0)).is_empty());
    }

    #[test]
    fn anchors_begin_in_the_middle_and_go_apart() {
        // Around the origin: three that nearly agree, one beside them, one against them, and a copy of it.
        let rows = array![[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [0.0, 1.0], [-1.0, 0.0], [-2.0, 0.0f32]];
        let space = AnchorSpace::around([[1.0f32, 1.0], [-1.0, -1.0]].iter().map(|row| &row[..]));
        assert_eq!(spread(rows.view(), &space), [1, 4, 3, 2, 0]);
        assert_eq!(spread(rows.slice(ndarray::s![4.., ..]), &space), [0]);
        assert!(spread(rows.slice(ndarray::s![..0, ..]), &space).is_empty());
    }
}
