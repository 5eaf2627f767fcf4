//! Fits [`Intervals`] to the scores and labels of documents that did not decide the scores, and measures what they hold.

use pair2score_data::ScoreScale;
use pair2score_scorer::{Intervals, Scored, TraitSettings};
use serde::{Deserialize, Serialize};

use crate::metrics::{MetricsError, check};

/// Fits intervals to documents that did not decide the scores; `scale` must have passed its validation.
///
/// `None` of so few documents, eight at most, that no error is large enough for the level.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn fit(labels: &[f64], scores: &[f64], scale: &ScoreScale) -> Result<Option<Intervals>, MetricsError> {
    check(labels, scores)?;
    Ok(Intervals::fit(labels.iter().copied().zip(scores.iter().copied()), scale))
}

/// What intervals are worth on documents that they were not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntervalMetrics {
    /// The share that was meant.
    pub level: f64,
    /// The share of labels that lie within, 0 to 1.
    pub coverage: f64,
    /// Mean distance of the ends, in rubric units.
    pub width: f64,
}

impl IntervalMetrics {
    /// The metrics in words.
    pub fn summary(&self) -> String {
        let Self { level, coverage, width } = self;
        format!(
            "intervals of {:.0} % hold {coverage:.3} of the test labels, mean width {width:.4}",
            level * 100.0
        )
    }
}

/// Measures the intervals of a trait on raw scores; `None` where it has none, or there is no document.
pub fn measure(of: &TraitSettings, labels: &[f64], scores: &[f64]) -> Option<IntervalMetrics> {
    let level = of.intervals.as_ref()?.level;
    let intervals: Vec<[f64; 2]> =
        scores.iter().map(|&score| Scored::new(score, of).interval).collect::<Option<_>>()?;
    // A label is written as people round it, and means its grade.
    let within = |(&label, [low, high]): (&f64, &[f64; 2])| {
        (*low..=*high).contains(&of.scale.nearest(label).unwrap_or(label))
    };
    let held = labels.iter().zip(&intervals).filter(|&pair| within(pair)).count();
    let n = labels.len() as f64;
    let width = intervals.iter().map(|[low, high]| high - low).sum::<f64>() / n;
    (n > 0.0).then(|| IntervalMetrics { level, coverage: held as f64 / n, width })
}

#[cfg(test)]
mod tests {
    use pair2score_data::rng::{stream, unit};
    use pair2score_data::{Grades, Interval};

    use super::*;

    const HALVES: ScoreScale = ScoreScale::Graded(Grades { min: 1.0, max: 5.0, step: 0.5 });
    /// Labels may lie beyond its ends.
    const TENS: ScoreScale = ScoreScale::Continuous(Interval { min: -10.0, max: 10.0, observed: true });

    /// Of documents with these errors at these scores, to either side in turn.
    fn fitted(documents: &[(f64, f64)], scale: &ScoreScale) -> Option<Intervals> {
        let sides = [1.0, -1.0].into_iter().cycle();
        let labels: Vec<f64> =
            documents.iter().zip(sides).map(|((score, error), side)| score + side * error).collect();
        let scores: Vec<f64> = documents.iter().map(|(score, _)| *score).collect();
        fit(&labels, &scores, scale).unwrap()
    }

    #[test]
    fn half_widths_by_hand() {
        // Of nine errors the ninth, of nineteen the eighteenth, of twenty the nineteenth.
        let documents: Vec<(f64, f64)> = (1..=20).map(|error| (0.0, f64::from(error * 7 % 21))).collect();
        let half_width = |n: usize| fitted(&documents[..n], &TENS).map(|found| found.half_widths);
        let largest = |n: usize, rank: usize| {
            let mut errors: Vec<f64> = documents[..n].iter().map(|(_, error)| *error).collect();
            errors.sort_by(f64::total_cmp);
            Some(vec![errors[rank - 1]])
        };
        assert_eq!(half_width(8), None);
        assert_eq!(half_width(9), largest(9, 9));
        assert_eq!(half_width(10), largest(10, 10));
        assert_eq!(half_width(19), largest(19, 18));
        assert_eq!(half_width(20), largest(20, 19));
    }

    #[test]
    fn regions_with_few_documents_join_their_smaller_neighbour() {
        let of = |n: usize, score: f64, error: f64| vec![(score, error); n];
        // Ten scores round to 2.5, and as many documents lie above as below.
        let documents = [of(60, 2.0, 0.125), of(10, 2.5, 1.0), of(60, 3.0, 0.25), of(70, 3.5, 0.5)].concat();
        let found = fitted(&documents, &HALVES).unwrap();
        assert_eq!(found.thresholds, [2.75, 3.25]);
        // The 64th of 70, of which ten err by 1.
        assert_eq!(found.half_widths, [1.0, 0.25, 0.5]);
        assert_eq!((found.level, found.documents), (0.9, 200));
        found.validate().unwrap();
        // With too few for two regions there is one.
        let found = fitted(&[of(30, 2.0, 0.125), of(30, 4.0, 0.5)].concat(), &HALVES).unwrap();
        assert_eq!((found.thresholds.len(), found.half_widths), (0, vec![0.5]));
    }

    #[test]
    fn scores_beyond_the_scale_err_from_its_end() {
        let labels = [1.0; 12];
        let scores = [-7.0; 12];
        assert_eq!(fit(&labels, &scores, &HALVES).unwrap().unwrap().half_widths, [0.0]);
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        assert_eq!(fit(&[], &[], &HALVES), Err(MetricsError::Empty));
        assert!(fit(&[1.0], &[f64::NAN], &HALVES).is_err());
        assert!(fit(&[1.0], &[1.0, 2.0], &HALVES).is_err());
    }

    #[test]
    fn labels_within_and_widths_by_hand() {
        let intervals =
            Intervals { level: 0.9, documents: 9, thresholds: Vec::new(), half_widths: vec![0.5] };
        let thirds = ScoreScale::graded(1.0, 4.0, 0.333);
        let of = TraitSettings { intervals: Some(intervals), ..TraitSettings::new("grammar", thirds) };
        // 2 has the grades 5/3 to 7/3, and 4 has 11/3 and 4; a rounded label is its grade.
        let found = measure(&of, &[1.666_667, 2.333_333, 2.666_667, 4.0], &[2.0, 2.0, 2.0, 4.0]).unwrap();
        assert_eq!((found.level, found.coverage), (0.9, 0.75));
        assert!((found.width - (3.0 * 2.0 / 3.0 + 1.0 / 3.0) / 4.0).abs() < 1e-8, "{found:?}");
        assert_eq!(measure(&of, &[], &[]), None);
        assert_eq!(measure(&TraitSettings { intervals: None, ..of }, &[2.0], &[2.0]), None);
    }

    /// The share of labels that intervals hold, of scores near the middle and far from it, in a hundred draws.
    fn simulated(n: usize, scale: &ScoreScale) -> [f64; 2] {
        let middle = (scale.min() + scale.max()) / 2.0;
        let reach = (scale.max() - scale.min()) / 2.0;
        let mut rng = stream(36, &["intervals"]);
        let mut draw = |n: usize| -> (Vec<f64>, Vec<f64>) {
            let document = |_| {
                let score = middle + reach * (2.0 * unit(&mut rng) - 1.0);
                // Errors grow with the distance from the middle, and lean to one side.
                let spread = reach / 8.0 + (score - middle).abs() / 4.0;
                let label = score + spread * (unit(&mut rng) + unit(&mut rng) - 0.9);
                (scale.nearest(label).unwrap_or(label), score)
            };
            (0..n).map(document).unzip()
        };
        let (mut held, mut all) = ([0.0; 2], [0.0; 2]);
        for _ in 0..100 {
            let (labels, scores) = draw(n);
            let intervals = fit(&labels, &scores, scale).unwrap().unwrap();
            let (labels, scores) = draw(400);
            for (label, score) in labels.into_iter().zip(scores) {
                let [low, high] = intervals.apply(score, scale);
                let place = usize::from((score - middle).abs() > reach / 2.0);
                all[place] += 1.0;
                held[place] += f64::from(u8::from(low <= label && label <= high));
            }
        }
        [0, 1].map(|place| held[place] / all[place])
    }

    #[test]
    fn intervals_hold_their_level_of_exchangeable_labels() {
        for (n, scale) in [(1200, TENS), (400, HALVES)] {
            for coverage in simulated(n, &scale) {
                // At least 0.9, and at most 1 / 51 more; a deviation of the mean of draws is below 0.003.
                assert!((0.89..0.93).contains(&coverage), "{n}, {scale}: {coverage}");
            }
        }
        // Of nine documents the largest error holds nine tenths.
        let [near, far] = simulated(9, &TENS);
        assert!((0.87..0.94).contains(&f64::midpoint(near, far)), "{near} {far}");
    }
}
