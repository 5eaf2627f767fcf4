//! From files to training examples: documents, splits, tokens and pairs, checked against each other.

mod pairs;

use std::collections::BTreeSet;

use pair2score_data::rng::mix;
use pair2score_data::{
    DataError, Document, DocumentSet, PromptTemplate, ScoreScale, Splits, read_labelled, split_absolute,
};
use pair2score_scorer::{Encoded, TextEncoder};

use crate::TrainError;
use crate::config::{Head, RelativeSettings, Settings};
use crate::report::Progress;
use pairs::load_pairs;

pub use pairs::{PairExample, Pairs};
pub(crate) use pairs::{about, distinct, places};

/// Everything both stages train on.
#[derive(Debug)]
pub struct Examples {
    /// Every document of the CSV, in file order.
    pub documents: DocumentSet,
    /// What is rated; at least one trait.
    pub traits: Vec<TraitLabels>,
    /// What a label can be, of whatever trait.
    pub scale: ScoreScale,
    /// Stage-2 roles of the documents that have a label of some trait, as indices of documents.
    pub splits: Splits,
    /// Training documents whose labels stage 2 is not to use, or that have none.
    pub unlabelled: Vec<usize>,
    /// Stage-1 pairs; absent where nothing learns from them.
    pub pairs: Option<Pairs>,
    /// The documents that stage 2 embeds, each once: those of its roles, and of the training pairs where its head learns
    /// from them.
    pub stage2: Vec<usize>,
    /// Token ids of the documents that some role or pair uses; `None` for the others.
    pub encoded: Vec<Option<Encoded>>,
}

/// What people say of the documents in one trait.
#[derive(Debug, Clone)]
pub struct TraitLabels {
    /// Its name.
    pub target: String,
    /// The label of every document, where it has one.
    pub labels: Vec<Option<f64>>,
    /// A second rating of every document, where it has one.
    pub second_ratings: Vec<Option<f64>>,
    /// How much each label counts, in the mean over those there are 1; `None` where all count alike.
    pub weights: Option<Vec<f64>>,
}

impl TraitLabels {
    fn of(target: &str, documents: &DocumentSet) -> Self {
        let labels = documents.iter().map(|document| document.label).collect();
        // By the inverse variance, as the normal errors of different sizes would have it.
        let weight = |document: &Document| document.label_se.map_or(0.0, |error| error.powi(-2));
        let weights: Vec<f64> = documents.iter().map(weight).collect();
        let (sum, n) = (weights.iter().sum::<f64>(), weights.iter().filter(|weight| **weight > 0.0).count());
        let weights = (n > 0).then(|| weights.iter().map(|weight| weight * n as f64 / sum).collect());
        let second_ratings = documents.iter().map(|document| document.second_rating).collect();
        Self { target: target.to_owned(), labels, second_ratings, weights }
    }

    /// How much the label of a document counts, where it has one.
    pub fn weight(&self, document: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[document])
    }

    /// The second ratings of some documents.
    pub fn second_ratings_of(&self, documents: &[usize]) -> Vec<Option<f64>> {
        documents.iter().map(|&document| self.second_ratings[document]).collect()
    }

    /// How much the labels of some documents count; `None` where all count alike.
    pub fn weights_of(&self, documents: &[usize]) -> Option<Vec<f64>> {
        let weights = self.weights.as_ref()?;
        Some(documents.iter().map(|&document| weights[document]).collect())
    }
}

impl Examples {
    /// Reads and checks the documents and pairs a configuration names, and encodes what is used.
    ///
    /// # Errors
    /// When a file is wrong, or pairs and documents do not fit together.
    pub fn load(
        settings: &Settings,
        encoder: &TextEncoder,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let (documents, traits) = labelled_traits(settings)?;
        if !documents.empty.is_empty() {
            let rows: Vec<String> = documents.empty.iter().take(5).map(ToString::to_string).collect();
            progress.message(&format!(
                "{}: {} documents have no text (rows {}{}); they are scored as empty",
                settings.paths.essays_csv.display(),
                documents.empty.len(),
                rows.join(", "),
                if documents.empty.len() > rows.len() { ", …" } else { "" },
            ));
        }
        let missing = unlabelled(&documents, &traits, settings, progress)?;
        let splits = split(&documents, &traits, settings)?;
        let source = settings.pair_source();
        let pairs = match source {
            Some(relative) => Some(load_pairs(settings, relative, &documents, &splits)?),
            None => None,
        };
        if let (Some(pairs), Some(relative)) = (&pairs, source) {
            say_of_pairs(pairs, relative, progress);
        }
        // After the pairs, so that what stage 1 learns does not depend on labels.
        let (splits, left_out) = limit_labels(splits, settings, &documents);
        let mut unlabelled = [missing, left_out].concat();
        unlabelled.sort_unstable();
        let scale = scale(settings, &documents, &traits, &splits)?;
        let judged = pairs.as_ref().filter(|_| settings.absolute.head == Head::Joint);
        let stage2 = stage2_documents(&splits, judged.map_or(&[], |pairs| &pairs.train));
        let reading = (encoder, settings.data.template());
        let encoded = encode(&documents, &stage2, &unlabelled, pairs.as_ref(), reading, progress)?;
        Ok(Self { documents, traits, scale, splits, unlabelled, pairs, stage2, encoded })
    }

    /// Token ids of a document that some role or pair uses.
    pub fn ids(&self, document: usize) -> &[u32] {
        &self.encoded(document).ids
    }

    /// As [`ids`](Self::ids), with the length before the cut.
    pub fn encoded(&self, document: usize) -> &Encoded {
        self.encoded[document].as_ref().expect("every document of a split or pair was encoded")
    }

    /// Those of some documents that have a label of a trait, in the order given, and these labels.
    pub fn labelled(&self, place: usize, documents: &[usize]) -> (Vec<usize>, Vec<f64>) {
        let labels = &self.traits[place].labels;
        documents.iter().filter_map(|&document| Some((document, labels[document]?))).unzip()
    }

    /// Id of a document.
    pub fn id(&self, document: usize) -> &str {
        &self.documents.documents[document].id
    }
}

/// The documents of a configuration, each with its fold, and its label of a trait where it has one.
pub(crate) fn labelled_documents(settings: &Settings, target: &str) -> Result<DocumentSet, DataError> {
    read_labelled(&settings.paths.essays_csv, &settings.data.layout(), target, &settings.scale.get())
}

/// The documents of a configuration, and their labels of each trait.
fn labelled_traits(settings: &Settings) -> Result<(DocumentSet, Vec<TraitLabels>), DataError> {
    let read = |target: &String| labelled_documents(settings, target);
    let sets = settings.pipeline.targets().iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if settings.data.require_labels {
        sets.iter().try_for_each(DocumentSet::require_labels)?;
    }
    let labels = |(target, set): (&String, &DocumentSet)| TraitLabels::of(target, set);
    let traits = settings.pipeline.targets().iter().zip(&sets).map(labels).collect();
    Ok((sets.into_iter().next().expect("there is a trait"), traits))
}

/// Whether a document has a label of some trait.
fn is_labelled(traits: &[TraitLabels], document: usize) -> bool {
    traits.iter().any(|of| of.labels[document].is_some())
}

/// The documents of the training folds that have no label at all, after a word about all that have none of a trait.
fn unlabelled(
    documents: &DocumentSet,
    traits: &[TraitLabels],
    settings: &Settings,
    progress: &mut dyn Progress,
) -> Result<Vec<usize>, TrainError> {
    let mut trained = documents.in_folds(&settings.pipeline.train_folds)?;
    for TraitLabels { target, labels, .. } in traits {
        let n = labels.iter().filter(|label| label.is_none()).count();
        if n > 0 {
            progress.message(&format!(
                "{}: {n} of {} documents have no {target} label ({} in the training folds); stage 2 neither learns from \
                 them nor is measured on them",
                settings.paths.essays_csv.display(),
                documents.len(),
                trained.iter().filter(|document| labels[**document].is_none()).count(),
            ));
        }
    }
    trained.retain(|&document| !is_labelled(traits, document));
    Ok(trained)
}

/// Says what of the pairs counts for less than it seems.
fn say_of_pairs(pairs: &Pairs, relative: &RelativeSettings, progress: &mut dyn Progress) {
    let file = relative.pairs_file.display();
    if pairs.unused_weights > 0 {
        let count = pairs.unused_weights;
        progress.message(&format!(
            "{file}: {count} pairs have a weight, and count 1 (stage1_relative.pair_weights: true uses it)"
        ));
    }
    let shared = pairs.shared_documents();
    if shared > 0 {
        progress.message(&format!(
            "{file}: documents of training pairs that are in validation or test pairs too: {shared}; accuracies of \
             those pairs may be better than new documents would give"
        ));
    }
}

/// The roles of stage 2; none where nothing has a label, which is enough for stage 1.
fn split(documents: &DocumentSet, traits: &[TraitLabels], settings: &Settings) -> Result<Splits, TrainError> {
    if !(0..documents.len()).any(|document| is_labelled(traits, document)) {
        return Ok(Splits { train: Vec::new(), val: Vec::new(), test: Vec::new() });
    }
    Ok(split_absolute(
        documents,
        |document| is_labelled(traits, document),
        &settings.pipeline.train_folds,
        &settings.pipeline.test_fold,
        settings.pipeline.val_ratio,
        *settings.pipeline.seed,
    )?)
}

/// The scale of the configuration, or what the labels that stage 2 learns from say about it.
fn scale(
    settings: &Settings,
    documents: &DocumentSet,
    traits: &[TraitLabels],
    splits: &Splits,
) -> Result<ScoreScale, TrainError> {
    if !settings.scale.auto || splits.train.is_empty() {
        return Ok(settings.scale.get());
    }
    let trained = splits.train.iter().chain(&splits.val);
    let labels = trained.flat_map(|&document| traits.iter().filter_map(move |of| of.labels[document]));
    ScoreScale::observed(labels)
        .map_err(|error| TrainError::Mismatch { path: documents.path.clone(), problem: error.to_string() })
}

/// Takes all but `stage2_absolute.max_labels` documents out of the roles that learn, as many of each as its share says;
/// the second list has those that would train. A larger choice holds the smaller one.
fn limit_labels(splits: Splits, settings: &Settings, documents: &DocumentSet) -> (Splits, Vec<usize>) {
    let Some(max) = settings.absolute.max_labels else { return (splits, Vec::new()) };
    let validating = ((max as f64 * settings.pipeline.val_ratio).floor() as usize).max(1);
    let rank =
        |document: &usize| mix(*settings.pipeline.seed, &["max_labels", &documents.documents[*document].id]);
    let first = |mut of: Vec<usize>, n: usize| {
        of.sort_by_key(rank);
        let mut rest = of.split_off(n.min(of.len()));
        of.sort_unstable();
        rest.sort_unstable();
        (of, rest)
    };
    let ((train, unlabelled), (val, _)) =
        (first(splits.train, max - validating), first(splits.val, validating));
    (Splits { train, val, ..splits }, unlabelled)
}

/// The documents of all roles, then those that only pairs are about.
fn stage2_documents(splits: &Splits, pairs: &[PairExample]) -> Vec<usize> {
    let mut documents = [&splits.train, &splits.val, &splits.test].map(Vec::as_slice).concat();
    let mut seen: BTreeSet<usize> = documents.iter().copied().collect();
    documents.extend(distinct(pairs).0.into_iter().filter(|&document| seen.insert(document)));
    documents
}

fn encode(
    documents: &DocumentSet,
    stage2: &[usize],
    unlabelled: &[usize],
    pairs: Option<&Pairs>,
    (encoder, template): (&TextEncoder, Option<&PromptTemplate>),
    progress: &mut dyn Progress,
) -> Result<Vec<Option<Encoded>>, TrainError> {
    let mut used = vec![false; documents.len()];
    let of_splits = stage2.iter().chain(unlabelled).copied();
    let of_pairs = pairs.into_iter().flat_map(|p| p.train.iter().chain(&p.val).chain(&p.test));
    for document in of_splits.chain(of_pairs.flat_map(|pair| [pair.a, pair.b])) {
        used[document] = true;
    }
    progress.begin("tokenize", documents.len());
    let mut encoded = Vec::with_capacity(documents.len());
    for (index, (document, used)) in documents.iter().zip(used).enumerate() {
        encoded.push(if used { Some(encoder.passage(document, template)?) } else { None });
        progress.advance(index + 1);
    }
    progress.end();
    Ok(encoded)
}
