//! The latent levels of an essay, their rounding to scores, and the folds.
//!
//! Levels are integers in thousandths of a point: no rounding differs between platforms.

use rand::RngCore;

use pair2score_data::rng;

/// Lowest and highest level, in thousandths.
const RANGE: (i64, i64) = (1000, 5000);

/// Weights of the common and of the trait's own part, in thousandths. A bell draw has variance 0.5, so a level has
/// standard deviation 1.0, and two levels correlate at 1130² / (1130² + 850²) = 0.64; about 0.6 is left after
/// clamping and rounding.
const COMMON: i64 = 1130;
const OWN: i64 = 850;

/// Latent levels in thousandths, each 1000 to 5000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) grammar: i64,
    pub(crate) vocabulary: i64,
    pub(crate) syntax: i64,
}

impl Levels {
    /// Three levels that share a proficiency: bell-shaped around 3, correlated at about 0.6.
    pub(crate) fn draw(rng: &mut impl RngCore) -> Self {
        let common = bell(rng);
        let mut level = || {
            let level = 3000 + (COMMON * common + OWN * bell(rng)) / 1000;
            level.clamp(RANGE.0, RANGE.1)
        };
        Self { grammar: level(), vocabulary: level(), syntax: level() }
    }

    /// The sum of the three scores in half points, by which folds are stratified.
    fn half_points(self) -> i64 {
        [self.grammar, self.vocabulary, self.syntax].into_iter().map(half_points).sum()
    }
}

/// Sum of six uniform draws from -500 to 500: nearly normal, mean 0, variance 0.5 (in thousandths: 707²).
fn bell(rng: &mut impl RngCore) -> i64 {
    (0..6).map(|_| rng::below(rng, 1001) as i64 - 500).sum()
}

/// A level in whole half points, 2 to 10.
fn half_points(level: i64) -> i64 {
    (level + 250) / 500
}

/// The published score of a level: rounded to the half point, 1.0 to 5.0.
pub(crate) fn score(level: i64) -> f64 {
    half_points(level) as f64 / 2.0
}

/// A value that runs linearly between `(level, value)` points, constant outside them.
pub(crate) fn interpolate(points: &[(i64, i64)], level: i64) -> i64 {
    let mut below: Option<(i64, i64)> = None;
    for &(x, y) in points {
        match below {
            _ if level > x => below = Some((x, y)),
            Some((x0, y0)) => return y0 + (y - y0) * (level - x0) / (x - x0),
            None => return y,
        }
    }
    below.map_or(0, |(_, y)| y)
}

/// Draws that cover `0..1000` evenly even when there are few: each lies a golden section past the last one.
///
/// Independent draws would let a 90-word essay miss its level by a point; these keep it close to its label.
#[derive(Debug)]
pub(crate) struct EvenDraws(usize);

impl EvenDraws {
    /// Starts anywhere.
    pub(crate) fn new(rng: &mut impl RngCore) -> Self {
        Self(rng::below(rng, 1000))
    }

    /// The next draw, 0 to 999.
    pub(crate) fn draw(&mut self) -> i64 {
        self.0 = (self.0 + 618) % 1000;
        self.0 as i64
    }
}

/// Tier 0 (basic), 1 or 2 (advanced) for a level: the higher the level, the higher the tier tends to be.
pub(crate) fn tier(level: i64, draws: &mut EvenDraws) -> usize {
    /// Thousandths of basic and of advanced choices; the rest is between.
    const BASIC: [(i64, i64); 5] = [(1000, 960), (2000, 630), (3000, 280), (4000, 70), (5000, 0)];
    const ADVANCED: [(i64, i64); 5] = [(1000, 0), (2000, 40), (3000, 170), (4000, 480), (5000, 850)];
    let draw = draws.draw();
    if draw < interpolate(&BASIC, level) {
        0
    } else if draw >= 1000 - interpolate(&ADVANCED, level) {
        2
    } else {
        1
    }
}

/// One of `'A'` to `'E'` per essay: essays sorted by mean score are dealt out five at a time.
pub(crate) fn folds(levels: &[Levels], rng: &mut impl RngCore) -> Vec<char> {
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by_key(|&place| (levels[place].half_points(), place));
    let mut folds = vec!['A'; levels.len()];
    for five in order.chunks(5) {
        let mut letters = ['A', 'B', 'C', 'D', 'E'];
        rng::shuffle(rng, &mut letters);
        for (&place, letter) in five.iter().zip(letters) {
            folds[place] = letter;
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_round_to_the_nearest_half_point() {
        let scores = [1000, 1249, 1250, 3249, 3250, 4749, 4750, 5000].map(score);
        assert_eq!(scores, [1.0, 1.0, 1.5, 3.0, 3.5, 4.5, 5.0, 5.0]);
    }

    #[test]
    fn interpolation_is_linear_between_points_and_flat_outside() {
        let points = [(1000, 10), (2000, 20)];
        let values = [0, 1000, 1500, 2000, 9000].map(|level| interpolate(&points, level));
        assert_eq!(values, [10, 10, 15, 20, 20]);
    }

    #[test]
    fn tiers_follow_the_level() {
        let mut draws = EvenDraws::new(&mut rng::stream(1, &["tiers"]));
        let mut sum = |level| (0..500).map(|_| tier(level, &mut draws)).sum::<usize>();
        let sums = [1000, 2000, 3000, 4000, 5000].map(&mut sum);
        assert!(sums.is_sorted(), "{sums:?}");
        assert!(sums[0] < 50 && sums[4] > 900, "{sums:?}");
    }

    #[test]
    fn even_draws_keep_to_their_share() {
        let mut draws = EvenDraws::new(&mut rng::stream(1, &["even"]));
        for _ in 0..100 {
            let hits = (0..10).filter(|_| draws.draw() < 300).count();
            assert!((2..=4).contains(&hits), "{hits}");
        }
    }
}
