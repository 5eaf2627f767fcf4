//! The order in which an epoch visits its examples: a pure function of seed, stage and epoch.

use std::collections::{BTreeMap, BTreeSet};

use pair2score_data::rng::{shuffle, stream};

/// How examples are put into micro-batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Examples of a micro-batch, at least 1; without a limit of tokens all but the last have as many.
    pub size: usize,
    /// Tokens of a micro-batch, instead of a number of examples; a longer example is alone in its batch. Where documents
    /// are encoded once, each counts once.
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
    let mut batches = Vec::new();
    if batching.document_grouped {
        batches = share_documents(sizes, batching, &order);
    } else if batching.length_grouped {
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

/// Batches whose examples share documents, by a greedy choice. A batch begins with the first example that is left, and
/// takes the one that brings the fewest new documents (of equals, the earliest) until it is full. With a limit in tokens,
/// it also ends once it is half full and no example that is left shares a document with it: the pairs of a group of
/// documents are then together, and the next group begins with a batch of its own instead of being cut in two.
fn share_documents(sizes: &dyn Sizes, batching: &Batching, order: &[usize]) -> Vec<Vec<usize>> {
    let mut left = Left::new(sizes, order);
    let mut batches = Vec::new();
    while !left.places.is_empty() {
        let mut batch: Vec<usize> = Vec::new();
        let mut documents = BTreeSet::new();
        while let Some((place, is_related)) = left.next(&documents) {
            let example = order[place];
            let is_full = match batching.max_tokens {
                None => batch.len() == batching.size,
                Some(limit) => {
                    sizes.batch_tokens(&[batch.as_slice(), &[example]].concat()) > limit
                        || !is_related && 2 * sizes.batch_tokens(&batch) >= limit
                }
            };
            if is_full && !batch.is_empty() {
                break;
            }
            left.take(place);
            documents.extend(sizes.documents(example));
            batch.push(example);
        }
        batches.push(batch);
    }
    batches
}

/// Places in an order that are in no batch yet.
struct Left {
    places: BTreeSet<usize>,
    /// Of each place, the documents of its example.
    documents: Vec<Vec<usize>>,
    by_document: BTreeMap<usize, BTreeSet<usize>>,
}

impl Left {
    fn new(sizes: &dyn Sizes, order: &[usize]) -> Self {
        let documents: Vec<Vec<usize>> = order.iter().map(|&example| sizes.documents(example)).collect();
        let mut by_document: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (place, documents) in documents.iter().enumerate() {
            for &document in documents {
                by_document.entry(document).or_default().insert(place);
            }
        }
        Self { places: (0..order.len()).collect(), documents, by_document }
    }

    /// The place that brings the fewest new documents, and whether it shares one.
    fn next(&self, batch: &BTreeSet<usize>) -> Option<(usize, bool)> {
        let related = batch.iter().flat_map(|document| &self.by_document[document]).copied();
        let new =
            |place: usize| self.documents[place].iter().filter(|document| !batch.contains(document)).count();
        let related = related.min_by_key(|&place| (new(place), place));
        related.map(|place| (place, true)).or_else(|| self.places.first().map(|&place| (place, false)))
    }

    fn take(&mut self, place: usize) {
        self.places.remove(&place);
        for document in &self.documents[place] {
            self.by_document.entry(*document).or_default().remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(document: &usize) -> usize {
        1 + document * 7919 % 500
    }

    /// Pairs of documents with lengths.
    struct Pairs(Vec<[usize; 2]>);

    impl Sizes for Pairs {
        fn n_examples(&self) -> usize {
            self.0.len()
        }
        fn tokens(&self, example: usize) -> usize {
            self.0[example].iter().map(length).sum()
        }
        fn documents(&self, example: usize) -> Vec<usize> {
            self.0[example].to_vec()
        }
        fn batch_tokens(&self, examples: &[usize]) -> usize {
            let documents: BTreeSet<usize> = examples.iter().flat_map(|&example| self.0[example]).collect();
            documents.iter().map(length).sum()
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
                    let tokens = |batch: &Vec<usize>| match batching.document_grouped {
                        true => pairs.batch_tokens(batch),
                        false => batch.iter().map(|&i| pairs.tokens(i)).sum(),
                    };
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
    fn a_batch_limited_in_tokens_does_not_cut_groups_of_documents() {
        // All pairs of six neighbours, shuffled by place; six documents have 600 to 2,400 tokens.
        let all = (0..240).flat_map(|a| (a + 1..(a / 6 + 1) * 6).map(move |b| [a, b]));
        let mut pairs = Pairs(all.collect());
        pairs.0.sort_by_key(|[a, b]| (a * 7919 + b * 104_729) % 1009);
        let batching = Batching { max_tokens: Some(2400), document_grouped: true, ..PLAIN };
        let batches = micro_batches(&pairs, &batching, 1, "relative", 1);
        let groups = |batch: &Vec<usize>| batch.iter().map(|&i| pairs.0[i][0] / 6).collect::<BTreeSet<_>>();
        let whole = batches.iter().filter(|batch| batch.len() == 15 * groups(batch).len()).count();
        assert!(whole * 10 >= batches.len() * 8, "{whole} of {}", batches.len());
        let encoded: usize = batches.iter().map(|batch| pairs.batch_tokens(batch)).sum();
        let tokens: usize = (0..240).map(|document| length(&document)).sum();
        assert!(encoded < tokens * 11 / 10, "{encoded} for {tokens}");
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
