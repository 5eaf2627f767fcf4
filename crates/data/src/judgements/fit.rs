//! Utilities from comparisons: the maximum of the posterior by Newton's method.
//!
//! Log-posterior: Σ w · ln P(answer) − Σ u² / (2 s²) − (ln ν)² / (2 · 3²), with P as in `davidson` and s the prior's
//! standard deviation. It is strictly concave in (u, ln ν), so the maximum is the only one and every start finds it.
//! The prior keeps a document that always wins, and documents nobody compared with the rest, finite. At the maximum
//! the utilities of each connected part add up to 0, since their likelihood depends on differences only.

use super::Comparison;
use super::davidson::{Chances, log_likelihood, mean_over};
use super::information::Information;
use crate::error::{DataError, Result};

/// Standard deviation of the prior of ln ν: two of them span chances of a tie from 0.1 % to 99.5 % between equals.
const TIE_PRIOR_SD: f64 = 3.0;

/// The maximum is reached when no component of the gradient is larger, per unit of weight in it.
const GRADIENT_TOLERANCE: f64 = 1e-11;

/// Newton's method takes about six steps.
const MAX_STEPS: usize = 100;

/// Right-hand sides solved together.
const LANES: usize = 8;

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// Standard deviation of the normal prior of a utility, logits, above 0. Large values leave the likelihood alone.
    pub prior_sd: f64,
}

impl Default for FitOptions {
    /// 3 logits: a document that far above another wins 95 of 100 times.
    fn default() -> Self {
        Self { prior_sd: 3.0 }
    }
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Per document, logits; they add up to 0.
    pub utilities: Vec<f64>,
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

/// Fits `n` documents; every index in `list` is below `n`. A `start` from an earlier fit saves steps and changes
/// nothing else. Without comparisons all utilities are 0.
///
/// # Errors
/// A prior's standard deviation that is not above 0, or one so large that the arithmetic cannot separate the documents.
pub fn fit(n: usize, list: &[Comparison], options: FitOptions, start: Option<&Fit>) -> Result<Fit> {
    if !(options.prior_sd > 0.0 && options.prior_sd.is_finite()) {
        let what = format!("a prior with standard deviation {}", options.prior_sd);
        return Err(DataError::setting(what, "use a number above 0, 3 for example"));
    }
    Problem::new(n, list, options).maximum(&mut Information::new(n, list), start)
}

/// Standard errors of the utilities, logits: √ of the diagonal of the inverse information at the maximum, prior
/// included, where the utilities add up to 0.
///
/// # Errors
/// A prior so wide that the arithmetic cannot separate the documents.
pub fn standard_errors(n: usize, list: &[Comparison], fit: &Fit) -> Result<Vec<f64>> {
    let problem = Problem::new(n, list, fit.options);
    let mut information = Information::new(n, list);
    problem.inform(&mut information, fit);
    let mut errors = Vec::with_capacity(n);
    let mean = 1.0 / n as f64;
    for first in (0..n).step_by(LANES) {
        // Unit vectors less their mean: the variance of u less the mean utility.
        let lanes = LANES.min(n - first);
        let minus_mean = std::array::from_fn(|lane| if lane < lanes { -mean } else { 0.0 });
        let mut rhs: Vec<[f64; LANES]> = vec![minus_mean; n];
        rhs.push([0.0; LANES]);
        for lane in 0..lanes {
            rhs[first + lane][lane] += 1.0;
        }
        // The error of rhs · solution is of the order of the residual's square.
        let solution = information.solve(&rhs, 1e-6).ok_or_else(|| {
            let what =
                format!("no standard errors with a prior of standard deviation {}", fit.options.prior_sd);
            DataError::setting(what, "use a smaller one, 3 for example")
        })?;
        for lane in 0..lanes {
            let variance: f64 =
                rhs.iter().zip(&solution).map(|(rhs, solution)| rhs[lane] * solution[lane]).sum();
            errors.push(variance.max(0.0).sqrt());
        }
    }
    Ok(errors)
}

/// A place in the space of parameters.
#[derive(Clone)]
struct Point {
    utilities: Vec<f64>,
    /// `None` when there are no ties to explain.
    log_nu: Option<f64>,
}

impl Point {
    fn nu(&self) -> f64 {
        self.log_nu.map_or(0.0, f64::exp)
    }

    fn moved(&self, step: &[[f64; 1]], length: f64) -> Self {
        let n = self.utilities.len();
        Self {
            utilities: self.utilities.iter().zip(step).map(|(u, step)| u + length * step[0]).collect(),
            log_nu: self.log_nu.map(|log_nu| log_nu + length * step[n][0]),
        }
    }
}

/// The log-posterior, each comparison's likelihood averaged over what is known of its logit.
pub(super) struct Problem<'a> {
    list: &'a [Comparison],
    /// Of the logits, one per comparison; 0 for the likelihood itself.
    logit_variances: Vec<f64>,
    options: FitOptions,
    precision: f64,
    /// Weight of the ties, and of everything.
    ties: f64,
    total: f64,
    /// Per document and for ln ν, the weight behind its component of the gradient, at least 1.
    weights: Vec<f64>,
}

impl<'a> Problem<'a> {
    /// The log-posterior itself.
    fn new(n: usize, list: &'a [Comparison], options: FitOptions) -> Self {
        Self::averaged(n, list, options, &vec![0.0; n])
    }

    /// Averaged over independent utilities with these variances.
    pub(super) fn averaged(n: usize, list: &'a [Comparison], options: FitOptions, variances: &[f64]) -> Self {
        let total: f64 = list.iter().map(|comparison| comparison.weight).sum();
        let ties = list.iter().filter(|comparison| comparison.y == 0.5).map(|comparison| comparison.weight);
        let mut weights = vec![1.0; n + 1];
        for comparison in list {
            weights[comparison.a] += comparison.weight;
            weights[comparison.b] += comparison.weight;
        }
        weights[n] += total;
        let logit_variances = list.iter().map(|c| variances[c.a] + variances[c.b]).collect();
        let precision = options.prior_sd.powi(-2);
        Self { list, logit_variances, options, precision, ties: ties.sum(), total, weights }
    }

    /// The utilities and ν where it is largest.
    pub(super) fn maximum(&self, information: &mut Information, start: Option<&Fit>) -> Result<Fit> {
        let n = self.weights.len() - 1;
        let mut point = match start {
            Some(start) if start.utilities.len() == n => self.start(start.utilities.clone(), start.nu),
            _ => self.start(vec![0.0; n], 0.0),
        };
        let mut value = self.value(&point);
        for _ in 0..MAX_STEPS {
            let gradient = self.gradient(&point);
            if self.is_flat(&gradient) {
                let mut utilities = point.utilities;
                // The sum is 0 up to the tolerance; remove that too.
                let mean = utilities.iter().sum::<f64>() / n.max(1) as f64;
                utilities.iter_mut().for_each(|utility| *utility -= mean);
                return Ok(Fit { utilities, nu: point.log_nu.map_or(0.0, f64::exp), options: self.options });
            }
            self.update(information, &point);
            let rhs: Vec<[f64; 1]> = gradient.iter().map(|&entry| [entry]).collect();
            let Some(step) = information.solve(&rhs, 1e-9) else { break };
            let rise: f64 = step.iter().zip(&gradient).map(|(step, gradient)| step[0] * gradient).sum();
            let mut length = 1.0;
            loop {
                let next = point.moved(&step, length);
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
        let what =
            format!("the fit does not settle with a prior of standard deviation {}", self.options.prior_sd);
        Err(DataError::setting(what, "use a smaller one, 3 for example"))
    }

    /// A place to start from; `nu` of 0 stands for none.
    fn start(&self, utilities: Vec<f64>, nu: f64) -> Point {
        let log_nu = (self.ties > 0.0).then(|| match nu > 0.0 {
            true => nu.ln(),
            // Between equals, the share of ties is ν / (2 + ν).
            false => (2.0 * self.ties / (self.total - self.ties + 1.0)).ln(),
        });
        Point { utilities, log_nu }
    }

    fn value(&self, point: &Point) -> f64 {
        let nu = point.nu();
        let utilities = &point.utilities;
        let likelihood: f64 = self
            .list
            .iter()
            .zip(&self.logit_variances)
            .map(|(c, &variance)| {
                let logit = utilities[c.a] - utilities[c.b];
                c.weight * mean_over(logit, variance, |logit| [log_likelihood(c.y, logit, nu)])[0]
            })
            .sum();
        let squares: f64 = utilities.iter().map(|utility| utility * utility).sum();
        let tie = point.log_nu.map_or(0.0, |log_nu| (log_nu / TIE_PRIOR_SD).powi(2));
        likelihood - self.precision * squares / 2.0 - tie / 2.0
    }

    /// Documents first, then ln ν.
    fn gradient(&self, point: &Point) -> Vec<f64> {
        let nu = point.nu();
        let mut gradient: Vec<f64> =
            point.utilities.iter().map(|utility| -self.precision * utility).collect();
        let mut of_tie = point.log_nu.map_or(0.0, |log_nu| -log_nu / TIE_PRIOR_SD.powi(2));
        for (&Comparison { a, b, y, weight, .. }, &variance) in self.list.iter().zip(&self.logit_variances) {
            let logit = point.utilities[a] - point.utilities[b];
            let [expected, tie] = mean_over(logit, variance, |logit| {
                let chances = Chances::new(logit, nu);
                [chances.expected(), chances.tie]
            });
            let residual = weight * (y - expected);
            gradient[a] += residual;
            gradient[b] -= residual;
            if point.log_nu.is_some() {
                of_tie += weight * (f64::from(y == 0.5) - tie);
            }
        }
        gradient.push(of_tie);
        gradient
    }

    fn is_flat(&self, gradient: &[f64]) -> bool {
        gradient.iter().zip(&self.weights).all(|(entry, weight)| entry.abs() <= GRADIENT_TOLERANCE * weight)
    }

    fn update(&self, information: &mut Information, point: &Point) {
        let tie_precision = TIE_PRIOR_SD.powi(-2);
        let (nu, variances) = (point.nu(), &self.logit_variances);
        information.update(self.list, variances, &point.utilities, nu, self.precision, tie_precision);
    }

    /// The information at a fit.
    pub(super) fn inform(&self, information: &mut Information, fit: &Fit) {
        self.update(information, &self.start(fit.utilities.clone(), fit.nu));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: FitOptions = FitOptions { prior_sd: 1e4 };

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
        let options = FitOptions { prior_sd: 2.0 };
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
        let start = Fit { utilities: vec![4.0, -9.0, 5.0], nu: 7.0, options: FitOptions::default() };
        let warm = fit(3, &list, FitOptions::default(), Some(&start)).unwrap();
        for (a, b) in cold.utilities.iter().zip(&warm.utilities) {
            close(*a, *b, 1e-9);
        }
    }

    #[test]
    fn impossible_priors_are_refused() {
        for prior_sd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(fit(2, &[], FitOptions { prior_sd }, None).is_err());
        }
    }
}
