//! The roles of documents in stage 2: train and val share the training folds, test is a fold of its own.

use crate::document::DocumentSet;
use crate::error::{DataError, Result};
use crate::rng;

/// Places in a [`DocumentSet`]; each list ascending and not empty, no place in two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// Documents whose loss is minimised.
    pub train: Vec<usize>,
    /// Documents that choose the best epoch.
    pub val: Vec<usize>,
    /// Documents measured once, at the end.
    pub test: Vec<usize>,
}

/// Splits the documents that have a label (of any trait, as `is_labelled` says of a place) by fold, and a random `val_ratio`
/// (in 0..1) of the training folds off for validation.
///
/// Of n labelled documents in the training folds, `max(1, floor(n · val_ratio))` validate. The choice depends on the seed
/// and the order of these documents, not on their labels.
///
/// # Errors
/// A ratio out of range; a fold that does not occur (lists those that do); the test fold among the training
/// folds; a role left without documents.
pub fn split_absolute(
    set: &DocumentSet,
    is_labelled: impl Fn(usize) -> bool,
    train_folds: &[String],
    test_fold: &str,
    val_ratio: f64,
    seed: u64,
) -> Result<Splits> {
    if !(val_ratio > 0.0 && val_ratio < 1.0) {
        return Err(DataError::setting(
            format!("val_ratio {val_ratio} is not between 0 and 1"),
            "use 0.1, for example",
        ));
    }
    if train_folds.is_empty() {
        return Err(DataError::setting("no training folds", "name at least one"));
    }
    let test_fold = test_fold.to_owned();
    if train_folds.contains(&test_fold) {
        let what = format!("test fold \"{test_fold}\" is also a training fold");
        return Err(DataError::setting(what, "remove it from the training folds"));
    }
    let labelled = |mut places: Vec<usize>| {
        places.retain(|place| is_labelled(*place));
        places
    };
    let mut pool = labelled(set.in_folds(train_folds)?);
    let test = labelled(set.in_folds(std::slice::from_ref(&test_fold))?);
    if test.is_empty() {
        let what = format!("no document of the test fold \"{test_fold}\" has a label");
        return Err(DataError::file(&set.path, what, "label some, or test on another fold"));
    }
    let n_val = ((pool.len() as f64 * val_ratio).floor() as usize).max(1);
    if n_val >= pool.len() {
        let what = format!("{} labelled documents in the training folds leave none to train on", pool.len());
        return Err(DataError::file(&set.path, what, "add documents, or lower val_ratio"));
    }
    rng::shuffle(&mut rng::stream(seed, &["absolute-val"]), &mut pool);
    let mut train = pool.split_off(n_val);
    let mut val = pool;
    train.sort_unstable();
    val.sort_unstable();
    Ok(Splits { train, val, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    /// `n` documents, in folds A, B, C in turn.
    fn documents(n: usize) -> DocumentSet {
        let document = |place: usize| Document {
            id: format!("d{place}"),
            text: "x".into(),
            fold: Some(["A", "B", "C"][place % 3].into()),
            label: Some(1.0),
            row: place + 2,
            ..Document::default()
        };
        DocumentSet::new("essays.csv", (0..n).map(document).collect()).unwrap()
    }

    fn split(n: usize, train: &[&str], test: &str, ratio: f64, seed: u64) -> Result<Splits> {
        let train: Vec<String> = train.iter().map(|&fold| fold.into()).collect();
        split_absolute(&documents(n), |_| true, &train, test, ratio, seed)
    }

    #[test]
    fn every_document_has_one_role() {
        let splits = split(30, &["A", "B"], "C", 0.25, 1).unwrap();
        assert_eq!((splits.train.len(), splits.val.len(), splits.test.len()), (15, 5, 10));
        let mut all = [splits.train, splits.val, splits.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn documents_without_a_label_have_no_role() {
        let mut set = documents(30);
        set.documents.iter_mut().step_by(4).for_each(|document| document.label = None);
        let train = ["A".to_owned(), "B".to_owned()];
        let labelled = |set: &DocumentSet| set.iter().map(|d| d.label.is_some()).collect::<Vec<_>>();
        let known = labelled(&set);
        let splits = split_absolute(&set, |place| known[place], &train, "C", 0.25, 1).unwrap();
        let mut all = [splits.train, splits.val, splits.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..30).filter(|place| place % 4 != 0).collect::<Vec<_>>());
        set.documents.iter_mut().skip(2).step_by(3).for_each(|document| document.label = None);
        let known = labelled(&set);
        let message =
            split_absolute(&set, |place| known[place], &train, "C", 0.25, 1).unwrap_err().to_string();
        assert!(message.contains("no document of the test fold \"C\" has a label"), "{message}");
    }

    #[test]
    fn test_documents_are_the_test_fold() {
        assert_eq!(split(9, &["A"], "C", 0.4, 1).unwrap().test, [2, 5, 8]);
    }

    #[test]
    fn at_least_one_document_validates() {
        assert_eq!(split(30, &["A"], "C", 0.01, 1).unwrap().val.len(), 1);
    }

    #[test]
    fn seed_decides() {
        let val = |seed| split(300, &["A", "B"], "C", 0.1, seed).unwrap().val;
        assert_eq!(val(1), val(1));
        assert_ne!(val(1), val(2));
        assert!(val(1).is_sorted());
    }

    #[test]
    fn unknown_folds_are_named() {
        for (train, test) in [("Z", "C"), ("A", "Z")] {
            let message = split(9, &[train], test, 0.1, 1).unwrap_err().to_string();
            assert!(message.contains("no fold \"Z\"") && message.contains("A, B, C"), "{message}");
        }
    }

    #[test]
    fn leaks_and_empty_roles_are_refused() {
        assert!(split(9, &["A", "C"], "C", 0.1, 1).unwrap_err().to_string().contains("also a training fold"));
        assert!(split(3, &["A"], "C", 0.1, 1).unwrap_err().to_string().contains("none to train on"));
        assert!(split(9, &[], "C", 0.1, 1).is_err());
        for ratio in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(split(9, &["A"], "C", ratio, 1).is_err());
        }
    }
}
