//! Numbers over folds and documents: pure functions.

use pair2score_data::rng::{below, stream};
use pair2score_data::{Grades, ScoreScale};
use pair2score_train::metrics::{mean_sd, quadratic_weighted_kappa, r_squared};

/// The value below which a share of the values lies, between neighbours in proportion; of at least one value.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// How the agreement of scores with labels is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Agreement {
    /// Kappa of nearest grades.
    Kappa(Grades),
    /// Share of the labels' variance that is explained.
    Explained,
}

impl Agreement {
    /// That of a scale.
    pub(crate) fn on(scale: &ScoreScale) -> Self {
        scale.grades().copied().map_or(Self::Explained, Self::Kappa)
    }

    fn of(self, labels: &[f64], scores: &[f64]) -> Option<f64> {
        let Self::Kappa(grades) = self else { return r_squared(labels, scores) };
        let nearest = |values: &[f64]| -> Vec<usize> {
            values.iter().map(|&value| grades.index_nearest(value)).collect()
        };
        quadratic_weighted_kappa(&nearest(labels), &nearest(scores), grades.n_grades())
    }
}

/// Of the same documents: labels of people, scores of the baseline and of another scorer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PairedFold {
    pub(crate) labels: Vec<f64>,
    pub(crate) baseline: Vec<f64>,
    pub(crate) other: Vec<f64>,
}

/// A difference of agreements, the other minus the baseline, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Difference {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The mean difference over folds. The interval is the percentile bootstrap: documents are drawn anew within each fold,
/// the same for both scorers, so that what makes a document hard for both cancels.
///
/// `None` where an agreement of the data themselves is undefined; draws in which one is do not count.
pub(crate) fn paired_difference(
    folds: &[PairedFold],
    agreement: Agreement,
    resamples: usize,
) -> Option<Difference> {
    let difference = |folds: &[PairedFold]| {
        let differences: Option<Vec<f64>> = folds
            .iter()
            .map(|fold| {
                let with = |given: &[f64]| agreement.of(&fold.labels, given);
                Some(with(&fold.other)? - with(&fold.baseline)?)
            })
            .collect();
        mean_sd(&differences?).map(|(mean, _)| mean)
    };
    let value = difference(folds)?;
    let mut rng = stream(0, &["report", "bootstrap"]);
    let mut drawn = folds.to_vec();
    let mut values: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            for (from, to) in folds.iter().zip(&mut drawn) {
                for place in 0..from.labels.len() {
                    let document = below(&mut rng, from.labels.len());
                    to.labels[place] = from.labels[document];
                    to.baseline[place] = from.baseline[document];
                    to.other[place] = from.other[document];
                }
            }
            difference(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return None;
    }
    Some(Difference { value, low: quantile(&values, 0.025), high: quantile(&values, 0.975) })
}

/// A statistic of documents with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Of the documents as they are.
    pub value: f64,
    /// The value below which one draw of forty lies.
    pub low: f64,
    /// The value above which one draw of forty lies.
    pub high: f64,
}

/// The percentile bootstrap of a statistic of `n` documents, which are given by their places.
///
/// `None` where the statistic of the documents themselves is undefined; draws in which it is do not count.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Interval> {
    let value = statistic(&(0..n).collect::<Vec<_>>())?;
    let mut rng = stream(0, &["report", "bootstrap"]);
    let mut draw = || statistic(&(0..n).map(|_| below(&mut rng, n)).collect::<Vec<_>>());
    let mut values: Vec<f64> = (0..resamples).filter_map(|_| draw()).collect();
    values.sort_by(f64::total_cmp);
    let quantile = |share| if values.is_empty() { value } else { quantile(&values, share) };
    Some(Interval { value, low: quantile(0.025), high: quantile(0.975) })
}

/// How far the mean score of a group is from the mean label, in standard deviations: the mean of score minus label
/// over the root of the mean variance of both (Williamson, Xi and Breyer, 2012). `None` where nothing varies.
pub(crate) fn standardised_difference(labels: &[f64], scores: &[f64]) -> Option<f64> {
    let (label, label_sd) = mean_sd(labels)?;
    let (score, score_sd) = mean_sd(scores)?;
    let spread = ((label_sd?.powi(2) + score_sd?.powi(2)) / 2.0).sqrt();
    (spread > 0.0).then(|| (score - label) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_0_to(max: f64) -> Agreement {
        Agreement::Kappa(Grades { min: 0.0, max, step: 1.0 })
    }

    #[test]
    fn without_grades_the_difference_is_one_of_explained_variance() {
        let fold =
            PairedFold { labels: vec![-1.0, 0.0, 1.0], baseline: vec![0.0; 3], other: vec![-1.0, 0.0, 0.5] };
        let found =
            paired_difference(&[fold], Agreement::on(&ScoreScale::continuous(-1.0, 1.0)), 50).unwrap();
        assert_eq!(found.value, 1.0 - 0.25 / 2.0);
    }

    #[test]
    fn mean_and_deviation_by_hand() {
        assert_eq!(mean_sd(&[]), None);
        assert_eq!(mean_sd(&[2.0]), Some((2.0, None)));
        let (mean, sd) = mean_sd(&[1.0, 2.0, 3.0, 6.0]).unwrap();
        assert_eq!((mean, sd), (3.0, Some((14.0_f64 / 3.0).sqrt())));
    }

    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors() {
        let values: Vec<f64> = (0..400).map(|place| f64::from(place % 20)).collect();
        let mean = |places: &[usize]| mean_sd(&places.iter().map(|&p| values[p]).collect::<Vec<_>>());
        let interval = bootstrap(values.len(), 2000, |places| mean(places).map(|(mean, _)| mean)).unwrap();
        // The deviation of 0 to 19 is √((20² − 1) / 12) = 5.77, of a mean of 400 a twentieth of that.
        assert_eq!(interval.value, 9.5);
        for (side, found) in [(-1.0, interval.low), (1.0, interval.high)] {
            assert!((found - (9.5 + side * 1.96 * 0.288)).abs() < 0.05, "{interval:?}");
        }
        assert_eq!(bootstrap(3, 10, |_| None), None);
    }

    #[test]
    fn quantiles_by_hand() {
        let values = [1.0, 2.0, 3.0, 5.0];
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(|share| quantile(&values, share)), [1.0, 2.5, 4.4, 5.0]);
    }

    #[test]
    fn the_interval_is_that_of_all_draws() {
        // Four documents: 256 draws, each as likely.
        let fold = PairedFold {
            labels: vec![0., 1., 2., 3.],
            baseline: vec![1., 1., 1., 2.],
            other: vec![0., 1., 3., 3.],
        };
        let of = |drawn: [usize; 4]| {
            let labels = drawn.map(|i| fold.labels[i] as usize);
            let kappa =
                |given: &[f64]| quadratic_weighted_kappa(&labels, &drawn.map(|i| given[i] as usize), 4);
            Some(kappa(&fold.other)? - kappa(&fold.baseline)?)
        };
        let mut all: Vec<f64> =
            (0..256usize).filter_map(|number| of([0, 2, 4, 6].map(|shift| number >> shift & 3))).collect();
        all.sort_by(f64::total_cmp);
        let found = paired_difference(std::slice::from_ref(&fold), from_0_to(3.0), 20_000).unwrap();
        assert_eq!(found.value, of([0, 1, 2, 3]).unwrap());
        // The ends of 20,000 draws of a coarse distribution fall on the same values or between neighbours.
        assert!((found.low - quantile(&all, 0.025)).abs() < 0.05, "{found:?} {}", quantile(&all, 0.025));
        assert!((found.high - quantile(&all, 0.975)).abs() < 0.05, "{found:?} {}", quantile(&all, 0.975));
    }

    #[test]
    fn a_scorer_does_not_differ_from_itself() {
        let same = vec![0.0, 1.0, 2.0, 2.0, 1.0];
        let fold = PairedFold { labels: vec![0.0, 1.0, 1.0, 2.0, 2.0], baseline: same.clone(), other: same };
        let none = Difference { value: 0.0, low: 0.0, high: 0.0 };
        assert_eq!(paired_difference(&[fold.clone(), fold], from_0_to(2.0), 200), Some(none));
        let constant = PairedFold { labels: vec![1.0; 2], baseline: vec![1.0; 2], other: vec![1.0; 2] };
        assert_eq!(paired_difference(&[constant], from_0_to(2.0), 200), None);
    }

    #[test]
    fn standardised_differences_by_hand() {
        // Means 2 and 3, variances 1 and 4: 1 / sqrt(2.5).
        let found = standardised_difference(&[1.0, 2.0, 3.0], &[1.0, 3.0, 5.0]).unwrap();
        assert!((found - 1.0 / 2.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(standardised_difference(&[1.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(standardised_difference(&[1.0], &[1.0]), None);
    }
}
