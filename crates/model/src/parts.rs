//! A batch in parts, each through all layers on threads of its own.
//!
//! The key decision: threads that share every operation wait for each other after every operation, and a part that has
//! its own threads waits once, at its end. Documents do not see each other, so a part is some of the documents. How they
//! are divided depends on their lengths only, so that results do not depend on the number of threads.

use std::cmp::Reverse;

use crate::Kernels;

/// Tokens that are worth a part of their own.
const PART_TOKENS: usize = 2048;

/// Documents of these lengths in parts of about as many tokens, by place, each in ascending order; one part where the
/// backend takes a batch faster as a whole.
pub fn parts<B: Kernels>(lengths: &[usize]) -> Vec<Vec<usize>> {
    if B::IN_PARTS { divide(lengths) } else { vec![(0..lengths.len()).collect()] }
}

/// The longest document first, each to the part that has the fewest tokens so far (Graham 1969); no part is empty.
fn divide(lengths: &[usize]) -> Vec<Vec<usize>> {
    let tokens: usize = lengths.iter().sum();
    // Powers of two come out even on most machines.
    let n = (tokens / PART_TOKENS).next_power_of_two().max(2).min(lengths.len());
    let mut longest_first: Vec<usize> = (0..lengths.len()).collect();
    longest_first.sort_by_key(|&document| Reverse(lengths[document]));
    let mut parts = vec![(0, Vec::new()); n];
    for document in longest_first {
        let (tokens, part) =
            parts.iter_mut().min_by_key(|(tokens, part)| (*tokens, part.len())).expect("at least one part");
        *tokens += lengths[document];
        part.push(document);
    }
    parts
        .into_iter()
        .map(|(_, mut part)| {
            part.sort_unstable();
            part
        })
        .collect()
}

/// `work` on every item, the results in the order of the items: as many at a time as there are threads, which share the
/// threads between them. Without threads, or from one of rayon's, one after the other.
///
/// # Panics
/// When `work` does, with its panic.
pub fn side_by_side<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    #[cfg(feature = "rayon")]
    {
        threads::side_by_side(items, work)
    }
    #[cfg(not(feature = "rayon"))]
    {
        items.into_iter().map(work).collect()
    }
}

#[cfg(feature = "rayon")]
mod threads {
    use std::panic::resume_unwind;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread;

    use rayon::{ThreadPool, ThreadPoolBuilder};

    pub(super) fn side_by_side<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
        let n = items.len();
        let pools = match rayon::current_thread_index() {
            // A task that waits for a pool of these would keep its own from working.
            Some(_) => None,
            None => pools(n.min(rayon::current_num_threads())),
        };
        let Some(pools) = pools else { return items.into_iter().map(work).collect() };

        let left = Mutex::new(items.into_iter().enumerate());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let take = || {
            let mut done = Vec::new();
            while let Some((place, item)) = next() {
                done.push((place, work(item)));
            }
            done
        };
        let mut results: Vec<Option<T>> = (0..n).map(|_| None).collect();
        thread::scope(|scope| {
            let workers: Vec<_> = pools.iter().map(|pool| scope.spawn(|| pool.install(take))).collect();
            for worker in workers {
                for (place, result) in worker.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                    results[place] = Some(result);
                }
            }
        });
        results.into_iter().map(|result| result.expect("every item was taken")).collect()
    }

    /// `n` pools that divide the threads of the machine; `None` where that is one pool, or where the system has no more
    /// threads. The last ones stay, as the next step mostly needs them again; others end with whoever still uses them, so
    /// that threads do not add up over all the numbers that ever came up.
    fn pools(n: usize) -> Option<Arc<[ThreadPool]>> {
        static LAST: Mutex<Option<Arc<[ThreadPool]>>> = Mutex::new(None);
        if n < 2 {
            return None;
        }
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pools) = last.as_ref().filter(|pools| pools.len() == n) {
            return Some(pools.clone());
        }
        // Rather a thread too many than an idle core.
        let threads = rayon::current_num_threads().div_ceil(n);
        let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build();
        let pools: Arc<[ThreadPool]> = (0..n).map(pool).collect::<Result<Vec<_>, _>>().ok()?.into();
        *last = Some(pools.clone());
        Some(pools)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_in_one_part_and_parts_are_even() {
        for (lengths, expected) in [
            (vec![], 0),
            (vec![700], 1),
            (vec![5, 5], 2),
            (vec![229, 312, 382, 450, 508, 512, 512, 512], 2),
            (vec![512; 32], 8),
            (vec![9000, 10, 10], 3),
        ] {
            let parts = divide(&lengths);
            assert_eq!(parts.len(), expected, "{lengths:?}");
            assert!(parts.iter().all(|part| !part.is_empty() && part.is_sorted()), "{parts:?}");
            let mut all = parts.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..lengths.len()));
            // Graham's bound: the fullest part has at most the mean and one document more.
            let tokens = |part: &Vec<usize>| part.iter().map(|&i| lengths[i]).sum::<usize>();
            let (fullest, longest) = (parts.iter().map(tokens).max(), lengths.iter().max());
            if let (Some(fullest), Some(longest)) = (fullest, longest) {
                assert!(fullest <= lengths.iter().sum::<usize>() / expected + longest);
            }
        }
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let squares = side_by_side((0..100_u64).collect(), |x| x * x);
        assert!(squares.into_iter().eq((0..100).map(|x| x * x)));
        assert!(side_by_side(Vec::<u64>::new(), |x| x).is_empty());
    }

    #[test]
    #[should_panic(expected = "the third")]
    fn a_panic_comes_through() {
        side_by_side(vec![1, 2, 3, 4], |x| assert_ne!(x, 3, "the third"));
    }
}
