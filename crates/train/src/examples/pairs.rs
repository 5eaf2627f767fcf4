//! From a cache to the pairs of a run: as indices of documents, by role, and refused where they do not fit it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pair2score_data::pairs::{Pair, SplitName, read_meta, read_pairs};
use pair2score_data::rng::mix;
use pair2score_data::{DocumentSet, Splits};

use crate::TrainError;
use crate::config::{RelativeSettings, Settings};

/// Stage-1 pairs by role.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Pairs whose loss is minimised.
    pub train: Vec<PairExample>,
    /// Pairs that choose the epoch.
    pub val: Vec<PairExample>,
    /// Pairs that are measured once, after training.
    pub test: Vec<PairExample>,
    /// Training pairs left out because stage 2 validates on one of their documents.
    pub withheld: usize,
    /// Pairs whose weight counts for nothing, since the configuration does not ask for weights.
    pub unused_weights: usize,
}

impl Pairs {
    /// How many documents of training pairs are in validation or test pairs too, whose accuracies then may be better than
    /// those of new documents.
    pub fn shared_documents(&self) -> usize {
        let documents = |pair: &PairExample| [pair.a, pair.b];
        let trained: BTreeSet<usize> = self.train.iter().flat_map(documents).collect();
        let measured: BTreeSet<usize> = self.val.iter().chain(&self.test).flat_map(documents).collect();
        trained.intersection(&measured).count()
    }
}

/// A pair as indices of documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairExample {
    /// Index of the first document.
    pub a: usize,
    /// Index of the second document.
    pub b: usize,
    /// The trait that it is about, by its place.
    pub target: usize,
    /// 1 when `a` is better, 0 when `b` is, 0.5 for a tie.
    pub y: f64,
    /// Weight in the loss, greater than 0.
    pub weight: f64,
}

/// Reads the pairs of the files that a configuration names, by role; each has to fit the configuration.
pub(super) fn load_pairs(
    settings: &Settings,
    relative: &RelativeSettings,
    documents: &DocumentSet,
    splits: &Splits,
) -> Result<Pairs, TrainError> {
    let mismatch = |path: &Path, problem: String| TrainError::Mismatch { path: path.into(), problem };
    if let Some(meta) = &relative.pairs_meta {
        check_meta(meta, settings)?;
    }
    let mut pairs = Pairs::default();
    for path in settings.pair_files(relative) {
        if !path.is_file() {
            return Err(mismatch(
                &path,
                format!(
                    "is not there; make it with `pair2score pairs generate --essays {} --trait {} --pair-folds {} \
                     --heldout-fold {} --output-dir DIR ...`",
                    settings.paths.essays_csv.display(),
                    settings.pipeline.named(),
                    settings.pipeline.train_folds.join(","),
                    settings.pipeline.test_fold,
                ),
            ));
        }
        for (number, pair) in read_pairs(&path)?.pairs.iter().enumerate() {
            let example = example(settings, relative, documents, splits, pair)
                .map_err(|problem| mismatch(&path, format!("pair {} {problem}", number + 1)))?;
            pairs.unused_weights += usize::from(pair.weight.is_some() && !relative.pair_weights);
            let validates = |document| splits.val.binary_search(&document).is_ok();
            match pair.split {
                SplitName::Train
                    if settings.pipeline.share_val_split
                        && (validates(example.a) || validates(example.b)) =>
                {
                    pairs.withheld += 1;
                }
                SplitName::Train => pairs.train.push(example),
                SplitName::Val => pairs.val.push(example),
                SplitName::Test => pairs.test.push(example),
            }
        }
    }
    if let Some(max) = relative.max_pairs {
        choose(&mut pairs.train, max, *settings.pipeline.seed, documents, settings.pipeline.targets());
    }
    let targets = settings.pipeline.targets();
    for (place, target) in targets.iter().enumerate() {
        let [train, val] = [&pairs.train, &pairs.val].map(|pairs| about(pairs, place).count());
        if train == 0 || val == 0 {
            let of_trait = if targets.len() > 1 { format!(" about {target:?}") } else { String::new() };
            let problem = format!(
                "leaves {train} training and {val} validation pairs{of_trait}; both need at least one"
            );
            return Err(mismatch(&relative.pairs_file, problem));
        }
    }
    Ok(pairs)
}

/// A cache made for another trait, or from the test fold, is named before its pairs are looked at.
fn check_meta(path: &Path, settings: &Settings) -> Result<(), TrainError> {
    let meta = read_meta(path)?;
    let mismatch = |problem| Err(TrainError::Mismatch { path: path.into(), problem });
    let targets = settings.pipeline.targets();
    if !targets.contains(&meta.target) {
        return mismatch(format!(
            "describes pairs about {:?}, the configuration trains {}",
            meta.target,
            quoted(targets)
        ));
    }
    if meta.pair_folds.contains(&settings.pipeline.test_fold) {
        return mismatch(format!(
            "describes pairs from the test fold {}; training on them would spoil the test: use the pairs of the run \
             that holds out fold {}",
            settings.pipeline.test_fold, settings.pipeline.test_fold
        ));
    }
    Ok(())
}

/// The pairs about the trait in a place.
pub(crate) fn about(pairs: &[PairExample], place: usize) -> impl Iterator<Item = &PairExample> + Clone {
    pairs.iter().filter(move |pair| pair.target == place)
}

/// A pair of a cache as indices of documents, or what about it does not fit the run.
fn example(
    settings: &Settings,
    relative: &RelativeSettings,
    documents: &DocumentSet,
    splits: &Splits,
    pair: &Pair,
) -> Result<PairExample, String> {
    let targets = settings.pipeline.targets();
    let Some(target) = targets.iter().position(|target| *target == pair.target) else {
        return Err(format!("is about {:?}, the configuration trains {}", pair.target, quoted(targets)));
    };
    let index = |id: &str| {
        let file = settings.paths.essays_csv.display();
        documents.index_of(id).ok_or_else(|| format!("names document {id:?}, which is not in {file}"))
    };
    let [a, b] = [index(&pair.a)?, index(&pair.b)?];
    // Of the test fold, documents with a label test stage 2; without any, pairs among them may still test stage 1.
    let is_tested = |&document: &usize| {
        let fold = documents.documents[document].fold.as_deref();
        let held_out = fold == Some(settings.pipeline.test_fold.as_str());
        splits.test.binary_search(&document).is_ok() || held_out && pair.split != SplitName::Test
    };
    if let Some(document) = [a, b].into_iter().find(is_tested) {
        let (id, fold) = (&documents.documents[document].id, &settings.pipeline.test_fold);
        return Err(format!(
            "uses document {id:?} of the test fold {fold}; training on it would spoil the test: use the pairs of the \
             run that holds out fold {fold}"
        ));
    }
    let weight = pair.weight.filter(|_| relative.pair_weights).unwrap_or(1.0);
    Ok(PairExample { a, b, target, y: pair.y, weight })
}

/// Names in quotation marks.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// Keeps at most `max` of the pairs, in their order. Which, depends on the seed and on what a pair says, not on its place.
fn choose(pairs: &mut Vec<PairExample>, max: usize, seed: u64, documents: &DocumentSet, targets: &[String]) {
    let id = |document: usize| documents.documents[document].id.as_str();
    let rank = |pair: &PairExample| {
        let [y, weight] = [pair.y, pair.weight].map(|number| number.to_string());
        let mut said = vec!["max_pairs", id(pair.a), id(pair.b), &y, &weight];
        if targets.len() > 1 {
            said.push(&targets[pair.target]);
        }
        mix(seed, &said)
    };
    let mut places: Vec<usize> = (0..pairs.len()).collect();
    places.sort_by_key(|&place| rank(&pairs[place]));
    places.truncate(max);
    places.sort_unstable();
    *pairs = places.into_iter().map(|place| pairs[place]).collect();
}

/// Positions of the distinct documents of some pairs: the documents, and where each one is.
pub(crate) fn distinct(pairs: &[PairExample]) -> (Vec<usize>, BTreeMap<usize, usize>) {
    places(pairs.iter().flat_map(|pair| [pair.a, pair.b]))
}

/// Documents in the order in which they are first mentioned, and the place of each in it.
pub(crate) fn places(mentioned: impl Iterator<Item = usize>) -> (Vec<usize>, BTreeMap<usize, usize>) {
    let mut documents = Vec::new();
    let mut place = BTreeMap::new();
    for document in mentioned {
        place.entry(document).or_insert_with(|| {
            documents.push(document);
            documents.len() - 1
        });
    }
    (documents, place)
}

#[cfg(test)]
mod tests {
    use pair2score_data::Document;

    use super::*;

    fn documents() -> DocumentSet {
        let document = |i: usize| Document {
            id: format!("d{i}"),
            text: String::new(),
            fold: None,
            label: None,
            row: i + 2,
            ..Document::default()
        };
        DocumentSet::new("here", (0..40).map(document).collect()).unwrap()
    }

    #[test]
    fn documents_that_are_trained_on_and_measured_are_counted() {
        let pair = |[a, b]: [usize; 2]| PairExample { a, b, target: 0, y: 1.0, weight: 1.0 };
        let pairs = |ends: &[[usize; 2]]| ends.iter().copied().map(pair).collect();
        let of = |train: &[_], val: &[_], test: &[_]| Pairs {
            train: pairs(train),
            val: pairs(val),
            test: pairs(test),
            ..Pairs::default()
        };
        assert_eq!(of(&[[0, 1], [1, 2]], &[[3, 4]], &[[4, 5]]).shared_documents(), 0);
        assert_eq!(of(&[[0, 1], [1, 2]], &[[1, 4], [4, 1]], &[[2, 1]]).shared_documents(), 2);
    }

    fn chosen(mut pairs: Vec<PairExample>, max: usize, seed: u64) -> Vec<PairExample> {
        choose(&mut pairs, max, seed, &documents(), &["grammar".into(), "syntax".into()]);
        pairs
    }

    #[test]
    fn the_order_of_a_file_does_not_decide_which_pairs_are_chosen() {
        let pairs: Vec<PairExample> = (0..39)
            // Neighbours differ in nothing but their traits.
            .map(|i| PairExample { a: i / 2, b: i / 2 + 1, target: i % 2, y: 1.0, weight: 1.0 })
            .collect();
        let some = chosen(pairs.clone(), 10, 1);
        assert_eq!(some.len(), 10);
        assert!(some.is_sorted_by_key(|pair| pair.a), "the order is that of the file");
        let reversed: Vec<PairExample> = pairs.iter().rev().copied().collect();
        assert_eq!(chosen(reversed, 10, 1).into_iter().rev().collect::<Vec<_>>(), some);
        assert_ne!(chosen(pairs.clone(), 10, 2), some);
        // A larger choice holds the smaller one; there are never more than there are.
        let more = chosen(pairs.clone(), 20, 1);
        assert!(some.iter().all(|pair| more.contains(pair)));
        assert_eq!(chosen(pairs.clone(), 100, 1), pairs);
    }
}
