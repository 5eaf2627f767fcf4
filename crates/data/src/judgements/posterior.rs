//! What is known of the utilities, for choosing the next pair: means, variances, and how far apart documents lie.
//!
//! The maximum that `fit` finds is what the answers say under a prior that hardly interferes. It cannot plan: where
//! pairs were chosen because they looked alike, and the prior is wider than the documents differ, differences grow from
//! the noise that chose them. A posterior is not misled by the choice of pairs, provided that its prior is right. So
//! the prior's standard deviation s is estimated too, and the posterior is the normal distribution, with independent
//! utilities, that is nearest to it (the variational bound; for binary answers the mode would put s a fifth too low):
//!
//! - the means maximise the log-posterior with each likelihood averaged over what is known of its logit;
//! - the variances come from the information averaged in the same way;
//! - s² = (Σ m² + s₀²) / (n − Σ v / s² + 1), the fixed point of MacKay (1992), as if one further document were known to
//!   lie at the usual distance s₀ from the middle.

use super::Comparison;
use super::fit::{Fit, FitOptions, Problem};
use super::information::Information;
use crate::error::Result;

/// Where s begins, and stays as long as there are hardly any answers, logits.
const USUAL_SD: f64 = 2.0;

/// The largest s, logits. Answers that never contradict each other would raise it for ever; two documents this far apart
/// are told apart every time.
const MAX_SD: f64 = 10.0;

/// s is settled when it changes by less than this share.
const TOLERANCE: f64 = 1e-3;

/// About ten suffice; more would change s by little.
const MAX_ROUNDS: usize = 50;

/// What is known of the utilities, as independent normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// The means, ν, and the prior with its estimated standard deviation.
    pub fit: Fit,
    /// Per document, logits².
    pub variances: Vec<f64>,
}

impl Posterior {
    /// The standard deviation of the prior that these utilities speak for.
    fn prior_sd(&self) -> f64 {
        let squares: f64 = self.fit.utilities.iter().map(|utility| utility * utility).sum();
        let undecided = self.variances.iter().sum::<f64>() / self.fit.options.prior_sd.powi(2);
        let decided = (self.variances.len() as f64 - undecided).max(0.0);
        ((squares + USUAL_SD.powi(2)) / (decided + 1.0)).sqrt().min(MAX_SD)
    }
}

/// The posterior of `n` documents; every index in `list` is below `n`. Without comparisons it is the prior.
///
/// # Errors
/// As [`fit`](super::fit).
pub fn posterior(n: usize, list: &[Comparison]) -> Result<Posterior> {
    let mut options = FitOptions { prior_sd: USUAL_SD };
    let fit = Fit { utilities: vec![0.0; n], nu: 0.0, options };
    let mut known = Posterior { fit, variances: vec![0.0; n] };
    let mut information = Information::new(n, list);
    for round in 0..MAX_ROUNDS {
        let problem = Problem::averaged(n, list, options, &known.variances);
        known.fit = problem.maximum(&mut information, Some(&known.fit))?;
        problem.inform(&mut information, &known.fit);
        known.variances = information.variances();
        let next = known.prior_sd();
        // The first round averages over nothing.
        if round > 0 && (next / options.prior_sd).ln().abs() < TOLERANCE {
            break;
        }
        options.prior_sd = next;
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::balanced;
    use crate::judgements::simulate::{answer, normal};
    use crate::judgements::standard_errors;
    use crate::rng;

    /// Documents whose utilities have this spread, and their judgements in balanced random pairs.
    fn judged(n: usize, spread: f64, per_document: usize, seed: u64) -> (Vec<f64>, Vec<Comparison>) {
        let mut rng = rng::stream(seed, &["posterior"]);
        let truth: Vec<f64> = (0..n).map(|_| spread * normal(&mut rng)).collect();
        let judge = |(a, b)| Comparison::new(a, b, answer(truth[a], truth[b], 0.3, 1.0, &mut rng));
        let list = balanced(n, per_document, seed).into_iter().map(judge).collect();
        (truth, list)
    }

    #[test]
    fn no_comparisons_leave_the_usual_prior() {
        let known = posterior(3, &[]).unwrap();
        assert_eq!(known.fit.utilities, [0.0; 3]);
        assert!(known.variances.iter().all(|variance| (variance - USUAL_SD.powi(2)).abs() < 1e-12));
        assert!(posterior(0, &[]).unwrap().variances.is_empty());
    }

    #[test]
    fn the_spread_is_found_and_the_variances_are_the_errors() {
        for spread in [0.7, 1.5, 3.0] {
            let (mut sd, mut variance, mut error) = (0.0, 0.0, 0.0);
            for seed in 0..10 {
                let (truth, list) = judged(100, spread, 16, seed);
                let known = posterior(100, &list).unwrap();
                let mean = truth.iter().sum::<f64>() / 100.0;
                let errors =
                    known.fit.utilities.iter().zip(&truth).map(|(u, truth)| (u - truth + mean).powi(2));
                sd += known.fit.options.prior_sd / 10.0;
                variance += known.variances.iter().sum::<f64>() / 1000.0;
                error += errors.sum::<f64>() / 1000.0;
            }
            assert!((sd / spread).ln().abs() < 0.12, "{sd} is not {spread}");
            // The wider the spread, the more is promised too little: the posteriors are skewed and not independent.
            assert!((variance / error).ln().abs() < 0.2, "{variance} promised, {error} found at {spread}");
        }
    }

    #[test]
    fn the_variances_are_nearly_those_of_the_whole_inverse() {
        let (_, list) = judged(100, 1.5, 12, 1);
        let fit = super::super::fit(100, &list, FitOptions { prior_sd: 1.5 }, None).unwrap();
        let mut information = Information::new(100, &list);
        Problem::averaged(100, &list, fit.options, &[0.0; 100]).inform(&mut information, &fit);
        let exact = standard_errors(100, &list, &fit).unwrap();
        for (variance, exact) in information.variances().iter().zip(exact) {
            assert!((variance / exact.powi(2) - 1.0).abs() < 0.1, "{variance} is not {}", exact.powi(2));
        }
    }

    #[test]
    fn answers_without_contradiction_have_a_posterior() {
        let list: Vec<Comparison> =
            balanced(30, 20, 1).into_iter().map(|(a, b)| Comparison::new(a, b, f64::from(a > b))).collect();
        let known = posterior(30, &list).unwrap();
        assert!(known.fit.options.prior_sd <= MAX_SD);
        assert!(known.fit.utilities[0] < -5.0 && known.fit.utilities[29] > 5.0, "{:?}", known.fit.utilities);
    }

    #[test]
    fn hardly_any_answers_stay_near_the_usual_spread() {
        let known = posterior(50, &[Comparison::new(0, 1, 1.0), Comparison::new(2, 3, 0.5)]).unwrap();
        assert!((1.0..2.5).contains(&known.fit.options.prior_sd), "{}", known.fit.options.prior_sd);
        assert!(known.fit.utilities[0] > 0.5 && known.variances[0] < known.variances[10]);
    }
}
