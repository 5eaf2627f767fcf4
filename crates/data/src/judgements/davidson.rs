//! The model of one comparison: Bradley–Terry with ties as Davidson (1970) has them.
//!
//! With d = u(a) − u(b) and ν ≥ 0, the chances of "a", tie and "b" are as e^(d/2) : ν : e^(−d/2). Without ties, ν = 0
//! and P(a) = sigmoid(d), the preference of stage 1. It is an exponential family in (d, ln ν): the answer's score x
//! (1, 0.5, 0) and the indicator of a tie are its statistics, so gradients are residuals and curvatures covariances.

/// The chances of the three answers to one pair; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// The probability that the first document is called better.
    pub first: f64,
    /// The probability of a tie.
    pub tie: f64,
    /// The probability that the second document is called better.
    pub second: f64,
}

impl Chances {
    /// The chances at a logit `u(a) - u(b)` and a tie parameter ν, not negative.
    pub fn new(logit: f64, nu: f64) -> Self {
        // Divided by the largest of the two, so that nothing overflows.
        let half = (-logit.abs() / 2.0).exp();
        let sum = 1.0 + half * half + nu * half;
        let (better, tie, worse) = (1.0 / sum, nu * half / sum, half * half / sum);
        let (first, second) = if logit >= 0.0 { (better, worse) } else { (worse, better) };
        Self { first, tie, second }
    }

    /// The mean of the answer's score.
    pub fn expected(&self) -> f64 {
        self.first + self.tie / 2.0
    }

    /// The variance of the answer's score, which is the Fisher information about the logit.
    pub fn variance(&self) -> f64 {
        let mean = self.expected();
        // Written without a difference of squares near 1.
        self.first * (1.0 - mean).powi(2) + self.tie * (0.5 - mean).powi(2) + self.second * mean.powi(2)
    }

    /// The covariance of the answer's score with the indicator of a tie.
    pub(super) fn covariance_with_tie(&self) -> f64 {
        self.tie * (self.second - self.first) / 2.0
    }

    /// The variance of the indicator of a tie.
    pub(super) fn tie_variance(&self) -> f64 {
        self.tie * (1.0 - self.tie)
    }
}

/// The means of some functions of a logit that is normally distributed with this variance (Gauss and Hermite, three
/// points).
pub(super) fn mean_over<const N: usize>(logit: f64, variance: f64, of: impl Fn(f64) -> [f64; N]) -> [f64; N] {
    if variance == 0.0 {
        return of(logit);
    }
    let reach = (3.0 * variance).sqrt();
    let (middle, below, above) = (of(logit), of(logit - reach), of(logit + reach));
    std::array::from_fn(|place| middle[place] * 2.0 / 3.0 + (below[place] + above[place]) / 6.0)
}

/// The logarithm of the chance of an answer with score `y`; a tie needs ν above 0.
pub(super) fn log_likelihood(y: f64, logit: f64, nu: f64) -> f64 {
    let half = (-logit.abs() / 2.0).exp();
    let log_sum = (half * half + nu * half).ln_1p();
    let better = if logit >= 0.0 { 1.0 } else { 0.0 };
    if y == 0.5 {
        nu.ln() - logit.abs() / 2.0 - log_sum
    } else if y == better {
        -log_sum
    } else {
        -logit.abs() - log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_by_hand() {
        // e^(d/2) = 2 and 1/2, ν = 1.5: as 4 : 3 : 1.
        let chances = Chances::new(2.0 * 2.0_f64.ln(), 1.5);
        for (actual, expected) in
            [(chances.first, 4.0 / 8.0), (chances.tie, 3.0 / 8.0), (chances.second, 1.0 / 8.0)]
        {
            assert!((actual - expected).abs() < 1e-15);
        }
        assert!((chances.expected() - 11.0 / 16.0).abs() < 1e-15);
        // E[x²] = 1/2 + 3/32 = 19/32.
        assert!((chances.variance() - (19.0 / 32.0 - 121.0 / 256.0)).abs() < 1e-15);
    }

    #[test]
    fn derivatives_are_those_of_the_likelihood() {
        let h = 1e-5;
        for (d, tau) in [(0.0, -0.5), (1.3, 0.2), (-2.7, -1.0), (6.0, 1.0)] {
            let chances = Chances::new(d, f64::exp(tau));
            for y in [0.0, 0.5, 1.0] {
                let l = |d: f64, tau: f64| log_likelihood(y, d, tau.exp());
                let slope = (l(d + h, tau) - l(d - h, tau)) / (2.0 * h);
                assert!((slope - (y - chances.expected())).abs() < 1e-9);
                let slope = (l(d, tau + h) - l(d, tau - h)) / (2.0 * h);
                assert!((slope - (f64::from(y == 0.5) - chances.tie)).abs() < 1e-9);
            }
            let mean = |d: f64, tau: f64| Chances::new(d, f64::exp(tau)).expected();
            assert!(((mean(d + h, tau) - mean(d - h, tau)) / (2.0 * h) - chances.variance()).abs() < 1e-9);
            let cross = (mean(d, tau + h) - mean(d, tau - h)) / (2.0 * h);
            assert!((cross - chances.covariance_with_tie()).abs() < 1e-9);
            let tie = |tau: f64| Chances::new(d, f64::exp(tau)).tie;
            assert!(((tie(tau + h) - tie(tau - h)) / (2.0 * h) - chances.tie_variance()).abs() < 1e-9);
        }
    }

    #[test]
    fn means_are_those_of_the_normal_distribution() {
        // Moments up to the fifth are exact: 1, m, m² + v, m³ + 3 m v, m⁴ + 6 m² v + 3 v².
        let (m, v) = (1.5, 0.7);
        let powers = mean_over(m, v, |d| [1.0, d, d * d, d.powi(3), d.powi(4)]);
        let expected =
            [1.0, m, m * m + v, m.powi(3) + 3.0 * m * v, m.powi(4) + 6.0 * m * m * v + 3.0 * v * v];
        for (power, expected) in powers.into_iter().zip(expected) {
            assert!((power - expected).abs() < 1e-12);
        }
        assert_eq!(mean_over(m, 0.0, |d| [d.exp()]), [m.exp()]);
    }

    #[test]
    fn extreme_logits_stay_finite() {
        for logit in [800.0, -800.0] {
            let chances = Chances::new(logit, 0.5);
            assert!(chances.variance().is_finite() && chances.variance() >= 0.0);
            assert!((0.0..=1.0).contains(&chances.expected()));
            assert!(
                log_likelihood(0.0, logit, 0.5).is_finite() && log_likelihood(0.5, logit, 0.5).is_finite()
            );
        }
    }
}
