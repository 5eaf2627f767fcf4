//! Pairs whose judgement is expected to tell most.
//!
//! A judgement of documents with variances v and v' about a logit with Fisher information w lowers the sum of their
//! variances by w (v² + v'²) / (1 + w (v + v')), if their errors are independent. w is taken in the mean over what is
//! known of the logit, not at its estimate, so that two documents of which little is known do not look like equals. The
//! first document is the least judged one, the second the one that gains most; after each pair the variances are lowered
//! as if it had been judged, so that a batch spreads out.
//!
//! Beginning with the least *known* document instead would spend the judgements on the ends of the scale, where nobody
//! contradicts.

use std::collections::HashSet;

use rand::RngCore;

use super::{Pairing, Parts, unordered};
use crate::judgements::davidson::mean_over;
use crate::judgements::{Chances, Comparison, Posterior};
use crate::rng;

/// How much is left to chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveOptions {
    /// Judgements per document after which half of the pairs are random; above 0.
    pub half_after: f64,
    /// The share of random pairs that stays, 0 to 1.
    pub least_random: f64,
}

impl Default for AdaptiveOptions {
    fn default() -> Self {
        Self { half_after: 1.0, least_random: 0.05 }
    }
}

impl AdaptiveOptions {
    /// The share of random pairs after so many judgements per document: 1 at first, then falling.
    pub fn random_share(&self, per_document: f64) -> f64 {
        (1.0 / (1.0 + per_document / self.half_after)).max(self.least_random)
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
    let n = known.variances.len();
    if n < 2 {
        return Vec::new();
    }
    let mut chooser = Chooser {
        known: known.clone(),
        usage: vec![0; n],
        used: HashSet::new(),
        parts: Parts::new(n),
        n_parts: n,
        rng: rng::stream(seed, &["adaptive", &list.len().to_string()]),
    };
    list.iter().for_each(|comparison| chooser.note(comparison.unordered()));
    let mut pairs = Vec::with_capacity(wanted);
    for done in 0..wanted {
        let per_document = 2.0 * (list.len() + done) as f64 / n as f64;
        let random = rng::unit(&mut chooser.rng) < options.random_share(per_document);
        let pair = if random { chooser.random_pair() } else { chooser.informative_pair() };
        chooser.expect(pair);
        pairs.push(pair);
    }
    pairs
}

struct Chooser<R> {
    /// Its variances are lowered by what the pairs chosen so far promise.
    known: Posterior,
    usage: Vec<usize>,
    used: HashSet<Pairing>,
    parts: Parts,
    n_parts: usize,
    rng: R,
}

impl<R: RngCore> Chooser<R> {
    fn note(&mut self, pair: Pairing) {
        self.used.insert(unordered(pair));
        self.usage[pair.0] += 1;
        self.usage[pair.1] += 1;
        self.n_parts -= usize::from(self.parts.join(pair));
    }

    /// Lowers the variances as if the pair had been judged.
    fn expect(&mut self, (a, b): Pairing) {
        let (va, vb) = (self.known.variances[a], self.known.variances[b]);
        let information = self.information(a, b);
        let scale = information / (1.0 + information * (va + vb));
        self.known.variances[a] -= scale * va * va;
        self.known.variances[b] -= scale * vb * vb;
        self.note((a, b));
    }

    /// One of the documents in the fewest pairs.
    fn least_used(&mut self) -> usize {
        let ranked = self.usage.iter().copied().enumerate().collect();
        self.lowest(ranked)
    }

    /// The least used document with the least used partner, which links unconnected parts as long as there are any.
    fn random_pair(&mut self) -> Pairing {
        let first = self.least_used();
        let part = self.parts.of(first);
        let others = (0..self.usage.len()).filter(|&other| other != first);
        let mut ranked = Vec::new();
        for other in others {
            let linked = self.n_parts > 1 && self.parts.of(other) == part;
            let used = self.used.contains(&unordered((first, other)));
            ranked.push((other, (used, linked, self.usage[other])));
        }
        (first, self.lowest(ranked))
    }

    /// The least used document with the partner that promises most.
    fn informative_pair(&mut self) -> Pairing {
        let first = self.least_used();
        let others = (0..self.usage.len()).filter(|&other| other != first);
        let rank = |other: usize| (!self.used.contains(&unordered((first, other))), self.gain(first, other));
        let ranked = others.map(|other| (other, rank(other)));
        let better = |a: &(usize, (bool, f64)), b: &(usize, (bool, f64))| {
            a.1.0.cmp(&b.1.0).then(a.1.1.total_cmp(&b.1.1))
        };
        (first, ranked.max_by(better).map_or(first, |(other, _)| other))
    }

    /// By how much a judgement is expected to lower the sum of both variances.
    fn gain(&self, a: usize, b: usize) -> f64 {
        let (va, vb) = (self.known.variances[a], self.known.variances[b]);
        let information = self.information(a, b);
        information * (va * va + vb * vb) / (1.0 + information * (va + vb))
    }

    /// The information of a judgement about the logit, in the mean over what is known of it.
    fn information(&self, a: usize, b: usize) -> f64 {
        let Posterior { fit, variances } = &self.known;
        let logit = fit.utilities[a] - fit.utilities[b];
        let of = |logit| [Chances::new(logit, fit.nu).variance()];
        mean_over(logit, variances[a] + variances[b], of)[0]
    }

    /// One of those of the lowest rank, at random.
    fn lowest<K: Ord>(&mut self, ranked: Vec<(usize, K)>) -> usize {
        let Some(lowest) = ranked.iter().map(|(_, rank)| rank).min() else { return 0 };
        let candidates: Vec<usize> =
            ranked.iter().filter(|(_, rank)| rank == lowest).map(|&(place, _)| place).collect();
        candidates[rng::below(&mut self.rng, candidates.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::n_parts;
    use crate::judgements::{Fit, FitOptions, posterior};

    fn known(utilities: &[f64], errors: &[f64]) -> Posterior {
        let fit = Fit { utilities: utilities.to_vec(), nu: 0.0, options: FitOptions::default() };
        Posterior { fit, variances: errors.iter().map(|error| error * error).collect() }
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
