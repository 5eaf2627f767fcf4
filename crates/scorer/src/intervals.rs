//! From a raw score to the labels that people would give.
//!
//! Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018): documents that did not decide the
//! scores say how far labels lie from scores, and a label of another such document lies no farther away than the
//! `⌈(n + 1) · level⌉`-th smallest of these `n` errors with a probability of at least `level`, whatever the scorer and
//! the distribution of its errors are. How far that is depends on the region of the score (Mondrian conformal
//! prediction), so that scores at the ends of the scale have intervals of their own. The label then lies within with a
//! probability of less than `level + 1 / (n + 1)` where no two errors are alike (theorem 2.2). Regions begin as those of the
//! grades, each with the scores that round to it, and on a continuous scale as parts of equal width; the smallest is merged
//! with its smaller neighbour until all have documents enough.

use pair2score_data::{Grades, Interval, ScoreScale};
use serde::{Deserialize, Serialize};

/// How far labels lie from raw scores; see the module. Written by training, which fits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// The share of labels that an interval is meant to hold, above 0 and below 1.
    pub level: f64,
    /// Documents that it was fitted on.
    pub documents: usize,
    /// The raw scores at which the next region begins; rising.
    pub thresholds: Vec<f64>,
    /// How far an interval goes to either side of a score, in rubric units, one number for each region.
    pub half_widths: Vec<f64>,
}

/// The share of labels that an interval is meant to hold.
const LEVEL: f64 = 0.9;

/// Fewest documents of a region beside others: the share that its intervals hold is then off by 4 in 100 in most draws.
const FEWEST: usize = 50;

/// Parts of a continuous scale with regions of their own, where there are documents enough.
const PARTS: usize = 20;

impl Intervals {
    /// Fits them to labels and scores, all finite, of documents that did not decide the scores. `None` of so few documents,
    /// eight at most, that no error is large enough for the level.
    pub fn fit(unseen: impl Iterator<Item = (f64, f64)>, scale: &ScoreScale) -> Option<Self> {
        let error = |(label, score): (f64, f64)| {
            let centre = Self::centre(score, scale);
            (centre, (label - centre).abs())
        };
        let mut errors: Vec<(f64, f64)> = unseen.map(error).collect();
        errors.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let documents = errors.len();
        let regions = regions(errors, &boundaries(scale));
        let of_region = |region: &Region| quantile(region.errors.iter().map(|(_, error)| *error).collect());
        let half_widths = regions.iter().map(of_region).collect::<Option<_>>()?;
        let thresholds = regions.iter().skip(1).map(|region| region.from).collect();
        Some(Self { level: LEVEL, documents, thresholds, half_widths })
    }

    /// Checks that it is one.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let Self { level, thresholds, half_widths, .. } = self;
        if !(*level > 0.0 && *level < 1.0) {
            return Err(format!("has intervals of level {level}, which must be between 0 and 1"));
        }
        if half_widths.len() != thresholds.len() + 1 {
            let (n, between) = (half_widths.len(), thresholds.len());
            return Err(format!(
                "has {n} half-widths of intervals for regions with {between} thresholds between"
            ));
        }
        if !half_widths.iter().all(|width| width.is_finite() && *width >= 0.0) {
            return Err("has half-widths of intervals that are no lengths".into());
        }
        if !thresholds.iter().all(|value| value.is_finite()) || !thresholds.is_sorted_by(|a, b| a < b) {
            return Err("has thresholds of intervals that do not rise".into());
        }
        Ok(())
    }

    /// The score that an interval lies around: the nearest one that a label can be.
    pub fn centre(score: f64, scale: &ScoreScale) -> f64 {
        ends(scale).map_or(score, |[min, max]| score.clamp(min, max))
    }

    /// The lowest and the highest label of the interval of a raw score. On a scale of grades these are grades: those
    /// within, and at least the one nearest to the score. `NaN` stays `NaN`.
    pub fn apply(&self, score: f64, scale: &ScoreScale) -> [f64; 2] {
        if score.is_nan() {
            return [score; 2];
        }
        let centre = Self::centre(score, scale);
        let region = self.thresholds.partition_point(|threshold| *threshold <= centre);
        let half = self.half_widths[region];
        let (low, high) = (centre - half, centre + half);
        match (scale.grades(), ends(scale)) {
            (Some(grades), _) => whole(grades, centre, [low, high]),
            (None, Some([min, max])) => [low.max(min), high.min(max)],
            (None, None) => [low, high],
        }
    }
}

/// Where the score turns to the next grade, or to the next part of a continuous scale.
fn boundaries(scale: &ScoreScale) -> Vec<f64> {
    let (min, max) = (scale.min(), scale.max());
    let steps = scale.grades().map_or(PARTS, |grades| grades.n_grades() - 1);
    let half = if scale.grades().is_some() { 0.5 } else { 0.0 };
    let width = (max - min) / steps as f64;
    (0..steps).map(|step| min + (step as f64 + half) * width).filter(|boundary| *boundary > min).collect()
}

/// Scores from one on, up to the next region.
#[derive(Debug)]
struct Region {
    from: f64,
    /// Scores and errors of its documents.
    errors: Vec<(f64, f64)>,
}

/// The regions between these boundaries, merged until each has enough of these documents, whose scores rise.
fn regions(errors: Vec<(f64, f64)>, boundaries: &[f64]) -> Vec<Region> {
    let mut regions = vec![Region { from: f64::NEG_INFINITY, errors }];
    for &from in boundaries {
        let whole = &mut regions.last_mut().expect("there is one").errors;
        let place = whole.partition_point(|(score, _)| *score < from);
        let errors = whole.split_off(place);
        regions.push(Region { from, errors });
    }
    let size = |region: &Region| region.errors.len();
    while regions.len() > 1 {
        let smallest = (0..regions.len()).min_by_key(|&place| size(&regions[place])).expect("there are some");
        if size(&regions[smallest]) >= FEWEST {
            break;
        }
        let below = smallest.checked_sub(1);
        let above = Some(smallest + 1).filter(|&place| place < regions.len());
        let neighbour = below.into_iter().chain(above).min_by_key(|&place| size(&regions[place]));
        let upper = neighbour.expect("there is another").max(smallest);
        let Region { errors, .. } = regions.remove(upper);
        regions[upper - 1].errors.extend(errors);
    }
    regions
}

/// The `⌈(n + 1) · level⌉`-th smallest error; `None` where there are fewer.
fn quantile(mut errors: Vec<f64>) -> Option<f64> {
    // A product like 27.000000000000004 is 27.
    let rank = ((errors.len() + 1) as f64 * LEVEL - 1e-9).ceil() as usize;
    errors.sort_by(f64::total_cmp);
    errors.get(rank - 1).copied()
}

/// The ends of a scale beyond which no label lies; none where they are only those of the training labels.
fn ends(scale: &ScoreScale) -> Option<[f64; 2]> {
    match scale {
        ScoreScale::Continuous(Interval { observed: true, .. }) => None,
        _ => Some([scale.min(), scale.max()]),
    }
}

/// The grades from `low` to `high`. No label lies between a grade and an end, so nothing is lost.
fn whole(grades: &Grades, centre: f64, [low, high]: [f64; 2]) -> [f64; 2] {
    match (grades.index_ceil(low), grades.index_floor(high)) {
        (first, last) if first <= last => [first, last].map(|index| grades.grade(index)),
        _ => [grades.nearest(centre); 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: ScoreScale = ScoreScale::Graded(Grades { min: 1.0, max: 5.0, step: 0.5 });

    /// 0.8 below 3, 0.6 from there on.
    fn two_regions() -> Intervals {
        Intervals { level: 0.9, documents: 100, thresholds: vec![3.0], half_widths: vec![0.8, 0.6] }
    }

    #[test]
    fn ends_are_the_grades_within() {
        let intervals = two_regions();
        intervals.validate().unwrap();
        for (score, expected) in [
            (2.9, [2.5, 3.5]),  // 2.1 to 3.7
            (3.0, [2.5, 3.5]),  // 2.4 to 3.6
            (3.1, [2.5, 3.5]),  // 2.5 to 3.7
            (4.75, [4.5, 5.0]), // 4.15 to 5.35
            (1.0, [1.0, 1.5]),  // 0.2 to 1.8
            (9.0, [4.5, 5.0]),  // as 5
            (-18.0, [1.0, 1.5]),
        ] {
            assert_eq!(intervals.apply(score, &HALVES), expected, "{score}");
        }
        assert!(intervals.apply(f64::NAN, &HALVES).iter().all(|end| end.is_nan()));
        assert!(intervals.apply(f64::NAN, &ScoreScale::continuous(0.0, 1.0)).iter().all(|end| end.is_nan()));
    }

    #[test]
    fn an_interval_without_a_grade_is_the_nearest_one() {
        let narrow = Intervals { thresholds: Vec::new(), half_widths: vec![0.1], ..two_regions() };
        assert_eq!(narrow.apply(3.3, &HALVES), [3.5, 3.5]);
        assert_eq!(narrow.apply(3.45, &HALVES), [3.5, 3.5]);
    }

    #[test]
    fn a_continuous_interval_ends_with_its_scale() {
        let one = Intervals { thresholds: Vec::new(), half_widths: vec![0.5], ..two_regions() };
        let apply = |score, scale: ScoreScale| one.apply(score, &scale);
        assert_eq!(apply(0.25, ScoreScale::continuous(0.0, 2.0)), [0.0, 0.75]);
        assert_eq!(apply(7.0, ScoreScale::continuous(0.0, 2.0)), [1.5, 2.0]);
        // Labels may lie beyond those of training.
        assert_eq!(apply(2.5, ScoreScale::observed([0.0, 2.0]).unwrap()), [2.0, 3.0]);
    }

    #[test]
    fn what_are_no_intervals_is_refused() {
        let broken = |change: fn(&mut Intervals)| {
            let mut intervals = two_regions();
            change(&mut intervals);
            intervals.validate().unwrap_err()
        };
        assert!(broken(|i| i.level = 1.0).contains("level 1"));
        assert!(broken(|i| i.level = f64::NAN).contains("level NaN"));
        assert!(broken(|i| i.half_widths.truncate(1)).contains("1 half-widths"));
        assert!(broken(|i| i.half_widths[0] = -0.1).contains("no lengths"));
        assert!(broken(|i| i.half_widths[0] = f64::INFINITY).contains("no lengths"));
        assert!(broken(|i| i.thresholds[0] = f64::NAN).contains("rise"));
        assert!(
            broken(|i| {
                i.thresholds.push(3.0);
                i.half_widths.push(0.5);
            })
            .contains("rise")
        );
    }
}
