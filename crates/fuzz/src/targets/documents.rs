//! CSV and JSONL files of documents; an input that begins with `{` is JSONL.

use std::collections::BTreeMap;
use std::path::Path;

use pair2score_data::folds::add_folds;
use pair2score_data::{
    DocumentSet, Layout, ScoreScale, TableOptions, read_labelled, read_scored, read_texts,
};

use super::file;

pub(super) fn check(input: &[u8], folder: &Path) {
    let layout = Layout::default();
    if input.starts_with(b"{") {
        if let Ok(set) = read_texts(file(folder, "documents.jsonl", input), &layout) {
            ids_lead_to_their_documents(&set);
        }
        return;
    }
    let path = file(folder, "documents.csv", input);
    let scale = ScoreScale::default();
    if let Ok(labelled) = read_labelled(&path, &layout, "grammar", &scale) {
        let scored =
            read_scored(&path, &layout, "grammar", &scale).expect("needs no more than training does");
        assert_eq!(labelled.documents, scored.documents);
        let label = |label: Option<f64>| label.is_none_or(|label| scale.label(label).is_some());
        assert!(labelled.iter().all(|document| label(document.label) && document.fold.is_some()));
    }
    if let Ok(set) = read_texts(&path, &layout) {
        ids_lead_to_their_documents(&set);
        added_folds_change_nothing_else(&path, &set, folder);
    }
}

fn ids_lead_to_their_documents(set: &DocumentSet) {
    assert!(!set.is_empty());
    for (place, document) in set.iter().enumerate() {
        assert_eq!(set.index_of(&document.id), Some(place));
    }
    assert!(set.documents.is_sorted_by(|one, next| one.row < next.row));
}

/// Writes the file with one more column and reads that.
fn added_folds_change_nothing_else(path: &Path, set: &DocumentSet, folder: &Path) {
    let folds: BTreeMap<String, String> = set.ids().map(|id| (id.to_owned(), "A".to_owned())).collect();
    let output = folder.join("with_folds.csv");
    // Refused where there already is such a column.
    if add_folds(path, &TableOptions::default(), "text_id", &folds, &output).is_err() {
        return;
    }
    let again = read_texts(&output, &Layout::default()).expect("what we wrote can be read");
    let content = |set: &DocumentSet| -> Vec<(String, String)> {
        set.iter().map(|document| (document.id.clone(), document.text.clone())).collect()
    };
    assert_eq!(content(&again), content(set));
}
