//! Utilities from comparisons: the maximum of the posterior by Newton's method.
//!
//! Utilities are `u = F · z + δ`: what the [`Features`] of a document say, and what they do not tell. The log-posterior
//! is Σ w · ln P(answer) − Σ δ² / (2 s²) − Σ (z − m)² / (2 t²) − (ln ν)² / (2 · 3²), with P as in `davidson`, s the
//! standard deviation of the prior of δ, and m and t those of the coefficients. It is strictly concave in (δ, z, ln ν),
//! so the maximum is the only one and every start finds it. The prior keeps a document that always wins, and documents
//! nobody compared with the rest, finite. At the maximum the utilities of each connected part add up to 0 where there are
//! no features, since their likelihood depends on differences only.

use ndarray::{Array1, Axis, s};

use super::davidson::{Chances, log_likelihood, mean_over};
use super::information::{Information, Place};
use super::{Comparison, Features};
use crate::error::{DataError, Result};

/// Standard deviation of the prior of ln ν: two of them span chances of a tie from 0.1 % to 99.5 % between equals.
const TIE_PRIOR_SD: f64 = 3.0;

/// The maximum is reached when no component of the gradient is larger, per unit of weight in it.
const GRADIENT_TOLERANCE: f64 = 1e-11;

/// Newton's method takes about six steps.
const MAX_STEPS: usize = 100;

/// Linear systems for Newton's steps are solved to this share.
const STEP_TOLERANCE: f64 = 1e-9;

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// Standard deviation of the normal prior of δ, logits, above 0; without features, of a utility. Large values leave
    /// the likelihood alone.
    pub prior_sd: f64,
    /// Standard deviation, logits, above 0, of what texts tell; without texts it means nothing.
    pub text_sd: f64,
}

impl Default for FitOptions {
    /// 3 logits: a document that far above another wins 95 of 100 times. Texts tell 1.4 of them.
    fn default() -> Self {
        Self { prior_sd: 3.0, text_sd: 1.4 }
    }
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Per document, logits; they add up to 0.
    pub utilities: Vec<f64>,
    /// Per column of the features, logits; empty without features.
    pub coefficients: Vec<f64>,
    /// Davidson's ν; 0 when no comparison is a tie. The chance of a tie between equals is ν / (2 + ν).
    pub nu: f64,
    /// The prior it was made with.
    pub options: FitOptions,
}

impl Fit {
    /// The chances of the answers to a comparison.
    pub fn chances(&self, a: usize, b: usize) -> Chances {
        Chances::new(self.utilities[a] - self.utilities[b], self.nu)
    }
}

/// Fits `n` documents of which nothing else is known; every index in `list` is below `n`. A `start` from an earlier fit
/// saves steps and changes nothing else. Without comparisons all utilities are 0.
///
/// # Errors
/// A prior's standard deviation that is not above 0, or one so large that the arithmetic cannot separate the documents.
pub fn fit(n: usize, list: &[Comparison], options: FitOptions, start: Option<&Fit>) -> Result<Fit> {
    fit_with(&Features::none(n), list, options, start)
}

/// As [`fit`], of documents of which something else is known.
///
/// # Errors
/// As [`fit`].
pub fn fit_with(
    features: &Features,
    list: &[Comparison],
    options: FitOptions,
    start: Option<&Fit>,
) -> Result<Fit> {
    if let Some(sd) = [options.prior_sd, options.text_sd].iter().find(|sd| !(**sd > 0.0 && sd.is_finite())) {
        let what = format!("a prior with standard deviation {sd}");
        return Err(DataError::setting(what, "use a number above 0, 3 for example"));
    }
    let problem = Problem::averaged(features, list, options, vec![0.0; list.len()]);
    problem.maximum(&mut Information::new(features.n(), list), start)
}

/// A place in the space of parameters.
#[derive(Clone)]
struct Point {
    untold: Array1<f64>,
    coefficients: Array1<f64>,
    /// `None` when there are no ties to explain.
    log_nu: Option<f64>,
    /// What the others come to.
    utilities: Array1<f64>,
}

impl Point {
    fn nu(&self) -> f64 {
        self.log_nu.map_or(0.0, f64::exp)
    }

    fn moved(&self, features: &Features, step: &(Array1<f64>, Array1<f64>), length: f64) -> Self {
        let k = self.coefficients.len();
        let untold = &self.untold + &(&step.0 * length);
        let coefficients = &self.coefficients + &(&step.1.slice(s![..k]) * length);
        let utilities = features.matrix().dot(&coefficients) + &untold;
        Self {
            log_nu: self.log_nu.map(|log_nu| log_nu + length * step.1[k]),
            untold,
            coefficients,
            utilities,
        }
    }
}

/// The log-posterior, each comparison's likelihood averaged over what is known of its logit.
pub(super) struct Problem<'a> {
    features: &'a Features,
    list: &'a [Comparison],
    /// Of the logits, one per comparison; 0 for the likelihood itself.
    logit_variances: Vec<f64>,
    options: FitOptions,
    /// Of the prior of δ.
    precision: f64,
    /// Of the prior of the coefficients.
    means: Array1<f64>,
    precisions: Array1<f64>,
    /// Weight of the ties, and of everything.
    ties: f64,
    total: f64,
    /// Weight behind each component of the gradient, at least 1: per document, and per coefficient and for ln ν.
    weights: (Array1<f64>, Array1<f64>),
}

impl<'a> Problem<'a> {
    /// Averaged over logits with these variances.
    pub(super) fn averaged(
        features: &'a Features,
        list: &'a [Comparison],
        options: FitOptions,
        logit_variances: Vec<f64>,
    ) -> Self {
        let total: f64 = list.iter().map(|comparison| comparison.weight).sum();
        let ties = list.iter().filter(|comparison| comparison.y == 0.5).map(|comparison| comparison.weight);
        let mut weights = Array1::ones(features.n());
        for comparison in list {
            weights[comparison.a] += comparison.weight;
            weights[comparison.b] += comparison.weight;
        }
        let mut of_others = features.matrix().mapv(f64::abs).t().dot(&weights) + 1.0;
        of_others.append(Axis(0), ndarray::aview1(&[1.0 + total])).expect("one more");
        let (means, precisions) = features.prior(options.text_sd);
        let precision = options.prior_sd.powi(-2);
        let (ties, weights) = (ties.sum(), (weights, of_others));
        Self { features, list, logit_variances, options, precision, means, precisions, ties, total, weights }
    }

    /// The utilities, coefficients and ν where it is largest.
    pub(super) fn maximum(&self, information: &mut Information, start: Option<&Fit>) -> Result<Fit> {
        let mut point = match start {
            Some(start) if start.utilities.len() == self.features.n() => self.start(start),
            _ => self.begin(),
        };
        let mut value = self.value(&point);
        for _ in 0..MAX_STEPS {
            let gradient = self.gradient(&point);
            if self.is_flat(&gradient) {
                // The sum is 0 up to the tolerance; remove that too.
                let mean = point.utilities.mean().unwrap_or_default();
                return Ok(Fit {
                    nu: point.nu(),
                    utilities: (point.utilities - mean).to_vec(),
                    coefficients: point.coefficients.to_vec(),
                    options: self.options,
                });
            }
            self.update(information, &point);
            let step = information.eliminate(STEP_TOLERANCE).and_then(|eliminated| {
                information.solve_all(&eliminated, (&gradient.0, &gradient.1), STEP_TOLERANCE)
            });
            let Some(step) = step else { break };
            let rise = step.0.dot(&gradient.0) + step.1.dot(&gradient.1);
            let mut length = 1.0;
            loop {
                let next = point.moved(self.features, &step, length);
                let next_value = self.value(&next);
                // Close to the maximum the rise drowns in rounding, and Newton's step is right by then.
                if next_value >= value + 1e-4 * length * rise
                    || rise < 1e-10 * (1.0 + value.abs())
                    || length < 1e-6
                {
                    (point, value) = (next, next_value);
                    break;
                }
                length /= 2.0;
            }
        }
        Err(unsettled(self.options.prior_sd))
    }

    /// The middle of the prior.
    fn begin(&self) -> Point {
        // Between equals, the share of ties is ν / (2 + ν).
        let log_nu = (self.ties > 0.0).then(|| (2.0 * self.ties / (self.total - self.ties + 1.0)).ln());
        let untold = Array1::zeros(self.features.n());
        let utilities = self.features.matrix().dot(&self.means);
        Point { untold, coefficients: self.means.clone(), log_nu, utilities }
    }

    /// What an earlier fit found, as far as it was about the same.
    fn start(&self, fit: &Fit) -> Point {
        let mut point = self.begin();
        if fit.coefficients.len() == point.coefficients.len() {
            point.coefficients = Array1::from(fit.coefficients.clone());
        }
        point.utilities = Array1::from(fit.utilities.clone());
        point.untold = &point.utilities - &self.features.matrix().dot(&point.coefficients);
        if fit.nu > 0.0 {
            point.log_nu = point.log_nu.map(|_| fit.nu.ln());
        }
        point
    }

    fn value(&self, point: &Point) -> f64 {
        let (nu, utilities) = (point.nu(), &point.utilities);
        let likelihood: f64 = self
            .list
            .iter()
            .zip(&self.logit_variances)
            .map(|(c, &variance)| {
                let logit = utilities[c.a] - utilities[c.b];
                c.weight * mean_over(logit, variance, |logit| [log_likelihood(c.y, logit, nu)])[0]
            })
            .sum();
        let squares = self.precision * point.untold.dot(&point.untold);
        let from_mean = &point.coefficients - &self.means;
        let of_coefficients = (&from_mean * &from_mean).dot(&self.precisions);
        let tie = point.log_nu.map_or(0.0, |log_nu| (log_nu / TIE_PRIOR_SD).powi(2));
        likelihood - (squares + of_coefficients + tie) / 2.0
    }

    /// Documents first, then coefficients and ln ν.
    fn gradient(&self, point: &Point) -> (Array1<f64>, Array1<f64>) {
        let nu = point.nu();
        let mut by_utility = Array1::<f64>::zeros(self.features.n());
        let mut of_tie = point.log_nu.map_or(0.0, |log_nu| -log_nu / TIE_PRIOR_SD.powi(2));
        for (&Comparison { a, b, y, weight, .. }, &variance) in self.list.iter().zip(&self.logit_variances) {
            let logit = point.utilities[a] - point.utilities[b];
            let [expected, tie] = mean_over(logit, variance, |logit| {
                let chances = Chances::new(logit, nu);
                [chances.expected(), chances.tie]
            });
            let residual = weight * (y - expected);
            by_utility[a] += residual;
            by_utility[b] -= residual;
            if point.log_nu.is_some() {
                of_tie += weight * (f64::from(y == 0.5) - tie);
            }
        }
        let mut others = self.features.matrix().t().dot(&by_utility)
            - (&point.coefficients - &self.means) * &self.precisions;
        others.append(Axis(0), ndarray::aview1(&[of_tie])).expect("one more");
        by_utility.scaled_add(-self.precision, &point.untold);
        (by_utility, others)
    }

    fn is_flat(&self, gradient: &(Array1<f64>, Array1<f64>)) -> bool {
        let flat = |gradient: &Array1<f64>, weights: &Array1<f64>| {
            gradient.iter().zip(weights).all(|(entry, weight)| entry.abs() <= GRADIENT_TOLERANCE * weight)
        };
        flat(&gradient.0, &self.weights.0) && flat(&gradient.1, &self.weights.1)
    }

    fn update(&self, information: &mut Information, point: &Point) {
        let place = Place {
            utilities: point.utilities.view(),
            nu: point.nu(),
            logit_variances: &self.logit_variances,
            untold: self.precision,
            coefficients: self.precisions.view(),
            tie: TIE_PRIOR_SD.powi(-2),
        };
        information.update(self.list, self.features, &place);
    }

    /// The information at a fit.
    pub(super) fn inform(&self, information: &mut Information, fit: &Fit) {
        self.update(information, &self.start(fit));
    }
}

pub(super) fn unsettled(prior_sd: f64) -> DataError {
    let what = format!("the fit does not settle with a prior of standard deviation {prior_sd}");
    DataError::setting(what, "use a smaller one, 3 for example")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::standard_errors;

    const WIDE: FitOptions = FitOptions { prior_sd: 1e4, text_sd: 1.0 };

    fn answers(a: usize, b: usize, y: f64, times: usize) -> impl Iterator<Item = Comparison> {
        std::iter::repeat_n(Comparison::new(a, b, y), times)
    }

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn two_documents_by_hand() {
        // Three of four for the first: ln 3 apart. The information about the difference is 4 · 3/16.
        let list: Vec<Comparison> = answers(0, 1, 1.0, 3).chain(answers(0, 1, 0.0, 1)).collect();
        let fit = fit(2, &list, WIDE, None).unwrap();
        close(fit.utilities[0], 3.0_f64.ln() / 2.0, 1e-7);
        assert_eq!(fit.nu, 0.0);
        for error in standard_errors(2, &list, &fit).unwrap() {
            close(error, (4.0_f64 / 3.0).sqrt() / 2.0, 1e-7);
        }
    }

    #[test]
    fn ties_by_hand() {
        // As 4 : 3 : 1 of eight: d = ln 4 and ν = 3/2 fit exactly. The prior of ln ν moves them a little.
        let list: Vec<Comparison> = [(1.0, 4000), (0.5, 3000), (0.0, 1000)]
            .into_iter()
            .flat_map(|(y, times)| answers(0, 1, y, times))
            .collect();
        let fit = fit(2, &list, WIDE, None).unwrap();
        close(fit.utilities[0] - fit.utilities[1], 4.0_f64.ln(), 1e-4);
        close(fit.nu, 1.5, 1e-4);
    }

    #[test]
    fn always_winning_stays_finite() {
        let list: Vec<Comparison> = answers(0, 1, 1.0, 10).collect();
        let options = FitOptions::default();
        let fit = fit(2, &list, options, None).unwrap();
        // At the maximum 10 · (1 - p) = u / 9, with d = 2 u.
        let u = fit.utilities[0];
        close(10.0 * (1.0 - 1.0 / (1.0 + (-2.0 * u).exp())), u / 9.0, 1e-9);
    }

    #[test]
    fn nothing_but_ties_stays_finite() {
        let list: Vec<Comparison> = answers(0, 1, 0.5, 5).chain(answers(1, 2, 0.5, 5)).collect();
        let fit = fit(3, &list, FitOptions::default(), None).unwrap();
        assert!(
            fit.utilities.iter().all(|utility| utility.abs() < 1e-9) && fit.nu.is_finite() && fit.nu > 2.0
        );
        assert!(standard_errors(3, &list, &fit).unwrap().iter().all(|error| error.is_finite()));
    }

    #[test]
    fn unconnected_parts_are_finite_and_centred() {
        // 0 and 1, 2 and 3, and 4 alone.
        let list: Vec<Comparison> = answers(0, 1, 1.0, 3).chain(answers(2, 3, 0.0, 3)).collect();
        let options = FitOptions { prior_sd: 2.0, ..Default::default() };
        let fit = fit(5, &list, options, None).unwrap();
        close(fit.utilities[0] + fit.utilities[1], 0.0, 1e-9);
        close(fit.utilities[2] + fit.utilities[3], 0.0, 1e-9);
        close(fit.utilities[4], 0.0, 1e-12);
        let errors = standard_errors(5, &list, &fit).unwrap();
        // The lonely one has the prior, less its share of the mean: 4 · (1 - 1/5).
        close(errors[4], 3.2_f64.sqrt(), 1e-7);
    }

    #[test]
    fn no_comparisons_leave_the_prior() {
        let fit = fit(3, &[], FitOptions::default(), None).unwrap();
        assert_eq!(fit.utilities, [0.0; 3]);
        assert_eq!(fit.nu, 0.0);
        assert!(standard_errors(0, &[], &super::fit(0, &[], WIDE, None).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_weight_counts_like_a_repetition() {
        let repeated: Vec<Comparison> =
            answers(0, 1, 1.0, 3).chain(answers(1, 2, 0.5, 2)).chain(answers(2, 0, 1.0, 1)).collect();
        let weighted = [(0, 1, 1.0, 3.0), (1, 2, 0.5, 2.0), (2, 0, 1.0, 1.0)]
            .map(|(a, b, y, weight)| Comparison { weight, ..Comparison::new(a, b, y) });
        let of = |list: &[Comparison]| fit(3, list, FitOptions::default(), None).unwrap();
        let (one, other) = (of(&repeated), of(&weighted));
        for (a, b) in one.utilities.iter().zip(&other.utilities) {
            close(*a, *b, 1e-9);
        }
        close(one.nu, other.nu, 1e-9);
    }

    #[test]
    fn a_start_changes_nothing() {
        let list: Vec<Comparison> =
            answers(0, 1, 1.0, 3).chain(answers(1, 2, 0.5, 2)).chain(answers(2, 0, 1.0, 1)).collect();
        let cold = fit(3, &list, FitOptions::default(), None).unwrap();
        let start = Fit { utilities: vec![4.0, -9.0, 5.0], nu: 7.0, ..cold.clone() };
        let warm = fit(3, &list, FitOptions::default(), Some(&start)).unwrap();
        for (a, b) in cold.utilities.iter().zip(&warm.utilities) {
            close(*a, *b, 1e-9);
        }
    }

    #[test]
    fn impossible_priors_are_refused() {
        for prior_sd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(fit(2, &[], FitOptions { prior_sd, ..Default::default() }, None).is_err());
        }
    }
}
