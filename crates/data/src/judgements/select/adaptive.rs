//! Pairs whose judgement is expected to tell most.
//!
//! With Σ the covariance of the utilities, a judgement of two documents about a logit of variance v = eᵀ Σ e with Fisher
//! information w lowers the sum of the variances of all utilities by w |Σ e|² / (1 + w v), where e is 1 for one document
//! and −1 for the other. Of that, the part along the estimates themselves does not count: w (|Σ e|² − (mᵀ Σ e)²) / (1 + w v)
//! with their unit vector m. It is what a pair tells about how far apart all documents lie together, on which no order and
//! no score from anchors depends; where a scorer is known, whose weight the judgements have to find, it would be most of
//! the gain, and the pairs would be those that the scorer is surest of. w is taken in the mean over what is known of the
//! logit, not at its estimate, so that two documents of which little is known do not look like equals. Σ is that of the
//! [`Posterior`]: a part of each document alone, and a part that documents share through what is known of them beside
//! their judgements, so that a pair counts for what it tells about the others too. The first document is the least judged
//! one, the second the one that gains most; after each pair the covariance is lowered as if it had been judged, so that a
//! batch spreads out.
//!
//! Beginning with the least *known* document instead would spend the judgements on the ends of the scale, where nobody
//! contradicts.

use std::collections::HashSet;

use ndarray::{Array1, Array2, Axis};
use rand::RngCore;
use rand_chacha::ChaCha8Rng;

use super::{Pairing, Parts, unordered};
use crate::judgements::davidson::mean_over;
use crate::judgements::{Chances, Comparison, Posterior};
use crate::rng;

/// How much is left to chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveOptions {
    /// Judgements per document after which half of the pairs are random; 0 for no such beginning.
    pub half_after: f64,
    /// The share of random pairs that stays, 0 to 1.
    pub least_random: f64,
}

impl Default for AdaptiveOptions {
    /// Where nothing is known but judgements, the first pairs are random.
    fn default() -> Self {
        Self { half_after: 1.0, least_random: 0.05 }
    }
}

impl AdaptiveOptions {
    /// What suits what is known: features tell from the first pair on which documents are near each other.
    pub fn of(known: &Posterior) -> Self {
        match known.has_features() {
            true => Self { half_after: 0.0, least_random: 0.1 },
            false => Self::default(),
        }
    }

    /// The share of random pairs after so many judgements per document: it falls from 1 at first.
    pub fn random_share(&self, per_document: f64) -> f64 {
        match self.half_after > 0.0 {
            true => (1.0 / (1.0 + per_document / self.half_after)).max(self.least_random),
            false => self.least_random,
        }
    }
}

/// The next `wanted` pairs of the documents that are known so far from the judgements in `list`. Pairs judged before
/// come again only where a document has no other partner left. Fewer than two documents give nothing.
///
/// A batch of one tells most per judgement; a tenth of the documents costs little and needs a tenth of the fits.
pub fn adaptive(
    list: &[Comparison],
    known: &Posterior,
    wanted: usize,
    options: &AdaptiveOptions,
    seed: u64,
) -> Vec<Pairing> {
    let mut chooser = Chooser::new(list, known, seed);
    (0..wanted).map_while(|_| chooser.next(options, false)).collect()
}

/// What new pairs are chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The judgements so far.
    pub list: &'a [Comparison],
    /// Other pairs that must not come again.
    pub used: &'a HashSet<Pairing>,
    /// What `list` says of the documents.
    pub posterior: &'a Posterior,
}

/// As [`adaptive`], but every pair is a new one: neither in `known.list` nor in `known.used`, and none twice. There are
/// fewer than `wanted` only where there are no more.
pub fn adaptive_new(known: Known<'_>, wanted: usize, options: &AdaptiveOptions, seed: u64) -> Vec<Pairing> {
    let mut chooser = Chooser::new(known.list, known.posterior, seed);
    for &pair in known.used {
        chooser.use_up(pair);
    }
    (0..wanted).map_while(|_| chooser.next(options, true)).collect()
}

/// How many more judgements it is expected to take until the mean variance of the utilities is each of these `goals`, if
/// pairs go on being chosen as by [`adaptive`]. So many are followed, `followed` at most; beyond that, the precision is taken
/// to rise as it did on the whole. `None` where judgements tell nothing.
pub fn judgements_until<const G: usize>(
    list: &[Comparison],
    known: &Posterior,
    goals: [f64; G],
    followed: usize,
) -> [Option<usize>; G] {
    let mut chooser = Chooser::new(list, known, 0);
    let options = AdaptiveOptions::of(known);
    let begin = known.mean_variance();
    let mut open = vec![begin];
    let last = goals.into_iter().fold(f64::INFINITY, f64::min);
    while open.len() <= followed && open.last().is_some_and(|open| *open > last) {
        if chooser.next(&options, false).is_none() {
            break;
        }
        open.push(chooser.known.known.mean_variance());
    }
    let (made, end) = (open.len() - 1, open.last().copied().unwrap_or(begin));
    goals.map(|goal| {
        let within = open.iter().position(|open| *open <= goal);
        let beyond = (1.0 / goal - 1.0 / begin) / (1.0 / end - 1.0 / begin) * made as f64;
        within.or_else(|| (end < begin && goal > 0.0).then(|| beyond.ceil() as usize))
    })
}

/// The posterior as it is expected to be once the pairs chosen so far are judged.
struct Outlook {
    known: Posterior,
    /// Rows of `shared` times the sum of the products of rows, `[n, k]`: with them, what a pair tells about all
    /// documents costs no more than what it tells about two.
    about_all: Array2<f64>,
    /// The estimates, centred, as a vector of length 1; zeros where they are all the same.
    unit: Array1<f64>,
    /// `[k]`: the rows of `shared` summed by `unit`.
    along: Array1<f64>,
}

impl Outlook {
    fn new(known: &Posterior) -> Self {
        let products = known.shared.t().dot(&known.shared);
        let unit = unit(&known.fit.utilities);
        let along = known.shared.t().dot(&unit);
        Self { about_all: known.shared.dot(&products), known: known.clone(), unit, along }
    }

    /// By how much a judgement is expected to lower the sum of all variances across the estimates.
    fn gain(&self, a: usize, b: usize) -> f64 {
        let (own, shared) = (&self.known.own, &self.known.shared);
        let apart = &shared.row(a) - &shared.row(b);
        let crossed = (&shared.row(a) * own[a] - &shared.row(b) * own[b]).dot(&apart);
        let about_all = (&self.about_all.row(a) - &self.about_all.row(b)).dot(&apart);
        let variance = own[a] + own[b] + apart.dot(&apart);
        let information = self.information(a, b, variance);
        let squares = about_all + 2.0 * crossed + (own[a] * own[a] + own[b] * own[b]);
        let scale = self.unit[a] * own[a] - self.unit[b] * own[b] + self.along.dot(&apart);
        information * (squares - scale * scale) / (1.0 + information * variance)
    }

    /// The information of a judgement about the logit, in the mean over what is known of it.
    fn information(&self, a: usize, b: usize, variance: f64) -> f64 {
        let fit = &self.known.fit;
        let of = |logit| [Chances::new(logit, fit.nu).variance()];
        mean_over(fit.utilities[a] - fit.utilities[b], variance, of)[0]
    }

    /// Lowers variances as if the pair had been judged: of what each document has alone, and of what they share, each as
    /// far as the other leaves it open.
    fn expect(&mut self, (a, b): Pairing) {
        let (va, vb) = (self.known.own[a], self.known.own[b]);
        let apart = &self.known.shared.row(a) - &self.known.shared.row(b);
        let between = apart.dot(&apart);
        let information = self.information(a, b, va + vb + between);
        let left = 1.0 + information * (va + vb + between);
        let scale = information / left;
        self.known.own[a] -= scale * va * va;
        self.known.own[b] -= scale * vb * vb;
        if between > 0.0 {
            // Σ becomes Σ − scale Σ e eᵀ Σ: as a factor, each row loses a share of its part along `apart`.
            let share = (1.0 - (1.0 - scale * between).max(0.0).sqrt()) / between;
            let tell = self.known.shared.dot(&apart);
            let products: Array1<f64> = self.known.shared.t().dot(&tell);
            subtract(&mut self.about_all, scale, &tell, &products);
            let along = self.about_all.dot(&apart);
            subtract(&mut self.about_all, share, &along, &apart);
            subtract(&mut self.known.shared, share, &tell, &apart);
            self.along = self.known.shared.t().dot(&self.unit);
        }
    }
}

/// The values less their mean, as a vector of length 1; zeros where they are all the same.
fn unit(values: &[f64]) -> Array1<f64> {
    let values = Array1::from(values.to_vec());
    let centred = &values - values.mean().unwrap_or(0.0);
    let length = centred.dot(&centred).sqrt();
    if length > 0.0 { centred / length } else { centred }
}

/// Subtracts factor · column · rowᵀ.
fn subtract(matrix: &mut Array2<f64>, factor: f64, column: &Array1<f64>, row: &Array1<f64>) {
    for (mut values, &entry) in matrix.axis_iter_mut(Axis(0)).zip(column) {
        values.scaled_add(-factor * entry, row);
    }
}

struct Chooser<R> {
    known: Outlook,
    /// Judgements before, and pairs chosen since.
    done: usize,
    usage: Vec<usize>,
    used: HashSet<Pairing>,
    /// Partners that each document has met.
    met: Vec<usize>,
    parts: Parts,
    n_parts: usize,
    rng: R,
}

impl Chooser<ChaCha8Rng> {
    fn new(list: &[Comparison], known: &Posterior, seed: u64) -> Self {
        let n = known.own.len();
        let mut chooser = Self {
            known: Outlook::new(known),
            done: 0,
            usage: vec![0; n],
            used: HashSet::new(),
            met: vec![0; n],
            parts: Parts::new(n),
            n_parts: n,
            rng: rng::stream(seed, &["adaptive", &list.len().to_string()]),
        };
        list.iter().for_each(|comparison| chooser.note(comparison.unordered()));
        chooser
    }
}

impl<R: RngCore> Chooser<R> {
    /// The next pair; `None` where there are no two documents, or, if it has to be `new`, no pair that is.
    fn next(&mut self, options: &AdaptiveOptions, new: bool) -> Option<Pairing> {
        let n = self.usage.len();
        let per_document = 2.0 * self.done as f64 / n as f64;
        let random = rng::unit(&mut self.rng) < options.random_share(per_document);
        let first = self.least_used(new)?;
        let pair = if random { self.random_pair(first) } else { self.informative_pair(first) };
        self.known.expect(pair);
        self.note(pair);
        Some(pair)
    }

    fn note(&mut self, pair: Pairing) {
        self.use_up(pair);
        self.done += 1;
        self.usage[pair.0] += 1;
        self.usage[pair.1] += 1;
        self.n_parts -= usize::from(self.parts.join(pair));
    }

    fn use_up(&mut self, pair: Pairing) {
        if self.used.insert(unordered(pair)) {
            self.met[pair.0] += 1;
            self.met[pair.1] += 1;
        }
    }

    /// One of the documents in the fewest pairs; where it has to be for a `new` one, of those that have a partner left.
    fn least_used(&mut self, new: bool) -> Option<usize> {
        let n = self.usage.len();
        let ranked = (0..n).filter(|&document| n > 1 && !(new && self.met[document] + 1 >= n));
        let ranked = ranked.map(|document| (document, self.usage[document])).collect();
        self.lowest(ranked)
    }

    /// This document with the least used partner, which links unconnected parts as long as there are any.
    fn random_pair(&mut self, first: usize) -> Pairing {
        let part = self.parts.of(first);
        let others = (0..self.usage.len()).filter(|&other| other != first);
        let mut ranked = Vec::new();
        for other in others {
            let linked = self.n_parts > 1 && self.parts.of(other) == part;
            let used = self.used.contains(&unordered((first, other)));
            ranked.push((other, (used, linked, self.usage[other])));
        }
        (first, self.lowest(ranked).unwrap_or(first))
    }

    /// This document with the partner that promises most.
    fn informative_pair(&self, first: usize) -> Pairing {
        let others = (0..self.usage.len()).filter(|&other| other != first);
        let rank =
            |other: usize| (!self.used.contains(&unordered((first, other))), self.known.gain(first, other));
        let ranked = others.map(|other| (other, rank(other)));
        let better = |a: &(usize, (bool, f64)), b: &(usize, (bool, f64))| {
            a.1.0.cmp(&b.1.0).then(a.1.1.total_cmp(&b.1.1))
        };
        (first, ranked.max_by(better).map_or(first, |(other, _)| other))
    }

    /// One of those of the lowest rank, at random.
    fn lowest<K: Ord>(&mut self, ranked: Vec<(usize, K)>) -> Option<usize> {
        let lowest = ranked.iter().map(|(_, rank)| rank).min()?;
        let candidates: Vec<usize> =
            ranked.iter().filter(|(_, rank)| rank == lowest).map(|&(place, _)| place).collect();
        Some(candidates[rng::below(&mut self.rng, candidates.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::n_parts;
    use crate::judgements::simulate::{answer, normal};
    use crate::judgements::{Features, Fit, FitOptions, posterior, posterior_with};
    use crate::pearson;

    fn known(utilities: &[f64], errors: &[f64]) -> Posterior {
        let fit = Fit {
            utilities: utilities.to_vec(),
            coefficients: Vec::new(),
            nu: 0.0,
            options: FitOptions::default(),
        };
        let own = errors.iter().map(|error| error * error).collect();
        Posterior { fit, own, shared: Array2::zeros((errors.len(), 0)), judged: Vec::new() }
    }

    const NEVER_RANDOM: AdaptiveOptions = AdaptiveOptions { half_after: 1e-9, least_random: 0.0 };

    #[test]
    fn the_least_judged_document_meets_its_likely_equal() {
        // All but 1 have been judged, so that the random share is next to nothing.
        let list = [Comparison::new(0, 3, 0.0), Comparison::new(2, 3, 0.0)];
        let next = |known: &Posterior| adaptive(&list, known, 1, &NEVER_RANDOM, 1);
        assert_eq!(next(&known(&[-3.0, 0.0, 0.1, 3.0], &[0.3; 4])), [(1, 2)]);
        // Of two at the same distance, the less known one.
        assert_eq!(next(&known(&[-1.0, 0.0, 1.0, 5.0], &[0.5, 0.3, 0.3, 0.3])), [(1, 0)]);
    }

    /// Judgements after which the order of a class is compared with the truth.
    const COUNTS: [usize; 2] = [30, 45];

    /// A class of 30 of which a scorer knows half, judged as the model has it: the correlation of what is known with the
    /// truth. For normal utilities it says how well they are ordered.
    fn order(chosen: bool, seed: u64) -> [f64; 2] {
        let n = 30;
        let mut rng = rng::stream(seed, &["order"]);
        let said: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let truth: Vec<f64> = said.iter().map(|said| 1.1 * said + normal(&mut rng)).collect();
        let features = Features::new(Some(&said), None).unwrap();
        let mut list: Vec<Comparison> = Vec::new();
        COUNTS.map(|count| {
            while list.len() < count {
                let pair = match chosen {
                    true => {
                        let known = posterior_with(&features, &list).unwrap();
                        adaptive(&list, &known, 1, &AdaptiveOptions::of(&known), seed)[0]
                    }
                    false => {
                        let a = rng::below(&mut rng, n);
                        (a, (a + 1 + rng::below(&mut rng, n - 1)) % n)
                    }
                };
                let y = answer(truth[pair.0], truth[pair.1], 0.0, 1.0, &mut rng);
                list.push(Comparison::new(pair.0, pair.1, y));
            }
            pearson(&posterior_with(&features, &list).unwrap().fit.utilities, &truth).unwrap()
        })
    }

    #[test]
    fn chosen_pairs_order_a_class_that_a_scorer_knows_better_than_random_ones() {
        let mean = |chosen| -> [f64; 2] {
            let all: Vec<[f64; 2]> = (0..40).map(|seed| order(chosen, seed)).collect();
            [0, 1].map(|place| all.iter().map(|of| of[place]).sum::<f64>() / all.len() as f64)
        };
        let (chosen, random) = (mean(true), mean(false));
        for ((chosen, random), count) in chosen.iter().zip(random).zip(COUNTS) {
            // What the scorer says has 0.74 by itself.
            assert!(*chosen > random + 0.01 && random > 0.75, "{count}: {chosen} chosen, {random} at random");
        }
    }

    #[test]
    fn a_judged_pair_comes_again_only_when_nothing_else_is_left() {
        let apart = known(&[0.0, 0.0, 2.0], &[1.0; 3]);
        let list = [Comparison::new(0, 1, 0.0), Comparison::new(1, 2, 0.0), Comparison::new(1, 2, 0.0)];
        assert_eq!(adaptive(&list, &apart, 1, &NEVER_RANDOM, 1), [(0, 2)]);
        assert_eq!(adaptive(&list[..1], &known(&[0.0; 2], &[1.0; 2]), 2, &NEVER_RANDOM, 1).len(), 2);
    }

    #[test]
    fn a_batch_spreads_out() {
        let pairs = adaptive(&[], &known(&[0.0; 10], &[1.0; 10]), 5, &AdaptiveOptions::default(), 1);
        let documents: HashSet<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
        // The first document of each pair is an unused one.
        assert!(documents.len() >= 8, "{pairs:?}");
    }

    #[test]
    fn the_first_pairs_connect_everything_evenly() {
        let n = 60;
        let known = posterior(n, &[]).unwrap();
        let options = AdaptiveOptions { least_random: 1.0, ..Default::default() };
        for seed in 0..5 {
            let pairs = adaptive(&[], &known, n, &options, seed);
            assert_eq!(n_parts(n, pairs.iter().copied()), 1);
            let uses = |d: usize| pairs.iter().filter(|&&(a, b)| a == d || b == d).count();
            assert!((0..n).all(|document| (1..=3).contains(&uses(document))));
        }
    }

    #[test]
    fn chance_gives_way() {
        let options = AdaptiveOptions::default();
        let shares = [0.0, 1.0, 3.0, 1000.0].map(|per_document| options.random_share(per_document));
        assert_eq!(shares, [1.0, 0.5, 0.25, 0.05]);
    }

    /// Judges as the model has them, until the intervals are half as wide.
    #[test]
    fn the_number_of_judgements_that_is_promised_suffices() {
        let (mut promised, mut extrapolated, mut needed) = (0, 0, 0);
        for seed in 0..6 {
            let n = 30;
            let mut rng = rng::stream(seed, &["promised"]);
            let truth: Vec<f64> = (0..n).map(|_| 1.5 * normal(&mut rng)).collect();
            let mut list: Vec<Comparison> = Vec::new();
            let mut judge_until =
                |list: &mut Vec<Comparison>, stop: &dyn Fn(&[Comparison], &Posterior) -> bool| {
                    loop {
                        let known = posterior(n, list).unwrap();
                        if stop(list, &known) {
                            return known;
                        }
                        for (a, b) in adaptive(list, &known, 5, &AdaptiveOptions::default(), seed) {
                            list.push(Comparison::new(a, b, answer(truth[a], truth[b], 0.3, 1.0, &mut rng)));
                        }
                    }
                };
            let before = judge_until(&mut list, &|list, _| list.len() >= 60);
            let goal = before.mean_variance() / 4.0;
            let [all] = judgements_until(&list, &before, [goal], 5000);
            let [part] = judgements_until(&list, &before, [goal], 60);
            promised += all.unwrap();
            extrapolated += part.unwrap();
            judge_until(&mut list, &|_, known| known.mean_variance() <= goal);
            needed += list.len() - 60;
        }
        for promised in [promised, extrapolated] {
            let ratio = promised as f64 / needed as f64;
            // It does not foresee that what is learned of an opponent later tells about the earlier judgements too.
            assert!((0.9..1.8).contains(&ratio), "{promised} promised, {needed} needed");
        }
        assert_eq!(judgements_until(&[], &posterior(1, &[]).unwrap(), [1.0], 10), [None]);
    }

    #[test]
    fn seed_and_place_decide() {
        let known_20 = known(&[0.0; 20], &[1.0; 20]);
        let pairs =
            |list: &[Comparison], seed| adaptive(list, &known_20, 8, &AdaptiveOptions::default(), seed);
        assert_eq!(pairs(&[], 1), pairs(&[], 1));
        assert_ne!(pairs(&[], 1), pairs(&[], 2));
        assert!(adaptive(&[], &known(&[0.0], &[1.0]), 3, &AdaptiveOptions::default(), 1).is_empty());
    }
}
