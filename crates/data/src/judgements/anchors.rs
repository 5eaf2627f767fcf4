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

/// What all lines share whose σ is this share of b. Without the term of a, which is added to it, the covariance of the
/// anchors' grades is b² M then, with M that of their utilities and the share's square on its diagonal.
struct Share {
    /// σ / b.
    share: f64,
    /// Factor of M.
    factor: Cholesky,
    /// M⁻¹ times the grades (from the middle of the scale), the utilities, and ones.
    grades: Array1<f64>,
    utilities: Array1<f64>,
    ones: Array1<f64>,
}

/// What follows for given b and σ.
struct Line {
    slope: f64,
    /// σ / b.
    share: f64,
    /// The residuals of the anchors, divided by the covariance of their grades.
    residuals: Array1<f64>,
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
    /// The lines that matter, those of one share together; their weights add up to 1.
    fn lines(&self) -> Vec<Line> {
        let second_moment =
            self.utilities.mapv(|u| u * u).mean().unwrap_or(1.0) + self.variances.mean().unwrap_or(0.0);
        let slope = self.range * USUAL_SPREAD / second_moment.sqrt();
        let error = self.range * USUAL_ERROR;
        // b and σ have the same steps, so that few shares serve all points of the grid.
        let (reach, deviations) = (REACH.0, |at: i32| f64::from(at) / f64::from(REACH.0) * REACH.1);
        let times = |at: i32| (PRIOR_SD * deviations(at)).exp();
        let mut lines = Vec::new();
        for apart in -2 * reach..=2 * reach {
            let Some(share) = self.share(error / slope * times(apart)) else { continue };
            for at in (-reach).max(-reach - apart)..=reach.min(reach - apart) {
                let prior = -(deviations(at).powi(2) + deviations(at + apart).powi(2)) / 2.0;
                lines.push(self.line(slope * times(at), &share, prior));
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

    /// For a share of σ in b; `None` where the arithmetic cannot.
    fn share(&self, share: f64) -> Option<Share> {
        let mut among = self.with_anchors.select(Axis(0), &self.documents);
        among.diag_mut().map_inplace(|variance| *variance += share * share);
        let factor = Cholesky::new(among)?;
        let divide = |of: Array1<f64>| factor.solve(of.insert_axis(Axis(1))).index_axis_move(Axis(1), 0);
        let grades = divide(&self.grades - self.middle);
        let utilities = divide(self.utilities.select(Axis(0), &self.documents));
        let ones = divide(Array1::ones(self.documents.len()));
        Some(Share { share, factor, grades, utilities, ones })
    }

    /// For a slope, by the formula of Sherman and Morrison, since a adds the square of the range to every covariance.
    fn line(&self, slope: f64, of: &Share, prior: f64) -> Line {
        let (wide, square) = (self.range.powi(2), slope * slope);
        let divided = &of.grades - &of.utilities * slope;
        let added = wide * divided.sum() / (square + wide * of.ones.sum());
        let residuals = (divided - &of.ones * added) / square;
        let left = |(&place, grade): (&usize, &f64)| grade - self.middle - slope * self.utilities[place];
        let left: Array1<f64> = self.documents.iter().zip(&self.grades).map(left).collect();
        let log_determinant = self.documents.len() as f64 * square.ln()
            + of.factor.log_determinant()
            + (wide / square * of.ones.sum()).ln_1p();
        let weight = prior - left.dot(&residuals) / 2.0 - log_determinant / 2.0;
        Line { slope, share: of.share, residuals, weight }
    }

    /// What is known of each document's grade.
    fn mixtures(&self, lines: &[Line]) -> Vec<Mixture> {
        let mut mixtures: Vec<_> =
            self.utilities.iter().map(|_| Mixture(Vec::with_capacity(lines.len()))).collect();
        for lines in lines.chunk_by(|a, b| a.share == b.share) {
            let of = self.share(lines[0].share).expect("it has lines");
            // Of the variance of each document's utility, what the anchors leave; of a, what they say of it.
            let mut told = self.with_anchors.t().to_owned();
            of.factor.solve_lower(told.view_mut());
            let left = &self.variances
                - &told.columns().into_iter().map(|column| column.dot(&column)).collect::<Array1<_>>();
            let ahead = 1.0 - self.with_anchors.dot(&of.ones);
            for line in lines {
                let (square, noise) = (line.slope * line.slope, (line.share * line.slope).powi(2));
                let known = self.range.powi(-2) + of.ones.sum() / square;
                let added = self.range.powi(2) * line.residuals.sum();
                let means = self.with_anchors.dot(&line.residuals) * square
                    + added
                    + &self.utilities * line.slope
                    + self.middle;
                for (place, mixture) in mixtures.iter_mut().enumerate() {
                    let variance = square * left[place].max(0.0) + ahead[place].powi(2) / known + noise;
                    mixture.0.push((line.weight, means[place], variance.sqrt()));
                }
            }
        }
        mixtures
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
