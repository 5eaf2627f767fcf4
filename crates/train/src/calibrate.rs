//! Fits a [`Calibration`] to the scores and labels of validation documents, and measures what it is worth.
//!
//! - *Linear*: `y = mean(labels) + sd(labels) / sd(scores) · (x - mean(scores))`, clamped to the scale.
//! - *Isotonic*: pool adjacent violators (Ayer et al., 1955). A block's value belongs to the mean of its scores, and
//!   the map is straight between these centres (centred isotonic regression, Oron and Flournoy, 2017): unlike steps,
//!   it keeps the order of documents.
//! - *Thresholds*: those that maximise kappa with quadratic weights, drawn towards the line where documents are few. The
//!   maximum is exact. Kappa is 1 - N / D, and with the labels
//!   given both N and D are sums over documents; so for a fixed ratio λ the grades that minimise N - λ D are found by
//!   dynamic programming over the documents in order of their scores, and the ratio of these grades is the next λ
//!   (Dinkelbach, 1967).

use pair2score_data::ScoreScale;
use pair2score_scorer::{Calibration, CalibrationMethod};
use serde::{Deserialize, Serialize};

use crate::metrics::{MetricsError, RegressionMetrics, quadratic_weighted_kappa, regression};

/// Fits a calibration to documents that training did not see; `scale` must have passed its validation.
///
/// `None` where the scores say nothing about the labels: one of both is constant, or they do not rise together.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn fit(
    method: CalibrationMethod,
    labels: &[f64],
    scores: &[f64],
    scale: &ScoreScale,
) -> Result<Option<Calibration>, MetricsError> {
    let measured = regression(labels, scores, scale)?;
    if measured.pearson.is_none_or(|correlation| correlation <= 0.0) {
        return Ok(None);
    }
    let knots = match method {
        CalibrationMethod::Linear => linear(labels, scores, scale),
        CalibrationMethod::Isotonic => isotonic(labels, scores),
    };
    let thresholds = thresholds(labels, scores, scale);
    let calibration = Calibration { method, documents: labels.len(), knots, thresholds };
    // Scores that differ by less than an f64 can say have no map.
    Ok(calibration.validate(scale).is_ok().then_some(calibration))
}

/// The line that matches mean and standard deviation, from the lowest grade to the highest.
fn linear(labels: &[f64], scores: &[f64], scale: &ScoreScale) -> Vec<[f64; 2]> {
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    };
    let ((mean, sd), (score_mean, score_sd)) = (moments(labels), moments(scores));
    [scale.min, scale.max].map(|grade| [score_mean + (grade - mean) * score_sd / sd, grade]).to_vec()
}

/// A mean of labels that belongs to a mean of scores.
#[derive(Debug, Clone, Copy)]
struct Block {
    score: f64,
    label: f64,
    weight: f64,
}

impl Block {
    fn and(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| (a * self.weight + b * other.weight) / weight;
        Self { score: mean(self.score, other.score), label: mean(self.label, other.label), weight }
    }
}

/// Centres and values of the blocks of isotonic regression.
fn isotonic(labels: &[f64], scores: &[f64]) -> Vec<[f64; 2]> {
    let mut blocks: Vec<Block> = Vec::new();
    for tied in by_score(scores) {
        // Equal scores get one value whatever their labels.
        let label = tied.iter().map(|&i| labels[i]).sum::<f64>() / tied.len() as f64;
        let mut block = Block { score: scores[tied[0]], label, weight: tied.len() as f64 };
        while let Some(violator) = blocks.pop_if(|before| before.label >= block.label) {
            block = violator.and(block);
        }
        blocks.push(block);
    }
    blocks.into_iter().map(|block| [block.score, block.label]).collect()
}

/// Indices in the order of their scores, equal ones together.
fn by_score(scores: &[f64]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order.chunk_by(|&a, &b| scores[a] == scores[b]).map(<[usize]>::to_vec).collect()
}

/// Documents at which what they say about a threshold counts as much as the line does. Chosen on held-out ELLIPSE
/// essays with `scripts/calibration_study.py`: thresholds that maximise kappa on 50 to 250 documents are worse on others
/// than the line, and these are a little better.
const DOCUMENTS_LIKE_LINE: f64 = 300.0;

/// The thresholds between grades: on the way from where the line rounds to the next grade to where kappa is highest,
/// the farther the more documents there are.
fn thresholds(labels: &[f64], scores: &[f64], scale: &ScoreScale) -> Vec<f64> {
    let line = linear(labels, scores, scale);
    let [low, high] = [line[0][0], line[1][0]];
    let n_steps = (scale.n_grades() - 1) as f64;
    let rounding: Vec<f64> =
        (0..scale.n_grades() - 1).map(|k| low + (k as f64 + 0.5) / n_steps * (high - low)).collect();
    let weight = labels.len() as f64 / (labels.len() as f64 + DOCUMENTS_LIKE_LINE);
    let maximising = maximising(labels, scores, scale, &rounding);
    rounding.iter().zip(maximising).map(|(line, best)| line + weight * (best - line)).collect()
}

/// The thresholds that maximise kappa. Between two grades that both occur it is the middle of the neighbouring scores;
/// beyond the grades that occur it is that of `otherwise`, unless documents are in its way.
fn maximising(labels: &[f64], scores: &[f64], scale: &ScoreScale, otherwise: &[f64]) -> Vec<f64> {
    let groups = by_score(scores);
    let classes: Vec<usize> = labels.iter().map(|&label| scale.index_nearest(label)).collect();
    let plain: Vec<usize> = groups.iter().map(|group| scale.index_nearest(scores[group[0]])).collect();
    let best = best_grades(&groups, &classes, scale.n_grades(), plain);
    let score = |group: usize| scores[groups[group][0]];
    let between = |(lower, otherwise): (usize, &f64)| match best.partition_point(|&grade| grade <= lower) {
        0 => otherwise.min(score(0)),
        n if n == best.len() => otherwise.max(score(n - 1).next_up()),
        // The middle of neighbours may round to the lower one.
        n => ((score(n - 1) + score(n)) / 2.0).max(score(n - 1).next_up()),
    };
    otherwise.iter().enumerate().map(between).collect()
}

/// Grades of groups of documents, not falling, that maximise kappa; `start` where nothing is above 0.
fn best_grades(groups: &[Vec<usize>], classes: &[usize], n_grades: usize, start: Vec<usize>) -> Vec<usize> {
    let n = classes.len() as f64;
    let mean = classes.iter().sum::<usize>() as f64 / n;
    let kappa = |grades: &[usize]| {
        let mut given = vec![0; classes.len()];
        groups.iter().zip(grades).for_each(|(group, &grade)| group.iter().for_each(|&i| given[i] = grade));
        quadratic_weighted_kappa(classes, &given, n_grades).unwrap_or(0.0)
    };
    let mut best = start;
    // With grades of chance kappa is 0: a start below is none.
    let mut highest = kappa(&best).max(0.0);
    loop {
        let ratio = 1.0 - highest;
        let cost = |group: &[usize], grade: usize| {
            let given = grade as f64;
            let chance = given * given - 2.0 * mean * given;
            group.iter().map(|&i| (classes[i] as f64 - given).powi(2) - ratio * chance).sum::<f64>()
        };
        let candidate = cheapest(groups, n_grades, cost);
        let reached = kappa(&candidate);
        // Each round is exact for its ratio, and no round can fall behind the one before.
        if reached <= highest {
            return best;
        }
        (best, highest) = (candidate, reached);
    }
}

/// The grades, not falling, with the lowest sum of costs.
fn cheapest(groups: &[Vec<usize>], n_grades: usize, cost: impl Fn(&[usize], usize) -> f64) -> Vec<usize> {
    // Lowest cost so far by the last grade, and for each group the grade before it.
    let mut costs = vec![0.0; n_grades];
    let mut before = Vec::with_capacity(groups.len());
    for group in groups {
        let mut from = 0;
        let previous: Vec<usize> = (0..n_grades)
            .map(|grade| {
                if costs[grade] < costs[from] {
                    from = grade;
                }
                from
            })
            .collect();
        costs = (0..n_grades).map(|grade| costs[previous[grade]] + cost(group, grade)).collect();
        before.push(previous);
    }
    let mut grade = (0..n_grades).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
    let mut grades = vec![0; groups.len()];
    for (place, previous) in before.iter().enumerate().rev() {
        grades[place] = grade;
        grade = previous[grade];
    }
    grades
}

/// What a calibration is worth on documents that it was not fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibratedMetrics {
    /// Of the calibrated scores.
    pub scores: RegressionMetrics,
    /// Kappa of the grades by thresholds; `None` where it is undefined.
    pub qwk_thresholds: Option<f64>,
}

impl std::fmt::Display for CalibratedMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [calibrated, thresholds] = [self.scores.qwk_nearest, self.qwk_thresholds]
            .map(|kappa| kappa.map_or_else(|| "undefined".into(), |kappa| format!("{kappa:.4}")));
        let RegressionMetrics { mae, rmse, .. } = self.scores;
        write!(
            f,
            "calibrated: test QWK {calibrated} (by thresholds {thresholds}), MAE {mae:.4}, RMSE {rmse:.4}"
        )
    }
}

/// Measures a calibration on raw scores.
///
/// # Errors
/// No values, unequal lengths, or a value that is not finite.
pub fn measure(
    calibration: &Calibration,
    labels: &[f64],
    scores: &[f64],
    scale: &ScoreScale,
) -> Result<CalibratedMetrics, MetricsError> {
    let calibrated: Vec<_> = scores.iter().map(|&score| calibration.apply(score, scale)).collect();
    let [scores, grades]: [Vec<f64>; 2] = [
        calibrated.iter().map(|calibrated| calibrated.score).collect(),
        calibrated.iter().map(|calibrated| calibrated.grade).collect(),
    ];
    Ok(CalibratedMetrics {
        scores: regression(labels, &scores, scale)?,
        qwk_thresholds: regression(labels, &grades, scale)?.qwk_nearest,
    })
}

#[cfg(test)]
mod tests {
    use pair2score_data::rng::mix;

    use super::*;

    const SCALE: ScoreScale = ScoreScale { min: 1.0, max: 4.0, step: 1.0 };

    fn fitted(method: CalibrationMethod, labels: &[f64], scores: &[f64]) -> Calibration {
        fit(method, labels, scores, &SCALE).unwrap().unwrap()
    }

    #[test]
    fn the_linear_map_gives_scores_the_mean_and_spread_of_the_labels() {
        // Mean 2.5 and variance 1.25 against mean 2.5 and variance 1.25 / 16.
        let labels = [1.0, 2.0, 3.0, 4.0];
        let calibration = fitted(CalibrationMethod::Linear, &labels, &[2.125, 2.375, 2.625, 2.875]);
        assert_eq!(calibration.knots, [[2.125, 1.0], [2.875, 4.0]]);
        for (score, label) in [2.125, 2.375, 2.625, 2.875].into_iter().zip(labels) {
            assert!((calibration.apply(score, &SCALE).score - label).abs() < 1e-12);
        }
    }

    #[test]
    fn isotonic_blocks_by_hand() {
        // 1; then 3 and 2 are pooled to 2.5 at the centre 2.5; then two equal scores with 4 and 3 are 3.5; then 3
        // pulls them down: (3.5 · 2 + 3) / 3 at the centre (4 · 2 + 5) / 3.
        let (labels, scores) = ([3.0, 1.0, 2.0, 4.0, 3.0, 3.0], [2.0, 1.0, 3.0, 4.0, 4.0, 5.0]);
        let knots = fitted(CalibrationMethod::Isotonic, &labels, &scores).knots;
        let expected = [[1.0, 1.0], [2.5, 2.5], [13.0 / 3.0, 10.0 / 3.0]];
        assert_eq!(knots.len(), expected.len());
        for (knot, expected) in knots.iter().flatten().zip(expected.iter().flatten()) {
            assert!((knot - expected).abs() < 1e-12, "{knots:?}");
        }
    }

    #[test]
    fn scores_that_say_nothing_get_no_calibration() {
        for (labels, scores) in [
            ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]),
            ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),
            ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
        ] {
            for method in [CalibrationMethod::Linear, CalibrationMethod::Isotonic] {
                assert_eq!(fit(method, &labels, &scores, &SCALE), Ok(None));
            }
        }
        assert!(fit(CalibrationMethod::Linear, &[1.0], &[f64::NAN], &SCALE).is_err());
    }

    /// Every way to give grades that do not fall.
    fn highest_kappa(labels: &[f64], scores: &[f64]) -> f64 {
        let groups = by_score(scores);
        let classes: Vec<usize> = labels.iter().map(|&label| SCALE.index_nearest(label)).collect();
        let n = SCALE.n_grades();
        let ways = n.pow(groups.len() as u32);
        let way = |number: usize| -> Vec<usize> {
            (0..groups.len()).map(|place| number / n.pow(place as u32) % n).collect()
        };
        let of = |grades: Vec<usize>| {
            let mut given = vec![0; labels.len()];
            groups.iter().zip(&grades).for_each(|(group, &g)| group.iter().for_each(|&i| given[i] = g));
            quadratic_weighted_kappa(&classes, &given, n).unwrap_or(f64::MIN)
        };
        (0..ways).map(way).filter(|grades| grades.is_sorted()).map(of).fold(f64::MIN, f64::max)
    }

    #[test]
    fn no_other_thresholds_reach_a_higher_kappa() {
        let mut fitted = 0;
        for case in 0..200_u64 {
            let random = |what: &str, document: usize, below: u64| {
                (mix(case, &[what, &document.to_string()]) % below) as f64
            };
            let labels: Vec<f64> = (0..7).map(|document| 1.0 + random("label", document, 4)).collect();
            // Few distinct scores, so that some are equal.
            let score = |(document, label)| 2.0 + 0.1 * label + 0.1 * random("score", document, 5);
            let scores: Vec<f64> = labels.iter().copied().enumerate().map(score).collect();
            let highest = highest_kappa(&labels, &scores);
            if highest <= 0.0 {
                continue;
            }
            let thresholds = maximising(&labels, &scores, &SCALE, &[1.5, 2.5, 3.5]);
            let grade = |score: &f64| SCALE.grade(thresholds.partition_point(|t| t <= score));
            let grades: Vec<f64> = scores.iter().map(grade).collect();
            let reached = regression(&labels, &grades, &SCALE).unwrap().qwk_nearest.unwrap();
            assert!((reached - highest).abs() < 1e-12, "{labels:?} {scores:?}: {reached} of {highest}");
            fitted += 1;
        }
        assert!(fitted > 100, "{fitted}");
    }

    #[test]
    fn grades_that_do_not_occur_keep_their_thresholds() {
        // Labels 2 and 3 only: 1 begins below all scores and 4 above them.
        let thresholds = maximising(&[2.0, 3.0], &[2.25, 2.375], &SCALE, &[1.5, 2.5, 3.5]);
        assert_eq!(thresholds, [1.5, 2.3125, 3.5]);
        // Documents in the way push both aside.
        let thresholds = maximising(&[2.0, 3.0], &[1.25, 3.75], &SCALE, &[1.5, 2.5, 3.5]);
        assert_eq!(thresholds, [1.25, 2.5, 3.75_f64.next_up()]);
    }

    #[test]
    fn few_documents_move_thresholds_little() {
        // The line goes from (2.125, 1) to (2.875, 4), so it rounds at 2.25, 2.5 and 2.75, where kappa is highest
        // too; a fifth document of grade 4 below the last threshold moves that one by 5 / 305 of the way.
        let (labels, scores) = ([1.0, 2.0, 3.0, 4.0], [2.125, 2.375, 2.625, 2.875]);
        let thresholds = fitted(CalibrationMethod::Linear, &labels, &scores).thresholds;
        assert!(
            thresholds.iter().zip([2.25, 2.5, 2.75]).all(|(a, b)| (a - b).abs() < 1e-12),
            "{thresholds:?}"
        );
        let (labels, scores) = ([1.0, 2.0, 3.0, 4.0, 4.0], [1.0, 2.0, 3.0, 3.4, 4.0]);
        let line = linear(&labels, &scores, &SCALE);
        let rounding = line[0][0] + 2.5 / 3.0 * (line[1][0] - line[0][0]);
        let found = fitted(CalibrationMethod::Linear, &labels, &scores).thresholds[2];
        assert!((found - (rounding + 5.0 / 305.0 * (3.2 - rounding))).abs() < 1e-12, "{found} {rounding}");
    }

    #[test]
    fn spread_and_thresholds_are_worth_what_they_were_made_for() {
        // Scores in the right order whose spread is a tenth of that of the labels.
        let labels: Vec<f64> = (0..40).map(|i| f64::from(1 + i / 10)).collect();
        let scores: Vec<f64> = labels.iter().map(|label| 2.3 + 0.1 * (label - 2.5)).collect();
        let plain = regression(&labels, &scores, &SCALE).unwrap().qwk_nearest;
        assert_eq!(plain, Some(0.0));
        let calibration = fitted(CalibrationMethod::Linear, &labels, &scores);
        let measured = measure(&calibration, &labels, &scores, &SCALE).unwrap();
        assert_eq!((measured.scores.qwk_nearest, measured.qwk_thresholds), (Some(1.0), Some(1.0)));
        assert!(measured.scores.mae < 1e-9);
    }
}
