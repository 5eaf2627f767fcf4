//! The order in which an epoch visits its examples: a pure function of seed, stage and epoch.

use std::collections::{BTreeMap, BTreeSet};

use pair2score_data::rng::{shuffle, stream};

/// How examples are put into micro-batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Examples of a micro-batch, at least 1; without a limit of tokens all but the last have as many.
    pub size: usize,
    /// Tokens of a micro-batch, instead of a number of examples; a longer example is alone in its batch.
    pub max_tokens: Option<usize>,
    /// Examples of similar length together.
    pub length_grouped: bool,
    /// Examples that share documents together, which are then encoded once.
    pub document_grouped: bool,
}

/// The examples of a task, as batching sees them.
pub trait Sizes {
    /// Number of examples.
    fn n_examples(&self) -> usize;
    /// Real tokens of an example.
    fn tokens(&self, example: usize) -> usize;
    /// The documents of an example, where several examples may share one: a batch encodes it once.
    fn documents(&self, example: usize) -> Vec<usize> {
        vec![example]
    }
    /// Real tokens that a batch encodes.
    fn batch_tokens(&self, examples: &[usize]) -> usize {
        examples.iter().map(|&example| self.tokens(example)).sum()
    }
}

/// Micro-batches of one epoch; every example occurs once.
pub(crate) fn micro_batches(
    sizes: &dyn Sizes,
    batching: &Batching,
    seed: u64,
    stage: &str,
    epoch: usize,
) -> Vec<Vec<usize>> {
    let mut rng = stream(seed, &["order", stage, &epoch.to_string()]);
    let mut order: Vec<usize> = (0..sizes.n_examples()).collect();
    shuffle(&mut rng, &mut order);
    if batching.document_grouped {
        order = share_documents(sizes, &order, batching.size);
    }
    let mut batches = Vec::new();
    if batching.length_grouped {
        // Windows of the shuffled order are sorted and cut: a small cost in randomness.
        for window in order.chunks_mut(WINDOW * batching.size) {
            window.sort_by_key(|&i| sizes.tokens(i));
            cut(sizes, batching, window, &mut batches);
        }
    } else {
        cut(sizes, batching, &order, &mut batches);
    }
    if batching.length_grouped {
        shuffle(&mut rng, &mut batches);
    }
    if batching.max_tokens.is_none() {
        // The short batch goes last, where the flush of an incomplete accumulation group expects it.
        if let Some(short) = batches.iter().position(|batch| batch.len() < batching.size) {
            let short = batches.remove(short);
            batches.push(short);
        }
    }
    batches
}

/// Batches per window of the length grouping.
const WINDOW: usize = 50;

/// Cuts an order into batches of a number of examples, or of tokens.
fn cut(sizes: &dyn Sizes, batching: &Batching, order: &[usize], batches: &mut Vec<Vec<usize>>) {
    let Some(limit) = batching.max_tokens else {
        batches.extend(order.chunks(batching.size).map(<[usize]>::to_vec));
        return;
    };
    let mut batch = Vec::new();
    let mut tokens = 0;
    for &example in order {
        let more = sizes.tokens(example);
        if !batch.is_empty() && tokens + more > limit {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(example);
        tokens += more;
    }
    batches.extend(Some(batch).filter(|batch| !batch.is_empty()));
}

/// Reorders examples so that each run of `size` shares as many documents as a greedy choice finds: it begins with the
/// first example that is left, and goes on with the one that brings the fewest new documents, the earliest of equals.
fn share_documents(sizes: &dyn Sizes, order: &[usize], size: usize) -> Vec<usize> {
    let documents: BTreeMap<usize, Vec<usize>> = order.iter().map(|&i| (i, sizes.documents(i))).collect();
    // Places in `order` that are left, all of them and by document.
    let mut left: BTreeSet<usize> = (0..order.len()).collect();
    let mut by_document: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (place, example) in order.iter().enumerate() {
        for &document in &documents[example] {
            by_document.entry(document).or_default().insert(place);
        }
    }
    let mut reordered = Vec::with_capacity(order.len());
    while !left.is_empty() {
        let mut batch_documents: BTreeSet<usize> = BTreeSet::new();
        for _ in 0..size {
            let related = batch_documents.iter().flat_map(|document| &by_document[document]).copied();
            let new = |place: &usize| {
                documents[&order[*place]]
                    .iter()
                    .filter(|document| !batch_documents.contains(document))
                    .count()
            };
            let next = related.min_by_key(|place| (new(place), *place)).or_else(|| left.first().copied());
            let Some(place) = next else { break };
            left.remove(&place);
            for document in &documents[&order[place]] {
                by_document.entry(*document).or_default().remove(&place);
                batch_documents.insert(*document);
            }
            reordered.push(order[place]);
        }
    }
    reordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of documents with lengths.
    struct Pairs(Vec<[usize; 2]>);

    impl Sizes for Pairs {
        fn n_examples(&self) -> usize {
            self.0.len()
        }
        fn tokens(&self, example: usize) -> usize {
            self.0[example].iter().map(|document| 1 + document * 7919 % 500).sum()
        }
        fn documents(&self, example: usize) -> Vec<usize> {
            self.0[example].to_vec()
        }
    }

    /// Every document in five pairs or so, as in a cache.
    fn pairs(n: usize) -> Pairs {
        let documents = n * 2 / 5;
        Pairs((0..n).map(|i| [i % documents, (i * 31 + 7) % documents]).filter(|[a, b]| a != b).collect())
    }

    const PLAIN: Batching =
        Batching { size: 4, max_tokens: None, length_grouped: false, document_grouped: false };

    fn every() -> Vec<Batching> {
        let mut all = Vec::new();
        for max_tokens in [None, Some(3000)] {
            for (length_grouped, document_grouped) in [(false, false), (true, false), (false, true)] {
                all.push(Batching { max_tokens, length_grouped, document_grouped, ..PLAIN });
            }
        }
        all
    }

    #[test]
    fn every_example_occurs_once() {
        let pairs = pairs(1003);
        for batching in every() {
            let batches = micro_batches(&pairs, &batching, 1, "relative", 1);
            let mut all = batches.concat();
            all.sort_unstable();
            assert_eq!(all, (0..pairs.0.len()).collect::<Vec<_>>(), "{batching:?}");
            match batching.max_tokens {
                None => assert!(batches[..batches.len() - 1].iter().all(|batch| batch.len() == 4)),
                Some(limit) => {
                    let tokens = |batch: &Vec<usize>| batch.iter().map(|&i| pairs.tokens(i)).sum::<usize>();
                    assert!(batches.iter().all(|batch| tokens(batch) <= limit));
                    // Two neighbours of an order would not fit together.
                    let mean = batches.iter().map(tokens).sum::<usize>() / batches.len();
                    assert!(mean > limit / 2, "{mean}");
                }
            }
        }
    }

    #[test]
    fn an_example_beyond_the_limit_is_alone() {
        let batching = Batching { max_tokens: Some(1), ..PLAIN };
        assert!(micro_batches(&pairs(40), &batching, 1, "s", 1).iter().all(|batch| batch.len() == 1));
    }

    #[test]
    fn epochs_and_stages_differ_and_repeat() {
        let pairs = pairs(50);
        for batching in every() {
            let order = |stage, epoch| micro_batches(&pairs, &batching, 9, stage, epoch);
            assert_eq!(order("relative", 1), order("relative", 1));
            assert_ne!(order("relative", 1), order("relative", 2));
            assert_ne!(order("relative", 1), order("absolute", 1));
        }
    }

    #[test]
    fn grouping_puts_similar_lengths_together() {
        let pairs = pairs(800);
        let spread = |batching: &Batching| -> usize {
            let range = |batch: &Vec<usize>| {
                let lengths = batch.iter().map(|&i| pairs.tokens(i));
                lengths.clone().max().unwrap() - lengths.min().unwrap()
            };
            micro_batches(&pairs, batching, 3, "s", 1).iter().map(range).sum()
        };
        let (plain, grouped) = (spread(&PLAIN), spread(&Batching { length_grouped: true, ..PLAIN }));
        assert!(grouped * 5 < plain, "{grouped} against {plain}");
    }

    #[test]
    fn grouping_by_documents_saves_encodings() {
        let pairs = pairs(800);
        let encodings = |batching: &Batching| -> usize {
            let distinct = |batch: &Vec<usize>| {
                batch.iter().flat_map(|&i| pairs.documents(i)).collect::<BTreeSet<_>>().len()
            };
            micro_batches(&pairs, batching, 3, "s", 1).iter().map(distinct).sum()
        };
        let plain = encodings(&PLAIN);
        let grouped = encodings(&Batching { document_grouped: true, ..PLAIN });
        // Four pairs have eight documents; a tree of four pairs has five.
        assert!(grouped * 10 < plain * 7, "{grouped} against {plain}");
    }
}
