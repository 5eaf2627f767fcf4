//! Judges whose utilities are known, for tests, studies and planning.

use rand::RngCore;

use super::davidson::Chances;
use crate::rng;

/// One answer about two documents with these true utilities: 1 when the first is called better, 0 when the second is,
/// 0.5 for a tie. `sharpness` scales the difference that the judge sees: 1 follows the model, 0 guesses.
pub fn answer(first: f64, second: f64, nu: f64, sharpness: f64, rng: &mut impl RngCore) -> f64 {
    let chances = Chances::new(sharpness * (first - second), nu);
    let draw = rng::unit(rng);
    if draw < chances.first {
        1.0
    } else if draw < chances.first + chances.tie {
        0.5
    } else {
        0.0
    }
}

/// A number from the standard normal distribution (Box and Muller 1958).
pub fn normal(rng: &mut impl RngCore) -> f64 {
    let (radius, angle) = (1.0 - rng::unit(rng), rng::unit(rng));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_the_chances() {
        let mut rng = rng::stream(1, &["answers"]);
        let mut counts = [0; 3];
        for _ in 0..8000 {
            counts[(2.0 * answer(2.0 * 2.0_f64.ln(), 0.0, 1.5, 1.0, &mut rng)) as usize] += 1;
        }
        // As 1 : 3 : 4, see the chances by hand; five standard deviations are less than 230.
        for (count, expected) in counts.into_iter().zip([1000, 3000, 4000]) {
            assert!(i32::abs(count - expected) < 230, "{counts:?}");
        }
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut rng = rng::stream(1, &["normal"]);
        let draws: Vec<f64> = (0..10_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / 1e4;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 1e4;
        // Their standard errors are 0.01 and 0.014.
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.07, "{mean} {variance}");
    }
}
