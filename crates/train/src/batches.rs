//! The order in which an epoch visits its examples: a pure function of seed, stage and epoch.

use pair2score_data::rng::{shuffle, stream};

/// Micro-batches of one epoch; every example occurs once, only the last batch may be short.
///
/// With `length` the batches are made of examples of similar length: windows of the shuffled order are sorted by
/// length and cut into batches, and the batches are shuffled again. That saves padding at a small cost in
/// randomness.
pub(crate) fn micro_batches(
    n_examples: usize,
    batch_size: usize,
    length: Option<&dyn Fn(usize) -> usize>,
    seed: u64,
    stage: &str,
    epoch: usize,
) -> Vec<Vec<usize>> {
    let mut rng = stream(seed, &["order", stage, &epoch.to_string()]);
    let mut order: Vec<usize> = (0..n_examples).collect();
    shuffle(&mut rng, &mut order);
    let Some(length) = length else {
        return order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    };
    let mut batches = Vec::new();
    for window in order.chunks_mut(WINDOW * batch_size) {
        window.sort_by_key(|&i| length(i));
        batches.extend(window.chunks(batch_size).map(<[usize]>::to_vec));
    }
    shuffle(&mut rng, &mut batches);
    // The short batch goes last, where the flush of an incomplete accumulation group expects it.
    if let Some(short) = batches.iter().position(|batch| batch.len() < batch_size) {
        let short = batches.remove(short);
        batches.push(short);
    }
    batches
}

/// Batches per window of the length grouping.
const WINDOW: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(batches: &[Vec<usize>]) -> Vec<usize> {
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_example_occurs_once() {
        let by_length = |i: usize| i % 17;
        for length in [None, Some(&by_length as &dyn Fn(usize) -> usize)] {
            let batches = micro_batches(1003, 4, length, 1, "relative", 1);
            assert_eq!(sorted(&batches), (0..1003).collect::<Vec<_>>());
            assert_eq!(batches.last().unwrap().len(), 3);
        }
    }

    #[test]
    fn epochs_and_stages_differ_and_repeat() {
        let order = |stage, epoch| micro_batches(50, 4, None, 9, stage, epoch);
        assert_eq!(order("relative", 1), order("relative", 1));
        assert_ne!(order("relative", 1), order("relative", 2));
        assert_ne!(order("relative", 1), order("absolute", 1));
    }

    #[test]
    fn grouping_puts_similar_lengths_together() {
        let length = |i: usize| (i * 7919) % 500;
        let spread = |batches: &[Vec<usize>]| -> usize {
            let range = |batch: &Vec<usize>| {
                let lengths = batch.iter().map(|&i| length(i));
                lengths.clone().max().unwrap() - lengths.min().unwrap()
            };
            batches.iter().map(range).sum()
        };
        let plain = spread(&micro_batches(800, 4, None, 3, "s", 1));
        let grouped = spread(&micro_batches(800, 4, Some(&length), 3, "s", 1));
        assert!(grouped * 5 < plain, "{grouped} against {plain}");
    }
}
