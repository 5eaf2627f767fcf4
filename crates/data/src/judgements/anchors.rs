//! Scores from a few anchors: documents whose grades are known tie utilities to a scale.
//!
//! A grade is `y = a + b · u + ε`: a straight line, b above 0, and a normal error ε of standard deviation σ, which holds
//! what judges and graders see differently and what rounding to grades adds. Utilities have the means and the covariance of
//! the posterior. For given b and σ all of this is normal, so the anchors tell about the utilities too, and what follows
//! for every other document is exact; a is integrated under a prior as wide as the scale. b and σ are integrated on a grid
//! under weak log-normal priors around what the scale suggests: with a handful of anchors neither is known well, and
//! intervals that took an estimate for the truth would be too short. What is said of a document is then a mixture of normal
//! distributions, cut off at the ends of the scale. Its mean is linear in the utilities and in their covariance with those
//! of the anchors, so for documents that nobody judged the score is a linear map of what else is known of them: a head that
//! scores texts to come ([`Anchored`]).

use ndarray::{Array1, Array2, Axis};
use pair2score_heads::Cholesky;

use super::{Covariance, Features, Fit, LinearHead};
use crate::correlation::pearson;
use crate::error::{DataError, Result};
use crate::scale::{Grades, ScoreScale};

/// Fewer anchors say next to nothing about a line and an error.
const LEAST: usize = 3;

/// The standard deviation of grades, and of ε, as shares of the range of the scale: the middle of their priors.
const USUAL_SPREAD: f64 = 1.0 / 6.0;
const USUAL_ERROR: f64 = 1.0 / 20.0;

/// Standard deviation of the priors of ln b and ln σ: a factor of two either way.
const PRIOR_SD: f64 = 0.7;

/// Points of the grid either side of the middle, and how many standard deviations of the prior they span.
const REACH: (i32, f64) = (6, 2.5);

/// What is left out of the score at either end of an interval: it holds 90 %.
const TAIL: f64 = 0.05;

/// What is known of a document's score.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchoredScore {
    /// The mean, within the scale.
    pub score: f64,
    /// The ends of the interval that holds the score with a probability of 90 %.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// The probability of each grade of the scale, from the lowest; they add up to 1. Empty on a continuous scale.
    pub grades: Vec<f64>,
}

/// What the grades of some documents say about all.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchored {
    /// Per document, in their order.
    pub scores: Vec<AnchoredScore>,
    /// The score of a document that nobody judged, per unit of its features and as it begins; it may leave the scale.
    told: (Vec<f64>, f64),
}

impl Anchored {
    /// The score of a document that nobody judged, from these features of the documents.
    pub fn head(&self, features: &Features) -> LinearHead {
        let (coefficients, intercept) = &self.told;
        let mut head = features.head(coefficients);
        head.intercept += intercept;
        head
    }
}

/// Scores of all documents from the grades of some, `anchors`: documents by index, each once, whose grades are labels of the
/// scale. An anchor's own score is its grade.
///
/// # Errors
/// As [`check_anchors`] and [`Covariance`].
pub fn anchored_scores(
    fit: &Fit,
    covariance: &Covariance,
    anchors: &[(usize, f64)],
    scale: &ScoreScale,
) -> Result<Anchored> {
    check_anchors(anchors)?;
    let documents: Vec<usize> = anchors.iter().map(|anchor| anchor.0).collect();
    let variances = covariance.standard_errors()?.into_iter().map(|error| error * error).collect();
    let (shared, added) = covariance.told(&documents)?;
    let problem = Problem {
        utilities: Array1::from(fit.utilities.clone()),
        with_anchors: covariance.columns(&documents)?,
        grades: anchors.iter().map(|anchor| anchor.1).collect(),
        variances,
        documents,
        middle: (scale.min() + scale.max()) / 2.0,
        range: scale.max() - scale.min(),
    };
    let lines = problem.lines();
    let mixtures = problem.mixtures(&lines);
    let mut scores: Vec<AnchoredScore> = mixtures.iter().map(|mixture| mixture.score(scale)).collect();
    for &(document, grade) in anchors {
        let mut grades = vec![0.0; scale.grades().map_or(0, Grades::n_grades)];
        if let Some(all) = scale.grades() {
            grades[all.index_nearest(grade)] = 1.0;
        }
        scores[document] = AnchoredScore { score: grade, low: grade, high: grade, grades };
    }
    let mean = problem.mean(&lines);
    let coefficients = Array1::from(fit.coefficients.clone()) * mean.slope + shared.dot(&mean.per_covariance);
    let told = (coefficients.to_vec(), mean.intercept + added.dot(&mean.per_covariance));
    Ok(Anchored { scores, told })
}

/// Whether anchors say enough for scores.
///
/// # Errors
/// Fewer than three anchors, or anchors without two different grades.
pub fn check_anchors(anchors: &[(usize, f64)]) -> Result<()> {
    if anchors.len() < LEAST {
        let what = format!("{} anchors say nothing about a scale", anchors.len());
        return Err(DataError::setting(what, format!("grade at least {LEAST} documents, better ten")));
    }
    if anchors.iter().all(|(_, grade)| *grade == anchors[0].1) {
        let what = format!("all anchors have the grade {}", anchors[0].1);
        return Err(DataError::setting(what, "grade documents that differ"));
    }
    Ok(())
}

/// What to check where the grades of anchors fall as utilities that know nothing of them rise: grades or answers may be the
/// wrong way round, which scores do not show, because they rise with utilities by construction. `None` where grades rise too,
/// and where either are all alike.
pub fn anchor_warning(fit: &Fit, anchors: &[(usize, f64)]) -> Option<String> {
    let (utilities, grades): (Vec<f64>, Vec<f64>) =
        anchors.iter().map(|&(place, grade)| (fit.utilities[place], grade)).unzip();
    let correlation = pearson(&utilities, &grades).filter(|correlation| *correlation < 0.0)?;
    Some(format!(
        "the anchors' grades fall where the judgements rise (correlation {correlation:.2}): check that both mean the same \
         trait, and that neither has its best at the wrong end"
    ))
}

struct Problem {
    utilities: Array1<f64>,
    variances: Array1<f64>,
    /// Covariance of all utilities with those of the anchors, `[n, anchors]`.
    with_anchors: Array2<f64>,
    documents: Vec<usize>,
    grades: Array1<f64>,
    middle: f64,
    range: f64,
}

/// What follows for given b and σ.
struct Line {
    slope: f64,
    error: f64,
    /// The residuals of the anchors, divided by their covariance.
    residuals: Array1<f64>,
    /// Factor of that covariance.
    factor: Cholesky,
    /// The logarithm of the probability of b, σ and the grades, but for a constant; then that probability.
    weight: f64,
}

/// The mean of a grade as a linear map.
struct MeanLine {
    /// Per unit of the utility.
    slope: f64,
    /// Per unit of the covariance with each anchor.
    per_covariance: Array1<f64>,
    intercept: f64,
}

impl Problem {
    /// The lines that matter, whose weights add up to 1.
    fn lines(&self) -> Vec<Line> {
        let second_moment =
            self.utilities.mapv(|u| u * u).mean().unwrap_or(1.0) + self.variances.mean().unwrap_or(0.0);
        let slope = self.range * USUAL_SPREAD / second_moment.sqrt();
        let error = self.range * USUAL_ERROR;
        let mut lines = Vec::new();
        for at_slope in -REACH.0..=REACH.0 {
            for at_error in -REACH.0..=REACH.0 {
                let deviations = [at_slope, at_error].map(|at| f64::from(at) / f64::from(REACH.0) * REACH.1);
                let [b, sigma] = [(slope, deviations[0]), (error, deviations[1])]
                    .map(|(usual, deviations)| usual * (PRIOR_SD * deviations).exp());
                let prior = -(deviations[0].powi(2) + deviations[1].powi(2)) / 2.0;
                lines.extend(self.line(b, sigma, prior));
            }
        }
        let highest = lines.iter().map(|line| line.weight).fold(f64::NEG_INFINITY, f64::max);
        // What has no weight has no say either.
        lines.retain(|line| line.weight - highest > -14.0);
        let total: f64 = lines.iter().map(|line| (line.weight - highest).exp()).sum();
        for line in &mut lines {
            line.weight = (line.weight - highest).exp() / total;
        }
        lines
    }

    /// For a slope and an error; `None` where the arithmetic cannot.
    fn line(&self, slope: f64, error: f64, prior: f64) -> Option<Line> {
        let mut among = self.with_anchors.select(Axis(0), &self.documents);
        among.mapv_inplace(|covariance| slope * slope * covariance + self.range.powi(2));
        among.diag_mut().map_inplace(|variance| *variance += error * error);
        let factor = Cholesky::new(among)?;
        let expected = self.documents.iter().map(|&place| self.middle + slope * self.utilities[place]);
        let residuals = &self.grades - &expected.collect::<Array1<f64>>();
        let divided = factor.solve(residuals.clone().insert_axis(Axis(1))).index_axis_move(Axis(1), 0);
        let weight = prior - residuals.dot(&divided) / 2.0 - factor.log_determinant() / 2.0;
        Some(Line { slope, error, residuals: divided, factor, weight })
    }

    /// What is known of each document's grade.
    fn mixtures(&self, lines: &[Line]) -> Vec<Mixture> {
        let given: Vec<_> = lines.iter().map(|line| self.grades_on(line)).collect();
        let of = |document: usize| {
            let parts = lines.iter().zip(&given);
            Mixture(parts.map(|(line, given)| (line.weight, given[document].0, given[document].1)).collect())
        };
        (0..self.utilities.len()).map(of).collect()
    }

    /// Mean and standard deviation of each document's grade, given a line.
    fn grades_on(&self, line: &Line) -> Vec<(f64, f64)> {
        let &Line { slope, error, ref residuals, ref factor, .. } = line;
        let (wide, noise) = (self.range.powi(2), error * error);
        let with_anchors = self.with_anchors.mapv(|covariance| slope * slope * covariance + wide);
        let means = with_anchors.dot(residuals) + &self.utilities * slope + self.middle;
        let mut told = with_anchors.reversed_axes();
        factor.solve_lower(told.view_mut());
        let of = |(document, &mean): (usize, &f64)| {
            let column = told.column(document);
            let variance = slope * slope * self.variances[document] + wide + noise - column.dot(&column);
            (mean, variance.max(noise).sqrt())
        };
        means.iter().enumerate().map(of).collect()
    }

    /// The mean over the lines.
    fn mean(&self, lines: &[Line]) -> MeanLine {
        let mut mean = MeanLine {
            slope: 0.0,
            per_covariance: Array1::zeros(self.documents.len()),
            intercept: self.middle,
        };
        for line in lines {
            mean.slope += line.weight * line.slope;
            mean.per_covariance.scaled_add(line.weight * line.slope.powi(2), &line.residuals);
            mean.intercept += line.weight * self.range.powi(2) * line.residuals.sum();
        }
        mean
    }
}

/// Normal distributions with their weights: weight, mean, standard deviation.
struct Mixture(Vec<(f64, f64, f64)>);

impl Mixture {
    /// The probability of a grade below `limit`.
    fn below(&self, limit: f64) -> f64 {
        self.0.iter().map(|&(weight, mean, sd)| weight * normal_below((limit - mean) / sd)).sum()
    }

    /// Where the probability below is `share`, between two numbers; one of them where it lies beyond.
    fn quantile(&self, share: f64, (mut low, mut high): (f64, f64)) -> f64 {
        if self.below(low) >= share {
            return low;
        }
        if self.below(high) <= share {
            return high;
        }
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if self.below(middle) < share { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    }

    fn mean(&self) -> f64 {
        self.0.iter().map(|&(weight, mean, _)| weight * mean).sum()
    }

    fn score(&self, scale: &ScoreScale) -> AnchoredScore {
        let ends = (scale.min(), scale.max());
        AnchoredScore {
            score: self.mean().clamp(ends.0, ends.1),
            low: self.quantile(TAIL, ends),
            high: self.quantile(1.0 - TAIL, ends),
            grades: scale.grades().map_or_else(Vec::new, |grades| self.shares(&grades.all())),
        }
    }

    /// The probability that each of these grades is the nearest.
    fn shares(&self, grades: &[f64]) -> Vec<f64> {
        let mut before = 0.0;
        let limits = grades.windows(2).map(|pair| self.below((pair[0] + pair[1]) / 2.0)).chain([1.0]);
        let share = |below: f64| {
            let share = (below - before).max(0.0);
            before = below;
            share
        };
        limits.map(share).collect()
    }
}

/// The standard normal distribution function.
fn normal_below(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::balanced;
    use crate::judgements::simulate::{answer, normal};
    use crate::judgements::{Comparison, Features, posterior_with};
    use crate::rng;

    /// Documents whose grades are a line of their utilities with an error, and the scores that anchors give.
    fn scored(n: usize, anchors: usize, seed: u64, scale: &ScoreScale) -> (Vec<f64>, Vec<AnchoredScore>) {
        let mut rng = rng::stream(seed, &["anchors"]);
        let utilities: Vec<f64> = (0..n).map(|_| 1.8 * normal(&mut rng)).collect();
        let mut grade =
            |u: &f64| scale.nearest((3.0 + 0.4 * u + 0.2 * normal(&mut rng)).clamp(1.0, 5.0)).unwrap();
        let grades: Vec<f64> = utilities.iter().map(&mut grade).collect();
        let judge = |(a, b): (usize, usize)| {
            Comparison::new(a, b, answer(utilities[a], utilities[b], 0.3, 1.0, &mut rng))
        };
        let list: Vec<Comparison> = balanced(n, 10, seed).into_iter().map(judge).collect();
        let features = Features::none(n);
        let known = posterior_with(&features, &list).unwrap();
        let covariance = known.covariance(&features, &list).unwrap();
        let anchors: Vec<(usize, f64)> = (0..anchors).map(|document| (document, grades[document])).collect();
        let scores = anchored_scores(&known.fit, &covariance, &anchors, scale).unwrap().scores;
        (grades, scores)
    }

    #[test]
    fn intervals_hold_what_they_promise() {
        let scale = ScoreScale::default();
        for anchors in [4, 10] {
            let (mut inside, mut all) = (0.0, 0.0);
            for seed in 0..12 {
                let (grades, scores) = scored(60, anchors, seed, &scale);
                for (grade, score) in grades.iter().zip(&scores).skip(anchors) {
                    inside += f64::from(score.low <= *grade && *grade <= score.high);
                    all += 1.0;
                }
            }
            // Documents of a draw share its line: the standard error of the share is about 2 %.
            assert!((0.85..0.96).contains(&(inside / all)), "{anchors} anchors: {}", inside / all);
        }
    }

    #[test]
    fn scores_are_distributions_on_the_scale() {
        let scale = ScoreScale::default();
        let (grades, scores) = scored(30, 5, 1, &scale);
        for (place, score) in scores.iter().enumerate() {
            assert!(
                1.0 <= score.low
                    && score.low <= score.score
                    && score.score <= score.high
                    && score.high <= 5.0
            );
            assert!((score.grades.iter().sum::<f64>() - 1.0).abs() < 1e-9 && score.grades.len() == 9);
            if place < 5 {
                assert_eq!((score.low, score.high), (grades[place], grades[place]));
            } else {
                assert!(score.high - score.low > 0.1, "only an anchor is certain");
            }
        }
        // Without grades there are no probabilities of them.
        let (_, scores) = {
            let features = Features::none(3);
            let known = posterior_with(&features, &[Comparison::new(0, 1, 1.0)]).unwrap();
            let covariance = known.covariance(&features, &[Comparison::new(0, 1, 1.0)]).unwrap();
            let anchors = [(0, 0.5), (1, -0.25), (2, 0.1)];
            let scale = ScoreScale::continuous(-1.0, 1.0);
            ((), anchored_scores(&known.fit, &covariance, &anchors, &scale).unwrap().scores)
        };
        assert!(scores.iter().all(|score| score.grades.is_empty()) && scores[1].score == -0.25);
    }

    #[test]
    fn a_head_scores_what_nobody_judged_as_the_judgements_do() {
        let n = 30;
        let rows = Array2::from_shape_fn((n, 6), |(i, j)| ((i * 7 + j * 13 + i * j) as f32).sin());
        let said: Vec<f64> = (0..n).map(|document| f64::from(rows[[document, 0]]) + 2.0).collect();
        let judged: Vec<Comparison> = (0..40)
            .map(|place| ((place * 3) % 20, (place * 3 + 1 + place % 5) % 20))
            .map(|(a, b)| Comparison::new(a, b, f64::from(rows[[a, 0]] > rows[[b, 0]])))
            .collect();
        let scale = ScoreScale::default();
        let anchors = [(0, 2.0), (3, 4.0), (7, 3.5), (25, 2.5)];
        for features in
            [Features::new(None, Some(rows.view())), Features::new(Some(&said), Some(rows.view()))]
        {
            let features = features.unwrap();
            let known = posterior_with(&features, &judged).unwrap();
            let covariance = known.covariance(&features, &judged).unwrap();
            let anchored = anchored_scores(&known.fit, &covariance, &anchors, &scale).unwrap();
            let head = anchored.head(&features);
            let weights = head.weights;
            for document in (20..n).filter(|&document| document != 25) {
                let text: f64 = rows.row(document).iter().zip(&weights).map(|(&x, w)| f64::from(x) * w).sum();
                let score = head.scorer.unwrap_or(0.0) * said[document] + text + head.intercept;
                let told = anchored.scores[document].score;
                assert!((score.clamp(1.0, 5.0) - told).abs() < 1e-6, "{score} is not {told}");
                assert!((1.5..4.5).contains(&told), "the test is about scores inside the scale: {told}");
            }
        }
    }

    #[test]
    fn a_normal_mixture_by_hand() {
        // Half of it within 1 of 2, half far above: below 2 lies a quarter.
        let mixture = Mixture(vec![(0.5, 2.0, 1.0), (0.5, 100.0, 1.0)]);
        assert!((mixture.below(2.0) - 0.25).abs() < 1e-12);
        assert!((mixture.quantile(0.25, (0.0, 10.0)) - 2.0).abs() < 1e-9);
        let shares = mixture.shares(&[1.0, 3.0]);
        assert!((shares[0] - 0.25).abs() < 1e-12 && (shares[1] - 0.75).abs() < 1e-12);
        // 95 % of a normal distribution lie below 1.6449 standard deviations.
        assert!((normal_below(1.644_853_626_951_472) - 0.95).abs() < 1e-12);
    }

    #[test]
    fn anchors_that_say_nothing_are_refused() {
        let list = [Comparison::new(0, 1, 1.0)];
        let features = Features::none(4);
        let known = posterior_with(&features, &list).unwrap();
        let covariance = known.covariance(&features, &list).unwrap();
        let refused = |anchors: &[(usize, f64)]| {
            let scores = anchored_scores(&known.fit, &covariance, anchors, &ScoreScale::default());
            scores.unwrap_err().to_string()
        };
        assert!(refused(&[(0, 2.0), (1, 3.0)]).starts_with("2 anchors say nothing"));
        assert!(refused(&[(0, 2.0), (1, 2.0), (2, 2.0)]).starts_with("all anchors have the grade 2"));
    }
}
