//! The anchors of a run's scorer: which documents, and the files about them.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array2, Axis};
use pair2score_scorer::{AnchorDocument, AnchorSpace, Anchors};

use super::context::Run;
use super::leftovers::remove_if_there;
use crate::TrainError;
use crate::absolute::{AbsoluteModel, AbsoluteTask, Unseen};
use crate::anchors::{candidates, spread};
use crate::backend::TrainBackend;

/// Documents that a scorer remembers, and where they lie.
pub(super) type Chosen = (Anchors, AnchorSpace);

impl<B: TrainBackend> Run<'_, B> {
    /// Chooses anchors among documents that did not decide the scores; `None` where all of these are blank.
    pub(super) fn anchors(
        &self,
        task: &AbsoluteTask<'_, B>,
        model: &AbsoluteModel<B::InnerBackend>,
        unseen: &[Unseen],
    ) -> Result<Option<Chosen>, TrainError> {
        let scale = self.settings.scale.get();
        let is_blank = |document: usize| self.examples.documents.documents[document].text.trim().is_empty();
        // Of each trait groups of documents, with their labels.
        let groups = unseen.iter().map(|Unseen { documents, labels, scores }| {
            let groups = candidates(labels, scores, &scale).into_iter();
            let known = |place: usize| (documents[place], labels[place]);
            let group =
                |places: Vec<usize>| places.into_iter().map(known).filter(|of| !is_blank(of.0)).collect();
            groups.map(group).collect()
        });
        let groups: Vec<Vec<Vec<(usize, f64)>>> = groups.collect();
        let mut documents: Vec<usize> =
            groups.iter().flatten().flatten().map(|(document, _)| *document).collect();
        documents.sort_unstable();
        documents.dedup();
        if documents.is_empty() {
            return Ok(None);
        }
        let embeddings = task.embeddings(model, &documents)?;
        let row = |document: usize| documents.binary_search(&document).expect("all candidates are embedded");
        let space = AnchorSpace::around(rows(&embeddings));
        let mut chosen: BTreeMap<usize, Vec<Option<f64>>> = BTreeMap::new();
        for (place, groups) in groups.iter().enumerate() {
            for group in groups {
                let of_group: Vec<usize> = group.iter().map(|(document, _)| row(*document)).collect();
                for next in spread(embeddings.select(Axis(0), &of_group).view(), &space) {
                    let (document, label) = group[next];
                    chosen.entry(document).or_insert_with(|| vec![None; unseen.len()])[place] = Some(label);
                }
            }
        }
        let of_chosen: Vec<usize> = chosen.keys().map(|&document| row(document)).collect();
        let space = space.with_anchors(rows(&embeddings.select(Axis(0), &of_chosen)));
        let keep_texts = self.settings.absolute.outputs.keep_anchor_texts;
        let anchor = |(document, labels): (usize, Vec<Option<f64>>)| {
            let text = keep_texts.then(|| self.examples.documents.documents[document].text.clone());
            AnchorDocument { id: self.examples.id(document).to_owned(), labels, text }
        };
        let documents = chosen.into_iter().map(anchor).collect();
        Ok(Some((Anchors { embeddings: Anchors::FILE.into(), documents }, space)))
    }
}

/// Writes where anchors lie into the folder of the scorer, and gives what its settings say of them.
pub(super) fn write_anchors(chosen: Option<Chosen>, folder: &Path) -> Result<Option<Anchors>, TrainError> {
    let file = folder.join(Anchors::FILE);
    match chosen {
        None => remove_if_there(&file).map(|()| None),
        Some((anchors, space)) => {
            space.save(&file)?;
            Ok(Some(anchors))
        }
    }
}

/// The rows of a matrix.
fn rows(embeddings: &Array2<f32>) -> impl Iterator<Item = &[f32]> + Clone {
    embeddings.as_slice().expect("matrices here are in row order").chunks_exact(embeddings.ncols())
}
