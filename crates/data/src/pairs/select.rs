//! Chooses the pairs of one split: a coverage pass, then a fill pass.
//!
//! Documents are numbered by place; the caller knows their ids. Coverage uses every document once, at the widest
//! gap it can get. Fill then draws from all other pairs of at least the smallest gap, bucket by bucket in
//! proportion, so that the easy wide pairs do not crowd out the instructive narrow ones.

use std::cmp::Reverse;

use rand_chacha::ChaCha8Rng;

use super::gap::{N_GAPS, at_least, gap_bucket};
use crate::rng;

/// Above this many candidates a random share of them is kept (64 MiB); far more than any split draws.
pub(super) const MAX_CANDIDATES: usize = 1 << 23;

/// How often candidates are looked at again in steps of one, see [`next_cap`]: a fraction of a second.
const MAX_LOOKS: usize = 1 << 24;

/// What to choose.
pub(super) struct Wanted {
    /// Pairs in all.
    pub pairs: usize,
    /// Smallest gap of a regular pair, score units, above 0.
    pub min_gap: f64,
    /// Pairs per document; exceeded only where `pairs` cannot be reached otherwise.
    pub cap: usize,
    /// Bounds the memory of the fill pass.
    pub max_candidates: usize,
}

/// Chooses pairs of places in `labels` (at least two), each unordered pair at most once.
pub(super) fn select(labels: &[f64], wanted: &Wanted, rng: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
    let n = labels.len();
    let mut selection = Selection {
        labels,
        wanted,
        rng,
        usage: vec![0; n],
        partners: vec![Vec::new(); n],
        pairs: Vec::new(),
    };
    selection.cover();
    selection.fill();
    selection.pairs
}

struct Selection<'a> {
    labels: &'a [f64],
    wanted: &'a Wanted,
    rng: &'a mut ChaCha8Rng,
    /// Pairs per document so far.
    usage: Vec<usize>,
    /// The other documents of those pairs; few, so a list serves as a set.
    partners: Vec<Vec<u32>>,
    pairs: Vec<(usize, usize)>,
}

/// The pairs of one gap bucket that are not chosen yet. Places are `u32` for their number's sake.
#[derive(Default)]
struct Bucket {
    /// Still to be drawn.
    candidates: Vec<(u32, u32)>,
    /// Drawn while one of the documents was at the cap.
    deferred: Vec<(u32, u32)>,
    /// What it may still give before it has had its share.
    quota: usize,
}

impl Selection<'_> {
    fn gap(&self, one: usize, other: usize) -> f64 {
        (self.labels[one] - self.labels[other]).abs()
    }

    fn take(&mut self, one: usize, other: usize) {
        self.usage[one] += 1;
        self.usage[other] += 1;
        self.partners[one].push(other as u32);
        self.partners[other].push(one as u32);
        self.pairs.push((one, other));
    }

    /// Uses every document at least once, in random order.
    fn cover(&mut self) {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        rng::shuffle(self.rng, &mut order);
        for place in order {
            if self.usage[place] > 0 {
                continue;
            }
            if let Some(partner) = self.unused_partner(place).or_else(|| self.used_partner(place)) {
                self.take(place, partner);
            }
        }
    }

    /// An unused document from the widest gap bucket there is; below the smallest gap, one as far away as possible.
    fn unused_partner(&mut self, place: usize) -> Option<usize> {
        let min_gap = self.wanted.min_gap;
        let rank =
            |gap: f64| if at_least(gap, min_gap) { (1 + gap_bucket(gap, min_gap), 0.0) } else { (0, gap) };
        let unused = (0..self.labels.len()).filter(|&other| other != place && self.usage[other] == 0);
        let best = best(unused.map(|other| (other, rank(self.gap(place, other)))));
        self.any_of(&best)
    }

    /// For the odd one out: a used document, preferably a regular pair, then the least used.
    fn used_partner(&mut self, place: usize) -> Option<usize> {
        let fresh = |other: &usize| *other != place && !self.partners[place].contains(&(*other as u32));
        let rank = |other: usize| {
            (at_least(self.gap(place, other), self.wanted.min_gap), Reverse(self.usage[other]))
        };
        let best = best((0..self.labels.len()).filter(fresh).map(|other| (other, rank(other))));
        self.any_of(&best)
    }

    fn any_of(&mut self, places: &[usize]) -> Option<usize> {
        places.get(rng::below(self.rng, places.len())).copied()
    }

    /// Draws further pairs until there are enough or none is left.
    fn fill(&mut self) {
        let mut buckets = self.candidates();
        let missing = self.wanted.pairs.saturating_sub(self.pairs.len());
        let counts = std::array::from_fn(|bucket: usize| buckets[bucket].candidates.len());
        for (bucket, quota) in buckets.iter_mut().zip(quotas(missing, counts)) {
            bucket.quota = quota;
        }
        let mut cap = self.wanted.cap;
        while self.pairs.len() < self.wanted.pairs {
            // Quotas yield before the cap does: a bucket may give more once those below quota are exhausted.
            if self.round(&mut buckets, cap, true) || self.round(&mut buckets, cap, false) {
                continue;
            }
            let deferred = buckets.iter().map(|bucket| bucket.deferred.len()).sum();
            if deferred == 0 {
                return;
            }
            cap = next_cap(cap, deferred);
            for bucket in &mut buckets {
                std::mem::swap(&mut bucket.candidates, &mut bucket.deferred);
            }
        }
    }

    /// Takes one pair from each bucket in turn, only from those below quota if asked; whether there was any.
    fn round(&mut self, buckets: &mut [Bucket], cap: usize, below_quota: bool) -> bool {
        let before = self.pairs.len();
        for bucket in buckets.iter_mut().rev() {
            if self.pairs.len() == self.wanted.pairs || (below_quota && bucket.quota == 0) {
                continue;
            }
            if let Some((one, other)) = self.draw(bucket, cap) {
                bucket.quota = bucket.quota.saturating_sub(1);
                self.take(one, other);
            }
        }
        self.pairs.len() > before
    }

    /// A random candidate whose documents are both below the cap.
    fn draw(&mut self, bucket: &mut Bucket, cap: usize) -> Option<(usize, usize)> {
        while !bucket.candidates.is_empty() {
            let candidate = bucket.candidates.swap_remove(rng::below(self.rng, bucket.candidates.len()));
            let (one, other) = (candidate.0 as usize, candidate.1 as usize);
            if self.usage[one] < cap && self.usage[other] < cap {
                return Some((one, other));
            }
            bucket.deferred.push(candidate);
        }
        None
    }

    /// All pairs of at least the smallest gap that are not chosen yet, by bucket; a random share if they are many.
    fn candidates(&mut self) -> [Bucket; N_GAPS] {
        let (n, limit) = (self.labels.len(), self.wanted.max_candidates);
        let regular = |gap: f64| at_least(gap, self.wanted.min_gap);
        let later = |one: usize| (one + 1..n).map(move |other| (one, other));
        let count = (0..n).flat_map(later).filter(|&(one, other)| regular(self.gap(one, other))).count();
        let mut buckets: [Bucket; N_GAPS] = Default::default();
        for (one, other) in (0..n).flat_map(later) {
            let gap = self.gap(one, other);
            let fresh = regular(gap) && !self.partners[one].contains(&(other as u32));
            if fresh && (count <= limit || rng::below(self.rng, count) < limit) {
                buckets[gap_bucket(gap, self.wanted.min_gap)].candidates.push((one as u32, other as u32));
            }
        }
        buckets
    }
}

/// The cap that follows where it has to give way: one more, so that no document is in more pairs than needed. But every step
/// looks at all candidates, and where few documents have a rare label, each of them is in thousands of pairs: once so many
/// steps have looked at too many, they are an eighth each.
fn next_cap(cap: usize, deferred: usize) -> usize {
    let step = if cap.saturating_mul(deferred) > MAX_LOOKS { cap / 8 } else { 1 };
    cap + step.max(1)
}

/// The items of the highest rank, in order.
fn best<K: PartialOrd>(ranked: impl Iterator<Item = (usize, K)>) -> Vec<usize> {
    let mut highest: Option<K> = None;
    let mut items = Vec::new();
    for (item, rank) in ranked {
        if highest.as_ref().is_none_or(|highest| rank > *highest) {
            items.clear();
            highest = Some(rank);
        } else if highest.as_ref() != Some(&rank) {
            continue;
        }
        items.push(item);
    }
    items
}

/// Shares `wanted` out in proportion to `counts` (largest remainder; of equal ones, the wider gap).
fn quotas(wanted: usize, counts: [usize; N_GAPS]) -> [usize; N_GAPS] {
    let total = counts.iter().sum::<usize>() as u128;
    if total == 0 {
        return [0; N_GAPS];
    }
    let product = |bucket: usize| wanted as u128 * counts[bucket] as u128;
    let mut quotas = std::array::from_fn(|bucket| (product(bucket) / total) as usize);
    let mut by_remainder: Vec<usize> = (0..N_GAPS).rev().collect();
    by_remainder.sort_by_key(|&bucket| Reverse(product(bucket) % total));
    let left = wanted - quotas.iter().sum::<usize>();
    for &bucket in by_remainder.iter().take(left) {
        quotas[bucket] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn run(labels: &[f64], pairs: usize, cap: usize) -> Vec<(usize, usize)> {
        let wanted = Wanted { pairs, min_gap: 1.0, cap, max_candidates: MAX_CANDIDATES };
        select(labels, &wanted, &mut rng::stream(1, &["test"]))
    }

    fn usage(n: usize, pairs: &[(usize, usize)]) -> Vec<usize> {
        let of = |place| pairs.iter().filter(|pair| pair.0 == place || pair.1 == place).count();
        (0..n).map(of).collect()
    }

    fn gaps(labels: &[f64], pairs: &[(usize, usize)]) -> Vec<f64> {
        pairs.iter().map(|&(one, other)| (labels[one] - labels[other]).abs()).collect()
    }

    /// `n` labels from 1 to 5 by 0.5, the middle ones more often.
    fn essays(n: usize) -> Vec<f64> {
        let mut rng = rng::stream(2, &["labels"]);
        let mut half = || rng::below(&mut rng, 5) as f64;
        (0..n).map(|_| 1.0 + (half() + half()) / 2.0).collect()
    }

    #[test]
    fn every_document_is_used() {
        let labels = essays(101);
        let pairs = run(&labels, 253, 6);
        assert_eq!(pairs.len(), 253);
        assert!(usage(101, &pairs).iter().all(|&count| count >= 1));
    }

    #[test]
    fn cap_holds_where_it_can() {
        let labels = essays(400);
        assert!(usage(400, &run(&labels, 1000, 6)).iter().all(|&count| count <= 6));
    }

    #[test]
    fn cap_gives_way_by_no_more_than_needed() {
        // One good document against nine: nine pairs, all of them with it.
        let labels = [5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        // Coverage makes one regular pair and four ties; seven more make 12, and only pairs with 0 are regular.
        assert_eq!(usage(10, &run(&labels, 12, 2))[0], 8);
    }

    #[test]
    fn documents_of_a_rare_label_get_their_many_pairs_in_few_steps() {
        // Forty documents against four thousand, and none of these against another.
        let labels: Vec<f64> = (0..4040).map(|place| if place < 40 { 5.0 } else { 1.0 }).collect();
        let pairs = run(&labels, 50_000, 6);
        assert_eq!(pairs.len(), 50_000);
        let usage = usage(4040, &pairs);
        // 48,020 of them are no ties among the others.
        assert!(usage[..40].iter().all(|&count| (1080..1320).contains(&count)), "{:?}", &usage[..40]);
        let steps = |deferred: usize| {
            std::iter::successors(Some(6), move |&cap| (cap < 5000).then(|| next_cap(cap, deferred))).count()
        };
        assert_eq!(steps(1000), 4995);
        assert!(steps(MAX_CANDIDATES) < 80);
    }

    #[test]
    fn no_pair_twice() {
        let labels = essays(30);
        let pairs = run(&labels, 10_000, 6);
        let unordered: BTreeSet<_> =
            pairs.iter().map(|&(one, other)| (one.min(other), one.max(other))).collect();
        assert_eq!(unordered.len(), pairs.len());
        // Asking for everything gives every regular pair.
        let regular = (0..30).flat_map(|i| (0..i).map(move |j| (i, j)));
        let regular = regular.filter(|&(i, j)| (labels[i] - labels[j]).abs() >= 1.0).count();
        assert_eq!(gaps(&labels, &pairs).iter().filter(|&&gap| gap >= 1.0).count(), regular);
    }

    #[test]
    fn buckets_follow_the_scale() {
        let labels: Vec<f64> = (0..60).map(|place| 1.0 + f64::from(place * 7 % 9) / 2.0).collect();
        let chosen = |factor: f64| {
            let labels: Vec<f64> = labels.iter().map(|label| 200.0 + factor * label).collect();
            let wanted = Wanted { pairs: 80, min_gap: factor, cap: 5, max_candidates: MAX_CANDIDATES };
            select(&labels, &wanted, &mut rng::stream(3, &["scale"]))
        };
        // What is chosen on 1 to 5 is chosen on 350 to 950 too.
        assert_eq!(chosen(1.0), chosen(150.0));
    }

    #[test]
    fn coverage_prefers_the_widest_bucket() {
        // Whichever comes first, 1 and 5 find each other only through the rule; 2.5 and 3.5 remain.
        for seed in 0..20 {
            let wanted = Wanted { pairs: 2, min_gap: 1.0, cap: 5, max_candidates: MAX_CANDIDATES };
            let labels = [1.0, 2.0, 2.0, 5.0];
            let pairs = select(&labels, &wanted, &mut rng::stream(seed, &["test"]));
            assert_eq!(pairs.len(), 2);
            assert!(gaps(&labels, &pairs).contains(&3.0) || gaps(&labels, &pairs).contains(&4.0));
        }
    }

    #[test]
    fn coverage_falls_back_to_the_largest_smaller_gap() {
        // No gap reaches 1. Whoever is first takes the farthest, so 3.0 and 3.75 are a pair.
        let labels = [3.0, 3.25, 3.75];
        for seed in 0..20 {
            let wanted = Wanted { pairs: 0, min_gap: 1.0, cap: 5, max_candidates: MAX_CANDIDATES };
            let pairs = select(&labels, &wanted, &mut rng::stream(seed, &["test"]));
            assert_eq!(pairs.len(), 2, "the odd one out is paired too");
            assert!(gaps(&labels, &pairs)[0] >= 0.5);
        }
    }

    #[test]
    fn fill_follows_the_proportions_of_candidates() {
        let labels = essays(1000);
        let pairs = run(&labels, 2500, usize::MAX);
        let mut candidates = [0_usize; N_GAPS];
        for one in 0..1000 {
            for other in one + 1..1000 {
                candidates[gap_bucket((labels[one] - labels[other]).abs(), 1.0)] += 1;
            }
        }
        candidates[0] = 0;
        let total: usize = candidates.iter().sum();
        let filled = gaps(&labels, &pairs[500..]);
        for (bucket, count) in candidates.into_iter().enumerate() {
            let got = filled.iter().filter(|&&gap| gap_bucket(gap, 1.0) == bucket).count() as f64;
            let share = 2000.0 * count as f64 / total as f64;
            // Rounding moves a quota by 1; the pairs taken for coverage move the shares by less than 1 %.
            assert!((got - share).abs() < 20.0, "bucket {bucket}: {got} of {share}");
        }
    }

    #[test]
    fn thinned_candidates_still_fill() {
        let wanted = Wanted { pairs: 500, min_gap: 1.0, cap: 6, max_candidates: 5000 };
        let pairs = select(&essays(200), &wanted, &mut rng::stream(1, &["test"]));
        assert_eq!(pairs.len(), 500);
    }

    #[test]
    fn quotas_add_up() {
        assert_eq!(quotas(10, [0, 1, 1, 1]), [0, 3, 3, 4]);
        assert_eq!(quotas(10, [0, 6, 3, 1]), [0, 6, 3, 1]);
        assert_eq!(quotas(7, [0; N_GAPS]), [0; N_GAPS]);
    }
}
